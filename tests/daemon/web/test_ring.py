"""The latest minute of a stream, and readers' places in it."""

from struct import unpack_from

import numpy as np
import pytest

from beatgan_daemon.web.cursor import Cursor
from beatgan_daemon.web.ring import Ring
from beatgan_daemon.web.units import LOST


def ring(first: int = 0, fs: float = 100.0) -> Ring:
    return Ring(7, fs, ("II",), first)


def ramp(begin: int, end: int) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    return np.arange(begin, end, dtype=np.int16).reshape(-1, 1)


def read(cursor: Cursor, of: Ring) -> list[tuple[int, list[int]]]:
    """Where each record begins, and its values."""
    records = []
    for each in cursor.records(of, 3):
        assert unpack_from("<H", each) == (3,)
        n, kind, first = unpack_from("<HHd", each, 4)
        records.append((int(first), [*unpack_from(f"<{n * (1 + kind)}h", each, 24)]))
    return records


def test_a_reader_gets_everything_once() -> None:
    of, cursor = ring(), Cursor((0,), "full")
    got: list[int] = []
    for begin in range(0, 12_000, 50):
        of.write(begin, ramp(begin, begin + 50))
        for first, values in read(cursor, of):
            assert first == len(got)
            got += values
    assert got == [*range(12_000)]
    assert read(cursor, of) == []


def test_what_is_missing_is_lost_until_it_comes_late() -> None:
    of, cursor = ring(), Cursor((0,), "full")
    of.write(0, ramp(0, 10))
    of.write(20, ramp(20, 30))
    assert read(cursor, of) == [(0, [*range(10), *[LOST] * 10, *range(20, 30)])]
    of.write(10, ramp(10, 20))
    assert read(cursor, of) == [(10, [*range(10, 20)])]
    of.write(10, ramp(50, 60))  # known already: it stays
    assert read(cursor, of) == []
    assert of.samples(0, 0, 30).tolist() == [*range(30)]


def test_who_falls_behind_skips() -> None:
    of, cursor = ring(), Cursor((0,), "full")
    of.write(0, ramp(0, 100))
    read(cursor, of)
    for begin in range(100, 20_000, 100):
        of.write(begin, ramp(begin, begin + 100))
    (record,) = read(cursor, of)
    assert record[0] == of.start == 20_000 - 6_000
    assert record[1] == [*range(of.start, of.end)]


@pytest.mark.parametrize("begin", [10_000, 10**12])
def test_a_jump_leaves_nothing_of_before(begin: int) -> None:
    of = ring()
    of.write(0, ramp(0, 100))
    of.write(begin, ramp(0, 100))
    assert (of.start, of.end) == (begin + 100 - 6_000, begin + 100)
    assert (of.samples(0, of.start, begin) == LOST).all()


def test_the_wall_keeps_every_peak() -> None:
    of, cursor = ring(fs=360.0), Cursor((0,), "wall")
    ecg = np.random.default_rng(2).integers(-300, 300, (7_200, 1)).astype(np.int16)
    ecg[1_003] = 3_000
    ecg[2_000:2_100] = LOST
    pairs: list[int] = []
    for begin in range(0, 7_200, 72):
        of.write(begin, ecg[begin : begin + 72])
        for first, values in read(cursor, of):
            assert first == len(pairs) // 2 * of.step
            pairs += values
    assert of.step == 8
    whole = ecg[:, 0].reshape(-1, 8)
    for block, (low, high) in zip(whole, np.array(pairs).reshape(-1, 2), strict=True):
        known = block[block != LOST]
        assert (low, high) == ((known.min(), known.max()) if known.size else (LOST, LOST))
    assert max(pairs) == 3_000
