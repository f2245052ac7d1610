"""A stream that goes on for a day takes no more memory than one that went on for an hour."""

import gc
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np

from beatgan.pipeline.engine import Engine
from beatgan.types import Beat, Chunk, Floats, Quality, Score
from tests.support.scorers import SaysAllAtOnce

FS, FRAME_S = 360.0, 10
SIZE = int(FRAME_S * FS)  # samples in a frame
HOUR = 3600 // FRAME_S  # frames


class Quiet(SaysAllAtOnce):
    """A scorer that finds every beat that can be scored normal."""

    threshold = 1.0

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        nothing = np.empty(0, np.float32)
        return [
            Score(b, None if b.quality is Quality.UNUSABLE else 0.0, 1.0, nothing, nothing)
            for b in beats
        ]


def push(engine: Engine, minute: Floats, frames: range) -> int:
    """Push the same minute again and again, without a frame now and then; how many messages."""
    published = 0
    for k in frames:
        if k % 97 == 50:
            continue
        at = k % 6 * SIZE
        t_ns = round(k * FRAME_S * 1e9 * (1 + 5e-5))  # the source's clock drifts
        samples = minute[at : at + SIZE]
        engine.receive(Chunk("bed", 1, k, k * SIZE, t_ns, FS, ("II",), samples), k * FRAME_S)
        published += len(engine.poll(k * FRAME_S + 1.0).messages)
    return published


def held() -> int:
    """Bytes in use; a collection also empties the interpreter's own lists of free objects."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_memory_does_not_grow_over_a_day(new_engine: Any, patient: Floats) -> None:
    scorer = Quiet()
    engine, counts = new_engine(silence=60.0, scorer=scorer)
    push(engine, patient, range(HOUR))
    tracemalloc.start()
    try:
        push(engine, patient, range(HOUR, 2 * HOUR))
        before = held()
        published = push(engine, patient, range(2 * HOUR, 24 * HOUR))
        grown = held() - before
    finally:
        tracemalloc.stop()
    assert published > 22 * 3600  # more than a beat a second
    assert grown < 16 * 1024
    assert counts["received"] + counts["lost"] == 24 * HOUR * SIZE
