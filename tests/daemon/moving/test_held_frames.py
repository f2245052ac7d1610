"""Frames that wait for the state of their bucket."""

from beatgan_daemon.ingest.fair_queue import Frame
from beatgan_daemon.moving.held_frames import HeldFrames


def frame(at: float, size: int = 10) -> Frame:
    return Frame([b"ecg.x"], at, at, None, size)


def test_they_come_out_in_order_once() -> None:
    dropped: list[int] = []
    held = HeldFrames(1000, lambda: dropped.append(1))
    for bucket, at in ((1, 0.0), (2, 1.0), (1, 2.0)):
        held.add(bucket, frame(at))
    assert [each.arrived for each in held.take(1)] == [0.0, 2.0]
    assert held.take(1) == []
    assert [each.arrived for each in held.take(2)] == [1.0]
    assert dropped == []


def test_beyond_the_bound_the_oldest_go_and_are_counted() -> None:
    dropped: list[int] = []
    held = HeldFrames(30, lambda: dropped.append(1))
    for at in range(5):
        held.add(at % 2, frame(float(at)))
    assert len(dropped) == 2
    assert [each.arrived for each in held.take(0)] == [2.0, 4.0]
    assert [each.arrived for each in held.take(1)] == [3.0]
    held.add(0, frame(9.0, 30))
    assert len(dropped) == 2


def test_those_of_other_buckets_are_let_go_and_free_their_place() -> None:
    dropped: list[int] = []
    held = HeldFrames(30, lambda: dropped.append(1))
    for bucket in range(3):
        held.add(bucket, frame(0.0))
    held.keep([1])
    held.add(1, frame(1.0))
    held.add(1, frame(2.0))
    assert dropped == []
    assert len(held.take(1)) == 3
    assert held.take(0) == []
