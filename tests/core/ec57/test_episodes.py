"""Episodes are compared as EC57 says: what touches what, and for how long."""

from math import isnan

import pytest

from beatgan.ec57.episodes import (
    DetectedEpisode,
    EpisodeComparison,
    Run,
    Span,
    compare,
    false_episodes,
    run_detection,
)


def episode(begin: float, end: float, raised: float | None = None) -> DetectedEpisode:
    return DetectedEpisode(begin if raised is None else raised, Span(begin, end))


def test_episodes_count_where_they_touch_and_time_where_they_overlap() -> None:
    found = compare(
        [Span(10, 20), Span(50, 60)], [episode(15, 25), episode(18, 30), episode(80, 85)]
    )
    assert (found.reference, found.detected_reference) == (2, 1)
    assert (found.detected, found.true, found.false) == (3, 2, 1)
    assert found.sensitivity == 0.5
    assert found.ppv == pytest.approx(2 / 3)
    assert found.duration_sensitivity == 5 / 20
    assert found.duration_ppv == 5 / 20  # detected: 15 to 30, counted once, and 80 to 85


def test_tolerance_widens_the_reference_alone() -> None:
    reference, late = [Span(10, 20)], episode(20.5, 30)
    assert false_episodes(reference, [late], 0.0) == [late]
    assert false_episodes(reference, [late], 1.0) == []
    assert compare(reference, [late], 1.0).detected_reference == 1
    assert compare(reference, [late], 1.0).common_s == 0


def test_records_add_up_and_nothing_has_no_share() -> None:
    total = compare([Span(0, 1)], []) + compare([], [episode(0, 3)])
    assert total == EpisodeComparison(1, 0, 1, 0, 1.0, 3.0, 0.0)
    nothing = EpisodeComparison()
    assert isnan(nothing.sensitivity)
    assert isnan(nothing.ppv)
    assert isnan(nothing.duration_sensitivity)
    assert isnan(nothing.duration_ppv)


def test_a_run_is_detected_by_the_first_episode_that_touches_it() -> None:
    run = Run("r", 4, 10.0, 11.0, 11.5, 120.0)
    early, late, other = episode(9, 12, 10.5), episode(11, 13, 12.0), episode(13, 14)
    assert run_detection(run, [other]) is None
    assert run_detection(run, [late]) == (late, 1.0)
    assert run_detection(run, [late, early]) == (early, 0.0)
