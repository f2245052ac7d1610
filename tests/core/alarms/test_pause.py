"""A pause is an interval that is too long, seen by every lead, and no asystole."""

from collections.abc import Sequence

import numpy as np
import pytest

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.pause import PauseDetector
from beatgan.alarms.watch import Watch
from beatgan.errors import UsageError
from beatgan.frontend import Frontend
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.spec import PreprocessSpec
from beatgan.types import EMPTY, Beat, Floats, Phase, Priority, Quality, RhythmStatus, Score
from beatgan_train.training.coefficients import coefficients_of

FS = 250.0
EVERY_S = 0.125  # from one status to the next
REPORTED_S = 2.0  # statuses come once there has been no beat for so long


def beat(at_s: float, rr_s: float | None, quality: Quality = Quality.GOOD) -> Score:
    at = round(at_s * FS)
    rr_ms = None if rr_s is None else 1000 * rr_s
    found = Beat(0, at, at + 130, "II", rr_ms, quality, EMPTY, EMPTY, None, 0.0)
    return Score(found, None, 1.0, EMPTY, EMPTY)


def quiet(
    last_s: float, from_s: float, until_s: float, signal_ok: bool = False, vf: float = -3.0
) -> list[RhythmStatus]:
    """Statuses of the time ``from_s`` to ``until_s``, the latest beat being at ``last_s``."""
    found, at_s = [], from_s
    while at_s <= until_s:
        at = round(at_s * FS)
        found.append(RhythmStatus(at, at + 1, at - round(last_s * FS), signal_ok, vf))
        at_s += EVERY_S
    return found


def raised(events: Sequence[AlarmInput]) -> list[AlarmEvent]:
    detector = PauseDetector(Watch(AlarmLimits(), FS))
    return [each for event in events for each in detector.push(event)]


def paused(rr_s: float) -> list[AlarmInput]:
    """A beat at 10 s, and the next after ``rr_s``."""
    return [beat(10, 0.8), *quiet(10, 12, 10 + rr_s + 0.2), beat(10 + rr_s, rr_s)]


@pytest.mark.parametrize("rr_s", [3.0, 3.2, 3.9])
def test_a_pause_begins_and_ends_with_the_beat_that_ends_it(rr_s: float) -> None:
    start, end = raised(paused(rr_s))
    assert (start.code, start.phase, start.priority) == (
        AlarmCode.PAUSE,
        Phase.START,
        Priority.MEDIUM,
    )
    assert (start.onset, end.onset, end.phase) == (2500, 2500, Phase.END)
    assert end.end == round((10 + rr_s) * FS)
    assert start.facts.duration_s == pytest.approx(rr_s)
    assert start.known_at == end.known_at == end.end + 130


def test_a_shorter_interval_is_none() -> None:
    assert raised(paused(2.9)) == []


def test_another_leads_beat_in_between_makes_it_none() -> None:
    events: list[AlarmInput] = [beat(10, 0.8), *quiet(11.5, 13.5, 13.6), beat(13.6, 3.6)]
    assert raised(events) == []
    assert raised([beat(10, 0.8), beat(13.6, 3.6)]) == []


def test_poor_signal_at_either_end_makes_it_none() -> None:
    before, *between, after = paused(3.2)
    assert raised([beat(10, 0.8, Quality.POOR), *between, after]) == []
    assert raised([before, *between, beat(13.2, 3.2, Quality.POOR)]) == []


def test_lost_signal_makes_it_none() -> None:
    before, *between, _ = paused(3.2)
    assert raised([before, *between, beat(13.2, None)]) == []


def test_an_asystole_and_what_looks_like_fibrillation_are_none() -> None:
    asystole: list[AlarmInput] = [
        beat(10, 0.8),
        *quiet(10, 12, 14.2, signal_ok=True),
        beat(14.2, 4.2),
    ]
    assert raised(asystole) == []
    assert raised([beat(10, 0.8), *quiet(10, 12, 13.4, vf=0.5), beat(13.2, 3.2)]) == []


def test_the_next_pause_is_told_after_an_asystole() -> None:
    events: list[AlarmInput] = [
        beat(10, 0.8),
        *quiet(10, 12, 14.2, signal_ok=True),
        beat(14.2, 4.2),
        *quiet(14.2, 16.2, 17.6),
        beat(17.5, 3.3),
    ]
    assert [each.onset for each in raised(events)] == [3550, 3550]


def heard(ecg: Floats) -> tuple[list[int], list[AlarmEvent]]:
    """The R peaks that the front end finds, and what the detector makes of it."""
    frontend = Frontend(PreprocessSpec(), coefficients_of("full"), FS, ["II"])
    detector = PauseDetector(Watch(AlarmLimits(), FS))
    r_peaks: list[int] = []
    events: list[AlarmEvent] = []
    for found in [*frontend.push(ecg[:, None]), *frontend.close()]:
        if isinstance(found, Beat):
            r_peaks.append(found.sample)
            events += detector.push(Score(found, None, 1.0, EMPTY, EMPTY))
        else:
            events += detector.push(found)
    return r_peaks, events


def test_beats_that_are_left_out_of_an_ecg_are_a_pause() -> None:
    ecg = synthetic_ecg(40, FS, bpm=100.0, ectopic_every=0)
    r_peaks, events = heard(ecg)
    assert events == []
    begin, end = r_peaks[30] + 120, r_peaks[36] - 70  # five beats of 0.6 s
    rest = 0.005 * np.random.default_rng(0).normal(size=end - begin)  # flat is another alarm
    ecg[begin:end] = np.linspace(ecg[begin], ecg[end], end - begin) + rest
    _, (start, over) = heard(ecg)
    assert abs(start.onset - r_peaks[30]) <= 2
    assert over.end is not None
    assert abs(over.end - r_peaks[36]) <= 2


def test_a_limit_beyond_that_of_asystole_is_refused() -> None:
    with pytest.raises(UsageError, match="pause_s <= asystole_s"):
        AlarmLimits(pause_s=4.5)
