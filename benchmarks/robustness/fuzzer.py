"""Mutated ECG frames: those of a valid source, each mutated; the same ones for the same seed."""

import random
from typing import Any

import msgspec

from beatgan.types import Floats

SIZE = 36  # samples in a frame
KEYS = ("v", "epoch", "seq", "first", "t_ns", "fs", "leads", "dtype", "scale", "offset")
UNEXPECTED: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2, 49, 50, 360, 2**31, 2**53 - 1, 2**53, 2**63, 2**64 - 1, -(2**63)),
    *(0.0, -0.0, 1e-320, 0.5, 1e300, float("nan"), float("inf"), -float("inf"), 250.0),
    *("", "<i2", "<f4", "<f8", "é" * 70, b"", b"\xff", [], {}, [[]], {"x": 1}),
    *(["MLII"], ["MLII", "V5"], ["a"] * 16, ["a"] * 17, [""], [1], ["\x00"]),
)


class Fuzzer:
    """A valid source whose every frame is mutated in one to three ways."""

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

    def mutated(self) -> list[bytes]:
        """The next frame, mutated."""
        mutators = (self._value, self._value, self._bytes, self._cut, self._parts)
        parts = self.frame()
        for _ in range(self._random.choice((1, 1, 2, 3))):
            parts = self._random.choice(mutators)(parts)
        return parts

    def _value(self, parts: list[bytes]) -> list[bytes]:
        """One header value, or a key, replaced."""
        try:
            header = msgspec.msgpack.decode(parts[1])
            header[self._random.choice(KEYS)] = self._random.choice(UNEXPECTED)
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
