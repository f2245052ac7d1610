"""How long to wait before the next attempt at somebody who is away."""

FIRST_S = 0.5
MOST_S = 30.0


class Backoff:
    """Twice as long each time, up to a bound; from the beginning after a success."""

    def __init__(self, first: float = FIRST_S, most: float = MOST_S) -> None:
        """In seconds."""
        self._first, self._most = first, most
        self._next = first

    def failed(self) -> float:
        """Seconds to wait now."""
        now, self._next = self._next, min(2 * self._next, self._most)
        return now

    def succeeded(self) -> None:
        """Next time begin with the first again."""
        self._next = self._first
