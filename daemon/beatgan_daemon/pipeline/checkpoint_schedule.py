"""Which streams' checkpoints are due: each once in a round, a few at a time.

Knows names and times; not what a checkpoint is, nor where it goes. No clock: the time comes in.
"""

from collections import deque
from collections.abc import Collection


class Checkpoints:
    """Streams take turns, so that the work of saving them is spread evenly over a round."""

    def __init__(self, round_s: float, now: float) -> None:
        """A round takes ``round_s`` seconds; the first begins at ``now``."""
        self._round_s, self._began = round_s, now
        self._line: deque[str] = deque()  # whose turn is still to come in this round
        self._size = 0  # of the round

    def due(self, streams: Collection[str], now: float) -> list[str]:
        """The streams whose turn has come since the last call; to be called often.

        ``streams``: all there are. Who comes during a round takes part from the next one on.
        """
        past = (now - self._began) / self._round_s
        left = int(self._size * (1 - past)) if past < 1 else 0
        turns = [self._line.popleft() for _ in range(len(self._line) - left)]
        if past >= 1:
            self._began = now
            self._line.extend(streams)
            self._size = len(self._line)
        return turns
