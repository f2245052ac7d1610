"""100,000 mutated frames: refused with a reason or used, never a crash, and life goes on."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import StreamError
from beatgan.types import Floats
from beatgan_daemon.engine import Engine
from beatgan_daemon.messages import BeatMessage, Message
from beatgan_daemon.wire import decode_frame

FRAMES = 100_000
SIZE = 36  # samples in a frame
REASONS = {
    *("parts", "topic", "header", "version", "key", "type", "range", "dtype", "leads", "payload"),
    *("rate", "jump", "epoch", "streams"),
}
KEYS = ("v", "epoch", "seq", "first", "t_ns", "fs", "leads", "dtype", "scale", "offset")
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2, 49, 50, 360, 2**31, 2**53 - 1, 2**53, 2**63, 2**64 - 1, -(2**63)),
    *(0.0, -0.0, 1e-320, 0.5, 1e300, float("nan"), float("inf"), -float("inf"), 250.0),
    *("", "<i2", "<f4", "<f8", "é" * 70, b"", b"\xff", [], {}, [[]], {"x": 1}),
    *(["MLII"], ["MLII", "V5"], ["a"] * 16, ["a"] * 17, [""], [1], ["\x00"]),
)

NewEngine = Callable[..., tuple[Engine, Counter[str]]]


class Fuzzer:
    """A valid source whose every frame is spoilt in one to three ways."""

    def __init__(self, patient: Floats, seed: int) -> None:
        self._random = random.Random(seed)
        self._payloads = [
            patient[first : first + SIZE].astype("<f4").tobytes()
            for first in range(0, len(patient) - SIZE, SIZE)
        ]
        self._seq = 0

    def frame(self) -> list[bytes]:
        """The next valid frame."""
        first = self._seq * SIZE
        self._seq += 1
        header = {
            **{"v": 1, "epoch": 7, "seq": self._seq, "first": first, "t_ns": first * 2_777_778},
            **{"fs": 360.0, "leads": ["MLII"], "dtype": "<f4", "scale": 1.0, "offset": 0.0},
        }
        payload = self._payloads[self._seq % len(self._payloads)]
        return [b"ecg.bed", msgspec.msgpack.encode(header), payload]

    def spoilt(self) -> list[bytes]:
        """The next frame, mutated."""
        spoilers = (self._value, self._value, self._bytes, self._cut, self._parts)
        parts = self.frame()
        for _ in range(self._random.choice((1, 1, 2, 3))):
            parts = self._random.choice(spoilers)(parts)
        return parts

    def _value(self, parts: list[bytes]) -> list[bytes]:
        """One header value, or a key, replaced."""
        try:
            header = msgspec.msgpack.decode(parts[1])
            header[self._random.choice(KEYS)] = self._random.choice(ODD)
            if self._random.random() < 0.1:
                del header[self._random.choice(KEYS)]
        except (ValueError, TypeError, KeyError, IndexError):
            return parts
        return [parts[0], msgspec.msgpack.encode(header), *parts[2:]]

    def _bytes(self, parts: list[bytes]) -> list[bytes]:
        """Some bytes of one part overwritten."""
        which = self._random.randrange(len(parts)) if parts else 0
        if not parts or not parts[which]:
            return parts
        part = bytearray(parts[which])
        for _ in range(self._random.randint(1, 4)):
            part[self._random.randrange(len(part))] = self._random.randrange(256)
        return [*parts[:which], bytes(part), *parts[which + 1 :]]

    def _cut(self, parts: list[bytes]) -> list[bytes]:
        """One part shortened, doubled or emptied."""
        if not parts:
            return parts
        which = self._random.randrange(len(parts))
        part = parts[which]
        keep = self._random.randint(0, len(part))
        new = self._random.choice((part[:keep], part[keep:], part + part[:keep], b""))
        return [*parts[:which], new, *parts[which + 1 :]]

    def _parts(self, parts: list[bytes]) -> list[bytes]:
        """A part too many, too few, or in the wrong place."""
        new = parts.copy()
        self._random.shuffle(new)
        return self._random.choice((new, parts[:-1], [*parts, b""], parts * 2, []))


def test_no_mutated_frame_stops_the_engine(patient: Floats, new_engine: NewEngine) -> None:
    engine, counts = new_engine(max_streams=20, batch_size=64)
    fuzzer = Fuzzer(patient, seed=20260131)
    used, messages = 0, list[Message]()
    for turn in range(FRAMES):
        now = turn / 10_000
        try:
            engine.receive(decode_frame(fuzzer.spoilt()), now)
            used += 1
        except StreamError as error:
            counts[f"rejected[{error.reason}]"] += 1
        messages += engine.poll(now)
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
    found = [m for m in engine.drain(10.0) if isinstance(m, BeatMessage) and m.epoch == 8]
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
@given(header=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ODD)), size=st.integers(0, 99))
def test_arbitrary_headers_are_refused_or_used(header: dict[str, Any], size: int) -> None:
    parts = [b"ecg.x", msgspec.msgpack.encode(header), bytes(size)]
    assert reason(parts) in {*REASONS, None}
