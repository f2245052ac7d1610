"""Ventricular fibrillation: begins once the log odds have been high, ends once they are not."""

from pathlib import Path

import numpy as np
import pytest

from beatgan.alarms.detector import AlarmEvent, AlarmInput
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_fibrillation import (
    CODE,
    ENDS,
    OWN_BEATS,
    YOUNG_S,
    State,
    VentricularFibrillationDetector,
)
from beatgan.alarms.watch import Watch
from beatgan.ec57.annotations import read_reference
from beatgan.errors import RecordError
from beatgan.frontend import Frontend
from beatgan.records import read_recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats, Phase, Priority, Quality, RhythmStatus, Score
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

FS = 360
LIMITS = AlarmLimits()

BEGINS = AlarmLimits().vf_log_odds_limit


def fibrillating(at_s: float, vf_log_odds: float) -> RhythmStatus:
    at = round(at_s * FS)
    return RhythmStatus(at, at + 1, 0, True, vf_log_odds)


def familiar(fs: float) -> VentricularFibrillationDetector:
    """Of a stream that has shown its patient's own beats."""
    detector = VentricularFibrillationDetector(Watch(LIMITS, fs))
    detector.state = State(own_beats=OWN_BEATS)
    return detector


def raised(*events: RhythmStatus) -> list[AlarmEvent]:
    detector = familiar(FS)
    return [alarm_event for event in events for alarm_event in detector.push(event)]


def heard(samples: Floats, fs: float, leads: tuple[str, ...]) -> list[AlarmEvent]:
    frontend, detector = (
        Frontend(PreprocessSpec(), COEFFICIENTS, fs, leads),
        familiar(fs),
    )
    events = frontend.push(samples)
    return [t for e in events if not isinstance(e, Beat) for t in detector.push(e)]


@pytest.fixture
def cudb(mitdb: Path) -> Path:
    """The folder of the Creighton University database, or a skip that says where it was sought."""
    folder = mitdb.parent / "cudb"
    if not (folder / "cu01.hea").exists():
        pytest.skip(f"no Creighton University database in {folder}")
    return folder


def test_it_begins_where_the_chaos_did_and_ends_once_that_is_over() -> None:
    begun, ended = raised(
        fibrillating(10.0, 0.2),
        fibrillating(10.5, BEGINS - 0.1),
        fibrillating(11.0, BEGINS),
        fibrillating(11.5, 5.0),
        fibrillating(30.0, ENDS + 0.1),
        fibrillating(30.5, ENDS),
    )
    assert (begun.code, begun.phase, begun.priority) == (CODE, Phase.START, Priority.HIGH)
    assert (begun.onset, begun.known_at) == (7 * FS, 11 * FS + 1)
    assert (ended.phase, ended.onset, ended.end) == (Phase.END, 7 * FS, round(30.5 * FS))


def test_what_never_was_chaotic_enough_is_not_told() -> None:
    assert not raised(
        fibrillating(10.0, BEGINS - 0.1), fibrillating(11.0, -1.0), fibrillating(12.0, BEGINS - 0.1)
    )


def test_chaos_that_was_interrupted_begins_anew() -> None:
    alarm_events = raised(
        fibrillating(10.0, 1.0),
        fibrillating(10.5, -0.1),
        fibrillating(30.0, 1.0),
        fibrillating(31.0, 3.0),
    )
    assert [alarm_event.onset for alarm_event in alarm_events] == [27 * FS]


def test_an_onset_is_not_before_the_stream() -> None:
    (begun,) = raised(fibrillating(1.0, 3.0))
    assert begun.onset == 0


def test_it_ends_with_the_stream_and_another_judge_goes_on_with_its_state() -> None:
    detector, other = familiar(FS), familiar(FS)
    assert detector.push(fibrillating(10.0, 3.0))
    other.state = detector.state
    assert not other.push(fibrillating(10.5, 3.0))
    (ended,) = other.close(12 * FS)
    assert (ended.phase, ended.end) == (Phase.END, 12 * FS)
    assert not other.close(13 * FS)


def own_beats(count: int, agree: bool | None = None, first: int = 0) -> list[Score]:
    """Usual beats of good signal, one a second."""
    nothing = np.empty(0, np.float32)
    beats = [
        Beat(
            n,
            n * FS,
            n * FS,
            "II",
            1000.0,
            Quality.GOOD,
            nothing,
            nothing,
            None,
            0.0,
            leads_agree=agree,
        )
        for n in range(first, first + count)
    ]
    return [Score(beat, -1.0, 1.0, nothing, nothing) for beat in beats]


def test_in_a_young_stream_it_must_last() -> None:
    """Electrodes that are being put on look like it for some seconds."""
    chaos = [fibrillating(at / 2, 4.0) for at in range(2 * OWN_BEATS, 2 * OWN_BEATS + 60)]

    def begun(beats: int) -> float:
        detector = VentricularFibrillationDetector(Watch(LIMITS, FS))
        inputs: list[AlarmInput] = [*own_beats(beats), *chaos]
        events = [each for event in inputs for each in detector.push(event)]
        return events[0].known_at / FS

    assert begun(OWN_BEATS) == pytest.approx(OWN_BEATS, abs=0.1)
    assert begun(OWN_BEATS - 1) == pytest.approx(OWN_BEATS + YOUNG_S, abs=0.1)
    detector = VentricularFibrillationDetector(Watch(LIMITS, FS))
    short = [*chaos[:18], fibrillating(OWN_BEATS + 9.0, ENDS), *chaos[20:30]]
    assert [each for event in short for each in detector.push(event)] == []


@pytest.mark.parametrize("name", ["cu01", "cu05", "cu09", "cu33"])
def test_fibrillation_of_a_heart_is_told_within_ten_seconds(cudb: Path, name: str) -> None:
    recording, onset = read_recording(cudb / name), read_reference(cudb / name).flutter[0][0]
    fs = recording.fs
    part = recording.samples[onset - round(60 * fs) : onset + round(20 * fs)]
    alarm_events = heard(part, fs, recording.leads)
    begun = [alarm_event for alarm_event in alarm_events if alarm_event.phase is Phase.START]
    assert any(-10 < alarm_event.known_at / fs - 60 < 10 for alarm_event in begun)


def test_electrode_motion_is_no_fibrillation(mitdb: Path) -> None:
    path = mitdb.parent / "nstdb" / "118e_6"
    try:
        recording = read_recording(path)
    except RecordError:
        pytest.skip(f"no noise stress test database in {path.parent}")
    minutes = recording.samples[5 * 60 * FS : 9 * 60 * FS]
    assert not heard(minutes, recording.fs, recording.leads)
    assert np.abs(minutes).max() > 5  # there is much motion


@pytest.mark.parametrize(("agree", "told"), [(True, False), (None, True), (False, True)])
def test_a_heart_that_beats_on_both_leads_does_not_fibrillate(
    agree: bool | None, told: bool
) -> None:
    """A paced rhythm may look like it; of one lead, its template may be that of fibrillation."""
    detector = VentricularFibrillationDetector(Watch(LIMITS, FS))
    beats = own_beats(60, agree)
    inputs: list[AlarmInput] = []
    for at, beat in enumerate(beats):
        inputs += [beat] if at < 30 else [beat, fibrillating(at + 0.5, 4.0)]
    assert bool([each for event in inputs for each in detector.push(event)]) is told
    if not told:  # and no beat any more
        chaos = [fibrillating(60 + at / 2, 4.0) for at in range(20)]
        (begun,) = [each for event in chaos for each in detector.push(event)]
        assert begun.known_at / FS == pytest.approx(62, abs=1)
