"""From lead to lead without losing a beat, reporting one twice, or making one up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from beatgan.beats.lead_switching import DETACHED_AFTER, RETURN
from beatgan.frontend import Event, Frontend
from beatgan.records import read_recording
from beatgan.signal.signal_quality import FLAT, GAP, RECOVERY
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Condition, Floats, Quality, SignalChange
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

SPEC, FS = PreprocessSpec(), 360
LEADS = ("MLII", "V1")
TOLERANCE = 7  # samples: 20 ms

TwoLeads = Callable[[float, float], Floats]
Damage = Callable[[Floats], object]  # done in place to a stretch of one lead


@dataclass(frozen=True)
class Found:
    """What a front end said of a recording."""

    beats: list[Beat]
    changes: list[SignalChange]

    @property
    def r_peaks(self) -> list[int]:
        return [beat.sample for beat in self.beats]

    @property
    def phases(self) -> list[tuple[str, bool, str, bool]]:
        return [(str(c.condition), c.begins, c.lead, c.suspended) for c in self.changes]

    def leads(self) -> list[str]:
        """The leads that beats came from, in order, without repetition."""
        names = [beat.lead for beat in self.beats]
        return names[:1] + [b for a, b in pairwise(names) if a != b]


def front_end(samples: Floats, leads: Sequence[str] = LEADS) -> Found:
    frontend = Frontend(SPEC, COEFFICIENTS, FS, leads)
    events: list[Event] = []
    for start in range(0, len(samples), FS):
        events += frontend.push(samples[start : start + FS])
    events += frontend.close()
    return Found(
        [e for e in events if isinstance(e, Beat)],
        [e for e in events if isinstance(e, SignalChange)],
    )


def between_beats(r_peaks: Sequence[int], second: float) -> int:
    """A sample soon after ``second`` where no lead has a wave."""
    soon = [pair for pair in pairwise(r_peaks) if 0 < pair[0] - second * FS < 5 * FS]
    first, last = max(soon, key=lambda pair: pair[1] - pair[0])
    return int(first + 0.6 * (last - first))


def same_beats(found: Sequence[int], wanted: Sequence[int]) -> bool:
    return len(found) == len(wanted) and bool(np.abs(np.subtract(found, wanted)).max() <= TOLERANCE)


def hold(stretch: Floats) -> None:
    stretch[:] = stretch[0]


def lose(stretch: Floats) -> None:
    stretch[:] = np.nan


def drown(stretch: Floats) -> None:
    stretch += 1.5 * np.random.default_rng(0).normal(size=stretch.size).astype(np.float32)


@pytest.fixture(scope="module")
def ecg(two_leads: TwoLeads) -> Floats:
    return two_leads(90, FS)


@pytest.fixture(scope="module")
def plain(ecg: Floats) -> Found:
    """The events of the undamaged recording, all from its main lead."""
    found = front_end(ecg)
    assert found.leads() == ["MLII"]
    assert found.changes == []
    return found


@pytest.mark.parametrize(
    ("damage", "condition", "known_after"), [(hold, "flat", FLAT), (lose, "gap", GAP)]
)
def test_when_the_main_lead_fails_the_other_goes_on_without_a_beat_more_or_less(
    ecg: Floats, plain: Found, damage: Damage, condition: str, known_after: int
) -> None:
    damaged = ecg.copy()
    begins, ends = (between_beats(plain.r_peaks, t) for t in (30, 50))
    damage(damaged[begins:ends, 0])
    found = front_end(damaged)
    assert same_beats(found.r_peaks, plain.r_peaks)
    assert found.leads() == ["MLII", "V1", "MLII"]
    assert {b.lead for b in found.beats if begins < b.sample < ends} == {"V1"}
    assert found.phases == [(condition, True, "MLII", False), (condition, False, "MLII", False)]
    began, ended = found.changes
    assert began.known_at - begins == pytest.approx(known_after, abs=FS / 50)
    assert ended.known_at - ends == pytest.approx(RECOVERY, abs=FS / 50)


@pytest.fixture(scope="module")
def failing(ecg: Floats, plain: Found) -> Found:
    """The events where the main lead is flat from 30 to 50 s."""
    damaged = ecg.copy()
    begins, ends = (between_beats(plain.r_peaks, t) for t in (30, 50))
    hold(damaged[begins:ends, 0])
    return front_end(damaged)


def test_rhythm_and_shape_go_on_over_a_switch(failing: Found, plain: Found) -> None:
    for a, b in zip(failing.beats[1:], plain.beats[1:], strict=True):
        assert a.rr_ms == pytest.approx(b.rr_ms, abs=25)
        assert a.prematurity == pytest.approx(b.prematurity, abs=0.3)
        assert a.quality is Quality.GOOD
    normal = [b.distance for b in failing.beats[10:] if b.n % 9 != 8 and b.distance is not None]
    ectopic = [b.distance for b in failing.beats[10:] if b.n % 9 == 8 and b.distance is not None]
    assert len(normal) + len(ectopic) == len(failing.beats[10:])
    assert min(ectopic) > max(normal) + 2


def test_the_best_lead_is_used_again_once_it_was_usable_for_a_while(failing: Found) -> None:
    over = failing.changes[-1].known_at
    returned = next(b for b in failing.beats if b.sample > over and b.lead == "MLII")
    assert 0 <= returned.known_at - over - RETURN < 2 * FS


def test_a_lead_that_fails_again_and_again_is_not_used_in_between(
    ecg: Floats, plain: Found
) -> None:
    damaged = ecg.copy()
    for second in range(20, 60, 8):
        begins = between_beats(plain.r_peaks, second)
        hold(damaged[begins : begins + 4 * FS, 0])
    found = front_end(damaged)
    assert same_beats(found.r_peaks, plain.r_peaks)
    assert found.leads() == ["MLII", "V1", "MLII"]


def test_the_other_lead_failing_changes_no_beat_of_the_main_one(ecg: Floats, plain: Found) -> None:
    damaged = ecg.copy()
    damaged[30 * FS : 50 * FS, 1] = 0.2
    found = front_end(damaged)
    assert found.r_peaks == plain.r_peaks
    assert found.leads() == ["MLII"]
    assert found.phases == [("flat", True, "V1", False), ("flat", False, "V1", False)]


def test_scoring_is_suspended_while_no_lead_is_usable_and_only_then(
    ecg: Floats, plain: Found
) -> None:
    damaged, middle = ecg.copy(), between_beats(plain.r_peaks, 40)
    begins, ends = (between_beats(plain.r_peaks, t) for t in (30, 60))
    damaged[begins:ends, 0] = 0.1
    damaged[middle : middle + 8 * FS, 1] = np.nan
    found = front_end(damaged)
    assert found.phases == [
        ("flat", True, "MLII", False),
        ("gap", True, "V1", True),
        ("gap", False, "V1", False),
        ("flat", False, "MLII", False),
    ]
    lost = range(middle, middle + 9 * FS)  # with a second to begin anew
    kept = [a for a in plain.r_peaks if a not in lost]
    assert same_beats([a for a in found.r_peaks if a not in lost], kept)
    assert not any(a in lost[: 8 * FS] for a in found.r_peaks)
    following = next(b for b in found.beats if b.sample > middle)
    assert following.rr_ms is None


def test_both_leads_flat_at_once_is_a_suspension_from_end_to_end(ecg: Floats, plain: Found) -> None:
    damaged = ecg.copy()
    begins, ends = (between_beats(plain.r_peaks, t) for t in (30, 50))
    damaged[begins:ends] = 0.1
    found = front_end(damaged)
    assert sorted(found.phases[:2]) == [("flat", True, "MLII", False), ("flat", True, "V1", True)]
    assert not any(begins < a < ends for a in found.r_peaks)
    assert not found.changes[-1].suspended
    assert [a for a in found.r_peaks if a < begins] == [a for a in plain.r_peaks if a < begins]
    assert same_beats(*([a for a in one.r_peaks if a > ends + 2 * FS] for one in (found, plain)))


def test_noise_on_the_main_lead_hands_over_to_a_clean_one(ecg: Floats, plain: Found) -> None:
    damaged = ecg.copy()
    drown(damaged[30 * FS : 60 * FS, 0])
    found = front_end(damaged)
    began, ended = found.changes
    assert (began.condition, began.lead, began.suspended) == (Condition.NOISE, "MLII", False)
    assert (began.begins, ended.begins) == (True, False)
    assert 30 * FS < began.known_at < 45 * FS
    assert same_beats(*([a for a in one.r_peaks if a > began.known_at] for one in (found, plain)))
    within = [b for b in found.beats if began.known_at < b.sample < ended.known_at]
    assert {(b.lead, b.quality) for b in within} == {("V1", Quality.GOOD)}


def test_a_main_lead_that_was_never_attached_is_replaced_from_the_first_beat(
    ecg: Floats, plain: Found
) -> None:
    for nothing in (0.0, np.nan):
        damaged = ecg.copy()
        damaged[:, 0] = nothing
        found = front_end(damaged)
        assert same_beats(found.r_peaks, plain.r_peaks)
        assert found.leads() == ["V1"]


def test_a_main_lead_that_is_attached_late_is_used_from_then_on(ecg: Floats, plain: Found) -> None:
    damaged = ecg.copy()
    damaged[: between_beats(plain.r_peaks, 30), 0] = 0
    found = front_end(damaged)
    assert same_beats(found.r_peaks, plain.r_peaks)
    assert found.leads() == ["V1", "MLII"]


@pytest.mark.parametrize("name", ["100", "119"])
def test_a_real_patients_beats_go_on_from_the_other_lead(mitdb: Path, name: str) -> None:
    record = read_recording(mitdb / name)
    samples = record.samples[: 120 * FS].copy()
    whole = front_end(samples, record.leads)
    main = list(record.leads).index("MLII")
    begins, ends = (between_beats(whole.r_peaks, t) for t in (40, 80))
    hold(samples[begins:ends, main])
    found = front_end(samples, record.leads)
    assert same_beats(found.r_peaks, whole.r_peaks)
    assert found.leads() == ["MLII", record.leads[1 - main], "MLII"]
    assert [(c.condition, c.begins) for c in found.changes] == [
        (Condition.FLAT, True),
        (Condition.FLAT, False),
    ]


@pytest.mark.parametrize("level", [None, 0.0, 5.0], ids=["held", "zero", "rail"])
def test_a_main_lead_may_fail_at_any_moment_of_a_beat(
    ecg: Floats, plain: Found, level: float | None
) -> None:
    for begins in range(30 * FS, 31 * FS + FS // 4, 9):
        damaged = ecg[: 45 * FS].copy()
        damaged[begins:, 0] = damaged[begins, 0] if level is None else level
        found = front_end(damaged)
        wanted = [a for a in plain.r_peaks if a < 44 * FS]
        assert same_beats([a for a in found.r_peaks if a < 44 * FS], wanted), begins


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_a_second_lead_that_was_never_attached_is_not_spoken_of(
    ecg: Floats, plain: Found, nothing: float
) -> None:
    damaged = ecg.copy()
    damaged[:, 1] = nothing
    found = front_end(damaged)
    assert found.r_peaks == plain.r_peaks
    assert found.changes == []


def twelve(ecg: Floats, good: int) -> Floats:
    """The main lead's ECG on lead ``good`` of twelve from 20 s on, nothing on the others."""
    samples = np.zeros((len(ecg), 12), np.float32)
    samples[: 20 * FS, 0] = ecg[: 20 * FS, 0]
    samples[20 * FS :, good] = ecg[20 * FS :, 0]
    return samples


