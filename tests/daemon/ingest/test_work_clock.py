"""Time that counts as a thread's own work."""

import gc
from threading import Thread
from time import sleep, thread_time

from beatgan_daemon.ingest.work_clock import WorkClock


def busy(seconds: float) -> None:
    end = thread_time() + seconds
    while thread_time() < end:
        pass


def test_waiting_is_no_work() -> None:
    with WorkClock() as work:
        before = work()
        sleep(0.05)
        assert work() - before < 0.04
        busy(0.05)
        assert work() - before >= 0.05


def test_collecting_garbage_is_no_work() -> None:
    kept: list[list[object]] = [[[]] for _ in range(300_000)]
    with WorkClock() as work:
        spent, before = thread_time(), work()
        gc.collect()
        spent, worked = thread_time() - spent, work() - before
    assert len(kept) == 300_000
    assert worked < 0.2 * spent


def test_what_other_threads_collect_is_theirs() -> None:
    with WorkClock() as work:
        collector = Thread(target=gc.collect)
        before = work()
        collector.start()
        collector.join()
        assert work() >= before


def test_when_closed_it_leaves_the_collector_alone() -> None:
    before = len(gc.callbacks)
    with WorkClock():
        assert len(gc.callbacks) == before + 1
    assert len(gc.callbacks) == before
