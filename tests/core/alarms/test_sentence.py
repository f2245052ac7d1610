from typing import Any

import pytest
from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, BeatEpisode, episode_event
from beatgan.alarms.facts import Facts, Subtype
from beatgan.alarms.sentence import WORDS, sentence
from beatgan.types import EMPTY, Beat, Kind, Phase, Quality, Score

FS = 100.0


def event(code: AlarmCode, phase: Phase = Phase.START, **known: Any) -> AlarmEvent:
    lead = known.pop("lead", None)
    return replace(episode_event(code, phase, 1000, 2230, 2230, Facts(**known)), lead=lead)


def scored(n: int, probabilities: tuple[float, float, float, float, float] | None = None) -> Score:
    beat = Beat(n, 60 * n, 60 * n + 50, "II", 600.0, Quality.GOOD, EMPTY, EMPTY, None, 0.0)
    return Score(beat, 3.0 + n, 1.0, EMPTY, EMPTY, probabilities)


def test_a_run_says_how_many_beats_how_fast_and_where() -> None:
    run = event(
        AlarmCode.VENTRICULAR_RUN, subtype=Subtype.VENTRICULAR_TACHYCARDIA, beats=9, lead="II"
    )
    assert sentence(run, 167.8, FS) == "ventricular tachycardia, 9 beats at 168/min, lead II"


def test_a_lead_is_called_one_once() -> None:
    assert sentence(event(AlarmCode.FLAT, lead="Lead II"), None, FS) == "flat line, Lead II"


def test_a_technical_alarm_says_that_nobody_is_watched() -> None:
    flat = event(AlarmCode.FLAT, lead="V5")
    assert sentence(flat, None, FS, suspended=True) == "flat line, lead V5, no lead is usable"
    slow = event(AlarmCode.BRADYCARDIA, limit=40.0)
    assert "usable" not in sentence(slow, 31.4, FS, suspended=True)


def test_what_is_not_known_is_left_out() -> None:
    run = event(AlarmCode.VENTRICULAR_RUN, beats=3)
    assert sentence(run, None, FS) == "ventricular run"
    beats = event(AlarmCode.ANOMALOUS_BEATS)
    assert sentence(beats, None, FS) == "anomalous beats"


def test_a_rate_is_told_beside_its_limit() -> None:
    slow = event(AlarmCode.BRADYCARDIA, limit=40.0)
    assert sentence(slow, 31.4, FS) == "bradycardia, heart rate 31/min, below 40"
    assert sentence(slow, 39.7, FS) == "bradycardia, heart rate 39.7/min, below 40"


def test_asystole_says_for_how_long_there_was_no_beat() -> None:
    assert sentence(event(AlarmCode.ASYSTOLE, duration_s=4.06), None, FS) == (
        "asystole, no beat for 4.1 s"
    )


def test_an_end_says_how_long_it_lasted() -> None:
    run = event(AlarmCode.VENTRICULAR_RUN, Phase.END, beats=4, heart_rate=120.0)
    assert sentence(run, 120.0, FS) == "ventricular run, 4 beats at 120/min; over after 12.3 s"


def test_an_end_leaves_out_the_rate_of_afterwards() -> None:
    over = event(AlarmCode.TACHYCARDIA, Phase.END, subtype=Subtype.EXTREME_TACHYCARDIA)
    assert sentence(over, 67.0, FS) == "extreme tachycardia; over after 12.3 s"


def test_anomalous_beats_say_what_the_worst_looks_like() -> None:
    worst = scored(4, (0.02, 0.01, 0.95, 0.02, 0.0))
    beats = replace(event(AlarmCode.ANOMALOUS_BEATS, beats=5), worst=worst)
    text = "5 anomalous beats, the worst ventricular (95%), heart rate 72/min"
    assert sentence(beats, 72.1, FS) == text


@pytest.mark.parametrize("code", list(AlarmCode))
def test_every_alarm_of_a_patient_has_words(code: AlarmCode) -> None:
    if code.kind is Kind.PHYSIOLOGICAL:
        assert code in WORDS


@pytest.mark.parametrize("code", list(WORDS))
def test_every_part_can_be_said(code: AlarmCode) -> None:
    known = event(code, lead="V5", beats=5, duration_s=2.0, limit=40.0, per_hour=3)
    said = sentence(replace(known, worst=scored(1, (0.1, 0.2, 0.3, 0.2, 0.2))), 30.0, FS)
    assert len(said.split(", ")) == 1 + len(WORDS[code])
    assert said.endswith("lead V5")


def test_an_episode_counts_its_beats_and_knows_their_rate() -> None:
    episode = BeatEpisode.begin([scored(0), scored(1), scored(2)], 200)
    first = episode.event(AlarmCode.VENTRICULAR_RUN, Phase.START, 200)
    assert (first.facts.beats, episode.rate) == (3, 100.0)
    episode.add(replace(scored(3), beat=replace(scored(3).beat, rr_ms=300.0)))
    later = episode.event(AlarmCode.VENTRICULAR_RUN, Phase.UPDATE, 300)
    assert (later.facts.beats, later.beats) == (4, (180,))
    assert episode.rate == 100.0  # a single interval says nothing against three


def test_an_episode_of_an_earlier_version_does_not_guess_its_count() -> None:
    episode = BeatEpisode(0, 100, 120, [], None)  # as decoded from a state without a count
    episode.add(scored(3))
    assert episode.event(AlarmCode.VENTRICULAR_RUN, Phase.UPDATE, 300).facts.beats is None
