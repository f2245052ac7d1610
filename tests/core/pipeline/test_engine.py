"""The engine's laws: the same messages however the signal was cut, interleaved and batched."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import StreamError
from beatgan.pipeline.engine import Engine
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.messages import (
    AlertMessage,
    BeatMessage,
    Delay,
    Message,
    StatusMessage,
    encode_json,
)
from beatgan.protocol.subscriptions import WantedBeats
from beatgan.types import Chunk, Floats
from tests.support.chunks import START_NS, make_chunk

FS = 360.0

NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def cut(samples: Floats, sizes: Iterable[int], **header: Any) -> list[Chunk]:
    chunks, first = [], 0
    for size in sizes:
        if first < len(samples):
            chunks.append(make_chunk(samples[first : first + size], first, **header))
        first += size
    return (
        [*chunks, make_chunk(samples[first:], first, **header)] if first < len(samples) else chunks
    )


def run(engine: Engine, chunks: Iterable[Chunk], step: float = 0.0) -> list[Message]:
    """Every message of ``chunks`` arriving ``step`` seconds apart."""
    messages: list[Message] = []
    now = 0.0
    for each in chunks:
        engine.receive(each, now)
        messages += engine.poll(now).messages
        now += step
    return messages + engine.drain(now).messages


def timeless(messages: Iterable[Message], stream: str = "bed") -> list[Message]:
    """One stream's messages without what depends on the moment and on other streams."""
    return [
        msgspec.structs.replace(m, n=0, raised_ns=0, delay_ms=Delay(m.delay_ms.condition, 0.0))
        if isinstance(m, AlertMessage)
        else m
        for m in messages
        if m.stream == stream
    ]


def alerts(messages: Iterable[Message]) -> list[AlertMessage]:
    return [message for message in messages if isinstance(message, AlertMessage)]


def beats(messages: Iterable[Message]) -> list[BeatMessage]:
    return [message for message in messages if isinstance(message, BeatMessage)]


def states(messages: Iterable[Message]) -> list[str]:
    return [message.state for message in messages if isinstance(message, StatusMessage)]


# --- the law ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(patient: Floats, new_engine: NewEngine) -> list[Message]:
    """What a minute of ECG says in one piece, with a lost second in it."""
    engine, _ = new_engine()
    return timeless(run(engine, [make_chunk(spoilt(patient), 0)]))


def spoilt(patient: Floats) -> Floats:
    samples = patient.copy()
    samples[9000:9360] = np.nan
    return samples


def test_the_reference_run_is_worth_comparing_with(published: list[Message]) -> None:
    codes = Counter((alert.code, alert.phase) for alert in alerts(published))
    assert codes["beat.anomalous", "start"] >= 1
    assert codes["signal.gap", "start"] == codes["signal.gap", "end"] == 1
    assert len(beats(published)) > 60
    assert any(beat.score is None for beat in beats(published))
    assert 4 <= sum(beat.anomalous for beat in beats(published)) <= 12


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3000), max_size=80),
    batch_size=st.integers(1, 40),
    step=st.sampled_from([0.0, 0.004, 1.0]),
)
def test_cutting_and_batching_change_nothing(
    sizes: list[int],
    batch_size: int,
    step: float,
    patient: Floats,
    published: list[Message],
    new_engine: NewEngine,
) -> None:
    engine, _ = new_engine(batch_size=batch_size)
    assert timeless(run(engine, cut(spoilt(patient), sizes), step)) == published


def test_one_sample_at_a_time_changes_nothing(
    patient: Floats, published: list[Message], new_engine: NewEngine
) -> None:
    engine, _ = new_engine()
    assert timeless(run(engine, cut(spoilt(patient), [1] * len(patient)), 0.001)) == published


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_interleaving_streams_changes_nothing(
    data: st.DataObject, patient: Floats, published: list[Message], new_engine: NewEngine
) -> None:
    names = ["bed", "other", "third"]
    sources = [spoilt(patient), patient[5000:], patient[:9000] * -2]
    queues = {
        name: cut(samples, data.draw(st.lists(st.integers(100, 4000), max_size=10)), stream=name)
        for name, samples in zip(names, sources, strict=True)
    }
    order = data.draw(st.permutations([name for name in names for _ in queues[name]]))
    engine, _ = new_engine(batch_size=data.draw(st.integers(1, 20)))
    messages = run(engine, [queues[name].pop(0) for name in order])
    assert timeless(messages) == published
    for name, samples in zip(names[1:], sources[1:], strict=True):
        alone, _ = new_engine()
        expected = run(alone, [make_chunk(samples, 0, stream=name)])
        assert timeless(messages, name) == timeless(expected, name)


