"""A thread for calls that touch the disk: whoever asks for one decides how long to wait for it.

A disk may take seconds, and a network's disk may never answer. Knows no file.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

ResultT = TypeVar("ResultT")


class DiskThread:
    """Calls one after another, in the order in which they were submitted.

    A daemon thread: one that hangs does not keep the process from ending. So an executor of
    `concurrent.futures`, which waits for its threads at the end, would not do.
    """

    def __init__(self, name: str) -> None:
        """Begin at once."""
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, call: Callable[[], ResultT]) -> "Future[ResultT]":
        """Let ``call`` run; its result, or what it raised."""
        future: Future[ResultT] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)

        self._calls.put(run)
        return future

    def close(self) -> None:
        """End once everything submitted is done; nothing is submitted any more."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
