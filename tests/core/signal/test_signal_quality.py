"""The gate: what is announced, from when to when, and what is left of the signal."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatgan.signal import signal_quality
from beatgan.signal.latest_samples import BLOCK
from beatgan.signal.signal_quality import (
    FLAT,
    GAP,
    IN_FLAT,
    IN_GAP,
    IN_SATURATED,
    MAX_CHANGES,
    RECOVERY,
    SATURATION,
    SATURATION_MV,
)
from beatgan.types import Doubles

Change = tuple[int, bool, int, int]  # condition, begins, at, known


def gate() -> signal_quality.State:
    record: signal_quality.State = np.zeros(1, signal_quality.STATE)[0]
    signal_quality.begin(record)
    return record


@dataclass
class Gated:
    """What came out of a gate."""

    changes: list[Change] = field(default_factory=list)
    signal: list[float] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)

    def push(self, record: signal_quality.State, x: Doubles, start: int) -> int:
        """Gate ``x``; returns how many changes it made."""
        y, idle = x.copy(), np.empty(x.size, np.int64)
        changes = np.empty(x.size + MAX_CHANGES, signal_quality.CHANGE)
        count = signal_quality.run(y, start, record, changes, idle)
        self.signal += y.tolist()
        self.idle += idle.tolist()
        self.changes += [(c, bool(begins), a, k) for c, begins, a, k, _ in changes[:count].tolist()]
        return count


def gated(x: Doubles, start: int = 0) -> Gated:
    out = Gated()
    out.push(gate(), x, start)
    return out


def changes(x: Doubles) -> list[tuple[int, bool]]:
    """Conditions that begin and end, without their times."""
    return [(condition, begins) for condition, begins, _, _ in gated(x).changes]


def noise(n: int) -> Doubles:
    return np.random.default_rng(0).normal(size=n)


def test_good_signal_passes_untouched() -> None:
    out = gated(noise(3000))
    assert np.array_equal(out.signal, noise(3000))
    assert out.changes == []


def test_a_gap_is_announced_once_it_lasts_and_over_once_signal_lasts() -> None:
    x = noise(3000)
    x[100 : 100 + GAP - 1] = np.nan  # one short of a gap
    x[1000:1500] = np.nan
    assert gated(x, 50).changes == [
        (IN_GAP, True, 1050, 1050 + GAP - 1),
        (IN_GAP, False, 1550, 1550 + RECOVERY - 1),
    ]


def test_what_arrives_in_a_gap_that_is_not_over_is_signal_already() -> None:
    x = noise(1000)
    x[200:500] = np.nan
    assert np.array_equal(gated(x).signal, x, equal_nan=True)


def test_losses_that_flap_are_one_gap() -> None:
    x = noise(6000)
    for start in range(1000, 4000, GAP + RECOVERY - 1):  # each long enough for a gap of its own
        x[start : start + GAP] = np.nan
    assert changes(x) == [(IN_GAP, True), (IN_GAP, False)]


def test_losses_too_short_for_a_gap_are_none_however_many() -> None:
    x = noise(6000)
    x[np.arange(x.size) % GAP != 0] = np.nan
    assert changes(x) == []


def test_a_flat_line_becomes_nan_from_the_moment_it_is_known_until_it_is_over() -> None:
    x = noise(4000)
    x[1000:2500] = 0.7
    out, known, over = gated(x), 1000 + FLAT - 1, 2500 + RECOVERY - 1
    assert out.changes == [(IN_FLAT, True, 1000, known), (IN_FLAT, False, 2500, over)]
    assert np.flatnonzero(np.isnan(out.signal)).tolist() == list(range(known, over))


@pytest.mark.parametrize("height", [0.02, 5.0])
def test_a_spike_out_of_a_flat_line_does_not_end_it(height: float) -> None:
    x = np.concatenate([noise(500), np.full(5000, 0.7), noise(500)])
    x[2500] += height
    x[3500 : 3500 + RECOVERY // 2] += height  # as long as a spike may be
    assert changes(x) == [(IN_FLAT, True), (IN_FLAT, False)]


def test_a_step_from_one_flat_line_to_another_does_not_end_it() -> None:
    x = np.concatenate([np.full(2000, 0.1), np.full(2000, 0.9)])
    assert changes(x) == [(IN_FLAT, True)]


def test_a_line_is_flat_within_two_steps_of_a_converter() -> None:
    steps: Doubles = np.arange(3000) % 2 * np.float64(0.005)
    assert changes(2 * steps) == [(IN_FLAT, True)]
    assert changes(3 * steps) == []


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_line_at_an_extreme_far_from_zero_is_saturated_and_sooner_known(sign: int) -> None:
    x = noise(3000)
    rail = sign * (np.abs(x).max() + 1)
    x[1000:1500] = rail
    assert gated(x).changes == [
        (IN_SATURATED, True, 1000, 1000 + SATURATION - 1),
        (IN_SATURATED, False, 1500, 1500 + RECOVERY - 1),
    ]


def test_a_rest_that_is_no_extreme_or_is_near_zero_is_not_saturated() -> None:
    x = noise(3000)
    x[500], x[600] = 9.0, -9.0
    x[1000 : 1000 + FLAT - 1] = 5.0
    near = 0.1 * noise(3000)
    near[1000 : 1000 + FLAT - 1] = 0.9 * SATURATION_MV
    assert changes(x) == changes(near) == []


def test_an_amplifier_that_goes_from_rail_to_rail_is_one_episode() -> None:
    x = np.concatenate([noise(1000), np.tile(np.repeat([5.0, -5.0], RECOVERY), 10), noise(1000)])
    assert changes(x) == [(IN_SATURATED, True), (IN_SATURATED, False)]


def test_a_flat_line_that_is_lost_is_a_gap() -> None:
    x = np.concatenate([np.zeros(1000), np.full(200, np.nan), noise(RECOVERY)])
    assert gated(x).changes == [
        (IN_FLAT, True, 0, FLAT - 1),
        (IN_FLAT, False, 1000, 1000),
        (IN_GAP, True, 1000, 1000 + GAP - 1),
        (IN_GAP, False, 1200, 1200 + RECOVERY - 1),
    ]


def test_idle_counts_what_carried_nothing() -> None:
    x = np.array([0.0, 1.0, 1.0, 1.005, np.nan, np.nan, 1.0, 3.0])
    assert gated(x).idle == [1, 1, 2, 3, 1, 2, 1, 1]


# Pieces of a damaged signal: what it is made of, and for how long.
PIECES = st.lists(
    st.tuples(
        st.sampled_from(["noise", "lost", "flat", "rail", "-rail", "spike"]), st.integers(1, 900)
    ),
    min_size=1,
    max_size=12,
)


def made(pieces: list[tuple[str, int]]) -> Doubles:
    level = {"lost": np.nan, "flat": 0.5, "rail": 20.0, "-rail": -20.0, "spike": 3.0}
    parts = [
        noise(n) if what == "noise" else np.full(1 if what == "spike" else n, level[what])
        for what, n in pieces
    ]
    return np.concatenate(parts)


@given(PIECES, st.lists(st.integers(0, 9000), max_size=30).map(sorted))
def test_any_cutting_gives_the_same(pieces: list[tuple[str, int]], cuts: list[int]) -> None:
    x = made(pieces)
    record, parts, start = gate(), Gated(), 0
    for piece in np.split(x, [cut for cut in cuts if cut < x.size]):
        parts.push(record, piece, start)
        start += piece.size
    whole = gated(x)
    assert np.array_equal(parts.signal, whole.signal, equal_nan=True)
    assert (parts.changes, parts.idle) == (whole.changes, whole.idle)


@given(PIECES)
def test_conditions_alternate_and_are_known_in_order(pieces: list[tuple[str, int]]) -> None:
    x = made(pieces)
    out, on = gated(x), 0
    for condition, begins, at, known in out.changes:
        assert (on & condition == 0) == begins
        on ^= condition
        assert 0 <= at <= known < x.size
    assert [known for *_, known in out.changes] == sorted(known for *_, known in out.changes)
    assert not np.isnan(out.signal)[~np.isnan(x)].all() or on or not np.isfinite(x).any()


@given(PIECES)
def test_a_block_has_room_for_its_changes(pieces: list[tuple[str, int]]) -> None:
    x, record = made(pieces), gate()
    counts = [
        Gated().push(record, x[start : start + BLOCK], start) for start in range(0, x.size, BLOCK)
    ]
    assert max(counts) <= MAX_CHANGES
