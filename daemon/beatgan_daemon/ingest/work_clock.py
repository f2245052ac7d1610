"""The processor time of the thread that takes frames in, less what garbage collection took.

What a stream is charged for must be its own doing: another process that had the core, or a
collection of everybody's objects, would else count as the time of whose frame was just taken.
"""

import gc
from threading import get_ident
from time import thread_time
from typing import Self


class WorkClock:
    """Seconds of work of the thread that makes it, and that alone calls it.

    While open it watches the garbage collector.
    """

    def __init__(self) -> None:
        self._thread = get_ident()
        self._began = self._collecting = 0.0
        gc.callbacks.append(self._collected)

    def __call__(self) -> float:
        """Seconds, since whenever."""
        return thread_time() - self._collecting

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if get_ident() != self._thread:
            return
        if phase == "start":
            self._began = thread_time()
        else:
            self._collecting += thread_time() - self._began

    def close(self) -> None:
        """Leave the garbage collector alone."""
        gc.callbacks.remove(self._collected)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
