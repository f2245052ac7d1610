from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.policy import EpisodePolicy, PolicyState
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.errors import UsageError
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    Alert,
    Beat,
    Condition,
    Kind,
    Phase,
    Priority,
    Quality,
    RhythmStatus,
    Score,
    SignalChange,
)
from beatgan_train.training.coefficients import coefficients_of
from tests.core.alarms.test_ventricular_run import VENTRICULAR as RUNS
from tests.core.alarms.test_ventricular_run import beats

VENTRICULAR = VentricularClassifier(PreprocessSpec(), coefficients_of("full").ventricular_run)

EMPTY = np.empty(0, np.float32)
PROMPT = AlarmLimits(anomalous_beats=3, technical_delay_s=0.0)


def score(n: int, value: float | None) -> Score:
    quality = Quality.UNUSABLE if value is None else Quality.GOOD
    beat = Beat(n, 300 * n, 300 * n + 186, "II", None, quality, EMPTY, EMPTY, None, 0.0)
    return Score(beat, value, 1.0, EMPTY, EMPTY)


def change(
    condition: Condition, begins: bool, at: int, suspended: bool, lead: str = "II"
) -> SignalChange:
    """Known a second later, at 360 Hz."""
    return SignalChange(condition, begins, lead, at, at + 360, suspended)


def feed(values: str, limits: AlarmLimits | None = None) -> list[Alert]:
    """x: anomalous, -: normal, ?: not scored; a beat each 300 samples at 360 Hz."""
    policy = EpisodePolicy(limits or PROMPT, VENTRICULAR, 360.0)
    meaning = {"x": 2.0, "-": 0.0, "?": None}
    return [a for n, c in enumerate(values) for a in policy.push(score(n, meaning[c]))]


def test_single_anomalous_beats_raise_nothing() -> None:
    assert feed("-x---------x---------xx---------" * 3) == []


@pytest.mark.parametrize("values", ["xxx", "x--x-----x", "x????????????xx"])
def test_k_of_n_scored_beats_begin_an_episode(values: str) -> None:
    (alert,) = feed(values)
    assert (alert.code, alert.phase, alert.onset) == ("beat.anomalous", Phase.START, 0)
    assert len(alert.beats) == 3
    assert alert.end is None


def test_the_life_of_an_episode() -> None:
    alerts = feed("-----xxx--x-x------x" + "-" * 12)
    assert [a.phase for a in alerts] == [Phase.START, Phase.UPDATE, Phase.END]
    assert len({a.episode for a in alerts}) == 1
    reported = [beat for a in alerts for beat in a.beats]
    assert reported == [300 * n for n in (5, 6, 7, 10, 12, 19)]  # each anomalous beat once
    assert alerts[-1].end == 300 * 19


def test_an_irregular_rhythm_is_one_episode() -> None:
    alerts = feed("x-" * 200)
    assert alerts[0].phase is Phase.START
    assert {a.phase for a in alerts[1:]} == {Phase.UPDATE}
    gaps = np.diff([a.beats[-1] for a in alerts])
    assert gaps.min() >= 10 * 360 - 600


def test_the_worst_beat_explains() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    alerts = [a for n, v in enumerate([2.0, 9.0, 3.0]) for a in policy.push(score(n, v))]
    assert alerts[0].worst is not None
    assert alerts[0].worst.value == 9.0
    assert alerts[0].condition_ms == pytest.approx(1000 * (2 * 300 + 186) / 360)


def test_signal_conditions_have_their_own_episodes() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    (begun,) = policy.push(change(Condition.FLAT, True, 1000, True))
    (ended,) = policy.push(change(Condition.FLAT, False, 3000, False))
    assert (begun.code, ended.code) == ("signal.flat", "signal.flat")
    assert (begun.phase, begun.onset, begun.end, begun.at) == (Phase.START, 1000, None, 1000)
    assert (ended.phase, ended.onset, ended.end, ended.at) == (Phase.END, 1000, 3000, 3000)
    assert ended.episode == begun.episode
    assert begun.condition_ms == ended.condition_ms == pytest.approx(1000)
    assert {a.kind for a in (begun, ended)} == {Kind.TECHNICAL}
    assert policy.push(change(Condition.GAP, False, 1, False)) == []


def reported(
    policy: EpisodePolicy, event: SignalChange
) -> list[tuple[str, str | None, str, int, bool]]:
    """Code, lead, phase, moment and suspension of each alert that comes of it."""
    return [(a.code, a.lead, str(a.phase), a.at, a.suspended) for a in policy.push(event)]


