"""How fast a backlog may go: a daemon sheds what comes faster than it can be watched. Pure."""

from typing import Final

CATCH_UP: Final = 4.0  # times real time
LOADS_PER_S: Final = 100.0  # of a stream: half of what a daemon lets pass while others wait
LOAD_BYTES: Final = 4_096  # a longer frame counts as several, as for the daemon
BURST_S: Final = 1.0  # what comes at once after a pause, as frames of a live stream do
PAUSE_S: Final = 0.25  # at least, so that few pauses are made
MAX_STREAMS: Final = 10_000


class Pace:
    """Of each stream by itself; times are monotonic seconds."""

    def __init__(self, catch_up: float = CATCH_UP) -> None:
        """No stream is to go faster than ``catch_up`` times real time."""
        self._catch_up = catch_up
        self._free: dict[str, float] = {}  # when the stream has caught up with its pace

    def wait_until(self, stream: str, now: float) -> float | None:
        """When its next frame may go; None: now."""
        free = self._free.get(stream, now)
        return None if free <= now else max(free, now + PAUSE_S)

    def went(self, stream: str, seconds: float, size: int, now: float) -> None:
        """A frame of so many seconds of signal and so many bytes went."""
        if len(self._free) >= MAX_STREAMS:
            self._free = {each: free for each, free in self._free.items() if free > now - BURST_S}
        takes = max(seconds / self._catch_up, (1 + size // LOAD_BYTES) / LOADS_PER_S)
        self._free[stream] = max(self._free.get(stream, 0.0), now - BURST_S) + takes
