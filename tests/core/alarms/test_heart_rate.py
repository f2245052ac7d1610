import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent
from beatgan.alarms.facts import Subtype
from beatgan.alarms.heart_rate import OWN_BEATS, HeartRateDetector
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.watch import Watch
from beatgan.types import Beat, Condition, Phase, Priority, Quality, Score, SignalChange

FS = 250.0
EMPTY = np.empty(0, np.float32)
LIMITS = AlarmLimits(
    tachycardia_rate=140.0,
    bradycardia_rate=40.0,
    extreme_tachycardia_rate=250.0,
    extreme_bradycardia_rate=20.0,
    heart_rate_delay_s=10.0,
)
EXTREME = AlarmLimits(
    tachycardia_rate=130.0,
    bradycardia_rate=45.0,
    extreme_tachycardia_rate=140.0,
    extreme_bradycardia_rate=40.0,
)


class Heart:
    """A detector, and beats for it one after another."""

    def __init__(self, limits: AlarmLimits = LIMITS) -> None:
        self.detector, self.at = HeartRateDetector(Watch(limits, FS)), 0

    def beat(
        self,
        rr_ms: float,
        known: bool = True,
        quality: Quality = Quality.GOOD,
        distance: float = -2.6,
        agree: bool | None = None,
    ) -> list[AlarmEvent]:
        self.at += round(rr_ms * FS / 1000)
        rr = rr_ms if known else None
        beat = Beat(
            0,
            self.at,
            self.at + 130,
            "II",
            rr,
            quality,
            EMPTY,
            EMPTY,
            distance,
            0.0,
            lead_distances=(distance, None),
            leads_agree=agree,
        )
        return list(self.detector.push(Score(beat, 0.0, 1.0, EMPTY, EMPTY)))

    def beats(self, intervals: Sequence[float]) -> list[AlarmEvent]:
        return [alarm_event for interval in intervals for alarm_event in self.beat(interval)]

    def go(self, rate: float, seconds: float) -> list[AlarmEvent]:
        """A regular rhythm."""
        return self.beats([60_000 / rate] * round(seconds * rate / 60))


def test_a_usual_rate_says_nothing() -> None:
    heart = Heart()
    assert [
        alarm_event for rate in (45, 60, 80, 100, 120, 135) for alarm_event in heart.go(rate, 60)
    ] == []


@pytest.mark.parametrize(
    ("rate", "code"), [(160, AlarmCode.TACHYCARDIA), (32, AlarmCode.BRADYCARDIA)]
)
def test_a_rate_beyond_its_limit_for_long_enough_is_one_episode(rate: float, code: str) -> None:
    heart = Heart()
    heart.go(75, 30)
    began = heart.at
    (start,) = heart.go(rate, 120)
    assert (start.code, start.phase, start.priority) == (code, Phase.START, Priority.MEDIUM)
    assert 0 < start.onset - began <= 6 * FS * 60 / rate  # when most of the intervals are such
    assert start.at == start.onset
    assert 10 <= (start.known_at - start.onset) / FS <= 13
    back = heart.at
    (end,) = heart.go(75, 60)
    assert (end.code, end.phase, end.onset, end.lead) == (code, Phase.END, start.onset, None)
    assert end.end is not None
    assert end.at == end.end
    assert 0 < end.end - back <= 5 * FS


def test_a_short_change_says_nothing() -> None:
    heart = Heart()
    heart.go(75, 30)
    assert heart.go(170, 9) + heart.go(75, 30) == []


def test_single_early_late_and_missed_beats_say_nothing() -> None:
    heart = Heart()
    heart.go(130, 30)
    assert heart.beats([300, 600, 460, 460, 460, 460, 920, 460, 460] * 20) == []
    slow = Heart()
    slow.go(45, 30)
    assert slow.beats([1333] * 6 + [2667] + [1333] * 6 + [700, 1900]) == []


def test_a_rate_about_its_limit_is_one_episode() -> None:
    """Atrial fibrillation, say: the limit to leave an episode lies nearer to the usual."""
    draw = np.random.default_rng(1)
    heart = Heart()
    heart.go(80, 20)
    alarm_events = heart.beats((60_000 / 150 * draw.uniform(0.6, 1.4, 2000)).tolist())
    assert [alarm_event.phase for alarm_event in alarm_events] == [Phase.START]


def test_unknown_intervals_and_poor_beats_neither_count_nor_break() -> None:
    heart = Heart()
    heart.go(160, 5)
    alarm_events = []
    for n in range(60):
        alarm_events += heart.beat(375)
        if n % 3 == 0:
            alarm_events += heart.beat(1000, known=False)
        if n % 4 == 0:
            alarm_events += heart.beat(900, quality=Quality.POOR)
    assert [alarm_event.phase for alarm_event in alarm_events] == [Phase.START]


def test_noise_alone_has_no_rate() -> None:
    heart = Heart()
    assert [t for _ in range(100) for t in heart.beat(300, quality=Quality.POOR)] == []


def test_a_rate_that_is_not_known_any_more_ends_the_episode() -> None:
    heart = Heart()
    assert len(heart.go(160, 60)) == 1
    at = heart.at + round(29 * FS)
    assert heart.detector.push(SignalChange(Condition.FLAT, True, "II", at, at, True)) == ()
    at += round(2 * FS)
    (end,) = heart.detector.push(SignalChange(Condition.GAP, True, "II", at, at, True))
    assert (end.code, end.phase, end.end, end.known_at) == (
        AlarmCode.TACHYCARDIA,
        Phase.END,
        heart.at,
        at,
    )
    heart.at = at
    assert heart.go(160, 8) == []  # begins anew