def test_each_lead_and_each_condition_has_its_own_episode() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    assert reported(policy, change(Condition.FLAT, True, 1000, False, "II")) == [
        ("signal.flat", "II", "start", 1000, False)
    ]
    assert reported(policy, change(Condition.NOISE, True, 2000, False, "II")) == [
        ("signal.noise", "II", "start", 2000, False)
    ]
    assert reported(policy, change(Condition.FLAT, False, 3000, False, "II")) == [
        ("signal.flat", "II", "end", 3000, False)
    ]
    assert reported(policy, change(Condition.FLAT, False, 3500, False, "V1")) == []
    (ended,) = policy.push(change(Condition.NOISE, False, 4000, False, "II"))
    assert (ended.episode, ended.onset, ended.end) == (1, 2000, 4000)


def test_alerts_that_hold_on_say_when_scoring_stops_and_when_it_goes_on() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    reported(policy, change(Condition.FLAT, True, 1000, False, "II"))
    assert reported(policy, change(Condition.GAP, True, 2000, True, "V1")) == [
        ("signal.gap", "V1", "start", 2000, True),
        ("signal.flat", "II", "update", 2000, True),
    ]
    assert reported(policy, change(Condition.NOISE, True, 2500, True, "V1")) == [
        ("signal.noise", "V1", "start", 2500, True)
    ]
    assert reported(policy, change(Condition.GAP, False, 3000, True, "V1")) == [
        ("signal.gap", "V1", "end", 3000, True)
    ]
    assert reported(policy, change(Condition.NOISE, False, 4000, False, "V1")) == [
        ("signal.noise", "V1", "end", 4000, False),
        ("signal.flat", "II", "update", 4000, False),
    ]
    assert [(a.code, a.phase) for a in policy.close(5000)] == [("signal.flat", Phase.END)]


def test_an_update_belongs_to_the_episode_that_goes_on() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    (begun,) = policy.push(change(Condition.FLAT, True, 1000, False, "II"))
    _, update = policy.push(change(Condition.GAP, True, 2000, True, "V1"))
    assert (update.episode, update.onset, update.end) == (begun.episode, 1000, None)
    assert update.condition_ms == pytest.approx(1000)


def test_a_signal_alert_is_as_urgent_as_its_consequence() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    (one,) = policy.push(change(Condition.FLAT, True, 1000, False, "II"))
    assert one.priority is Priority.LOW  # the other lead does its work
    alerts = policy.push(change(Condition.FLAT, True, 2000, True, "V1"))
    assert {a.priority for a in alerts} == {Priority.MEDIUM}


def test_an_alert_of_beats_names_the_lead_of_the_worst() -> None:
    (alert,) = feed("xxx")
    assert (alert.kind, alert.priority) == (Kind.PHYSIOLOGICAL, Priority.MEDIUM)
    assert (alert.lead, alert.suspended, alert.at) == ("II", False, alert.onset)


def test_close_ends_what_is_open() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    for n in range(3):
        policy.push(score(n, 5.0))
    policy.push(change(Condition.GAP, True, 1000, False))
    assert {(a.code, a.phase) for a in policy.close(2000)} == {
        ("signal.gap", Phase.END),
        ("beat.anomalous", Phase.END),
    }
    assert policy.close(2000) == []


@pytest.mark.parametrize(
    "limits", [{"anomalous_beats": 0}, {"anomalous_beats": 5, "among_beats": 4}, {"clear_beats": 0}]
)
def test_impossible_limits_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="alarms"):
        AlarmLimits(**limits)


def test_beats_of_a_poor_signal_prolong_an_episode_but_begin_none() -> None:
    def poor(n: int) -> Score:
        good = score(n, 2.0)
        return replace(good, beat=replace(good.beat, quality=Quality.POOR))

    policy = EpisodePolicy(PROMPT, VENTRICULAR, 360.0)
    assert [a for n in range(20) for a in policy.push(poor(n))] == []
    started = [a for n in range(20, 23) for a in policy.push(score(n, 2.0))]
    assert [a.phase for a in started] == [Phase.START]
    assert started[0].beats == (6000, 6300, 6600)
    updates = [a for n in range(23, 60) for a in policy.push(poor(n))]
    assert {a.phase for a in updates} == {Phase.UPDATE}


# --- not more often than bearable -------------------------------------------------------------

FS = 360.0
RARE = AlarmLimits(
    technical_delay_s=0.0, refractory_s=0.0, burst=2, max_per_hour=60.0
)  # one more a minute


