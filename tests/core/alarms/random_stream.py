"""What a stream's alarms are given, at random: all rhythms, silence, leads that fail."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from beatgan.spec import PreprocessSpec
from beatgan.types import (
    Beat,
    Condition,
    Floats,
    PerClass,
    Quality,
    RhythmStatus,
    Score,
    SignalChange,
)

SPEC = PreprocessSpec()
TICKS = np.arange(SPEC.length) - SPEC.before
MODEL_WITHOUT_CLASSES = 0.1  # share of streams


def _wave(*parts: tuple[float, float, float]) -> Floats:
    shape = sum(height * np.exp(-0.5 * ((TICKS - at) / width) ** 2) for at, width, height in parts)
    return np.asarray(shape, np.float32)


NORMAL = _wave((-60, 8, 0.4), (0, 3, 4.0), (95, 16, 0.8))
WITHOUT_P = _wave((0, 3, 4.0), (95, 16, 0.8))
WIDE = _wave((3, 16, 4.0), (110, 20, -1.5))
N: PerClass = (0.97, 0.01, 0.01, 0.005, 0.005)
V: PerClass = (0.02, 0.01, 0.95, 0.01, 0.01)
# Of each rhythm: what beats it has, one after another, and their intervals in ms.
RHYTHMS = {
    "normal": ("N", 800.0),
    "fast": ("N", 380.0),
    "slow": ("N", 1500.0),
    "irregular": ("N", 0.0),
    "bigeminy": ("NV", 700.0),
    "couplets": ("NNVV", 650.0),
    "run": ("V", 400.0),
    "idioventricular": ("V", 900.0),
    "paused": ("N" * 7 + "P", 800.0),
}
OTHERS = ("silent", "fibrillating", "failing", "recovering")


class Change(NamedTuple):
    """Something a source does for a while."""

    kind: str
    lasts: int


class RandomStream:
    """Inputs in the order they become known, at ``fs`` samples a second."""

    def __init__(self, seed: int, fs: float) -> None:
        self._rng, self.fs = np.random.default_rng(seed), fs
        self._at = self._beat = 0
        self._classes = self._rng.random() > MODEL_WITHOUT_CLASSES
        self._failing: list[tuple[Condition, str]] = []

    def inputs(self, change: Change) -> Iterator[Score | RhythmStatus | SignalChange]:
        """What comes of it."""
        if change.kind in RHYTHMS:
            kinds, rr_ms = RHYTHMS[change.kind]
            irregular = rr_ms == 0.0
            for n in range(change.lasts):
                kind = kinds[n % len(kinds)]
                spread = self._rng.normal(0, 15)
                rr = self._rng.uniform(400, 950) if irregular else rr_ms + spread
                began = self._at
                if kind == "P":
                    yield from self._statuses(3.1, -1.0)
                    rr = 3200.0
                self._at = began + round(rr * self.fs / 1000)
                yield self._score(kind, rr, WITHOUT_P if irregular else NORMAL)
        elif change.kind in ("silent", "fibrillating"):
            yield from self._statuses(change.lasts, -1.0 if change.kind == "silent" else 4.0)
        else:
            yield from self._conditions(change)

    def _statuses(self, seconds: float, log_odds: float) -> Iterator[RhythmStatus]:
        began = self._at
        for _ in range(round(seconds * 4)):
            self._at += round(self.fs / 4)
            found = log_odds + self._rng.normal(0, 0.5)
            ok = bool(self._rng.random() > 0.02)
            yield RhythmStatus(self._at, self._at + 40, self._at - began, ok, found)

    def _conditions(self, change: Change) -> Iterator[SignalChange]:
        """A lead fails or recovers."""
        self._at += round(change.lasts * self.fs)
        begins = change.kind == "failing"
        if begins:
            kind, lead = self._rng.choice(list(Condition)), self._rng.choice(["II", "V1"])
            found = (Condition(str(kind)), str(lead))
            self._failing.append(found)
        elif self._failing:
            found = self._failing.pop()
        else:
            return
        lost = len({lead for _, lead in self._failing}) == 2
        yield SignalChange(found[0], begins, found[1], self._at, self._at + 90, lost)

    def _score(self, kind: str, rr_ms: float, template: Floats) -> Score:
        rng, self._beat = self._rng, self._beat + 1
        odd = rng.random(6)
        quality = Quality.GOOD
        if odd[0] < 0.04:
            quality = Quality.POOR if odd[0] < 0.03 else Quality.UNUSABLE
        strange = (kind == "V") != (odd[1] < 0.03)
        scored = quality is not Quality.UNUSABLE
        classes = (V if strange else N) if scored and self._classes else None
        value = float(rng.normal(4.0 if strange else 0.0, 0.7))
        own = None if odd[2] < 0.02 else float(rng.normal(1.5 if strange else -2.5, 0.5))
        agree = (None, False, True)[0 if odd[3] < 0.1 else 1 if odd[3] < 0.15 else 2]
        beat = Beat(
            self._beat, self._at, self._at + round(0.5 * self.fs), "II",
            None if odd[4] < 0.02 else float(rr_ms), quality,
            WIDE if strange else NORMAL, template, own, 0.0,
            lead_distances=(own, None if odd[5] < 0.3 else own), leads_agree=agree,
        )  # fmt: skip
        arrays = np.zeros((2, 4), np.float32)  # as parts of a batch
        return Score(
            beat, value if scored else None, 2.0, arrays[0], arrays[1], classes, arrays[0], None,
            arrays[1],
        )  # fmt: skip
