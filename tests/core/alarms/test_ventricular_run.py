from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.alarms.detector import AlarmEvent, AlarmInput
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_beat import VentricularClassifier
from beatgan.alarms.ventricular_run import CODE, VentricularRunDetector
from beatgan.coefficients import VentricularCoefficients
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    Beat,
    Condition,
    Floats,
    Phase,
    Priority,
    Quality,
    RhythmStatus,
    Score,
    SignalChange,
)

# Of these tests' own: what is fitted anew for another model must not change what they say.
COEFFICIENTS = VentricularCoefficients(
    score_excess=1.85,
    slowness=3.66,
    p_wave_activity=-1.24,
    steepness=-1.68,
    offset=-7.61,
    least_score_excess=-1.5,
)
VENTRICULAR = VentricularClassifier(PreprocessSpec(), COEFFICIENTS)

FS = 360.0
TICKS = np.arange(320) - 140


def wave(*parts: tuple[float, float, float]) -> Floats:
    """A window of Gaussians: offset, width (both in ticks) and height."""
    shape = sum(height * np.exp(-0.5 * ((TICKS - at) / width) ** 2) for at, width, height in parts)
    return np.asarray(shape, np.float32)


NORMAL = wave((-60, 8, 0.4), (0, 3, 4.0), (95, 16, 0.8))
WIDE = wave((3, 16, 4.0), (110, 20, -1.5))
DEEP = wave((-4, 20, -4.0), (90, 20, 1.5))
KINDS = {
    "N": (NORMAL, 0.0),
    "V": (WIDE, 6.0),
    "W": (DEEP, 6.0),
    "v": (WIDE, 2.0),
    "w": (DEEP, 2.0),
    "S": (NORMAL, 4.0),
}


def beats(
    kinds: str, rr_ms: float | Sequence[float], quality: Quality = Quality.GOOD
) -> list[Score]:
    """Scored beats, threshold 3: N normal, V ventricular, W another such, S early, ? unusable.

    v and w: the same shapes, hardly anomalous.
    """
    intervals = [rr_ms] * len(kinds) if isinstance(rr_ms, float) else rr_ms
    scores, at = [], 0
    for n, (kind, rr) in enumerate(zip(kinds, intervals, strict=True)):
        at += round(rr * FS / 1000)
        window, value = KINDS.get(kind, (NORMAL, None))
        grade = Quality.UNUSABLE if value is None else quality
        beat = Beat(n, at, at + 186, "II", rr, grade, window, NORMAL, 0.0, 0.0)
        scores.append(Score(beat, value, 3.0, window, window))
    return scores


def feed(
    events: Sequence[AlarmInput], detector: VentricularRunDetector | None = None
) -> list[AlarmEvent]:
    detector = detector or VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    return [alarm_event for event in events for alarm_event in detector.push(event)]


def test_three_fast_ventricular_beats_are_a_run_known_with_the_third() -> None:
    scores = beats("NNNVVVNN", 400.0)
    start, end = feed(scores)
    assert (start.code, start.phase, start.priority) == (CODE, Phase.START, Priority.HIGH)
    assert (start.onset, start.at) == (scores[3].beat.sample, scores[3].beat.sample)
    assert start.known_at == scores[5].beat.known_at
    assert start.beats == tuple(score.beat.sample for score in scores[3:6])
    assert start.worst is not None
    assert (start.worst.value, start.explains, start.lead) == (6.0, True, "II")
    assert (end.phase, end.end, end.beats) == (Phase.END, scores[5].beat.sample, ())
    assert end.known_at == scores[7].beat.known_at


@pytest.mark.parametrize("kinds", ["NVVNVVNVVN", "NVNVNVNVNV", "NSSSSSSSSS", "NVV?VVN", "NNNNNNN"])
def test_couplets_bigeminy_narrow_and_broken_runs_are_none(kinds: str) -> None:
    assert feed(beats(kinds, 400.0)) == []


def test_an_accelerated_ventricular_rhythm_is_not_a_run() -> None:
    assert feed(beats("NN" + "V" * 20, 1000.0)) == []


