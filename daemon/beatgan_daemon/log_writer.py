"""Log lines on their way to a file descriptor, on a thread of their own: who logs never waits.

A pipe that nobody reads, a halted terminal and a disk that hangs keep whoever writes to them; a
reader that is gone makes it an error. Neither may delay an alarm, or end the daemon: lines that
cannot be written are counted. Knows nothing of what they say.
"""

import atexit
import os
import select
from collections import deque
from io import BufferedWriter, RawIOBase, TextIOWrapper
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAX_WAITING = 2**20  # bytes; lines beyond are lost
LONGEST_LINE = 2**16  # bytes that are surely handed over in one piece
FLUSH_S = 0.5  # at the end of the process


class LogWriter(RawIOBase):
    """Writes to a descriptor what any thread hands over, in that order; never blocks nor raises."""

    def __init__(self, descriptor: int, max_waiting: int = MAX_WAITING) -> None:
        """Begin at once. The descriptor is not closed."""
        self.lost = 0  # lines
        self._descriptor, self._max = descriptor, max_waiting
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # that wait, with those being written
        self._changed = Condition()
        Thread(target=self._run, name="log", daemon=True).start()

    def fileno(self) -> int:
        """Where the lines go."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """As RawIOBase has it."""
        return True

    def write(self, text: "ReadableBuffer", /) -> int:
        """Take in whole lines, if there is room; the number of bytes in any case."""
        content = bytes(text)
        with self._changed:
            if self._bytes + len(content) <= self._max:
                self._waiting.append(content)
                self._bytes += len(content)
                self._changed.notify_all()
            else:
                self.lost += content.count(b"\n")
        return len(content)

    def drain(self, seconds: float) -> None:
        """Return when everything is written, or after so many seconds."""
        end = monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes, max(0.0, end - monotonic()))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                content = self._waiting.popleft()
            written = self._written(content)
            with self._changed:
                self._bytes -= len(content)
                self.lost += 0 if written else content.count(b"\n")
                self._changed.notify_all()

    def _written(self, content: bytes) -> bool:
        left = memoryview(content)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever shares it has made it so
                select.select([], [self._descriptor], [])
            except OSError:  # nobody reads any more, or the disk is full
                return False
        return True


_writers: list[LogWriter] = []


def open_writer(stream: TextIO) -> TextIO:
    """In place of ``stream``, which has a descriptor, one that never keeps its user waiting.

    What waits is written at the end of the process, within FLUSH_S.
    """
    writer = LogWriter(stream.fileno())
    _writers.append(writer)
    atexit.register(writer.drain, FLUSH_S)
    return TextIOWrapper(
        BufferedWriter(writer, LONGEST_LINE),
        encoding=stream.encoding,
        errors="backslashreplace",
        newline="\n",
    )


def lost_lines() -> int:
    """Lines that could not be written, of this process."""
    return sum(writer.lost for writer in _writers)
