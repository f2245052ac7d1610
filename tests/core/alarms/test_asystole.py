"""Asystole: four seconds without a beat, every time, and nothing else."""

import numpy as np
import pytest

from beatgan.alarms.asystole import CODE, AsystoleDetector
from beatgan.alarms.detector import AlarmEvent, AlarmInput
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.watch import Watch
from beatgan.frontend import Frontend
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.records import SAMPLE, read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import EMPTY, Beat, Floats, Phase, Priority, Quality, RhythmStatus, Score
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

FS = 360
LIMITS = AlarmLimits()
LEADS = ("MLII", "V1")
BEFORE_S, AFTER_S = 20, 8  # of signal before a cut and after it
WHOLE_S = 0.1  # a QRS that is cut off sooner after its apex may count or not


def beat(at_s: float) -> Score:
    """A beat at ``at_s``, not scored."""
    at = round(at_s * FS)
    quality = Quality.UNUSABLE
    return Score(
        Beat(0, at, at + FS // 2, "MLII", None, quality, EMPTY, EMPTY, None, 0.0), None, 0.0, EMPTY,
        EMPTY,
    )  # fmt: skip


def without_beat(
    at_s: float, quiet_s: float, present: bool = True, vf_log_odds: float = -3.0
) -> RhythmStatus:
    at = round(at_s * FS)
    return RhythmStatus(at, at + 1, round(quiet_s * FS), present, vf_log_odds)


def raised(*events: AlarmInput) -> list[AlarmEvent]:
    detector = AsystoleDetector(Watch(LIMITS, FS))
    return [alarm_event for event in events for alarm_event in detector.push(event)]


def evidence(event: AlarmInput | Beat) -> AlarmInput:
    return Score(event, None, 0.0, EMPTY, EMPTY) if isinstance(event, Beat) else event


def heard(samples: Floats, leads: tuple[str, ...]) -> tuple[list[Beat], list[AlarmEvent]]:
    """The beats found, and the alarm events."""
    frontend, detector = (
        Frontend(PreprocessSpec(), COEFFICIENTS, FS, leads),
        AsystoleDetector(Watch(LIMITS, FS)),
    )
    beats: list[Beat] = []
    alarm_events: list[AlarmEvent] = []
    for start in range(0, len(samples), FS // 4):
        for event in frontend.push(samples[start : start + FS // 4]):
            beats += [event] if isinstance(event, Beat) else []
            alarm_events += detector.push(evidence(event))
    return beats, alarm_events


def cut_off(samples: Floats, at: int, noise_mv: float, seed: int) -> Floats:
    """The signal round sample ``at``, at its baseline from there on."""
    part = samples[at - BEFORE_S * FS : at + AFTER_S * FS].copy()
    still = part[BEFORE_S * FS :]
    noise = np.random.default_rng(seed).normal(0, 1, still.shape)
    still[:] = np.median(part[: BEFORE_S * FS], axis=0) + noise_mv * noise
    return part


def is_told_in_time(samples: Floats, at: int, noise_mv: float) -> bool:
    """Whether the alarm comes 4.0 s +- 0.5 s after the last beat before the cut at ``at``."""
    leads = LEADS[: samples.shape[1]]
    beats, _ = heard(samples[at - BEFORE_S * FS : at + AFTER_S * FS], leads)
    apexes = [b.sample for b in beats if b.sample <= BEFORE_S * FS]
    whole = [apex for apex in apexes if apex <= (BEFORE_S - WHOLE_S) * FS]
    _, alarm_events = heard(cut_off(samples, at, noise_mv, at), leads)
    delays = [
        (alarm_event.known_at - last) / FS
        for alarm_event in alarm_events
        for last in (apexes[-1], whole[-1])
    ]
    return [alarm_event.phase for alarm_event in alarm_events] == [Phase.START] and any(
        abs(d - 4) <= 0.5 for d in delays
    )


def places(samples: Floats, count: int) -> list[int]:
    """Random points before which beats were found, with enough signal before and after each."""
    rng = np.random.default_rng(11)
    beats = np.array([beat.sample for beat in heard(samples, LEADS[: samples.shape[1]])[0]])
    found: list[int] = []
    while len(found) < count:
        at = int(rng.integers(BEFORE_S * FS, len(samples) - AFTER_S * FS))
        near = beats[(beats > at - 8 * FS) & (beats <= at)]
        if np.diff(near, prepend=at - 8 * FS, append=at).max() < 2 * FS:
            found.append(at)
    return found


@pytest.mark.parametrize("noise_mv", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("leads", [1, 2])
def test_a_signal_cut_to_baseline_is_told_after_four_seconds(leads: int, noise_mv: float) -> None:
    ecg = synthetic_ecg(120, FS)
    samples = np.stack([ecg, -0.6 * np.roll(ecg, 2)], axis=1)[:, :leads]
    late = [at for at in places(samples, 20) if not is_told_in_time(samples, at, noise_mv)]
    assert not late


@pytest.mark.parametrize("noise_mv", [0.0, 0.02])
def test_a_real_signal_cut_to_baseline_is_told_after_four_seconds(noise_mv: float) -> None:
    samples = read_recording(SAMPLE).samples[:, :1]
    late = [at for at in places(samples, 20) if not is_told_in_time(samples, at, noise_mv)]
    assert not late


def test_it_begins_at_the_last_beat_and_ends_with_the_first_of_two() -> None:
    begun, ended = raised(
        beat(10.0),
        without_beat(12.1, 2.1),
        without_beat(14.1, 4.1),
        without_beat(14.2, 4.2),
        without_beat(20.3, 0.3),  # a beat at 20.0 ...
        beat(20.0),
        beat(20.8),  # ... and a second
    )
    assert (begun.code, begun.phase, begun.priority) == (CODE, Phase.START, Priority.HIGH)
    assert begun.onset == round(14.1 * FS) - round(4.1 * FS)
    assert begun.known_at == round(14.1 * FS) + 1
    assert (ended.phase, ended.onset) == (Phase.END, begun.onset)
    assert ended.end == pytest.approx(20.0 * FS, abs=1)


def test_one_beat_does_not_end_it() -> None:
    alarm_events = raised(
        beat(10),
        without_beat(14.1, 4.1),
        without_beat(20.3, 0.3),
        beat(20.0),
        without_beat(24.2, 4.2),
        beat(26),
    )
    assert [alarm_event.phase for alarm_event in alarm_events] == [Phase.START]


@pytest.mark.parametrize(
    "status",
    [
        without_beat(13.7, 3.5),
        without_beat(14.1, 4.1, present=False),
        without_beat(14.1, 4.1, vf_log_odds=0.5),
    ],
    ids=["too short", "a beat might hide", "vf_log_odds"],
)
def test_what_is_no_standstill(status: RhythmStatus) -> None:
    assert not raised(beat(10.0), status)


def test_none_begins_before_the_first_beat() -> None:
    assert not raised(without_beat(10.0, 10.0))
    assert raised(without_beat(10.0, 10.0), beat(11.0), without_beat(15.2, 4.2))


def test_it_ends_with_the_stream_and_another_judge_goes_on_with_its_state() -> None:
    detector, other = AsystoleDetector(Watch(LIMITS, FS)), AsystoleDetector(Watch(LIMITS, FS))
    for event in (beat(10), without_beat(14.1, 4.1)):
        detector.push(event)
    other.state = detector.state
    assert not other.push(without_beat(15.1, 5.1))
    (ended,) = other.close(16 * FS)
    assert (ended.phase, ended.end) == (Phase.END, 16 * FS)
    assert not other.close(17 * FS)


def test_the_limit_may_be_another() -> None:
    detector = AsystoleDetector(Watch(AlarmLimits(asystole_s=6.0), FS))
    detector.push(beat(10))
    assert not detector.push(without_beat(14.2, 4.2))
    assert detector.push(without_beat(16.2, 6.2))
