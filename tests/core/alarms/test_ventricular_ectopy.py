"""Couplets and bigeminy are counted by the hour, runs and single beats are not."""

import msgspec
import pytest

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, FinalScore
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.sentence import sentence
from beatgan.alarms.ventricular_ectopy import State, VentricularEctopyDetector
from beatgan.alarms.watch import Watch
from beatgan.types import EMPTY, Beat, PerClass, Phase, Priority, Quality, RhythmStatus, Score

FS = 250.0
RR_S = 0.8
PROBABILITIES: dict[str, PerClass] = {
    "N": (0.9, 0.05, 0.03, 0.01, 0.01),
    "V": (0.1, 0.02, 0.85, 0.02, 0.01),
    "S": (0.2, 0.75, 0.03, 0.01, 0.01),
    "F": (0.2, 0.1, 0.1, 0.6, 0.0),
}


class Heart:
    """A detector, and beats for it: a letter is a class, ``p`` poor signal, ``u`` unusable."""

    def __init__(self, couplets: int = 1, bigeminy: int = 1) -> None:
        limits = AlarmLimits(couplets_per_hour=couplets, bigeminy_per_hour=bigeminy)
        self.detector, self.at = VentricularEctopyDetector(Watch(limits, FS)), 0

    def beats(self, letters: str) -> list[AlarmEvent]:
        return [event for letter in letters for event in self.beat(letter)]

    def beat(self, letter: str) -> list[AlarmEvent]:
        self.at += round(RR_S * FS)
        quality = {"p": Quality.POOR, "u": Quality.UNUSABLE}.get(letter, Quality.GOOD)
        beat = Beat(0, self.at, self.at + 130, "II", 1000 * RR_S, quality, EMPTY, EMPTY, None, 0.0)
        probabilities = PROBABILITIES.get(letter, PROBABILITIES["V"] if letter == "p" else None)
        value = None if letter == "u" else 0.0
        score = Score(beat, value, 1.0, EMPTY, EMPTY, probabilities)
        return list(self.detector.push(FinalScore(score, self.at + 300)))


def codes(events: list[AlarmEvent]) -> list[tuple[str, str]]:
    return [(str(each.code).partition("-")[2], str(each.phase)) for each in events]


@pytest.mark.parametrize("letters", ["NVVN", "NNSVVSN", "NVVF"])
def test_two_ventricular_beats_in_a_row_are_a_couplet(letters: str) -> None:
    heart = Heart()
    (start,) = heart.beats(letters)
    assert (start.code, start.priority) == (AlarmCode.VENTRICULAR_COUPLET, Priority.LOW)
    assert start.onset == round((letters.index("V") + 1) * RR_S * FS)
    assert start.facts.per_hour == 1
    assert sentence(start, None, FS) == "ventricular couplets, 1 in the last hour"


@pytest.mark.parametrize("letters", ["NNVN", "NVVVN", "VVN", "NpVVN", "NVpVN", "NVVpN", "NuVVN"])
def test_one_three_and_what_is_not_known_are_none(letters: str) -> None:
    assert Heart().beats(letters) == []


def test_every_other_beat_three_times_is_bigeminy_and_counts_once() -> None:
    heart = Heart()
    assert heart.beats("NNVNV") == []
    (start,) = heart.beats("NV")
    assert (start.code, start.priority) == (AlarmCode.VENTRICULAR_BIGEMINY, Priority.LOW)
    assert start.onset == round(3 * RR_S * FS)
    assert heart.beats("NV" * 300) == []
    heart.beats("NNNN")
    (again,) = heart.beats("VNVNVN")
    assert (again.phase, again.facts.per_hour) == (Phase.UPDATE, 2)
    assert sentence(again, None, FS) == "ventricular bigeminy, 2 in the last hour"


@pytest.mark.parametrize("letters", ["NVNNVNNVNNVNN", "NVNVNNVNVN", "NVNVpVNVN", "NVNVVNVN"])
def test_other_patterns_are_no_bigeminy(letters: str) -> None:
    assert "bigeminy" not in str(codes(Heart().beats(letters)))


def test_an_episode_begins_with_the_count_of_an_hour() -> None:
    heart = Heart(couplets=3)
    couplet = "NNNNVVNNNN"
    assert heart.beats(couplet * 2) == []
    assert codes(heart.beats(couplet)) == [("couplet", "start")]


def test_what_was_more_than_an_hour_ago_does_not_count() -> None:
    heart = Heart(couplets=3)
    heart.beats("NNVVNN" * 2)
    assert heart.beats("N" * round(3700 / RR_S)) == []
    assert heart.beats("NNVVNN" * 2) == []
    assert len(heart.detector.state.couplets.by_minute) == 1


def test_an_episode_says_its_count_once_a_minute_and_ends_in_quiet() -> None:
    heart = Heart()
    events = heart.beats("NNNNNNVVNN" * 60)  # eight minutes
    assert codes(events[:1]) == [("couplet", "start")]
    assert {each.phase for each in events[1:]} == {Phase.UPDATE}
    assert 6 <= len(events) - 1 <= 8
    assert events[-1].facts.per_hour is not None
    assert 53 <= events[-1].facts.per_hour <= 60
    last = heart.at - 2 * round(RR_S * FS)
    assert heart.beats("N" * round(590 / RR_S)) == []
    (end,) = heart.beats("N" * round(20 / RR_S))
    assert (end.phase, end.end) == (Phase.END, last)


def test_the_end_of_the_stream_ends_both() -> None:
    heart = Heart()
    heart.beats("NVVNNVNVNVN")
    assert codes(list(heart.detector.close(heart.at))) == [("couplet", "end"), ("bigeminy", "end")]


def test_a_state_that_was_saved_goes_on_alike() -> None:
    heart, other = Heart(2), Heart(2)
    heart.beats("NVVNV")
    other.at = heart.at
    other.detector.state = msgspec.msgpack.decode(
        msgspec.msgpack.encode(heart.detector.state), type=State
    )
    one, two = heart.beats("VNNVNVNVN"), other.beats("VNNVNVNVN")
    assert codes(one) == codes(two) == [("couplet", "start"), ("bigeminy", "start")]


def test_both_end_though_no_beat_comes_any_more() -> None:
    heart = Heart()
    heart.beats("NVVNNNVNVNV")
    last = heart.at
    assert heart.detector.state.couplets.onset is not None
    soon, late = last + round(60 * FS), last + round(600 * FS)
    assert heart.detector.push(RhythmStatus(soon, soon, soon - last, False, -1.0)) == ()
    ends = heart.detector.push(RhythmStatus(late, late, late - last, False, -1.0))
    assert codes(list(ends)) == [("couplet", "end"), ("bigeminy", "end")]