@pytest.mark.parametrize(
    ("intervals", "reported"),
    [
        ([400.0, 400.0, 400.0], True),
        ([590.0, 590.0, 590.0], True),
        ([610.0, 610.0, 610.0], False),
        ([800.0, 400.0, 400.0], True),  # begins late
        ([480.0, 850.0, 560.0], True),  # one longer interval of three
        ([1000.0, 400.0, 400.0], False),  # begins after a pause: the next beat decides
        ([400.0, 900.0, 420.0], False),  # no one rhythm
    ],
)
def test_the_rate_of_a_run_is_that_of_its_median_interval(
    intervals: list[float], reported: bool
) -> None:
    assert bool(feed(beats("NNVVV", [700.0, 700.0, *intervals]))) is reported


def test_an_unknown_interval_is_not_fast() -> None:
    scores = beats("VVVV", 400.0)
    scores[0] = replace(scores[0], beat=replace(scores[0].beat, rr_ms=None))
    (start,) = feed(scores)
    assert start.onset == scores[1].beat.sample


def test_the_beats_needed_and_the_rate_are_limits() -> None:
    detector = VentricularRunDetector(AlarmLimits(vt_beats=5, vt_rate=60.0), VENTRICULAR, FS)
    assert feed(beats("NVVVVN", 900.0), detector) == []
    assert len(feed(beats("NVVVVVNN", 900.0), detector)) == 2


def test_a_long_run_is_one_episode_that_speaks_again() -> None:
    scores = beats("NN" + "V" * 100 + "NN", 400.0)
    alarm_events = feed(scores)
    assert [alarm_event.phase for alarm_event in alarm_events] == [
        Phase.START, Phase.UPDATE, Phase.UPDATE, Phase.UPDATE, Phase.END
    ]  # fmt: skip
    reported = [beat for alarm_event in alarm_events for beat in alarm_event.beats]
    assert reported == [score.beat.sample for score in scores[2:102]]
    assert [alarm_event.explains for alarm_event in alarm_events] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_one_other_beat_does_not_end_a_run() -> None:
    assert [alarm_event.phase for alarm_event in feed(beats("NVVVNVVVNVVNN", 400.0))] == [
        Phase.START,
        Phase.END,
    ]


def test_a_run_that_changes_its_shape_goes_on() -> None:
    assert [alarm_event.phase for alarm_event in feed(beats("NVVVWWWWVVNN", 350.0))] == [
        Phase.START,
        Phase.END,
    ]


def test_a_run_that_became_the_patients_reference_goes_on() -> None:
    """The running normal beat drifts towards a sustained tachycardia, and nothing is anomalous."""
    opening = beats("NVVV", 400.0)
    drifted = [
        replace(score, value=0.0, beat=replace(score.beat, template=WIDE))
        for score in beats("NVVV" + "V" * 300, 400.0)[4:]
    ]
    detector = VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    alarm_events = feed([*opening, *drifted], detector)
    assert {alarm_event.phase for alarm_event in alarm_events} == {Phase.START, Phase.UPDATE}
    back = beats("N" * 306, 400.0)[304:]
    anomalous = [replace(s, value=4.0, beat=replace(s.beat, template=WIDE)) for s in back]
    assert [alarm_event.phase for alarm_event in feed(anomalous, detector)] == [Phase.END]


def test_a_run_that_slows_down_ends() -> None:
    scores = beats("NVVVVVVV", [400.0] * 6 + [1100.0] * 2)
    assert feed(scores)[-1].end == scores[5].beat.sample


def test_doubtful_beats_that_do_not_resemble_one_another_are_noise() -> None:
    assert feed(beats("NvwvwvwvwN", 400.0)) == []
    assert len(feed(beats("NvvvNN", 400.0))) == 2


def test_beats_beyond_doubt_need_not_resemble_one_another() -> None:
    assert len(feed(beats("NVWVNN", 400.0))) == 2


def test_a_run_of_beats_that_differ_is_told_when_the_next_beat_shows_no_noise() -> None:
    scores = beats("NNVVWNN", 400.0)
    start, end = feed(scores)
    assert start.known_at == scores[5].beat.known_at
    assert start.beats == tuple(score.beat.sample for score in scores[2:5])
    assert end.known_at == scores[6].beat.known_at
    for quality, grown in ((Quality.POOR, 4.0), (Quality.UNUSABLE, None)):
        noisy = replace(scores[5], value=grown, beat=replace(scores[5].beat, quality=quality))
        assert feed([*scores[:5], noisy, scores[6]]) == []


