"""Gaps in LSL streams: samples are counted, stamps jitter, come late, jump back, and still show
where some are missing."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from beatgan_daemon.bridges.lsl.stamps import GapFinder, Piece

FS = 250.0
Stamps = NDArray[np.float64]


def found(
    stamps: Stamps, kept: NDArray[np.bool_] | None = None, fs: float = FS, every: float = 0.1
) -> tuple[list[Piece], GapFinder]:
    """What comes of samples 0, 1, 2 ... with these ``stamps``, where they were ``kept``, pulled
    each 0.1 s as they arrive: a sample's value is its index."""
    finder, pieces = GapFinder(fs), []
    values = np.arange(len(stamps), dtype=np.float32)[:, None]
    kept = np.ones(len(stamps), bool) if kept is None else kept
    pulled = (np.arange(len(stamps)) / fs // every).astype(int)[kept]
    values, stamps = values[kept], stamps[kept]
    ends = np.searchsorted(pulled, np.arange(pulled[-1] + 31))
    for turn, (begin, end) in enumerate(pairwise(ends)):
        ready = slice(begin, end)
        pieces += finder.push(values[ready], stamps[ready], 1000.0 + (turn + 1) * every)
    return pieces, finder


def gaps(pieces: list[Piece]) -> list[tuple[int, int]]:
    """Index of the first sample behind each gap, and how many were lost."""
    return [(int(piece.samples[0, 0]), piece.lost) for piece in pieces if piece.lost]


def exact(pieces: list[Piece], count: int, kept: NDArray[np.bool_] | None = None) -> bool:
    """Whether every sample kept came out, once and in order, at the place that was its own."""
    place, wanted = 0, np.arange(count)[np.ones(count, bool) if kept is None else kept]
    seen = []
    for piece in pieces:
        place += piece.lost
        assert np.array_equal(piece.samples[:, 0], np.arange(place, place + len(piece.samples)))
        seen.append(piece.samples[:, 0])
        place += len(piece.samples)
    return np.array_equal(np.concatenate(seen), wanted)


def clean(seconds: float, fs: float = FS) -> Stamps:
    return 5000.0 + np.arange(round(seconds * fs)) / fs


def without(count: int, *lost: tuple[int, int]) -> NDArray[np.bool_]:
    kept = np.ones(count, bool)
    for first, number in lost:
        kept[first : first + number] = False
    return kept


def in_packets(
    seconds: float, size: int, delay: Callable[[int], NDArray[np.float64]], fs: float = FS
) -> Stamps:
    """Stamps as an outlet makes them of packets that arrive late by ``delay`` s: the last sample
    has the moment, the others are reckoned back."""
    stamps = clean(seconds, fs)
    packets = np.arange(len(stamps)) // size
    return np.asarray(stamps + delay(packets.max() + 1)[packets], np.float64)


def jitter(most: float, seed: int = 0) -> Callable[[int], NDArray[np.float64]]:
    return lambda count: np.random.default_rng(seed).uniform(0.0, most, count)


def test_regular_stamps_go_through_at_once() -> None:
    stamps = clean(20)
    pieces, finder = found(stamps)
    assert exact(pieces, len(stamps))
    assert not gaps(pieces)
    assert all(len(piece.samples) <= FS / 10 + 1 for piece in pieces)
    assert finder.rate is None


@pytest.mark.parametrize("lost", [1, 2, 25, 250, 2500])
def test_with_regular_stamps_a_gap_is_known_to_the_sample(lost: int) -> None:
    stamps = clean(40)
    kept = without(len(stamps), (3001, lost))
    pieces, _ = found(stamps, kept)
    assert gaps(pieces) == [(3001 + lost, lost)]
    assert exact(pieces, len(stamps), kept)


def test_two_gaps_of_seconds() -> None:
    stamps = clean(60)
    kept = without(len(stamps), (3000, 1234), (9000, 2001))
    pieces, _ = found(stamps, kept)
    assert exact(pieces, len(stamps), kept)


@pytest.mark.parametrize("size", [1, 10, 73])
def test_jitter_is_no_gap(size: int) -> None:
    stamps = in_packets(120, size, jitter(0.03), fs=130.0)
    pieces, finder = found(stamps, fs=130.0)
    assert not gaps(pieces)
    assert exact(pieces, len(stamps))
    assert finder.rate == pytest.approx(130.0, rel=2e-4)


@pytest.mark.parametrize("size", [5, 25, 33, 50, 125])
def test_packets_of_one_stamp_are_no_gaps(size: int) -> None:
    """All samples of a packet have the moment at which it came, as OpenBCI's have."""
    index = np.arange(round(60 * FS))
    stamps = 5000.0 + (index // size * size + size - 1) / FS
    pieces, finder = found(stamps)
    assert not gaps(pieces)
    assert not any(piece.stepped for piece in pieces)
    assert exact(pieces, len(stamps))
    assert finder.rate == pytest.approx(FS, rel=1e-4)


@pytest.mark.parametrize("size", [5, 25, 50])
def test_a_gap_between_packets_of_one_stamp_is_found(size: int) -> None:
    index = np.arange(round(60 * FS))
    stamps = 5000.0 + (index // size * size + size - 1) / FS
    kept = without(len(stamps), (7500, 500))
    pieces, _ = found(stamps, kept)
    ((_, lost),) = gaps(pieces)
    assert lost == pytest.approx(500, abs=size)


def test_a_gap_is_found_in_jitter_within_what_that_hides() -> None:
    stamps = in_packets(60, 25, jitter(0.03))
    kept = without(len(stamps), (7500, 500))
    pieces, _ = found(stamps, kept)
    ((_, lost),) = gaps(pieces)
    assert lost == pytest.approx(500, abs=0.03 * FS)


def test_the_true_rate_is_measured_and_is_no_gap() -> None:
    stamps = 5000.0 + np.arange(round(90 * FS)) / (FS * 0.996)
    pieces, finder = found(stamps)
    assert not gaps(pieces)
    assert finder.rate == pytest.approx(0.996 * FS, rel=1e-5)


def test_a_sawtooth_of_a_rate_that_the_outlet_has_wrong_is_no_gap() -> None:
    """73 samples a packet, reckoned back at 130 Hz, of a device of 129.5 Hz (a Polar H10)."""
    index = np.arange(round(120 * 129.5))
    last = index // 73 * 73 + 72
    stamps = 5000.0 + last / 129.5 - (last - index) / 130.0
    pieces, finder = found(stamps, fs=130.0)
    assert not gaps(pieces)
    assert finder.rate == pytest.approx(129.5, rel=1e-4)


def test_a_stall_that_catches_up_is_no_gap() -> None:
    """Of a radio link, say: what waited comes in a burst and has the burst's stamps."""
    stamps = clean(40)
    burst = 5000.0 + 22.5
    stalled = (stamps > 5000.0 + 21.0) & (stamps < burst)
    late = np.where(stalled, burst, stamps)
    pieces, _ = found(late)
    assert not gaps(pieces)
    assert exact(pieces, len(stamps))


def test_stamps_that_jump_back_lose_nothing() -> None:
    stamps = clean(40)
    stamps[5000:] -= 7.5
    pieces, _ = found(stamps)
    assert not gaps(pieces)
    assert exact(pieces, len(stamps))
    assert sum(piece.stepped for piece in pieces) == 1


def test_a_clock_that_is_set_ahead_loses_nothing() -> None:
    stamps = clean(40)
    stamps[5000:] += 3600.0
    pieces, _ = found(stamps)
    assert not gaps(pieces)
    assert exact(pieces, len(stamps))


def test_one_stamp_that_is_wrong_is_no_gap() -> None:
    stamps = clean(40)
    stamps[5000] += 0.2
    stamps[6000] -= 0.2
    pieces, _ = found(stamps)
    assert not gaps(pieces)
    assert exact(pieces, len(stamps))


def test_what_is_held_comes_out_when_nothing_follows() -> None:
    stamps = clean(30)
    kept = without(len(stamps), (5000, 500))
    kept[5600:] = False  # 0.4 s behind the gap, then nothing
    pieces, _ = found(stamps, kept)
    assert exact(pieces, len(stamps), kept)


def test_a_last_packet_that_came_late_is_no_gap() -> None:
    stamps = clean(30)
    stamps[-25:] += 0.05
    pieces, _ = found(stamps)
    assert not gaps(pieces)
    assert exact(pieces, len(stamps))


def test_smoothed_stamps_lie_on_a_line() -> None:
    stamps = in_packets(60, 25, jitter(0.04))
    pieces, _ = found(stamps)
    firsts = np.array([piece.samples[0, 0] for piece in pieces if piece.samples[0, 0] > 7500])
    smooth = np.array([piece.stamp for piece in pieces if piece.samples[0, 0] > 7500])
    off = smooth - (5000.0 + firsts / FS)
    assert np.ptp(off) < 0.008  # a fifth of the jitter