def test_alert_messages_are_numbered_without_holes(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine()
    chunks = [
        each
        for group in zip(
            *(cut(patient, [500] * 100, stream=f"bed-{i}") for i in range(5)), strict=True
        )
        for each in group
    ]
    found = alerts(run(engine, chunks, 0.01))
    assert [alert.n for alert in found] == list(range(len(found)))
    assert len(found) == sum(n for key, n in counts.items() if key.startswith("alerted"))
    assert len(found) >= 5


def test_the_phases_of_an_episode_share_its_id(published: list[Message]) -> None:
    phases: dict[str, list[str]] = {}
    for alert in alerts(published):
        phases.setdefault(alert.id, []).append(alert.phase)
    for each in phases.values():
        assert each[0] == "start"
        assert all(phase == "update" for phase in each[1:-1])


# --- what a message says ----------------------------------------------------------------------


def test_beats_are_in_order_and_numbered(published: list[Message]) -> None:
    found = beats(published)
    assert [beat.n for beat in found] == list(range(len(found)))
    assert all(a.sample < b.sample for a, b in pairwise(found))


def test_a_beats_time_is_that_of_its_sample(published: list[Message]) -> None:
    for beat in beats(published):
        assert beat.time_ns == START_NS + round(beat.sample * 1e9 / FS)


def test_an_unusable_beat_has_neither_score_nor_threshold(published: list[Message]) -> None:
    for beat in beats(published):
        assert (beat.score is None) == (beat.threshold is None) == (beat.quality == "unusable")


def test_an_anomaly_is_explained_in_a_small_message(published: list[Message]) -> None:
    alert = next(a for a in alerts(published) if a.code == "beat.anomalous")
    explanation = alert.explanation
    assert explanation is not None
    assert alert.score is not None
    assert alert.threshold is not None
    assert alert.score > alert.threshold
    assert explanation.sample in alert.beats
    assert explanation.fs == 360
    assert len(explanation.window) == len(explanation.expected) == len(explanation.error) == 320
    difference = np.subtract(explanation.window, explanation.expected)
    np.testing.assert_allclose(difference**2, explanation.error, atol=2e-3)
    assert len(encode_json(alert)) < 11_000


def test_a_signal_alert_explains_nothing(published: list[Message]) -> None:
    for alert in alerts(published):
        if alert.kind == "technical":
            assert (alert.score, alert.threshold, alert.explanation) == (None, None, None)


def test_an_alert_was_raised_after_both_its_delays(patient: Floats, new_engine: NewEngine) -> None:
    """On the source's clock: waiting in the frame, here of 1 s, is part of the signal's delay."""
    engine, _ = new_engine(batch_age=0.0)
    messages = run(engine, cut(spoilt(patient), [360] * 60), step=1.0)
    for alert in alerts(messages):
        if alert.phase == "start":
            onset_to_raised = (alert.raised_ns - alert.onset_ns) / 1e6
            delays = alert.delay_ms.condition + alert.delay_ms.signal
            assert onset_to_raised == pytest.approx(delays, abs=1.0)
            assert 0 <= alert.delay_ms.signal <= 1000


# --- batches and delays -----------------------------------------------------------------------


def test_beats_wait_for_a_full_batch_or_the_age_of_one(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, _ = new_engine(batch_size=5, batch_age=0.1)
    engine.receive(make_chunk(patient[:720], 0), 10.0)
    assert engine.poll(10.09) == Outgoing()
    assert engine.deadline() == pytest.approx(10.1)
    assert beats(engine.poll(10.1).messages)
    engine.receive(make_chunk(patient[720:3600], 720), 10.2)
    assert len(beats(engine.poll(10.2).messages)) >= 5


def test_no_batch_is_larger_than_asked_for(
    patient: Floats, new_engine: NewEngine, new_scorer: Callable[[], Any]
) -> None:
    scorer = new_scorer()
    engine, _ = new_engine(scorer=scorer, batch_size=16)
    run(engine, [make_chunk(patient, 0)])
    assert max(scorer.batches) == 16
    assert sum(scorer.batches) > 60


def test_every_message_knows_when_its_samples_arrived(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, _ = new_engine()
    for now, first in ((10.0, 0), (12.0, 720), (14.0, 1440)):
        engine.receive(make_chunk(patient[first : first + 720], first), now)
    outgoing = engine.drain(15.0)
    started, *others = outgoing.messages
    assert isinstance(started, StatusMessage)  # which needs no samples
    assert len(outgoing.arrivals) == len(others)
    assert set(outgoing.arrivals) == {10.0, 12.0, 14.0}
    assert outgoing.arrivals == sorted(outgoing.arrivals)


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        (WantedBeats(), {"bed": 0, "bed-2": 0}),
        (WantedBeats((b"beat.bed-",)), {"bed": 0, "bed-2": 1}),
        (WantedBeats(batched=True), {"bed": 1, "bed-2": 1}),
    ],
)
def test_beats_that_nobody_wants_are_no_messages_and_change_nothing_else(
    wanted: WantedBeats, others: dict[str, int], patient: Floats, new_engine: NewEngine
) -> None:
    def outgoing(**options: Any) -> tuple[Outgoing, Counter[str]]:
        engine, counts = new_engine(**options)
        for stream in others:
            engine.receive(make_chunk(spoilt(patient), 0, stream=stream), 1.0)
        return engine.drain(2.0), counts

    everything, counted = outgoing()
    told, counted_too = outgoing(wanted=lambda: wanted)
    assert counted_too == counted
    assert told.arrivals == everything.arrivals
    expected = [
        message
        for message in everything.messages
        if not isinstance(message, BeatMessage) or others[message.stream]
    ]
    assert told.messages == expected
    assert beats(everything.messages)


def test_a_delay_ends_when_the_clock_says_so(patient: Floats, new_engine: NewEngine) -> None:
    def signal_ms(**clock: Any) -> list[float]:
        engine, _ = new_engine(silence=5.0, **clock)
        engine.receive(make_chunk(patient[:720], 0), 10.0)
        engine.poll(10.2)
        return [alert.delay_ms.signal for alert in alerts(engine.poll(15.0).messages)]

    assert signal_ms() == [0.0]
    assert signal_ms(clock=lambda: 15.25) == [250.0]


def test_without_streams_there_is_nothing_to_wait_for(new_engine: NewEngine) -> None:
    engine, _ = new_engine()
    assert engine.deadline() is None
    assert engine.poll(1e9) == engine.drain(1e9) == Outgoing()


def test_a_deadline_is_exactly_when_poll_has_something(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, _ = new_engine(silence=4.0, forget=100.0)
    engine.receive(make_chunk(patient[:720], 0), 1000.0)
    seen: list[Message] = []
    while (deadline := engine.deadline()) is not None:
        assert engine.poll(deadline - 1e-6) == Outgoing()
        found = engine.poll(deadline).messages
        assert found
        seen += found
    assert states(seen) == ["started", "ended"]


def test_drain_scores_what_waits_and_ends_nothing(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine(batch_size=1000, batch_age=1000.0)
    engine.receive(make_chunk(patient, 0), 0.0)
    assert engine.poll(0.0) == Outgoing()
    messages = engine.drain(0.0).messages
    assert len(beats(messages)) > 60
    assert states(messages) == ["started"]
    assert counts["streams"] == 1


# --- silence ----------------------------------------------------------------------------------


def test_silence_is_an_alert_that_ends_when_samples_come(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, _ = new_engine(silence=5.0)
    messages = run(engine, [make_chunk(patient[:720], 0)])
    assert engine.poll(4.99) == Outgoing()
    (start,) = alerts(engine.poll(5.5).messages)
    assert (start.code, start.kind, start.phase) == ("signal.no-data", "technical", "start")
    assert (start.onset_sample, start.onset_ns) == (720, START_NS + 2_000_000_000)
    assert (start.delay_ms.condition, start.delay_ms.signal) == (5000.0, 500.0)
    assert start.raised_ns == START_NS + 7_500_000_000
    assert engine.poll(6.0) == Outgoing()
    engine.receive(make_chunk(patient[:720], 0), 6.5)  # repeats bring nothing new
    assert engine.drain(6.5) == Outgoing()
    engine.receive(make_chunk(patient[1440:2160], 1440), 7.0)
    messages = engine.drain(7.0).messages
    end = messages[0]
    assert isinstance(end, AlertMessage)
    assert (end.id, end.phase, end.end_sample) == (start.id, "end", 1440)
    assert states(messages) == ["gap"]


def test_nobody_is_silent_while_frames_wait(patient: Floats, new_engine: NewEngine) -> None:
    engine, _ = new_engine(silence=5.0)
    run(engine, [make_chunk(patient[:720], 0)])
    assert engine.poll(60.0, received_until=4.9) == Outgoing()
    assert [alert.code for alert in alerts(engine.poll(60.0, received_until=5.0).messages)] == [
        "signal.no-data"
    ]


def test_the_silence_of_an_epoch_ends_with_it(patient: Floats, new_engine: NewEngine) -> None:
    engine, _ = new_engine()
    run(engine, [make_chunk(patient[:720], 0)])
    (start,) = alerts(engine.poll(5.0).messages)
    engine.receive(make_chunk(patient[:720], 100, epoch=2), 6.0)
    end, *rest = engine.drain(6.0).messages
    assert isinstance(end, AlertMessage)
    assert (end.id, end.epoch, end.phase, end.end_sample) == (start.id, 1, "end", 720)
    assert states(rest) == ["restarted"]


def test_each_silence_is_an_episode_of_its_own(patient: Floats, new_engine: NewEngine) -> None:
    engine, _ = new_engine()
    found: list[Message] = []
    for turn in range(3):
        engine.receive(make_chunk(patient[360 * turn : 360 * (turn + 1)], 360 * turn), 10.0 * turn)
        found += engine.poll(10.0 * turn + 9).messages
    ids = [alert.id for alert in alerts(found) if alert.phase == "start"]
    assert len(set(ids)) == len(ids) == 3


def test_a_stream_long_silent_is_forgotten(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine(forget=60.0, max_streams=2)
    engine.receive(make_chunk(patient[:720], 0), 0.0)
    engine.poll(5.0)
    engine.receive(make_chunk(patient[:720], 0, stream="other"), 30.0)
    messages = engine.poll(60.0).messages
    (end,) = [alert for alert in alerts(messages) if alert.stream == "bed"]
    assert (end.code, end.phase, end.end_sample) == ("signal.no-data", "end", 720)
    assert [m.stream for m in messages if isinstance(m, StatusMessage)] == ["other", "bed"]
    assert states(messages) == ["started", "ended"]
    assert counts["streams"] == 1
    engine.receive(make_chunk(patient[:720], 720), 61.0)
    assert counts["streams"] == 2
    assert states(engine.drain(61.0).messages) == ["started"]


def test_memory_of_many_short_streams_is_given_back(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine(max_streams=10, forget=6.0)
    for turn in range(200):
        engine.receive(make_chunk(patient[:36], 0, stream=f"bed-{turn}"), float(turn))
        engine.poll(float(turn))
    assert counts["streams"] <= 7


# --- clocks of sources ------------------------------------------------------------------------


def test_the_largest_drift_of_any_stream_is_known(new_engine: NewEngine) -> None:
    engine, _ = new_engine()
    assert engine.clock_drift_ppm() == 0.0
    second = np.zeros((360, 1), np.float32)
    for name, ppm, seconds in (("fast", 50, 70), ("slow", -80, 70), ("unknown", 900, 50)):
        for k in range(seconds):
            engine.receive(
                Chunk(name, 1, k, 360 * k, k * (10**9 + 1000 * ppm), FS, ("II",), second), 0.0
            )
    assert engine.clock_drift_ppm() == pytest.approx(80.0, abs=0.1)


# --- refusals ---------------------------------------------------------------------------------


def test_one_stream_too_many_is_refused_and_the_others_go_on(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, counts = new_engine(max_streams=2)
    for name in ("a", "b"):
        engine.receive(make_chunk(patient[:720], 0, stream=name), 0.0)
    with pytest.raises(StreamError, match="at most 2 streams") as caught:
        engine.receive(make_chunk(patient[:720], 0, stream="c"), 0.0)
    assert caught.value.reason == "streams"
    engine.receive(make_chunk(patient[720:], 720, stream="a"), 0.0)
    assert {message.stream for message in engine.drain(0.0).messages} == {"a", "b"}
    assert (counts["streams"], counts["received"]) == (2, 720 + len(patient))


def test_a_refused_rate_leaves_stream_and_silence_as_they_were(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, counts = new_engine()
    run(engine, [make_chunk(patient[:720], 0)])
    engine.poll(5.0)
    with pytest.raises(StreamError) as caught:
        engine.receive(make_chunk(patient[720:1440], 720, fs=250.0), 6.0)
    assert caught.value.reason == "rate"
    assert engine.drain(6.0) == Outgoing()
    assert counts["received"] == 720


# --- a patient's bad day ----------------------------------------------------------------------


def frames_with_everything(patient: Floats) -> Sequence[Chunk]:
    frames = cut(patient, [360] * 60)
    frames.insert(20, frames[19])  # repeated
    frames[30], frames[31] = frames[31], frames[30]  # reordered
    del frames[40:50]  # a hole of ten seconds
    return [*frames, *(make_chunk(each.samples, each.first, epoch=2) for each in frames[:20])]


def test_everything_at_once_is_accounted_for(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine()
    messages = run(engine, frames_with_everything(patient), 1.0)
    assert states(messages) == ["started", "gap", "gap", "restarted"]
    gaps = [m.lost for m in messages if isinstance(m, StatusMessage) and m.state == "gap"]
    assert gaps == [360, 3600]
    assert counts["repeated"] == 720
    assert counts["lost"] == 3960
    assert counts["received"] == len(patient) - 3960 + 20 * 360
    first_epoch = [beat for beat in beats(messages) if beat.epoch == 1]
    assert not [b for b in first_epoch if 14900 < b.sample < 17800 and b.score is not None]
    assert [beat.n for beat in first_epoch] == list(range(len(first_epoch)))
    assert beats(messages)[-1].n < 30
    by_id = {a.id: a.phase for a in alerts(messages) if a.epoch == 1}
    assert set(by_id.values()) == {"end"}, "episodes end with their epoch"


def test_beats_are_numbered_on_over_a_change_of_leads(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, _ = new_engine()
    both = np.repeat(patient, 2, axis=1)
    messages = run(engine, [make_chunk(patient[:10800], 0), make_chunk(both[10800:], 10800)])
    found = beats(messages)
    assert [beat.n for beat in found] == list(range(len(found)))
    assert states(messages) == ["started", "leads-changed"]
    assert len({alert.id for alert in alerts(messages) if alert.phase == "start"}) == sum(
        alert.phase == "start" for alert in alerts(messages)
    )


# --- places -----------------------------------------------------------------------------------


def test_a_silent_stream_gives_its_place_up_but_never_a_watched_one(
    patient: Floats, new_engine: NewEngine
) -> None:
    engine, _ = new_engine(max_streams=3)
    engine.receive(make_chunk(patient[:720], 0, "junk"), 0.0)
    now = 0.0
    for first in range(0, len(patient), 360):
        now += 1.0
        engine.receive(make_chunk(patient[first : first + 360], first, "bed-1"), now)
        engine.receive(make_chunk(patient[first : first + 360], first, "bed-2"), now)
        engine.poll(now)
    engine.receive(make_chunk(patient[:360], 0, "bed-3"), now)
    assert set(engine.streams()) == {"bed-1", "bed-2", "bed-3"}
    with pytest.raises(StreamError):
        engine.receive(make_chunk(patient[:360], 0, "bed-4"), now)
    for second in range(1, 701):  # bed-3 goes on, bed-1 and bed-2 are silent
        engine.receive(make_chunk(patient[:360], 360 * second, "bed-3"), now + second)
        engine.poll(now + second)
        if second == 300:
            with pytest.raises(StreamError):
                engine.receive(make_chunk(patient[:360], 0, "bed-4"), now + second)
    engine.receive(make_chunk(patient[:360], 0, "bed-4"), now + 701)
    assert set(engine.streams()) == {"bed-2", "bed-3", "bed-4"}