def flicker(policy: EpisodePolicy, at_s: float, lasts_s: float = 1.0) -> list[Alert]:
    """A flat line that begins at ``at_s`` and ends soon."""
    began, ended = round(at_s * FS), round((at_s + lasts_s) * FS)
    return [
        *policy.push(SignalChange(Condition.FLAT, True, "II", began, began, False)),
        *policy.push(SignalChange(Condition.FLAT, False, "II", ended, ended, False)),
    ]


def test_too_many_episodes_are_held_back_and_counted() -> None:
    policy = EpisodePolicy(RARE, VENTRICULAR, FS)
    reported = [len(flicker(policy, at)) for at in (0, 2, 4, 6)]
    assert reported == [2, 2, 0, 0]
    assert policy.drain_suppressed() == ["signal.flat", "signal.flat"]
    start, end = flicker(policy, 65)
    assert (start.suppressed, end.suppressed) == (2, 0)
    assert start.episode == 2  # only published episodes are numbered


def test_an_episode_that_lasts_is_told_late() -> None:
    policy = EpisodePolicy(RARE, VENTRICULAR, FS)
    flicker(policy, 0)
    flicker(policy, 2)
    assert policy.push(SignalChange(Condition.FLAT, True, "II", 1440, 1440, False)) == []
    assert policy.push(score(10, 0.0)) == []  # 8.9 s
    (late,) = policy.push(score(80, 0.0))  # 67 s: the budget has grown by one
    assert (late.phase, late.onset, late.episode) == (Phase.START, 1440, 2)
    assert late.condition_ms == pytest.approx(1000 * (80 * 300 + 186 - 1440) / FS)
    (end,) = policy.push(SignalChange(Condition.FLAT, False, "II", 30_000, 30_000, False))
    assert (end.phase, end.episode) == (Phase.END, 2)
    assert policy.drain_suppressed() == []


def test_the_next_episode_of_its_kind_waits_for_the_refractory_time() -> None:
    limits = AlarmLimits(anomalous_beats=2, clear_beats=3, refractory_s=20.0)
    alerts = feed("xx---" + "xx---" + "x" * 60, limits)
    first, second = ([a for a in alerts if a.episode == n] for n in (0, 1))
    assert [a.phase for a in first] == [Phase.START, Phase.END]
    start = second[0]
    assert start.onset == 300 * 10  # of the third: the second was over before it could be published
    assert start.suppressed == 1
    due = first[-1].onset + 1000 * 20
    assert start.condition_ms + 1000 * start.onset / FS >= due
    assert len(start.beats) > 2  # all of it so far
    assert {a.episode for a in alerts} == {0, 1}


def test_signal_episodes_know_no_refractory_time() -> None:
    policy = EpisodePolicy(AlarmLimits(technical_delay_s=0.0, refractory_s=1000.0), VENTRICULAR, FS)
    assert [len(flicker(policy, at)) for at in (0, 2, 4)] == [2, 2, 2]


def test_a_lead_that_can_be_spared_is_told_when_that_lasts() -> None:
    policy = EpisodePolicy(AlarmLimits(technical_delay_s=30.0), VENTRICULAR, FS)
    assert flicker(policy, 0, lasts_s=29.0) == []
    assert policy.drain_suppressed() == ["signal.flat"]
    began = round(100 * FS)
    assert policy.push(SignalChange(Condition.FLAT, True, "II", began, began, False)) == []
    assert policy.push(score(round(129 * FS / 300), 0.0)) == []
    (late,) = policy.push(score(round(131 * FS / 300), 0.0))
    assert (late.phase, late.priority, late.onset) == (Phase.START, Priority.LOW, began)


def test_once_nothing_can_be_judged_it_is_told_at_once() -> None:
    policy = EpisodePolicy(AlarmLimits(technical_delay_s=30.0), VENTRICULAR, FS)
    assert policy.push(SignalChange(Condition.FLAT, True, "II", 0, 0, False)) == []
    gap, flat = policy.push(SignalChange(Condition.GAP, True, "V1", 720, 720, True))
    assert {(a.code, a.phase, a.priority, a.onset, a.at) for a in (gap, flat)} == {
        ("signal.gap", Phase.START, Priority.MEDIUM, 720, 720),
        ("signal.flat", Phase.START, Priority.MEDIUM, 0, 720),
    }


# Limits by which nearly everything is held back: one episode in a thousand hours.
HELD = AlarmLimits(refractory_s=1e6, burst=1, max_per_hour=0.001)