def test_close_ends_the_episode() -> None:
    heart = Heart()
    assert len(heart.go(30, 60)) == 1
    (end,) = heart.detector.close(heart.at + 500)
    assert (end.code, end.phase, end.end) == (AlarmCode.BRADYCARDIA, Phase.END, heart.at)
    assert heart.detector.close(heart.at + 600) == []


def test_new_limits_hold_at_once() -> None:
    heart = Heart()
    assert heart.go(120, 60) == []
    heart.detector.watch.limits = AlarmLimits(tachycardia_rate=100.0)
    assert [alarm_event.code for alarm_event in heart.go(120, 20)] == [AlarmCode.TACHYCARDIA]


# --- extreme rates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "beats", "code", "subtype", "limit"),
    [
        (150, 8, AlarmCode.TACHYCARDIA, Subtype.EXTREME_TACHYCARDIA, 140),
        (36, 4, AlarmCode.BRADYCARDIA, Subtype.EXTREME_BRADYCARDIA, 40),
    ],
)
def test_an_extreme_rate_is_told_at_once_and_is_high(
    rate: float, beats: int, code: AlarmCode, subtype: Subtype, limit: float
) -> None:
    """By eight intervals of a tachycardia, by four of a bradycardia."""
    heart = Heart(EXTREME)
    heart.go(70, 60)
    began = heart.at
    told: list[AlarmEvent] = []
    while not told:
        told = heart.beat(60_000 / rate)
    (start,) = told
    assert (heart.at - began) / FS * rate / 60 <= beats + 0.1
    assert (start.code, start.phase, start.priority) == (code, Phase.START, Priority.HIGH)
    assert start.onset == pytest.approx(began, abs=2 * FS)
    assert start.facts.subtype is subtype
    assert start.facts.limit == limit
    assert heart.go(rate, 120) == []
    (end,) = heart.go(75, 60)
    assert (end.phase, end.onset, end.priority) == (Phase.END, start.onset, Priority.HIGH)
    assert [e.priority for e in heart.go(rate, 30)] == [Priority.HIGH]  # and anew


def test_a_rate_that_becomes_extreme_is_the_same_episode_and_high() -> None:
    heart = Heart(EXTREME)
    heart.go(75, 30)
    (start,) = heart.go(135, 60)
    assert start.priority is Priority.MEDIUM
    (update,) = heart.go(150, 30)
    assert (update.phase, update.onset) == (Phase.UPDATE, start.onset)
    assert update.priority is Priority.HIGH


@pytest.mark.parametrize("broken", [(400.0, False, Quality.GOOD), (400.0, True, Quality.POOR)])
def test_an_extreme_rate_needs_good_beats_one_after_another(
    broken: tuple[float, bool, Quality],
) -> None:
    """Else noise, which has peaks enough, would be a tachycardia."""
    heart = Heart(EXTREME)
    heart.go(75, 30)
    for _ in range(2):
        assert heart.beats([400.0] * 5) == []
        assert heart.beat(*broken) == []


@pytest.mark.parametrize(
    ("limits", "rate"),
    [(AlarmLimits(tachycardia_rate=190.0), 180), (AlarmLimits(bradycardia_rate=30.0), 35)],
)
def test_an_extreme_limit_is_never_nearer_than_the_other(limits: AlarmLimits, rate: float) -> None:
    """Who set a limit for newborns, or for athletes, is not told at the default of adults."""
    assert Heart(limits).go(rate, 60) == []


def test_peaks_of_noise_are_no_tachycardia() -> None:
    """They are fast enough, and in a good signal at first, but none of the patient's beats."""
    heart = Heart(EXTREME)
    heart.go(75, 30)
    assert [e for _ in range(60) for e in heart.beat(300.0, distance=1.5)] == []
    half = [e for n in range(30) for e in heart.beat(300.0, distance=-2.6 if n % 2 else 1.5)]
    assert [e.priority for e in half] == [Priority.HIGH]


def test_in_a_young_stream_no_tachycardia_is_told_at_once() -> None:
    heart = Heart(EXTREME)
    assert heart.beats([300.0] * OWN_BEATS)[0].known_at == heart.at + 130
    young = Heart(EXTREME)
    assert young.beats([300.0] * (OWN_BEATS - 1)) == []


def test_missed_beats_are_no_bradycardia() -> None:
    """Where another lead has not these beats, or they hardly are any, noise may hide some."""
    slow = Heart(EXTREME)
    slow.go(75, 30)
    assert [e for _ in range(6) for e in slow.beat(1800.0, distance=3.0)] == []
    assert len(slow.beats([1800.0] * 4)) == 1
    disputed = Heart(EXTREME)
    disputed.go(75, 30)
    assert [e for _ in range(6) for e in disputed.beat(1800.0, agree=False)] == []
    assert len(disputed.beats([1800.0] * 4)) == 1


def test_one_pause_is_no_bradycardia() -> None:
    """Its interval alone makes the mean of four an extreme one."""
    heart = Heart(EXTREME)
    heart.go(80, 30)
    assert heart.beats([5650.0, 750.0, 740.0, 725.0]) == []
    assert heart.beats([2300.0, 750.0, 2300.0, 2300.0]) != []


@pytest.mark.parametrize("delay_s", [0.0, 10.0])
def test_a_rate_that_is_still_extreme_ends_no_episode(delay_s: float) -> None:
    """Short intervals among longer ones: the mean is beyond its limit, the median is not."""
    heart = Heart(dataclasses.replace(EXTREME, heart_rate_delay_s=delay_s))
    heart.beats([600.0] * OWN_BEATS)
    (start,) = heart.beats([490.0, 490.0, 250.0, 490.0, 250.0, 490.0, 490.0, 250.0] * 20)
    assert (start.phase, start.priority) == (Phase.START, Priority.HIGH)
    (end,) = heart.beats([600.0] * 30)
    assert end.phase is Phase.END