def test_of_twelve_leads_the_one_that_is_left_is_found(two_leads: TwoLeads) -> None:
    ecg = two_leads(150, FS)
    names = ["MLII", "II", "V5", "V2", "I", "V1", *"abcdef"]
    found = front_end(twelve(ecg, 11), names)
    whole = front_end(ecg[:, :1], ["f"])
    late = [r_peak for r_peak in whole.r_peaks if r_peak > 90 * FS]
    assert same_beats([a for a in found.r_peaks if a > 90 * FS], late)
    assert found.leads() == ["MLII", "f"]
    assert not found.changes[-1].suspended


def test_a_lead_takes_the_place_of_one_that_is_gone_and_its_end_is_told_later(
    ecg: Floats, plain: Found
) -> None:
    samples = np.concatenate([ecg, -ecg[:, 1:]], axis=1)
    fails = between_beats(plain.r_peaks, 20)
    samples[fails:, :2] = 0
    samples[fails + FLAT + DETACHED_AFTER + 10 * FS :, 0] = ecg[
        fails + FLAT + DETACHED_AFTER + 10 * FS :, 0
    ]
    samples[fails + FLAT + DETACHED_AFTER + 10 * FS :, 2] = 0
    found = front_end(samples, ["MLII", "V1", "V2"])
    assert found.leads() == ["MLII", "V2", "MLII"]
    assert [c.begins for c in found.changes if c.lead == "MLII"] == [True, False]


def test_a_hole_in_all_leads_moves_none(ecg: Floats) -> None:
    samples = np.concatenate([ecg, -ecg[:, 1:]], axis=1)
    samples[20 * FS : 40 * FS] = np.nan
    assert front_end(samples, ["MLII", "V1", "V2"]).leads() == ["MLII"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 12])
def test_flat_leads_stay_flat_whichever_is_looked_at(count: int) -> None:
    """A line that jumps now and then is flat all the same, for a lead chosen again as well."""
    steps = 0.05 * (np.arange(120 * FS) // (5 * FS) % 2)
    samples = np.repeat(steps.astype(np.float32)[:, np.newaxis], count, axis=1)
    changes = front_end(samples, [f"L{k}" for k in range(count)]).changes
    assert sorted(c.lead for c in changes if c.begins) == sorted(f"L{k}" for k in range(count))
    assert not [c for c in changes if not c.begins]