class Heart:
    """Normal beats for a policy, one after another; it is told in what each alert says."""

    def __init__(self, limits: AlarmLimits) -> None:
        self.policy, self.at = EpisodePolicy(limits, VENTRICULAR, FS), 0

    def go(self, rate: float, beats: int) -> list[tuple[str, Phase, Priority]]:
        told: list[tuple[str, Phase, Priority]] = []
        for _ in range(beats):
            self.at += round(60 * FS / rate)
            plain = score(0, 0.0)
            beat = replace(
                plain.beat,
                sample=self.at,
                known_at=self.at + 186,
                rr_ms=60_000 / rate,
                lead_distances=(-2.6, None),
            )
            told += [
                (alert.code, alert.phase, alert.priority)
                for alert in self.policy.push(replace(plain, beat=beat))
            ]
        return told


SLOW, FAST = "rhythm.bradycardia", "rhythm.tachycardia"


@pytest.mark.parametrize(("code", "rate"), [(SLOW, 36.0), (FAST, 160.0)])
def test_extreme_rates_are_never_held_back(code: str, rate: float) -> None:
    heart = Heart(HELD)
    heart.go(75, 30)
    for _ in range(4):
        assert heart.go(rate, 20) == [(code, Phase.START, Priority.HIGH)]
        assert heart.go(75, 30) == [(code, Phase.END, Priority.HIGH)]
    assert heart.policy.drain_suppressed() == []


@pytest.mark.parametrize(("code", "rate", "extreme"), [(SLOW, 44.0, 36.0), (FAST, 135.0, 160.0)])
def test_a_rate_that_is_held_back_is_told_at_once_when_it_becomes_extreme(
    code: str, rate: float, extreme: float
) -> None:
    heart = Heart(HELD)
    heart.go(75, 30)
    assert heart.go(rate, 60) == [(code, Phase.START, Priority.MEDIUM)]
    assert heart.go(75, 30) == [(code, Phase.END, Priority.MEDIUM)]
    onset = heart.at
    assert heart.go(rate, 60) == []
    assert list(heart.policy.save().held) == [code]
    assert heart.go(extreme, 8) == [(code, Phase.START, Priority.HIGH)]
    assert heart.policy.save().held == {}
    (end,) = heart.policy.close(heart.at)
    assert (end.priority, end.suppressed) == (Priority.HIGH, 0)
    assert end.onset == pytest.approx(onset, abs=8 * FS)  # where it was slow, not where extreme


def test_runs_are_never_held_back() -> None:
    """Though they begin at medium priority: one may become a tachycardia."""
    policy = EpisodePolicy(HELD, RUNS, FS)
    told = [
        (alert.phase, alert.priority)
        for each in beats("N" * 40 + "VVVNNNNNN" * 4, 400.0)
        for alert in policy.push(each)
        if alert.code == "rhythm.ventricular-run"
    ]
    assert told == [(Phase.START, Priority.MEDIUM), (Phase.END, Priority.MEDIUM)] * 4
    assert "rhythm.ventricular-run" not in policy.drain_suppressed()


def test_the_state_can_be_taken_to_another_policy() -> None:
    limits = AlarmLimits(anomalous_beats=2, clear_beats=3, refractory_s=20.0)
    values = "xx---xx----xxx--x-x" + "-" * 9
    meaning = {"x": 2.0, "-": 0.0}
    whole = feed(values, limits)
    for cut in range(len(values)):
        one, other = EpisodePolicy(limits, VENTRICULAR, FS), EpisodePolicy(limits, VENTRICULAR, FS)
        reported = [a for n, c in enumerate(values[:cut]) for a in one.push(score(n, meaning[c]))]
        encoded = msgspec.msgpack.encode(one.save(), enc_hook=lambda array: array.tobytes())
        decode = msgspec.msgpack.Decoder(
            PolicyState, dec_hook=lambda _, data: np.frombuffer(data, np.float32)
        )
        other.restore(decode.decode(encoded))
        rest = enumerate(values[cut:], cut)
        reported += [a for n, c in rest for a in other.push(score(n, meaning[c]))]
        assert [(a.episode, a.phase, a.beats, a.suppressed) for a in reported] == [
            (a.episode, a.phase, a.beats, a.suppressed) for a in whole
        ]


def test_other_limits_hold_from_then_on() -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, FS)
    assert [policy.push(score(n, 2.0)) for n in range(2)] == [[], []]
    policy.replace_limits(AlarmLimits(anomalous_beats=5))
    assert policy.push(score(2, 2.0)) == policy.push(score(3, 2.0)) == []
    assert [a.phase for a in policy.push(score(4, 2.0))] == [Phase.START]


