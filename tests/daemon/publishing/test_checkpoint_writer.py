"""Checkpoints on their way to the disk: what fails waits, is counted and told."""

from collections.abc import Callable, Sequence
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest

from beatgan_daemon.publishing import checkpoint_writer
from beatgan_daemon.publishing.checkpoint_writer import CheckpointWriter


class Store:
    """In memory; it fails as long as it has trouble, and waits as long as it is held."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.held = Event()
        self.held.set()
        self.saved: dict[str, bytes] = {}

    def save(self, checkpoints: Sequence[tuple[str, bytes]]) -> bool:
        self.held.wait(30)
        if self.trouble is None:
            self.saved.update(checkpoints)
        return self.trouble is None

    def forget(self, names: Sequence[str]) -> bool:
        for name in names:
            self.saved.pop(name, None)
        return True


class Counts:
    written = failed = 0

    def checkpointed(self, streams: int) -> None:
        self.written += streams

    def checkpoint_failed(self, streams: int) -> None:
        self.failed += streams


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def writer(store: Store, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> CheckpointWriter:
    monkeypatch.setattr(checkpoint_writer, "RETRY_S", 0.0)
    return CheckpointWriter(store, counts, lambda: None)


def step_until(writer: CheckpointWriter, done: Callable[[], bool]) -> None:
    end = monotonic() + 20
    while not done():
        assert monotonic() < end
        writer.step()
        sleep(0.001)


def test_what_failed_does_not_count_as_written_and_is_written_later(
    writer: CheckpointWriter,
    store: Store,
    counts: Counts,
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    store.trouble = "database is locked"
    writer.add({"a": b"1", "b": b"1"})
    step_until(writer, lambda: counts.failed >= 4)  # it tries again
    assert counts.written == 0
    assert writer.trouble == "database is locked"
    assert [line["event"] for line in logged()] == ["checkpoints cannot be written"]  # once
    store.trouble = None
    step_until(writer, lambda: counts.written == 2)
    assert writer.trouble is None
    assert store.saved == {"a": b"1", "b": b"1"}
    assert logged()[-1]["event"] == "checkpoints are written again"


def test_a_later_checkpoint_takes_the_place_of_one_that_failed(
    writer: CheckpointWriter, store: Store, counts: Counts
) -> None:
    store.trouble = "full"
    writer.add({"a": b"1", "b": b"1", "c": b"1"})
    step_until(writer, lambda: counts.failed >= 3)
    writer.add({"a": b"2", "b": None})
    store.trouble = None
    assert writer.finish(20.0) == 0
    assert store.saved == {"a": b"2", "c": b"1"}


def test_a_disk_that_hangs_keeps_nobody_waiting_and_is_told(
    writer: CheckpointWriter, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_writer, "STALLED_S", 0.02)
    store.held.clear()
    writer.add({"a": b"1"})
    began = monotonic()
    writer.step()
    writer.step()
    assert monotonic() - began < 5.0
    step_until(writer, lambda: writer.trouble is not None)
    assert "has not answered" in str(writer.trouble)
    writer.add({"b": b"1"})
    assert writer.finish(0.05) == 2  # neither is on the disk
    store.held.set()


def test_without_a_store_nothing_is_held(counts: Counts) -> None:
    writer = CheckpointWriter(None, counts, lambda: None)
    writer.add({"a": b"1"})
    assert writer.finish(1.0) == 0
