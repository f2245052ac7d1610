"""Valid frames at the ends of what the protocol allows: counted, checkpointed, restored, told."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from beatgan.model.synthetic_ecg import beat_times, synthetic_ecg
from beatgan.pipeline import snapshot
from beatgan.pipeline.engine import Engine
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, encode_message
from beatgan.types import MAX_FIRST, MAX_TIME_NS, MIN_TIME_NS, Chunk, Floats
from tests.support.chunks import START_NS

NewEngine = Callable[..., tuple[Engine, Any]]
FLAT = np.zeros((36, 1), np.float32)


def chunk(
    epoch: int, first: int, samples: Floats = FLAT, fs: float = 360.0, t_ns: int = 0
) -> Chunk:
    return Chunk("bed", epoch, 0, first, t_ns, fs, ("II",), samples)


def serve(engine: Engine, *chunks: Chunk) -> list[Message]:
    """What comes of the frames of ``chunks`` and is sent: each message has its bytes."""
    messages: list[Message] = []
    for each in chunks:
        engine.receive(decode_frame(encode_frame(each)), 0.0)
        messages += engine.poll(0.0).messages
    messages += engine.drain(0.0).messages
    for message in messages:
        encode_message(message)
    return messages


def restart(engine: Engine, new_engine: NewEngine) -> Engine:
    """Another engine that goes on with the bytes of a checkpoint."""
    saved = snapshot.encode(engine.save("bed", checkpoint=True))
    again, _ = new_engine()
    again.restore(snapshot.decode(saved), 0.0)
    return again


@pytest.mark.parametrize("fs", [77.7, 999.001, 50 + 1 / 997, 2000.0])
@pytest.mark.parametrize("first", [MAX_FIRST, 1_700_000_000_000_000])
def test_a_stream_may_begin_anywhere_and_goes_on_after_a_restart(
    first: int, fs: float, new_engine: NewEngine
) -> None:
    engine, _ = new_engine()
    serve(engine, chunk(1, first, synthetic_ecg(10.0, fs)[:, None], fs))
    engine = restart(engine, new_engine)
    beats = serve(engine, chunk(2, first, synthetic_ecg(10.0, fs)[:, None], fs))
    found = [each.sample for each in beats if isinstance(each, BeatMessage)]
    assert len(found) >= 8
    assert first <= min(found) < max(found) < first + 10 * fs


def test_holes_without_end_do_not_overflow_the_count(new_engine: NewEngine) -> None:
    """Each epoch has a confirmed hole of 2**53 samples; of some 2,050 the sum exceeds 64 bits."""
    engine, _ = new_engine()
    serve(engine, chunk(0, 0))
    state = engine.save("bed", checkpoint=True)
    engine = restart(engine, new_engine)
    stream = engine._streams["bed"]
    for epoch in range(1, 2200):
        stream._restart(chunk(epoch, 0))
        stream._record_gap(MAX_FIRST - 40)
    engine = restart(engine, new_engine)
    (status, *_) = serve(engine, chunk(3000, 0))
    assert state.lost == 0
    assert engine._streams["bed"]._lost == 2**63 - 1
    assert engine._streams["bed"]._received == 72
    encode_message(status)


@pytest.mark.parametrize("t_ns", [MIN_TIME_NS, 0, MAX_TIME_NS - 10**9])
def test_times_at_the_ends_of_64_bits_are_told_and_saved(
    t_ns: int, new_engine: NewEngine, patient: Floats
) -> None:
    """The clock jumps from there to the other end and back; silence is reckoned beyond it."""
    engine, _ = new_engine()
    messages: list[Message] = []
    for k in range(100):
        claimed = (t_ns, MAX_TIME_NS - 10**8, MIN_TIME_NS)[k % 3]
        messages += serve(engine, chunk(1, 36 * k, patient[36 * k :][:36], t_ns=claimed))
    messages += engine.poll(10.0).messages  # 10 s later: no data
    messages += serve(restart(engine, new_engine), chunk(2, 0))
    for message in messages:
        encode_message(message)
        times = [getattr(message, name, 0) for name in ("time_ns", "onset_ns", "raised_ns")]
        assert all(MIN_TIME_NS <= each <= MAX_TIME_NS for each in times)
    assert any(isinstance(each, AlertMessage) for each in messages)


def catch_up(engine: Engine, fs: float, nominal: float) -> list[Message]:
    """A minute of a source whose clock drifts by half a percent, faster than any batch is due."""
    ecg = synthetic_ecg(60.0, fs)[:, None]
    chunks = [
        chunk(1, at, ecg[at : at + 73], nominal, START_NS + round(at * 1e9 / fs))
        for at in range(0, len(ecg), 73)
    ]
    return serve(engine, *chunks)


@pytest.mark.parametrize("batch", [(1, 0.0), (10_000, 3600.0)])
def test_times_do_not_depend_on_when_a_message_is_made(
    batch: tuple[int, float], new_engine: NewEngine
) -> None:
    size, age = batch
    engine, _ = new_engine(batch_size=size, batch_age=age)
    messages = catch_up(engine, 130.62, 130.0)
    beats = [each for each in messages if isinstance(each, BeatMessage)]
    real = START_NS + 1e9 * beat_times(60.0)
    errors = [np.abs(real - beat.time_ns).min() / 1e6 for beat in beats]
    assert len(beats) > 50
    assert max(errors) < 30  # milliseconds, those of the R peak's place included


def test_the_onset_of_an_episode_is_said_once(new_engine: NewEngine, patient: Floats) -> None:
    engine, _ = new_engine()
    messages: list[Message] = []
    for at in range(0, len(patient), 36):
        t_ns = START_NS + round(at * 1e9 / 360) + at * 30_000
        messages += serve(engine, chunk(1, at, patient[at : at + 36], t_ns=t_ns))
    onsets: dict[str, set[int]] = {}
    for each in messages:
        if isinstance(each, AlertMessage):
            onsets.setdefault(each.id, set()).add(each.onset_ns)
    assert onsets
    assert all(len(times) == 1 for times in onsets.values())
