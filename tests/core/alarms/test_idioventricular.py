from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, FinalScore
from beatgan.alarms.facts import Subtype
from beatgan.alarms.idioventricular import LEAST_BEATS, IdioventricularDetector
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.watch import Watch
from beatgan.types import Phase, Priority, Quality, RhythmStatus
from tests.core.alarms.test_ventricular_run import FS, beats


def feed(
    kinds: str, rr_ms: float, quality: Quality = Quality.GOOD
) -> tuple[list[AlarmEvent], IdioventricularDetector]:
    detector = IdioventricularDetector(Watch(AlarmLimits(), FS))
    scores = beats(kinds, rr_ms, quality)
    events = [each for score in scores for each in detector.push(FinalScore(score, score.known_at))]
    return events, detector


def test_slow_ventricular_beats_in_a_row_are_an_idioventricular_rhythm() -> None:
    (start, end), _ = feed("NN" + "V" * LEAST_BEATS + "NN", 800.0)
    assert (start.code, start.phase) == (AlarmCode.IDIOVENTRICULAR, Phase.START)
    assert start.priority is Priority.LOW
    assert start.facts.beats == LEAST_BEATS
    assert start.facts.subtype is Subtype.ACCELERATED_IDIOVENTRICULAR
    assert round(start.facts.heart_rate or 0) == 75
    assert (end.phase, end.end) == (Phase.END, start.beats[-1])
    (slow, *_), _ = feed("V" * LEAST_BEATS, 1500.0)
    assert slow.facts.subtype is None


def test_a_fast_one_is_a_run_and_another_alarm() -> None:
    assert feed("N" + "V" * 20, 500.0)[0] == []


def test_escape_beats_bigeminy_and_beats_of_a_poor_signal_are_none() -> None:
    assert feed("N" + "V" * (LEAST_BEATS - 1) + "NN", 900.0)[0] == []
    assert feed("NV" * 20, 900.0)[0] == []
    assert feed("V" * 20, 900.0, Quality.POOR)[0] == []


def test_a_long_one_speaks_again_and_ends_with_the_stream() -> None:
    events, detector = feed("V" * 40, 800.0)
    assert [event.phase for event in events] == [Phase.START, Phase.UPDATE, Phase.UPDATE]
    (end,) = detector.close(40_000)
    assert (end.phase, end.known_at) == (Phase.END, 40_000)
    assert detector.close(50_000) == ()


def test_it_ends_though_no_beat_comes_any_more() -> None:
    (start,), detector = feed("V" * LEAST_BEATS, 800.0)
    last = start.beats[-1]
    for seconds in (5, 10):
        now = last + round(seconds * FS)
        assert detector.push(RhythmStatus(now, now, now - last, True, -1.0)) == ()
    now = last + round(10.5 * FS)
    (end,) = detector.push(RhythmStatus(now, now, now - last, True, -1.0))
    assert (end.phase, end.end, end.known_at) == (Phase.END, last, now)
