"""Frames that come too early: how long they wait, what becomes of them, and how much is kept."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace

from beatgan.errors import StreamError
from beatgan.pipeline import reorder
from beatgan.pipeline.engine import Engine
from beatgan.pipeline.outgoing import Outgoing
from beatgan.pipeline.reorder import MAX_FRAMES, MAX_VALUES
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, StatusMessage
from beatgan.types import Chunk, Floats

FS = 360.0
WAIT = 0.2

NewEngine = Callable[..., tuple[Engine, Counter[str]]]


def frame(
    number: int,
    size: int = 36,
    samples: Floats | None = None,
    epoch: int = 1,
    fs: float = FS,
    leads: tuple[str, ...] = ("II",),
) -> Chunk:
    """The frame ``number`` of a stream of frames of ``size`` samples."""
    if samples is None:
        samples = np.zeros((size, 1), np.float32)
    t_ns = round(number * size * 1e9 / FS)
    return Chunk("bed", epoch, number, number * size, t_ns, fs, leads, samples)


@pytest.fixture
def bed(new_engine: NewEngine) -> tuple[Engine, Counter[str]]:
    """An engine that has heard frame 0, at 0 s."""
    engine, counts = new_engine(reorder=WAIT)
    engine.receive(frame(0), 0.0)
    engine.poll(0.01)
    return engine, counts


def tally(counts: Counter[str]) -> tuple[int, int, int]:
    """Received, lost and repeated in frames."""
    return counts["received"] // 36, counts["lost"] // 36, counts["repeated"] // 36


def published(messages: list[Message]) -> list[tuple[str, int]]:
    return [(m.state, m.lost // 36) for m in messages if isinstance(m, StatusMessage)]


def test_the_missing_frame_comes_in_time(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    for number, now in ((3, 0.1), (2, 0.15), (1, 0.29)):
        engine.receive(frame(number), now)
    assert tally(counts) == (4, 0, 0)
    assert counts["reordered"] == 2
    assert engine.drain(0.3) == Outgoing()


def test_what_does_not_come_in_time_is_a_gap(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    engine.receive(frame(2), 0.1)
    assert engine.poll(0.299) == Outgoing()
    assert tally(counts) == (1, 0, 0)
    assert engine.deadline() == pytest.approx(0.3)
    assert published(engine.poll(0.3 + 0.02).messages) == [("gap", 1)]
    assert tally(counts) == (2, 1, 0)
    engine.receive(frame(1), 0.31)
    assert tally(counts) == (2, 1, 1)
    assert counts["reordered"] == 0


def test_each_frame_waits_its_own_time(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    engine.receive(frame(4), 0.1)
    engine.receive(frame(2), 0.2)
    engine.receive(frame(6), 0.25)
    engine.poll(0.31)  # 4 is due, and 2 belongs before it
    assert tally(counts) == (3, 2, 0)
    engine.receive(frame(5), 0.32)
    assert tally(counts) == (5, 2, 0)
    assert counts["reordered"] == 2


def test_without_patience_no_frame_waits(new_engine: NewEngine) -> None:
    engine, counts = new_engine()
    for number in (0, 2, 1):
        engine.receive(frame(number), 0.0)
    assert tally(counts) == (2, 1, 1)


def test_a_repeated_frame_is_counted_once_though_the_first_still_waits(
    bed: tuple[Engine, Counter[str]],
) -> None:
    engine, counts = bed
    for number in (2, 3, 2, 3, 3):
        engine.receive(frame(number), 0.1)
    assert tally(counts) == (1, 0, 3)
    engine.receive(frame(1), 0.1)
    assert tally(counts) == (4, 0, 3)
    assert counts["reordered"] == 1


def test_frames_that_overlap_are_used_where_they_are_new(
    bed: tuple[Engine, Counter[str]],
) -> None:
    engine, counts = bed
    engine.receive(frame(1, size=72), 0.1)  # 72 to 144
    engine.receive(frame(1, size=50), 0.1)  # 50 to 100
    engine.receive(frame(1, size=36), 0.1)  # 36 to 72
    assert (counts["received"], counts["lost"]) == (144, 0)
    assert counts["repeated"] == 50


@pytest.mark.parametrize("size", [36, MAX_VALUES // 4])
def test_what_waits_is_bounded(bed: tuple[Engine, Counter[str]], size: int) -> None:
    engine, counts = bed
    most = min(MAX_FRAMES, MAX_VALUES // size)
    for number in range(2, 2 + most):
        engine.receive(frame(number, size), 0.1)
    assert counts["received"] == 36
    engine.receive(frame(2 + most, size), 0.1)
    engine.poll(2.0)  # a gap far longer than the stream was quiet: not believed at once
    assert counts["received"] == 36 + (most + 1) * size
    assert counts["lost"] == 2 * size - 36


def test_what_waits_of_all_streams_is_bounded(
    new_engine: NewEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reorder, "MAX_VALUES_OF_ALL", 100 * 36)
    engine, counts = new_engine(reorder=WAIT, max_streams=200)
    for k in range(150):
        name = f"bed-{k}"
        engine.receive(replace(frame(0), stream=name), 0.0)
        engine.receive(replace(frame(2), stream=name), 0.0)
    assert counts["lost"] == 50 * 36, "those for which there is no room do not wait"
    assert engine._reorder._values == 100 * 36
    engine.poll(1.0)
    assert counts["lost"] == 150 * 36
    assert engine._reorder._values == 0


def test_a_frame_too_large_to_wait_does_not(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    engine.receive(frame(2, samples=np.zeros((MAX_VALUES + 1, 1), np.float32)), 0.1)
    assert counts["received"] == 36 + MAX_VALUES + 1


def test_a_new_epoch_uses_first_what_waits(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    engine.receive(frame(2), 0.1)
    engine.receive(frame(0, epoch=2), 0.11)
    engine.receive(frame(1, epoch=2), 0.12)
    assert published(engine.drain(0.12).messages) == [("gap", 1), ("restarted", 0)]
    assert tally(counts) == (4, 1, 0)
    engine.receive(frame(3, epoch=2), 0.13)
    engine.receive(frame(2, epoch=2), 0.14)
    assert tally(counts) == (6, 1, 0)


def test_a_refused_frame_leaves_what_waits_alone(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    engine.receive(frame(2), 0.1)
    with pytest.raises(StreamError) as caught:
        engine.receive(frame(3, fs=250.0), 0.1)
    assert caught.value.reason == "rate"
    engine.receive(frame(10**9), 0.1)
    engine.receive(frame(1), 0.2)
    engine.poll(0.31)
    engine.receive(frame(3), 0.6)
    assert tally(counts) == (4, 0, 0)
    assert counts["refused[jump]"] == 1


def test_a_jump_that_is_confirmed_comes_after_what_waits(
    bed: tuple[Engine, Counter[str]],
) -> None:
    engine, counts = bed
    engine.receive(frame(2), 0.1)
    engine.receive(frame(10**9), 0.1)
    engine.receive(frame(10**9 + 1), 0.1)
    engine.poll(0.31)
    assert tally(counts) == (2, 1, 0)
    engine.poll(1.2)
    assert tally(counts) == (4, 10**9 - 2, 0)


def test_other_leads_take_their_turn(bed: tuple[Engine, Counter[str]]) -> None:
    engine, counts = bed
    both = np.zeros((36, 2), np.float32)
    engine.receive(frame(2, samples=both, leads=("II", "V5")), 0.1)
    engine.receive(frame(1), 0.1)
    assert published(engine.drain(0.1).messages) == [("leads-changed", 0)]
    assert tally(counts) == (3, 0, 0)


def test_a_frame_that_waits_is_no_silence(new_engine: NewEngine) -> None:
    engine, _ = new_engine(reorder=WAIT, silence=5.0)
    engine.receive(frame(0), 0.0)
    engine.poll(0.1)
    engine.receive(frame(2), 4.9)
    assert engine.poll(5.05) == Outgoing()
    assert published(engine.poll(5.2).messages) == [("gap", 1)]


def test_silence_ends_where_the_frame_that_waited_begins(new_engine: NewEngine) -> None:
    engine, _ = new_engine(reorder=WAIT, silence=5.0)
    engine.receive(frame(0), 0.0)
    engine.poll(6.0)
    engine.receive(frame(2), 7.0)
    assert engine.poll(7.1) == Outgoing()
    messages = engine.poll(7.21).messages
    (end,) = [m for m in messages if isinstance(m, AlertMessage) and m.code == "signal.no-data"]
    assert (end.phase, end.end_sample) == ("end", 72)


@pytest.mark.parametrize("over", [lambda e: e.end("bed", 0.1), lambda e: e.drain(0.1)])
def test_nothing_waits_beyond_the_end(
    bed: tuple[Engine, Counter[str]], over: Callable[[Engine], object]
) -> None:
    engine, counts = bed
    engine.receive(frame(2), 0.1)
    over(engine)
    assert tally(counts) == (2, 1, 0)
    engine.drain(0.1)
    assert engine.poll(4.0) == Outgoing()  # after every wait, before the stream counts as silent
    assert tally(counts) == (2, 1, 0)


def test_a_stream_forgotten_meanwhile_is_no_trouble(new_engine: NewEngine) -> None:
    engine, counts = new_engine(reorder=10.0, silence=5.0, forget=6.0)
    engine.receive(frame(0), 0.0)
    engine.poll(5.0)
    engine.receive(frame(2), 5.5)
    assert ("ended", 0) in published(engine.poll(6.0).messages)
    engine.poll(20.0)
    assert tally(counts) == (2, 1, 0)
    assert counts["streams"] == 0


def test_the_same_is_told_as_of_frames_in_order(patient: Floats, new_engine: NewEngine) -> None:
    size, order = 36, list(range(len(patient) // 36))
    for a, b in pairwise(range(3, len(order), 7)):
        order[a], order[b - 4] = order[b - 4], order[a]
    beats = []
    for numbers in (order, sorted(order)):
        engine, counts = new_engine(reorder=WAIT)
        messages: list[Message] = []
        for now, number in enumerate(numbers):
            part = patient[number * size : (number + 1) * size]
            engine.receive(frame(number, size, part), now * 0.01)
            messages += engine.poll(now * 0.01).messages
        messages += engine.drain(1e3).messages
        assert (counts["lost"], counts["repeated"]) == (0, 0)
        beats.append([m for m in messages if isinstance(m, BeatMessage)])
    assert beats[0] == beats[1]
    assert len(beats[0]) > 60
