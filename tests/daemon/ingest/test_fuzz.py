"""100,000 mutated frames: refused with a reason or used, never a crash, and life goes on."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import StreamError
from beatgan.pipeline.engine import Engine
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.messages import BeatMessage, Message
from beatgan.types import Floats
from benchmarks.robustness.fuzzer import KEYS, SIZE, UNEXPECTED, Fuzzer

FRAMES = 100_000
REASONS = {
    *("parts", "topic", "header", "version", "key", "type", "range", "dtype", "leads", "payload"),
    *("rate", "jump", "epoch", "streams"),
}
NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def test_no_mutated_frame_stops_the_engine(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine(max_streams=20, batch_size=64)
    fuzzer = Fuzzer(patient, seed=20260131)
    used, messages = 0, list[Message]()
    for k in range(FRAMES):
        now = k / 10_000
        try:
            engine.receive(decode_frame(fuzzer.mutated()), now)
            used += 1
        except StreamError as error:
            counts[f"rejected[{error.reason}]"] += 1
        messages += engine.poll(now).messages
    held = {key[8:-1]: n for key, n in counts.items() if key.startswith("refused[")}
    used -= sum(held.values())  # these were refused later
    for key, n in held.items():
        counts[f"rejected[{key}]"] += n
    rejected = {key[9:-1]: n for key, n in counts.items() if key.startswith("rejected")}
    assert used + sum(rejected.values()) == FRAMES
    assert set(rejected) == REASONS, "every reason is met, and no other"
    assert min(used, *rejected.values()) > 20
    assert_the_engine_goes_on(engine, fuzzer, patient)


def assert_the_engine_goes_on(engine: Engine, fuzzer: Fuzzer, patient: Floats) -> None:
    """After the storm, an honest source's beats come out as if nothing had been."""
    engine.drain(10.0)
    for _ in range(len(patient) // SIZE):
        topic, header, payload = fuzzer.frame()
        values = msgspec.msgpack.decode(header) | {"epoch": 8}
        engine.receive(decode_frame([topic, msgspec.msgpack.encode(values), payload]), 10.0)
    found = [m for m in engine.drain(10.0).messages if isinstance(m, BeatMessage) and m.epoch == 8]
    assert len(found) > 60
    assert all(np.isfinite(beat.score) for beat in found if beat.score is not None)
    assert sum(beat.quality == "good" for beat in found) > 55


def reason(parts: list[bytes]) -> str | None:
    """Why ``parts`` are refused; None if they are used."""
    try:
        chunk = decode_frame(parts)
    except StreamError as error:
        return error.reason
    assert chunk.samples.shape == (len(chunk.samples), len(chunk.leads))
    return None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_arbitrary_bytes_are_refused(parts: list[bytes]) -> None:
    assert reason(parts) in REASONS


@settings(max_examples=300, deadline=None)
@given(
    header=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(UNEXPECTED)),
    size=st.integers(0, 99),
)
def test_arbitrary_headers_are_refused_or_used(header: dict[str, Any], size: int) -> None:
    parts = [b"ecg.x", msgspec.msgpack.encode(header), bytes(size)]
    assert reason(parts) in {*REASONS, None}