def test_a_run_of_beats_that_differ_is_told_in_silence_and_not_when_a_signal_fails() -> None:
    scores = beats("NNVVW", 400.0)
    at = scores[-1].beat.known_at + 500
    status = RhythmStatus(at, at, 700, True, -2.0)
    change = SignalChange(Condition.NOISE, True, "II", at, at, True)
    (start,) = feed([*scores, status])
    assert (start.phase, start.known_at) == (Phase.START, at)
    assert feed([*scores, change, status]) == []


def test_a_run_that_waits_for_the_next_beat_is_told_where_the_stream_ends() -> None:
    detector = VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    assert feed(beats("NNVVW", 400.0), detector) == []
    assert [alarm_event.phase for alarm_event in detector.close(5000)] == [Phase.START, Phase.END]
    assert detector.close(6000) == ()


def test_what_comes_between_does_not_keep_a_longer_run_from_being_told() -> None:
    """The row of three in noise is not the last."""
    scores = beats("NVVWVVVNN", 400.0)
    scores[4] = replace(scores[4], beat=replace(scores[4].beat, quality=Quality.POOR))
    start, _ = feed(scores)
    assert start.onset == scores[4].beat.sample


def test_beats_of_a_poor_signal_must_resemble_one_another() -> None:
    assert len(feed(beats("NVVVNN", 400.0, Quality.POOR))) == 2
    assert feed(beats("NVVWWVVWWNN", 400.0, Quality.POOR)) == []
    assert len(feed(beats("NVVWWVVWWNN", 400.0))) == 2


@pytest.mark.parametrize(("quality", "reported"), [(Quality.GOOD, True), (Quality.POOR, False)])
def test_where_the_signal_is_poor_the_interval_before_a_run_must_be_like_the_others(
    quality: Quality, reported: bool
) -> None:
    assert (
        bool(feed(beats("NNVVVNN", [700.0, 700.0, 300.0, 590.0, 400.0, 900.0, 700.0], quality)))
        is reported
    )


def test_a_run_that_nobody_can_see_any_more_is_over() -> None:
    detector = VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    scores = beats("NVVV", 400.0)
    assert [alarm_event.phase for alarm_event in feed(scores, detector)] == [Phase.START]
    last = scores[-1].beat.sample

    def change(after_s: float) -> SignalChange:
        at = last + round(after_s * FS)
        return SignalChange(Condition.NOISE, True, "II", at, at, True)

    assert feed([change(9.0)], detector) == []
    (end,) = feed([change(11.0)], detector)
    assert (end.phase, end.end) == (Phase.END, last)


def test_unusable_beats_neither_prolong_a_run_nor_end_it_at_once() -> None:
    detector = VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    alarm_events = feed(beats("NVVV" + "?" * 20 + "VVNN", 400.0), detector)
    assert [alarm_event.phase for alarm_event in alarm_events] == [Phase.START, Phase.END]
    alarm_events = feed(beats("NVVV" + "?" * 30 + "VVNN", 400.0))
    assert alarm_events[-1].phase is Phase.END
    assert alarm_events[-1].end == alarm_events[0].beats[-1]


def test_close_ends_the_run() -> None:
    detector = VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    scores = beats("NVVVV", 400.0)
    assert len(feed(scores, detector)) == 1
    (end,) = detector.close(5000)
    assert (end.phase, end.known_at, end.end) == (Phase.END, 5000, scores[-1].beat.sample)
    assert end.beats == (scores[-1].beat.sample,)
    assert detector.close(6000) == ()


def test_what_it_keeps_is_its_own() -> None:
    """A batch's arrays are not held in memory for the sake of one beat."""
    scores = beats("NVVV", 400.0)
    batch = np.stack([score.reconstruction for score in scores])
    scores = [replace(s, reconstruction=batch[n], saliency=batch[n]) for n, s in enumerate(scores)]
    detector = VentricularRunDetector(AlarmLimits(), VENTRICULAR, FS)
    feed(scores, detector)
    assert detector.state.run is not None
    assert detector.state.run.clearest.reconstruction.base is None
