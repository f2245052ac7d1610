"""RR intervals: prematurity against a long one, and the rhythm as a network sees it."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.beats import rr
from beatgan.beats.rr import LONG_QUANTILE, REGULAR
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_INTERVALS, RHYTHM_SIZE, UNKNOWN_RHYTHM, Floats

SPEC = PreprocessSpec()
NAN = float("nan")
INTERVALS = st.lists(st.just(NAN) | st.integers(1, 5000).map(float), max_size=90)


def pushed(intervals: Sequence[float], size: int = SPEC.rr_beats) -> list[tuple[float, Floats]]:
    """Prematurity and rhythm of beats with these intervals, in samples, NaN where unknown."""
    recent, found = np.full(size, np.nan), []
    for interval in intervals:
        rhythm = np.full(RHYTHM_SIZE, np.nan, np.float32)
        found.append((rr.push(recent, float(interval), rhythm), rhythm))
    return found


def plainly(intervals: Sequence[float], size: int) -> Floats:
    """The rhythm of the last of some beats, as its definition says."""
    own = np.log(intervals[-1] / SPEC.rate)
    seconds = np.array(intervals[:-1]) / SPEC.rate
    known = np.log(seconds[~np.isnan(seconds)])[-size:]
    long = np.log(0.8) if np.isnan(own) else own
    if known.size:
        long = np.sort(known)[round(LONG_QUANTILE * (known.size - 1))]
    padding = np.full(RHYTHM_INTERVALS, np.nan)
    logs = np.concatenate([padding, known, [own]])[-RHYTHM_INTERVALS:]
    ratios = np.nan_to_num(np.clip(logs - long, -1.5, 1.5), nan=0.0)
    return np.array([*ratios, long, 1 - known.size / size], np.float32)


@given(INTERVALS, st.sampled_from([1, 3, 31, 32, 40, 50]))
@settings(deadline=None)
def test_the_rhythm_is_what_its_definition_says(intervals: list[float], size: int) -> None:
    for count, (_, rhythm) in enumerate(pushed(intervals, size), 1):
        np.testing.assert_allclose(rhythm, plainly(intervals[:count], size), atol=1e-6)


def test_an_early_beat_shows_at_the_end_of_its_rhythm_and_then_moves_on() -> None:
    *_, (_, early), (_, pause), (_, after) = pushed([300.0] * 50 + [150.0, 450.0, 300.0])
    assert early[:31].tolist() == [0.0] * 31
    assert early[31] == pytest.approx(-np.log(2))
    assert pause[30:32] == pytest.approx([-np.log(2), np.log(1.5)])
    assert after[29:32] == pytest.approx([-np.log(2), np.log(1.5), 0], abs=1e-6)
    assert after[32:] == pytest.approx([np.log(300 / 360), 0])


def test_a_rhythm_of_nothing_is_that_of_which_nothing_is_known() -> None:
    ((prematurity, rhythm),) = pushed([NAN])
    assert prematurity == 0.0
    np.testing.assert_allclose(rhythm, UNKNOWN_RHYTHM, rtol=1e-6)


def test_an_unknown_interval_counts_as_on_time_and_leaves_no_trace() -> None:
    lost = pushed([300.0, 200.0, 310.0, NAN, 290.0])
    whole = pushed([300.0, 200.0, 310.0, 290.0])
    assert (lost[3][0], lost[3][1][31]) == (0.0, 0.0)
    assert lost[3][1][28:31] == pytest.approx(np.log([300 / 310, 200 / 310, 1]), abs=1e-6)
    assert lost[4][0] == whole[3][0]
    np.testing.assert_array_equal(lost[4][1], whole[3][1])


def premature(*intervals: float) -> list[float]:
    """The prematurity of each of these intervals, in samples, one after the other."""
    return [value for value, _ in pushed(intervals)]


def test_prematurity_is_one_sided() -> None:
    found = premature(*[300] * 11, 150, 450, 300)
    assert found[:11] == [0.0] * 11
    assert found[11] == pytest.approx(np.log(2) / REGULAR)
    assert found[12:] == [0.0, 0.0]


def test_only_the_latest_intervals_are_kept_the_newest_last() -> None:
    recent = np.full(3, np.nan)
    for interval in (100, 200, 300, 400):
        rr.push(recent, float(interval), np.empty(RHYTHM_SIZE, np.float32))
    assert recent.tolist() == np.log([200, 300, 400]).tolist()


def test_two_premature_beats_of_three_do_not_become_the_rhythm() -> None:
    of_a_run = np.array(premature(*[300] * 40, *[180, 180, 400] * 20))
    assert (of_a_run[-60:].reshape(20, 3)[:, :2] > 3).all()
    assert (of_a_run[-60:].reshape(20, 3)[:, 2] == 0).all()


def test_an_irregular_rhythm_is_not_one_alarm_a_beat() -> None:
    rng = np.random.default_rng(0)
    bigeminy = np.array(premature(*[200, 400] * 40))[20:]
    fibrillation = np.array(premature(*rng.uniform(200, 400, 80).astype(int).tolist()))[20:]
    assert bigeminy[bigeminy > 0].min() > 6
    assert fibrillation.max() < 4
