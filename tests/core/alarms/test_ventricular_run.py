from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.alarms.detector import AlarmEvent, AlarmInput
from beatgan.alarms.facts import Subtype
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.alarms.ventricular_run import CODE, RUN_MOST, State, VentricularRunDetector
from beatgan.alarms.watch import Watch
from beatgan.coefficients import VentricularRunCoefficients
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    Beat,
    Condition,
    Floats,
    PerClass,
    Phase,
    Priority,
    Quality,
    Score,
    SignalChange,
)

# Of these tests' own: what is fitted anew for another model must not change what they say.
COEFFICIENTS = VentricularRunCoefficients(
    least=0.6,
    mean=0.3,
    likeness=0.7,
    unevenness=-1.2,
    poor=-4.0,
    distance=0.2,
    slowness=2.6,
    steepness=-1.5,
    hf_noise=0.3,
    agreement=10.0,
    own_beats=2.0,
    offset=-21.2,
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
IS_N: PerClass = (0.98, 0.005, 0.005, 0.005, 0.005)
IS_S: PerClass = (0.1, 0.88, 0.01, 0.005, 0.005)
IS_V: PerClass = (0.02, 0.01, 0.95, 0.01, 0.01)
KINDS = {
    "N": (NORMAL, 0.0, IS_N),
    "V": (WIDE, 6.0, IS_V),
    "W": (DEEP, 6.0, IS_V),
    "v": (WIDE, 2.0, (0.7, 0.05, 0.2, 0.03, 0.02)),
    "S": (NORMAL, 4.0, IS_S),
}


def beats(
    kinds: str,
    rr_ms: float | Sequence[float],
    quality: Quality = Quality.GOOD,
    agree: bool | None = None,
) -> list[Score]:
    """Scored beats, threshold 3: N normal, V ventricular, W another such, S early, ? unusable.

    v: the same shape as V, hardly probable.
    """
    intervals = [rr_ms] * len(kinds) if isinstance(rr_ms, float) else rr_ms
    scores, at = [], 0
    for n, (kind, rr) in enumerate(zip(kinds, intervals, strict=True)):
        at += round(rr * FS / 1000)
        window, value, found = KINDS.get(kind, (NORMAL, None, None))
        grade = Quality.UNUSABLE if value is None else quality
        distance = None if value is None else value / 3
        beat = Beat(
            n,
            at,
            at + 186,
            "II",
            rr,
            grade,
            window,
            NORMAL,
            distance,
            0.0,
            lead_distances=(distance, None),
            leads_agree=agree,
        )
        scores.append(Score(beat, value, 3.0, window, window, found))
    return scores


def feed(
    events: Sequence[AlarmInput], detector: VentricularRunDetector | None = None
) -> list[AlarmEvent]:
    detector = detector or familiar()
    return [alarm_event for event in events for alarm_event in detector.push(event)]


def familiar(limits: AlarmLimits | None = None) -> VentricularRunDetector:
    """Of a stream that has shown its patient's own beats."""
    detector = VentricularRunDetector(Watch(limits or AlarmLimits(), FS), VENTRICULAR)
    detector.state = State(own_beats=40)
    return detector


def test_three_fast_ventricular_beats_are_a_run_known_with_the_third() -> None:
    scores = beats("NNNVVVNN", 400.0)
    start, end = feed(scores)
    assert (start.code, start.phase, start.priority) == (CODE, Phase.START, Priority.MEDIUM)
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


def test_one_other_beat_does_not_end_a_run() -> None:
    assert [alarm_event.phase for alarm_event in feed(beats("NVVVNVVNN", 400.0))] == [
        Phase.START,
        Phase.END,
    ]


def test_a_run_that_changes_its_shape_goes_on() -> None:
    assert [alarm_event.phase for alarm_event in feed(beats("NVVVWWWWVVNN", 350.0))] == [
        Phase.START,
        Phase.UPDATE,
        Phase.END,
    ]


def test_a_run_that_became_the_patients_reference_goes_on() -> None:
    """The running normal beat drifts towards a sustained tachycardia, and nothing is anomalous."""
    opening = beats("NVVV", 400.0)
    drifted = [
        replace(score, value=0.0, beat=replace(score.beat, template=WIDE))
        for score in beats("NVVV" + "V" * 300, 400.0)[4:]
    ]
    detector = familiar()
    alarm_events = feed([*opening, *drifted], detector)
    assert {alarm_event.phase for alarm_event in alarm_events} == {Phase.START, Phase.UPDATE}
    back = beats("N" * 306, 400.0)[304:]
    anomalous = [replace(s, value=4.0, beat=replace(s.beat, template=WIDE)) for s in back]
    assert [alarm_event.phase for alarm_event in feed(anomalous, detector)] == [Phase.END]


def test_a_run_that_slows_down_ends() -> None:
    scores = beats("NVVVVVVV", [400.0] * 6 + [1100.0] * 2)
    assert feed(scores)[-1].end == scores[5].beat.sample


def test_a_run_that_nobody_can_see_any_more_is_over() -> None:
    detector = familiar()
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
    detector = familiar()
    alarm_events = feed(beats("NVVV" + "?" * 20 + "VVNN", 400.0), detector)
    assert [alarm_event.phase for alarm_event in alarm_events] == [Phase.START, Phase.END]
    alarm_events = feed(beats("NVVV" + "?" * 30 + "VVNN", 400.0))
    assert alarm_events[-1].phase is Phase.END
    assert alarm_events[-1].end == alarm_events[0].beats[-1]


def test_close_ends_the_run() -> None:
    detector = familiar()
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
    detector = familiar()
    feed(scores, detector)
    assert detector.state.run is not None
    assert detector.state.run.clearest.reconstruction.base is None


@pytest.mark.parametrize(
    ("intervals", "reported"),
    [
        ([400.0, 400.0, 400.0], True),
        ([590.0, 590.0, 590.0], True),
        ([610.0, 610.0, 610.0], False),
        ([1900.0, 400.0, 400.0], True),  # what was before it may have been missed
        ([500.0, 850.0, 560.0], True),  # and a beat of it: 704 ms in the mean
        ([400.0, 1100.0, 420.0], False),  # no one rhythm
    ],
)
def test_a_run_is_fast_between_its_beats(intervals: list[float], reported: bool) -> None:
    assert bool(feed(beats("NNVVV", [700.0, 700.0, *intervals]))) is reported


def test_an_unknown_interval_is_not_fast() -> None:
    scores = beats("VVVV", 400.0)
    scores[1] = replace(scores[1], beat=replace(scores[1].beat, rr_ms=None))
    (start,) = feed(scores)
    assert start.onset == scores[1].beat.sample


def test_the_beats_needed_and_the_rate_are_limits() -> None:
    limits = AlarmLimits(vt_beats=5, vt_rate=60.0)
    assert feed(beats("NVVVVN", 900.0), familiar(limits)) == []
    assert len(feed(beats("NVVVVVNN", 900.0), familiar(limits))) == 2


def test_more_than_a_run_is_a_tachycardia_of_high_priority_and_a_long_one_is_sustained() -> None:
    scores = beats("NN" + "V" * 100 + "NN", 400.0)
    start, tachycardia, *rest = feed(scores)
    assert (start.priority, start.facts.subtype) == (Priority.MEDIUM, None)
    assert tachycardia.known_at == scores[2 + RUN_MOST].beat.known_at
    assert (tachycardia.phase, tachycardia.priority) == (Phase.UPDATE, Priority.HIGH)
    assert tachycardia.facts.subtype is Subtype.VENTRICULAR_TACHYCARDIA
    assert tachycardia.facts.beats == RUN_MOST + 1
    assert tachycardia.facts.heart_rate == pytest.approx(150, abs=1)
    assert {event.priority for event in rest} == {Priority.HIGH}
    sustained = [e for e in rest if e.facts.subtype is not Subtype.VENTRICULAR_TACHYCARDIA]
    assert {e.facts.subtype for e in sustained} == {Subtype.SUSTAINED_VENTRICULAR_TACHYCARDIA}
    assert sustained[0].known_at / FS == pytest.approx(2 * 0.4 + 30 + 186 / FS, abs=0.5)
    assert [event.phase for event in rest][-1] is Phase.END


def test_a_long_run_is_one_episode_that_speaks_again() -> None:
    scores = beats("NN" + "V" * 100 + "NN", 400.0)
    alarm_events = feed(scores)
    phases = [alarm_event.phase for alarm_event in alarm_events]
    assert phases == [Phase.START, *[Phase.UPDATE] * (len(phases) - 2), Phase.END]
    assert len(phases) == 7  # every ten seconds, and as it becomes another subtype
    reported = [beat for alarm_event in alarm_events for beat in alarm_event.beats]
    assert reported == [score.beat.sample for score in scores[2:102]]
    assert [alarm_event.explains for alarm_event in alarm_events] == [True] + [False] * 6


def test_beats_that_were_not_found_count_by_the_interval_that_is_left() -> None:
    """Of seven beats at 400 ms, two are missed."""
    scores = beats("NNVVVVV", [800.0, 800.0, 400.0, 400.0, 400.0, 800.0, 800.0])
    events = feed(scores)
    assert [event.priority for event in events] == [Priority.MEDIUM, Priority.HIGH]
    assert events[-1].facts.beats == 7
    unusable = feed(beats("NVVV??????VVNN", 400.0))  # nobody knows what these were
    assert {event.priority for event in unusable} == {Priority.MEDIUM}


def test_doubtful_beats_are_none_where_the_leads_do_not_agree_or_the_stream_is_young() -> None:
    assert len(feed(beats("NvvvNN", 400.0, agree=True))) == 2
    assert feed(beats("NvvvNN", 400.0, agree=False)) == []
    young = VentricularRunDetector(Watch(AlarmLimits(), FS), VENTRICULAR)
    assert feed(beats("NvvvNN", 400.0), young) == []


def test_beats_of_a_poor_signal_must_be_clearer() -> None:
    assert feed(beats("NvvvNN", 400.0, Quality.POOR)) == []


def test_what_is_likely_no_run_any_more_does_not_become_a_tachycardia() -> None:
    """Noise on one lead: ventricular beats at first, and then the other has none of them."""
    scores = beats("NNVVVVVVVVV", 400.0, agree=True)
    assert [event.priority for event in feed(scores)] == [Priority.MEDIUM, Priority.HIGH]
    alone = beats("NNVVVVVVVVV", 400.0, agree=False)
    disputed = [*scores[:4], *alone[4:]]
    assert [event.priority for event in feed(disputed)] == [Priority.MEDIUM]


def test_one_beat_is_no_run_whatever_the_limit() -> None:
    limits = AlarmLimits(vt_beats=1)
    assert feed(beats("NVN", 400.0), familiar(limits)) == []
    assert len(feed(beats("NVVNN", 400.0), familiar(limits))) == 2


def test_a_run_in_a_state_of_an_earlier_version_stays_high_to_its_end() -> None:
    """All runs were high there, and their beats were not counted."""
    detector, row = familiar(), beats("NVVV" + "V" * 60 + "NN", 400.0)
    feed(row[:4], detector)
    assert detector.state.run is not None
    encoder = msgspec.msgpack.Encoder(enc_hook=lambda array: array.tobytes())
    saved = msgspec.msgpack.decode(encoder.encode(detector.state))
    earlier = ("episode", "clearest")
    saved["run"] = {name: saved["run"][name] for name in earlier}
    for name in ("count", "rate", "intervals_ms"):
        del saved["run"]["episode"][name]
    after = familiar()
    after.state = msgspec.convert(
        saved, State, dec_hook=lambda _, value: np.frombuffer(value, np.float32).copy()
    )
    events = feed(row[4:], after)
    assert [event.phase for event in events][-1] is Phase.END
    assert {event.priority for event in events} == {Priority.HIGH}
    assert {event.facts.beats for event in events} == {None}
