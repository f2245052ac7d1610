"""Who subscribes late gets the alerts of episodes under way again: which ones, and when.

Knows no socket and no clock.
"""

from collections import deque
from collections.abc import Iterable
from math import inf

from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.names import ALERTS, topic_of

EVERY_S = 1.0  # those who subscribe in between get them together
STEP_S = 0.02  # between a few and the next few: no subscriber's queue is to overflow
MAX_TOPICS = 1_000  # remembered; beyond, everything is repeated
_REPEAT = b',"repeat":true}'


def repeat_of(entry: JournalEntry) -> bytes:
    """The alert's JSON as it was published, marked as a repeat."""
    if entry.body.endswith(_REPEAT):  # it was one: another shard told it first
        return entry.body
    return entry.body[:-1] + _REPEAT


class LateJoiners:
    """The topics that somebody subscribed to, and the episodes that are repeated for it."""

    def __init__(self) -> None:
        self._topics: set[bytes] = set()
        self._episodes: deque[str] = deque()
        self._next = -inf

    def subscribed(self, topic: bytes) -> None:
        """Somebody subscribed to all topics that begin so."""
        if topic.startswith(ALERTS) or ALERTS.startswith(topic):
            self._topics.add(topic if len(self._topics) < MAX_TOPICS else ALERTS)

    def due(self) -> float | None:
        """When something is to be repeated (monotonic s); None: nothing is."""
        return self._next if self._topics or self._episodes else None

    def episodes(self, active: Iterable[JournalEntry], now: float, most: int) -> list[str]:
        """Ids of episodes among the ``active`` to be repeated now, at most ``most``."""
        if now < self._next:
            return []
        if not self._episodes:
            topics = tuple(self._topics)
            self._topics.clear()
            self._episodes.extend(
                e.id for e in active if topic_of("alert", e.stream).startswith(topics)
            )
        repeated = [self._episodes.popleft() for _ in range(min(most, len(self._episodes)))]
        self._next = now + (STEP_S if self._episodes else EVERY_S)
        return repeated
