"""A beat is scored at once and revised with the next one: messages, alerts, live and offline."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.scorer import Scorer
from beatgan.pipeline.engine import Engine
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import AlertMessage, BeatMessage, Delay, Message
from beatgan.records import Recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Score
from beatgan_train.training.coefficients import coefficients_of
from tests.support.chunks import START_NS, make_chunk

NewScorer = Callable[[], Any]
NewEngine = Callable[..., tuple[Engine, Any]]
LIMITS = AlarmLimits(anomalous_beats=2, among_beats=12)
NORMAL, ANOMALOUS = -9.0, 9.0


@pytest.fixture(scope="module")
def troubled(patient: Floats) -> Floats:
    """The patient, with a lost second, a flat stretch and a standstill."""
    samples = patient.copy()
    samples[9000:9360] = np.nan
    samples[12_000:13_500] = 0.25
    samples[16_000:18_500, 0] = np.random.default_rng(0).normal(scale=0.01, size=2500)
    return samples


def offline(samples: Floats, scorer: Scorer, within: float = 2.0, size: int = 256) -> list[Message]:
    source = [Recording("bed", 360.0, ("lead 0",), samples)]
    coefficients = coefficients_of("full")
    return list(
        score_recordings(
            source,
            PreprocessSpec(),
            coefficients,
            scorer,
            LIMITS,
            batch_size=size,
            revise_within=within,
        )
    )


def live(samples: Floats, engine: Engine, size: int, wait: float = 1.0) -> list[Message]:
    """In frames of ``size`` samples, each after ``wait`` times so long, beside another stream."""
    messages: list[Message] = []
    now = 0.0
    for at in range(0, len(samples), size):
        for stream in ("bed", "cot"):
            piece, t_ns = samples[at : at + size], round(at * 1e9 / 360)
            engine.receive(make_chunk(piece, at, stream, epoch=0, t_ns=t_ns), now)
        now += wait * size / 360
        messages += engine.poll(now).messages
    engine.end("bed", now)
    messages += engine.drain(now).messages
    return [m for m in messages if m.stream == "bed"]


def timeless(messages: Iterable[Message]) -> list[Message]:
    """Beats and alerts without what depends on the moment."""
    return [
        replace(m, n=0, raised_ns=0, delay_ms=Delay(m.delay_ms.condition, 0.0))
        if isinstance(m, AlertMessage)
        else m
        for m in messages
        if isinstance(m, AlertMessage | BeatMessage)
    ]


def beats(messages: Sequence[Message]) -> list[BeatMessage]:
    return [message for message in messages if isinstance(message, BeatMessage)]


def alerts(messages: Sequence[Message], code: str = "") -> list[AlertMessage]:
    found = [message for message in messages if isinstance(message, AlertMessage)]
    return [message for message in found if not code or message.code == code]


def final(messages: Sequence[Message]) -> list[BeatMessage]:
    """The latest message of each beat, as a client that knows revisions sees them."""
    return list({beat.n: beat for beat in beats(messages)}.values())


def revising(scorer: Any, value: float | None = None, first: float | None = None) -> Any:
    """``scorer`` with this ``first`` value, then this revised value, for every beat it can score.

    None for a value leaves what the scorer says.
    """

    class Fixed(type(scorer)):  # type: ignore[misc]
        def _score(self, beat: Any) -> Score:
            score: Score = super()._score(beat)
            known = first is not None and score.value is not None
            return replace(score, value=first) if known else score

        def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
            changed: list[Score] = super().revise(scores, next_rr_ms)
            if value is None:
                return changed
            return [replace(each, value=value) for each in changed]

    return Fixed()


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(30, 3000),
    wait=st.sampled_from([0.0, 1.0]),
    batch=st.integers(1, 40),
    within=st.sampled_from([2.0, 0.9, 0.0]),
)
def test_live_equals_offline_however_signal_and_batches_are_cut(
    size: int,
    wait: float,
    batch: int,
    within: float,
    troubled: Floats,
    new_engine: NewEngine,
    new_revising_scorer: NewScorer,
) -> None:
    engine, _ = new_engine(
        batch_size=batch, scorer=new_revising_scorer(), revise_within=within, silence=1e9
    )
    expected = offline(troubled, new_revising_scorer(), within, size=batch + 1)
    assert timeless(live(troubled, engine, size, wait)) == timeless(expected)
    revised = [beat for beat in beats(expected) if beat.revised is True]
    assert bool(revised) == (within > 0)


def test_the_revision_comes_directly_before_the_next_beat(
    troubled: Floats, new_revising_scorer: NewScorer
) -> None:
    """With the alerts that follow from it between the two."""
    messages = offline(troubled, new_revising_scorer())
    found = beats(messages)
    for before, revision, after in zip(found, found[1:], found[2:], strict=False):
        if revision.revised is True:
            assert before.n == revision.n == after.n - 1
            same = ("epoch", "n", "sample", "time_ns", "lead", "rr_ms", "threshold")
            assert [getattr(before, k) for k in same] == [getattr(revision, k) for k in same]
            assert before.score is not None
            assert after.rr_ms is not None
            assert revision.score == pytest.approx(before.score + (after.rr_ms - 850) / 100)
            assert revision.score is not None
            assert revision.threshold is not None
            assert revision.anomalous == (revision.score > revision.threshold)
    assert [beat.n for beat in final(messages)] == list(range(len(final(messages))))


def test_which_beats_are_revised(troubled: Floats, new_revising_scorer: NewScorer) -> None:
    """Those with a score whose next beat lies at a known interval, within the bound."""
    messages = offline(troubled, new_revising_scorer(), within=1.0)
    twice = {beat.n for beat in beats(messages) if beat.revised is True}
    first = [beat for beat in beats(messages) if beat.revised is not True]
    due = {
        one.n
        for one, after in pairwise(first)
        if one.score is not None and after.rr_ms is not None and after.rr_ms <= 1000
    }
    assert twice == due
    reasons = {
        (one.score is None, after.rr_ms is None, (after.rr_ms or 0) > 1000)
        for one, after in pairwise(first)
        if one.n not in due
    }
    assert {(False, False, True)} < reasons  # and others
    assert first[-1].n not in twice


@pytest.mark.parametrize("within", [0.0, 2.0])
def test_without_a_revision_all_is_as_it_was(
    within: float,
    troubled: Floats,
    new_classifying_scorer: NewScorer,
    new_revising_scorer: NewScorer,
) -> None:
    """Switched off, or a scorer that never revises: one message a beat, and the same alerts."""
    before = offline(troubled, new_classifying_scorer())
    scorer = new_revising_scorer() if not within else new_classifying_scorer()
    assert offline(troubled, scorer, within) == before
    assert {beat.revised for beat in beats(before)} == {msgspec.UNSET}


def test_a_revision_can_begin_an_episode(patient: Floats, new_revising_scorer: NewScorer) -> None:
    """It is known with the next beat, and is told behind the revision."""
    scorer = revising(new_revising_scorer(), value=ANOMALOUS, first=NORMAL)
    messages = offline(patient, scorer)
    (start,) = [a for a in alerts(messages, "beat.anomalous") if a.phase == "start"]
    at = messages.index(start)
    revision, after = messages[at - 1], messages[at + 1]
    assert isinstance(revision, BeatMessage)
    assert isinstance(after, BeatMessage)
    assert (revision.revised, start.beats[-1], start.score) == (True, revision.sample, ANOMALOUS)
    assert (after.revised, after.n) == (msgspec.UNSET, revision.n + 1)
    known_at = after.sample + 0.522 * 360
    assert start.delay_ms.condition == pytest.approx(
        (known_at - start.onset_sample) / 0.36, abs=5.0
    )


def test_a_revision_can_prevent_an_episode(
    patient: Floats, new_classifying_scorer: NewScorer, new_revising_scorer: NewScorer
) -> None:
    assert alerts(offline(patient, new_classifying_scorer()), "beat.anomalous")
    messages = offline(patient, revising(new_revising_scorer(), value=NORMAL))
    assert any(beat.anomalous for beat in beats(messages))
    assert not any(beat.anomalous for beat in final(messages)[:-1])  # the last has no next one
    assert not alerts(messages, "beat.anomalous")


def test_all_other_alarms_are_as_early_as_ever(
    troubled: Floats, new_classifying_scorer: NewScorer, new_revising_scorer: NewScorer
) -> None:
    def others(messages: Sequence[Message]) -> list[tuple[Any, ...]]:
        return [
            (a.code, a.phase, a.onset_sample, a.sample, a.delay_ms.condition, a.suspended)
            for a in alerts(messages)
            if a.code != "beat.anomalous"
        ]

    before = others(offline(troubled, new_classifying_scorer()))
    assert others(offline(troubled, revising(new_revising_scorer(), ANOMALOUS))) == before
    assert {code for code, *_ in before} >= {"rhythm.asystole", "signal.flat", "signal.gap"}


def test_no_episode_waits_for_a_signal_that_is_lost(
    patient: Floats, new_classifying_scorer: NewScorer, new_revising_scorer: NewScorer
) -> None:
    """The beat that makes two of twelve is the last before a long gap: its first score counts."""
    samples = patient.copy()
    samples[5420:9000] = np.nan  # the anomalous beat at 5160 is known by then, no other is

    def start(scorer: Scorer) -> AlertMessage:
        (one,) = [
            a for a in alerts(offline(samples, scorer), "beat.anomalous") if a.phase == "start"
        ]
        return one

    at_once, revised = start(new_classifying_scorer()), start(new_revising_scorer())
    assert at_once.beats == revised.beats == (2515, 5160)
    assert revised.delay_ms.condition - at_once.delay_ms.condition < 1000


def test_beats_are_counted_once_and_revisions_beside(
    troubled: Floats, new_engine: NewEngine, new_revising_scorer: NewScorer
) -> None:
    engine, counts = new_engine(scorer=new_revising_scorer(), batch_size=5, silence=1e9)
    messages = live(troubled, engine, 360)
    first = [beat for beat in beats(messages) if beat.revised is not True]
    twice = [beat for beat in beats(messages) if beat.revised is True]
    assert counts["scored"] == 2 * sum(beat.score is not None for beat in first)
    assert counts["revised"] == 2 * len(twice)
    graded = [n for name, n in counts.items() if name.startswith("graded")]
    assert sum(graded) == 2 * len(first)


def test_streams_are_revised_together_in_batches_of_the_size_set(
    patient: Floats, new_engine: NewEngine, new_revising_scorer: NewScorer
) -> None:
    scorer = new_revising_scorer()
    engine, _ = new_engine(scorer=scorer, batch_size=8, silence=1e9)
    live(patient, engine, 3600)
    assert max(scorer.revisions) == 8
    assert np.mean(scorer.revisions) > 4


def test_a_beat_keeps_its_time_though_the_clock_is_set_before_its_revision(
    patient: Floats, new_engine: NewEngine, new_revising_scorer: NewScorer
) -> None:
    """By a frame that begins before the beat and repeats samples."""
    engine, _ = new_engine(scorer=new_revising_scorer(), batch_size=1)
    engine.receive(make_chunk(patient[:2300], 0), 0.0)
    found = beats(engine.poll(0.0).messages)
    latest = found[-1]
    late = START_NS + round((latest.sample - 30) * 1e9 / 360) + 500_000_000
    overlapping = make_chunk(patient[latest.sample - 30 : 3000], latest.sample - 30, t_ns=late)
    engine.receive(overlapping, 1.0)
    revision = beats(engine.poll(1.0).messages)[0]
    assert (revision.n, revision.revised) == (latest.n, True)
    assert revision.time_ns == latest.time_ns
    engine.receive(make_chunk(patient[3000:4000], 3000), 2.0)
    assert beats(engine.poll(2.0).messages)[-1].time_ns > latest.time_ns + 500_000_000


def test_a_reload_that_switches_it_off_leaves_the_first_score(
    patient: Floats, new_engine: NewEngine, new_revising_scorer: NewScorer
) -> None:
    scorer = new_revising_scorer()
    engine, _ = new_engine(scorer=scorer)
    off, _ = new_engine(scorer=scorer, revise_within=0.0)
    engine.receive(make_chunk(patient[:3000], 0), 0.0)
    engine.poll(1.0)
    engine.adjust(scorer, LIMITS, off._settings)
    engine.receive(make_chunk(patient[3000:6000], 3000), 1.0)
    later = beats(engine.poll(2.0).messages)
    assert later
    assert {beat.revised for beat in later} == {msgspec.UNSET}
