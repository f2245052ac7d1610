"""A stream's alarms in one compiled call a beat: nothing is told otherwise for being asked less."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import (
    ANOMALOUS_BEATS,
    ATRIAL_FIBRILLATION,
    IDIOVENTRICULAR,
    TECHNICAL,
    VENTRICULAR_RUN,
    FinalScore,
)
from beatgan.alarms.irregularity import Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.policy import EpisodePolicy, PolicyState
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.alarms.watch import BY_BEAT, BY_FINAL_SCORE, BY_STATUS, BY_TIME, Watch
from beatgan.types import Alert, Score, SignalChange
from beatgan_train.training.coefficients import coefficients_of
from tests.core.alarms.random_stream import OTHERS, RHYTHMS, SPEC, Change, RandomStream

COEFFICIENTS = coefficients_of("full")
LIMITS = AlarmLimits(technical_delay_s=5.0, refractory_s=20.0, couplets_per_hour=2, update_s=2.0)
OTHER_LIMITS = AlarmLimits(anomalous_beats=3, clear_beats=4, vt_beats=2, heart_rate_delay_s=2.0)
STREAMS = st.lists(
    st.builds(Change, st.sampled_from([*RHYTHMS]), st.integers(1, 60))
    | st.builds(Change, st.sampled_from(OTHERS), st.integers(0, 15)),
    min_size=2,
    max_size=8,
)
Between = Callable[[EpisodePolicy], EpisodePolicy]  # what is done to a policy after an input


def new_policy(fs: float, limits: AlarmLimits = LIMITS) -> EpisodePolicy:
    ventricular = VentricularClassifier(SPEC, COEFFICIENTS.ventricular_run)
    irregularity = Irregularity(SPEC, COEFFICIENTS.atrial_fibrillation)
    return EpisodePolicy(limits, ventricular, fs, irregularity)


def restarted(policy: EpisodePolicy, fs: float) -> EpisodePolicy:
    """Another, which goes on with what this one has saved."""
    saved = msgspec.msgpack.encode(policy.save(), enc_hook=lambda array: array.tobytes())
    decoder = msgspec.msgpack.Decoder(
        PolicyState, dec_hook=lambda _, data: np.frombuffer(data, np.float32).copy()
    )
    other = new_policy(fs, policy._watch.limits)
    other.restore(decoder.decode(saved))
    return other


def told(changes: Sequence[Change], seed: int, fs: float, between: Between) -> list[Any]:
    """All alerts, as plain values; every tenth beat or so is revised."""
    stream, rng = RandomStream(seed, fs), np.random.default_rng(seed)
    policy, alerts, at = new_policy(fs), list[Alert](), 0
    for change in changes:
        for event in stream.inputs(change):
            at, chance = event.known_at, rng.random()
            if isinstance(event, Score):
                before = policy.awaiting
                if before is not None and before.value is not None and chance < 0.1:
                    revised = msgspec.structs.replace(before, value=before.value + 1.0)
                    alerts += policy.settle(revised, at)
                until = event.beat.sample + round(3 * fs)
                alerts += policy.push(event, None if chance > 0.8 else until)
            else:
                alerts += policy.push(event)
            if chance < 0.01:
                policy.replace_limits(OTHER_LIMITS)
            policy = between(policy)
    return [plain(alert) for alert in alerts + policy.close(at)]


def plain(alert: Alert) -> Any:
    return msgspec.to_builtins(alert, enc_hook=lambda array: array.tolist())


def as_it_is(policy: EpisodePolicy) -> EpisodePolicy:
    return policy


@settings(max_examples=25, deadline=None)
@given(
    changes=STREAMS,
    seed=st.integers(0, 2**32 - 1),
    fs=st.sampled_from([62.5, 250.0, 360.0]),
    every=st.integers(1, 40),
)
def test_a_restart_changes_no_alert(
    changes: list[Change], seed: int, fs: float, every: int
) -> None:
    inputs = 0

    def restart(policy: EpisodePolicy) -> EpisodePolicy:
        nonlocal inputs
        inputs += 1
        return policy if inputs % every else restarted(policy, fs)

    assert told(changes, seed, fs, restart) == told(changes, seed, fs, as_it_is)


@settings(max_examples=25, deadline=None)
@given(changes=STREAMS, seed=st.integers(0, 2**32 - 1), fs=st.sampled_from([62.5, 250.0, 360.0]))
def test_a_detector_that_keeps_scores_needs_be_asked_about_no_other_beat(
    changes: list[Change], seed: int, fs: float
) -> None:
    """Those that fold in Python tell the same if they are asked about every beat."""
    listening = ANOMALOUS_BEATS | VENTRICULAR_RUN | IDIOVENTRICULAR

    def listen(policy: EpisodePolicy) -> EpisodePolicy:
        policy._watch.attentive |= listening
        return policy

    assert told(changes, seed, fs, listen) == told(changes, seed, fs, as_it_is)


def test_the_random_streams_have_every_alarm() -> None:
    """Else these tests would show nothing."""
    changes = [
        *(Change("normal", 60), Change("fast", 60), Change("slow", 40), Change("irregular", 120)),
        *(Change("normal", 60), Change("bigeminy", 60), Change("couplets", 60)),
        *(Change("paused", 30), Change("run", 20), Change("normal", 60)),
        *(Change("idioventricular", 30), Change("normal", 20), Change("silent", 10)),
        *(Change("normal", 20), Change("fibrillating", 12), *(Change("failing", 6),) * 6),
        *(Change("normal", 20), *(Change("recovering", 6),) * 6),
    ]
    codes = {alert["code"] for seed in range(8) for alert in told(changes, seed, 250.0, as_it_is)}
    never = {code for code in AlarmCode if code not in codes}
    assert {code for code in never if code.startswith(("beat", "rhythm"))} == set()
    assert AlarmCode.FLAT not in never


def test_each_kind_of_input_is_for_some_detectors_alone() -> None:
    """However attentive the others are."""
    stream = RandomStream(0, 250.0)
    (beat,) = stream.inputs(Change("normal", 1))
    (change,) = stream.inputs(Change("failing", 1))
    status = next(iter(stream.inputs(Change("silent", 1))))
    assert isinstance(beat, Score)
    assert isinstance(change, SignalChange)
    all_listen = Watch(LIMITS, 250.0)
    all_listen.attentive = 1023
    assert all_listen.take(beat) == BY_BEAT
    assert all_listen.take(FinalScore(beat, beat.known_at)) == BY_FINAL_SCORE
    assert all_listen.take(status) == BY_STATUS
    assert all_listen.take(change) == BY_TIME | TECHNICAL


@pytest.mark.parametrize("beats", [1, 5, 40])
def test_of_usual_beats_no_detector_is_asked_but_for_the_rhythm(beats: int) -> None:
    quiet = Watch(LIMITS, 250.0)
    usual = [
        event
        for event in RandomStream(3, 250.0).inputs(Change("normal", 400))
        if isinstance(event, Score) and event.probabilities and event.probabilities[2] < 0.5
    ][:beats]
    asked = [quiet.take(score) for score in usual]
    assert not any(found & ~ATRIAL_FIBRILLATION for found in asked)
    assert sum(map(bool, asked)) <= beats // 8
