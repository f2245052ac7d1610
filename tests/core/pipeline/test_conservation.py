"""Samples sent are samples received plus samples lost, exactly, whatever the way does to them."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beatgan.errors import StreamError
from beatgan.pipeline.engine import Engine
from beatgan.protocol.messages import Message, StatusMessage, Totals
from beatgan.types import Chunk

FS = 250.0
WAIT = 0.2

NewEngine = Callable[..., tuple[Engine, Counter[str]]]
Fate = tuple[int, list[float]]  # samples of a frame, and how late each copy of it comes, in s

late = st.one_of(st.just(0.0), st.floats(0, WAIT), st.floats(WAIT, 5 * WAIT))
fates = st.lists(
    st.tuples(st.integers(1, 300), st.lists(late, max_size=2)), min_size=1, max_size=40
)


def arrivals(stream: str, plan: Sequence[Fate]) -> list[tuple[float, Chunk]]:
    """Every copy of every frame, with its time; the first frame arrives first, and once."""
    first = 0
    found: list[tuple[float, Chunk]] = []
    for number, (size, delays) in enumerate(plan):
        samples = np.zeros((size, 1), np.float32)
        chunk = Chunk(stream, 1, number, first, round(first * 4e6), FS, ("II",), samples)
        now = first / FS + bool(number) * 1e-3
        first += size
        found += [(now + delay, chunk) for delay in (delays if number else [0.0])]
    return found


def send(engine: Engine, events: Sequence[tuple[float, Chunk]]) -> list[Message]:
    messages: list[Message] = []
    for now, chunk in events:
        messages += engine.poll(now).messages
        engine.receive(chunk, now)
    return messages + engine.drain(1e9).messages


def totals(messages: Sequence[Message], engine: Engine, stream: str) -> Totals:
    """What the stream's last word says of it."""
    engine.end(stream, 1e9)
    last = [
        m for m in engine.drain(1e9).messages if isinstance(m, StatusMessage) and m.stream == stream
    ]
    assert last[-1].state == "ended"
    return last[-1].totals


@settings(max_examples=150, deadline=None)
@given(plans=st.lists(fates, min_size=1, max_size=3), wait=st.sampled_from([0.0, WAIT]))
def test_sent_is_received_plus_lost(
    plans: list[list[Fate]], wait: float, new_engine: NewEngine
) -> None:
    """Loss, duplication, reordering within and beyond the bound, any cutting, several streams."""
    engine, counts = new_engine(reorder=wait)
    came = {f"bed-{k}": arrivals(f"bed-{k}", plan) for k, plan in enumerate(plans)}
    events = sorted((e for each in came.values() for e in each), key=lambda event: event[0])
    messages = send(engine, events)
    for stream, each in came.items():
        last = max(chunk.first + len(chunk.samples) for _, chunk in each)
        delivered = sum(len(chunk.samples) for _, chunk in each)
        total = totals(messages, engine, stream)
        assert total.received + total.lost == last
        assert total.received + total.repeated == delivered
        assert total.lost == sum(
            m.lost for m in messages if isinstance(m, StatusMessage) and m.stream == stream
        )
    assert counts["received"] + counts["repeated"] == sum(len(c.samples) for _, c in events)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_within_the_bound_nothing_is_lost(data: st.DataObject, new_engine: NewEngine) -> None:
    """Each frame comes, up to `WAIT` late: all are used, and each once."""
    delays = data.draw(st.lists(st.floats(0, WAIT - 0.002), min_size=2, max_size=40))
    engine, counts = new_engine(reorder=WAIT)
    events = sorted(arrivals("bed", [(25, [delay]) for delay in delays]), key=lambda e: e[0])
    send(engine, events)
    assert (counts["received"], counts["lost"], counts["repeated"]) == (25 * len(delays), 0, 0)
    firsts = [chunk.first for _, chunk in events]
    overtaken = sum(first < max(firsts[: k + 1]) for k, first in enumerate(firsts))
    assert counts["reordered"] == overtaken


@settings(max_examples=50, deadline=None)
@given(
    plan=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.integers(1, 40)), max_size=40)
)
def test_of_every_epoch_what_lies_between_is_received_or_lost(
    plan: list[tuple[int, int, int]], new_engine: NewEngine
) -> None:
    """Frames of several epochs in any order: each that was refused is an error, none vanishes."""
    engine, counts = new_engine(reorder=WAIT)
    delivered, reasons = 0, set()
    messages: list[Message] = []
    for now, (epoch, first, size) in enumerate(plan):
        samples = np.zeros((size, 1), np.float32)
        header: dict[str, Any] = {"seq": 0, "t_ns": 0, "fs": FS, "leads": ("II",)}
        try:
            engine.receive(
                Chunk(stream="bed", epoch=epoch, first=first, samples=samples, **header), now * 0.05
            )
            delivered += size
        except StreamError as error:
            reasons.add(error.reason)
        messages += engine.poll(now * 0.05).messages
    messages += engine.drain(1e9).messages
    assert reasons <= {"epoch"}
    assert counts["received"] + counts["repeated"] + counts["refused samples"] == delivered
    assert counts["lost"] == sum(m.lost for m in messages if isinstance(m, StatusMessage))
