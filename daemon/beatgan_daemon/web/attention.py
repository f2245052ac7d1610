"""Which streams are heard: those that somebody looks at, and for a while those of before."""

from collections.abc import Set as AbstractSet
from typing import Final

LINGER_S: Final = 60.0  # a stream that nobody looks at any more is still heard: he may come back
MOST: Final = 256  # are heard, unless more are looked at


class Attention:
    """Of all tabs."""

    def __init__(self) -> None:
        self._looked_at: dict[str, float] = {}  # when last

    def heard(self, wanted: AbstractSet[str], now: float) -> AbstractSet[str]:
        """The streams to hear, where ``wanted`` are looked at; ``now`` in s."""
        self._looked_at.update(dict.fromkeys(wanted, now))
        before = [each for each in self._looked_at.items() if each[0] not in wanted]
        before.sort(key=lambda each: each[1], reverse=True)
        room = max(0, MOST - len(wanted))
        for at, (stream, last) in enumerate(before):
            if at >= room or now - last > LINGER_S:
                del self._looked_at[stream]
        return self._looked_at.keys()
