from collections.abc import Sequence

import numpy as np
import pytest

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent
from beatgan.alarms.heart_rate import HeartRateDetector
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Beat, Condition, Phase, Priority, Quality, Score, SignalChange

FS = 250.0
EMPTY = np.empty(0, np.float32)
LIMITS = AlarmLimits(tachycardia_rate=140.0, bradycardia_rate=40.0, heart_rate_delay_s=10.0)


class Heart:
    """A detector, and beats for it one after another."""

    def __init__(self) -> None:
        self.detector, self.at = HeartRateDetector(LIMITS, FS), 0

    def beat(
        self, rr_ms: float, known: bool = True, quality: Quality = Quality.GOOD
    ) -> list[AlarmEvent]:
        self.at += round(rr_ms * FS / 1000)
        rr = rr_ms if known else None
        beat = Beat(0, self.at, self.at + 130, "II", rr, quality, EMPTY, EMPTY, None, 0.0)
        return list(self.detector.push(Score(beat, None, 1.0, EMPTY, EMPTY)))

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
    heart.detector.limits = AlarmLimits(tachycardia_rate=100.0)
    assert [alarm_event.code for alarm_event in heart.go(120, 20)] == [AlarmCode.TACHYCARDIA]
