"""Frames that wait: in order, with the time they came at, and never more than there is room for."""

from collections import deque

import pytest

from beatgan_daemon.ingest.fair_queue import Frame
from beatgan_daemon.ingest.frame_queue import (
    BYTES_PER_PULL,
    FRAMES_PER_CHECK,
    FRAMES_PER_PULL,
    FrameQueue,
)


class Scripted:
    """A source whose queue is filled by hand, and a clock that waiting moves."""

    def __init__(self) -> None:
        self.queue: deque[list[bytes]] = deque()
        self.now = 100.0
        self.waited: list[float] = []
        self.cost = 0.0  # seconds that receiving takes
        self.connection: str | int | None = None

    def receive(self) -> list[bytes] | None:
        self.now += self.cost
        return self.queue.popleft() if self.queue else None

    def wait(self, seconds: float | None) -> bool:
        self.waited.append(seconds or 0.0)
        self.now += seconds or 0.0
        return bool(self.queue)

    def fill(self, count: int) -> None:
        self.queue.extend([b"%d" % k] for k in range(count))

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source() -> Scripted:
    return Scripted()


@pytest.fixture
def queue(source: Scripted) -> FrameQueue:
    return FrameQueue(source, 1000, source)


def names(queue: FrameQueue) -> list[bytes]:
    found = []
    while (frame := queue.take()) is not None:
        found.append(frame.parts[0])
    return found


def test_what_has_come_is_taken_in_order_without_waiting(
    source: Scripted, queue: FrameQueue
) -> None:
    source.fill(5)
    assert queue.pull(0.2) == 0.0
    assert source.waited == []
    assert names(queue) == [b"0", b"1", b"2", b"3", b"4"]
    assert queue.take() is None
    assert queue.empty()


def test_if_nothing_is_there_it_waits_and_says_how_long(
    source: Scripted, queue: FrameQueue
) -> None:
    assert queue.pull(0.2) == pytest.approx(0.2)
    assert source.waited == [0.2]
    source.fill(1)
    queue.pull(0.2)
    queue.pull(0.2)  # one waits: no time to lose
    assert source.waited == [0.2]


def test_a_frame_has_the_time_at_which_it_came(source: Scripted, queue: FrameQueue) -> None:
    queue.pull(0.0)
    source.now = 101.0
    source.fill(1)
    queue.pull(0.0)
    source.now = 103.0
    assert queue.oldest_wait(source.now) == 2.0
    assert queue.received_until() == 100.0, "it came after that, and waits"
    frame = queue.take()
    assert frame is not None
    assert (frame.arrived, frame.since) == (101.0, 100.0)
    assert (queue.oldest_wait(source.now), queue.received_until()) == (0.0, 101.0)


def test_while_frames_are_in_the_source_not_all_is_heard(
    source: Scripted, queue: FrameQueue
) -> None:
    queue.pull(0.0)
    source.now = 160.0
    source.fill(FRAMES_PER_PULL + 1)
    queue.pull(0.0)
    names(queue)
    assert queue.received_until() == 100.0
    assert not queue.empty()
    names(queue)
    assert queue.received_until() == 160.0
    assert queue.empty()


def test_it_holds_no_more_than_it_may(source: Scripted) -> None:
    queue = FrameQueue(source, FRAMES_PER_PULL + 10, source)
    source.fill(2 * FRAMES_PER_PULL)
    for _ in range(5):
        queue.pull(0.0)
    assert len(source.queue) == FRAMES_PER_PULL - 10
    assert len(queue) == len(names(queue)) == FRAMES_PER_PULL + 10


def test_all_that_waits_is_thrown_away_and_counted(source: Scripted, queue: FrameQueue) -> None:
    source.fill(FRAMES_PER_PULL + 100)
    queue.pull(0.0)
    source.now = 105.0
    assert queue.discard() == FRAMES_PER_PULL + 100
    assert queue.empty()
    assert queue.received_until() == 105.0


def test_to_throw_away_takes_a_bounded_time(source: Scripted, queue: FrameQueue) -> None:
    source.fill(1000)
    source.cost = 0.01
    assert 90 <= queue.discard() <= 110
    assert queue.received_until() == 100.0


# --- floods ------------------------------------------------------------------------------------


def is_even(frame: Frame) -> bool:
    return int(frame.parts[0]) % 2 == 0


def test_what_does_not_pass_is_dropped(source: Scripted, queue: FrameQueue) -> None:
    source.fill(5)
    queue.pull(0.0)
    queue.set_filter(is_even)
    assert (len(queue), names(queue)) == (3, [b"0", b"2", b"4"])
    source.fill(6)
    queue.pull(0.0)
    assert (len(queue), names(queue)) == (3, [b"0", b"2", b"4"])
    queue.set_filter(None)
    source.fill(3)
    queue.pull(0.0)
    assert names(queue) == [b"0", b"1", b"2"]


def test_it_says_who_fills_it(source: Scripted, queue: FrameQueue) -> None:
    source.fill(3)
    source.fill(2)
    queue.pull(0.0)
    assert queue.load_by_topic(lambda parts: 10) == {b"0": 20, b"1": 20, b"2": 10}


def test_it_holds_back_until_somebody_else_comes(source: Scripted, queue: FrameQueue) -> None:
    for _ in range(FRAMES_PER_PULL):
        source.fill(3)
    queue.pull(0.0)
    queue.apply_backpressure(lambda topic: topic in (b"0", b"1", b"2"))
    for _ in range(3):
        queue.pull(0.0)
    assert len(queue) == FRAMES_PER_PULL + 3 * FRAMES_PER_CHECK
    assert queue.applies_backpressure()
    names(queue)
    queue.pull(0.0)
    assert len(queue) == FRAMES_PER_PULL, "as soon as little waits it goes on"
    source.queue.appendleft([b"7"])
    queue.pull(0.0)
    assert not queue.applies_backpressure()


def test_memory_for_what_waits_is_bounded_in_bytes(source: Scripted) -> None:
    """With one frame more; what is taken, discarded or filtered makes room again."""
    queue = FrameQueue(source, 1000, source, most_bytes=10_000)
    source.queue.extend([b"ecg.bed", bytes(3_000)] for _ in range(20))
    for _ in range(5):
        queue.pull(0.0)
    assert len(queue) == 4
    queue.take()
    queue.pull(0.0)
    assert (len(queue), len(source.queue)) == (4, 15)
    queue.set_filter(lambda _: False)
    queue.pull(0.0)
    assert (len(queue), len(source.queue)) == (0, 11)
    queue.set_filter(None)
    queue.pull(0.0)
    assert queue.discard() == 11
    source.queue.extend([b"ecg.bed", bytes(3_000)] for _ in range(20))
    queue.pull(0.0)
    assert len(queue) == 4


def test_large_frames_are_pulled_a_few_at_a_time(source: Scripted) -> None:
    queue = FrameQueue(source, 1000, source)
    source.queue.extend([b"ecg.bed", bytes(BYTES_PER_PULL // 4)] for _ in range(9))
    queue.set_filter(lambda _: False)
    queue.pull(0.0)
    assert len(source.queue) == 5
