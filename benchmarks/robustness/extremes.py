"""Valid frames at the ends of what the protocol allows; the same ones for the same seed.

Rates, counts, times, names, lead sets, epochs, sizes, units, and two sources under one name: not
one of these frames is malformed. Those that ever did harm are kept in ``tests/corpus``.
"""

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.types import MAX_FIRST, MAX_FS, MAX_LEADS, MAX_TIME_NS, MIN_FS, MIN_TIME_NS

CORPUS = Path(__file__).parents[2] / "tests" / "corpus" / "frames.json"
RATES = (
    MIN_FS,
    MAX_FS,
    77.7,
    999.001,
    50 + 1 / 997,
    2000 - 1 / 1000,
    1000 / 3,
    128.0,
    250.0,
    360.0,
)
FIRSTS = (0, 1, 2**31, 2**32 - 1, 2**52, MAX_FIRST - 10**6, MAX_FIRST - 500, MAX_FIRST)
TIMES = (MIN_TIME_NS, -1, 0, 1_700_000_000_000_000_000, MAX_TIME_NS - 2 * 10**12)
EPOCHS = (-(2**63), -1, 0, 2**63 - 1)
NAMES = ("a", ":", "-" * 64, "z" * 64, "A-b_c:9")
COUNTS = (1, 1, 2, 7, 36, 36, 180, 500, 2000)
LARGEST, LARGE_SHARE = 65_536, 0.001
UNITS = (("<f4", 1.0, 0.0), ("<f4", -1e-30, 1e30), ("<i2", 0.005, 1024.0), ("<i2", 1e300, -1e300))


def frame(
    stream: str,
    *,
    epoch: int,
    first: int,
    count: int,
    fs: float = 360.0,
    leads: tuple[str, ...] = ("II",),
    t_ns: int = 0,
    unit: tuple[str, float, float] = UNITS[0],
    payload: bytes | None = None,
) -> list[bytes]:
    """A frame of ``count`` samples: the bytes of ``payload``, or synthetic ECG on every lead."""
    dtype, scale, offset = unit
    header: dict[str, Any] = {
        "v": 1,
        "epoch": epoch,
        "seq": 0,
        "first": first,
        "t_ns": t_ns,
        "fs": fs,
    }
    header |= {"leads": leads, "dtype": dtype, "scale": scale, "offset": offset}
    if payload is None:
        payload = _payload(count, fs, len(leads), dtype)
    return [b"ecg." + stream.encode("ascii"), msgspec.msgpack.encode(header), payload]


@cache
def _payload(count: int, fs: float, leads: int, dtype: str) -> bytes:
    ecg = np.resize(synthetic_ecg(max(2.0, count / fs), fs), count)
    return np.repeat(ecg[:, None], leads, axis=1).astype(dtype).tobytes()


def corpus(path: Path = CORPUS) -> Iterator[list[bytes]]:
    """The frames of every sequence that ever did harm, each sequence as a stream of its own."""
    for number, sequence in enumerate(json.loads(path.read_text())):
        for turn in range(sequence.get("times", 1)):
            for values in sequence["frames"]:
                yield frame(f"corpus-{number}", **(values | {"epoch": values["epoch"] + turn}))


class Source:
    """One source; what it sends next follows from what it sent, or is begun anew somewhere."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self._name, self._chance = name, chance
        self._begin(0)

    def _begin(self, epoch: int) -> None:
        choose = self._chance.choice
        self._epoch, self._fs = epoch, choice_of_rates(self._chance)
        self._first, self._t_ns, self._unit = choose(FIRSTS), choose(TIMES), choose(UNITS)
        self._lead_names()

    def _lead_names(self) -> None:
        count = self._chance.choice((1, 1, 2, 3, MAX_LEADS))
        self._leads = tuple(self._chance.choice(("II", "V5", "x" * 64, "Ⅱ")) for _ in range(count))

    def next(self, payloads: bytes) -> list[bytes]:
        """Its next frame; the samples are some of ``payloads``."""
        chance = self._chance
        self._change()
        large = chance.random() < LARGE_SHARE
        count = LARGEST if large else chance.choice(COUNTS)
        size = count * len(self._leads) * (4 if self._unit[0] == "<f4" else 2)
        at = 4 * chance.randrange(max(1, (len(payloads) - size) // 4))
        sent = frame(
            self._name,
            epoch=self._epoch,
            first=min(self._first, MAX_FIRST),
            count=count,
            fs=self._fs,
            leads=self._leads,
            t_ns=self._t_ns,
            unit=self._unit,
            payload=payloads[at : at + size],
        )
        self._first += count
        return sent

    def _change(self) -> None:
        """Mostly nothing; now and then one of all that a source may do."""
        what = self._chance.random()
        if what < 0.02 or self._first > MAX_FIRST:
            following = min(self._epoch + 1, 2**63 - 1)
            self._begin(self._chance.choice((self._epoch, following, *EPOCHS)))
        elif what < 0.04:
            self._first = self._chance.choice(FIRSTS)
        elif what < 0.06:
            self._first += self._chance.choice((1, 40, 10**4, 10**7))
        elif what < 0.08:
            self._t_ns = self._chance.choice(TIMES)
        elif what < 0.09:
            self._lead_names()
        elif what < 0.11:
            self._first = max(0, self._first - self._chance.choice((1, 36, 500)))


def choice_of_rates(chance: random.Random) -> float:
    """One of the odd rates, or any."""
    return chance.choice((*RATES, chance.uniform(MIN_FS, MAX_FS)))


class Extremes:
    """So many sources, some of them under the same name; which of them is next is drawn."""

    def __init__(self, seed: int, sources: int = 200) -> None:
        self._chance = random.Random(seed)
        names = [*NAMES, *(f"odd-{k}" for k in range(sources - 2 * len(NAMES))), *NAMES]
        self._sources = [Source(name, self._chance) for name in names]
        self._payloads = _payloads(seed)

    def next(self) -> list[bytes]:
        """The next frame."""
        return self._chance.choice(self._sources).next(self._payloads)


def _payloads(seed: int) -> bytes:
    """Samples of all sorts, one after the other, as float32; as int16 they are noise."""
    noise = np.random.default_rng(seed)
    size = LARGEST * MAX_LEADS // 8
    parts: list[Any] = [
        np.resize(synthetic_ecg(60.0, 360.0), size),
        np.zeros(size),
        np.full(size, np.nan),
        noise.normal(size=size),
        1e6 * noise.normal(size=size),
        noise.choice((np.inf, -np.inf, 0.0, 3e38, 1e-45), size),
        *(np.sin(np.arange(size) / 20) for _ in range(4)),
    ]
    return np.concatenate(parts).astype("<f4").tobytes()