def test_limits_of_rates_and_times_are_checked() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"burst": 0}, "burst must be 1 or more"),
        ({"asystole_s": 3.0}, "asystole_s must be 3.5 or more"),
        ({"refractory_s": -1.0}, "refractory_s must be 0 or more"),
        ({"bradycardia_rate": 150.0}, "bradycardia_rate < tachycardia_rate"),
        ({"extreme_bradycardia_rate": 0.0}, "extreme_bradycardia_rate must be above 0"),
        ({"pause_s": 3.8}, "0 < pause_s <= asystole_s, got 3.8 and 3.6"),
    )
    for bad, words in cases:
        with pytest.raises(UsageError, match=words):
            AlarmLimits(**bad)


# --- a score that may still be revised --------------------------------------------------------


def awaited(*values: float) -> EpisodePolicy:
    """A policy after beats of these scores, of which the latest may be revised for 3 s."""
    policy = EpisodePolicy(PROMPT, VENTRICULAR, FS)
    for n, value in enumerate(values[:-1]):
        assert policy.push(score(n, value)) == []
    latest = score(len(values) - 1, values[-1])
    assert policy.push(latest, latest.beat.sample + 1080) == []
    return policy


def test_an_episode_begins_with_the_score_as_revised() -> None:
    policy = awaited(2.0, 2.0, 0.0)
    first = policy.awaiting
    assert first is not None
    (begun,) = policy.settle(replace(first, value=3.0), 1086)
    assert (begun.phase, begun.beats) == (Phase.START, (0, 300, 600))
    assert begun.worst is not None
    assert begun.worst.value == 3.0
    assert begun.condition_ms == pytest.approx(1000 * 1086 / FS)
    assert policy.awaiting is None
    assert policy.settle(None, 1100) == []


def test_a_revised_score_may_begin_none() -> None:
    policy = awaited(2.0, 2.0, 2.0)
    first = policy.awaiting
    assert first is not None
    assert policy.settle(replace(first, value=0.0), 1086) == []
    assert policy.push(score(3, 0.0)) == []


def test_without_a_revision_the_first_score_counts_with_the_next_beat_or_at_the_end() -> None:
    (begun,) = awaited(2.0, 2.0, 2.0).push(score(3, 0.0))
    assert (begun.phase, begun.beats) == (Phase.START, (0, 300, 600))
    begun, ended = awaited(2.0, 2.0, 2.0).close(900)
    assert (begun.phase, ended.phase) == (Phase.START, Phase.END)


@pytest.mark.parametrize(
    ("event", "waits"),
    [
        (RhythmStatus(1600, 1680, 1000, True, -1.0), True),
        (RhythmStatus(1645, 1681, 1045, True, -1.0), False),
        (change(Condition.FLAT, True, 800, suspended=False), True),
        (change(Condition.GAP, True, 800, suspended=True), False),  # 0.5 s later, but it is lost
    ],
)
def test_no_episode_waits_for_a_beat_that_does_not_come(
    event: RhythmStatus | SignalChange, waits: bool
) -> None:
    policy = awaited(2.0, 2.0, 2.0)
    alerts = [alert for alert in policy.push(event) if alert.code == "beat.anomalous"]
    assert bool(alerts) is not waits
    assert policy.awaiting is not None  # its message may be revised all the same
    later = policy.settle(replace(policy.awaiting, value=0.0), 2000)
    assert later == []  # once used, a score counts once


def of_a_batch(n: int, value: float) -> Score:
    """A score as a model makes it: its arrays are rows of its batch's."""
    rows = np.zeros((2, 4), np.float32)
    return replace(
        score(n, value), reconstruction=rows[0], saliency=rows[0], spread=rows[0], terms=rows[0]
    )


@pytest.mark.parametrize("how", ["anomalous", "overdue", "silent"])
def test_no_batch_is_kept_for_long_for_the_sake_of_one_beat(how: str) -> None:
    policy = EpisodePolicy(PROMPT, VENTRICULAR, FS)
    policy.push(of_a_batch(0, 2.0 if how == "anomalous" else 0.0), 1080)
    if how == "overdue":
        policy.push(RhythmStatus(1085, 1085, 1085, True, -1.0))
    if how == "silent":
        policy.detach()
    kept = policy.awaiting
    assert kept is not None
    assert {kept.reconstruction.base, kept.saliency.base, kept.terms.base} == {None}
    policy.settle(replace(kept, value=2.0), 1090)
    assert policy.push(score(1, 2.0)) == policy.push(score(2, 0.0)) == []
