"""What is subscribed to, as far as ZeroMQ tells, and so which beats are wanted (docs/protocol.md).

Topics as prefixes, connections as numbers; knows no socket. It may take somebody for a subscriber
who is none any more, never the other way round: no message is withheld.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from beatgan.protocol.names import (
    ALERTS,
    BEAT_BATCH,
    BEATS,
    MAX_NAME,
    STATUS,
    STREAM_CHARACTERS,
    topic_of,
)

MAX_PREFIXES: Final = 32  # of beats' topics that are compared; beyond, all beats are wanted
TOPIC_BYTES: Final = 16  # that a subscription takes besides its topic

# Whoever asks for everything is not to get each beat twice: of prefixes that BEAT_BATCH shares with
# other topics, what stands for these others.
_OTHERS: Final[Mapping[bytes, Sequence[bytes]]] = {b"": (b"a", b"be", b"s"), b"b": (b"be",)}


_KINDS: Final = (ALERTS, BEATS, STATUS, BEAT_BATCH)
_OF_A_STREAM: Final = re.compile(
    rb"(alert|beat|status)\.[%b]{1,%d}" % (STREAM_CHARACTERS.encode(), MAX_NAME)
)


def covered(prefix: bytes) -> Sequence[bytes]:
    """The prefixes of what is sent for a subscription to ``prefix``; none where no topic has it.

    BEAT_BATCH is not among it unless it alone can be meant.
    """
    if any(kind.startswith(prefix) for kind in _KINDS) or _OF_A_STREAM.fullmatch(prefix):
        return _OTHERS.get(prefix, (prefix,))
    return ()


class WantedBeats(NamedTuple):
    """Which beats somebody is subscribed to: those under topics with ``prefixes``, and all of them
    in batches."""

    prefixes: tuple[bytes, ...] = ()
    batched: bool = False

    def singly(self, topic: bytes) -> bool:
        """Whether the message of its own that a beat has under ``topic`` is wanted."""
        return topic.startswith(self.prefixes)

    def of_stream(self, stream: str) -> bool:
        """Whether the stream's beats are wanted in either way."""
        return self.batched or (bool(self.prefixes) and self.singly(topic_of("beat", stream)))


EVERY_BEAT: Final = WantedBeats((BEATS,))


class Subscriptions:
    """All of one socket; used by one thread, but any may read ``wanted``, which is replaced whole.

    ``bytes``: what all take together.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """All connections have been ended."""
        self.wanted = WantedBeats()
        self.bytes = 0
        self._subscribers: Counter[bytes] = Counter()  # of each prefix
        self._connections: dict[bytes, list[int]] = {}  # theirs, as far as known
        self._beats: set[bytes] = set()  # prefixes that cover messages of beats
        self._batches: set[bytes] = set()  # and of batches

    def add(self, prefix: bytes, connection: int | None) -> None:
        """Somebody subscribed, over this ``connection`` if it is known."""
        self._subscribers[prefix] += 1
        self.bytes += len(prefix) + TOPIC_BYTES
        if connection is not None:
            self._connections.setdefault(prefix, []).append(connection)
        if BEATS.startswith(prefix) or prefix.startswith(BEATS):
            self._beats.add(prefix)
        if BEAT_BATCH.startswith(prefix) and prefix not in _OTHERS:
            self._batches.add(prefix)
        self._update()

    def remove(self, prefix: bytes, connection: int | None) -> None:
        """A subscription ends: its ``connection`` says so or, None, has gone, and ZeroMQ says so.

        ZeroMQ hands over what a connection says of a subscription that it never had: that is
        ignored. So is what it says of its own, once another one of the same prefix has gone: it is
        not known any more whose the others are.
        """
        if connection is None:
            self._connections.pop(prefix, None)
        elif connection in self._connections.get(prefix, ()):
            self._connections[prefix].remove(connection)
        else:
            return
        if prefix not in self._subscribers:
            return
        self.bytes -= len(prefix) + TOPIC_BYTES
        self._subscribers[prefix] -= 1
        if not self._subscribers[prefix]:
            del self._subscribers[prefix]
            self._connections.pop(prefix, None)
            self._beats.discard(prefix)
            self._batches.discard(prefix)
            self._update()

    def _update(self) -> None:
        everything = len(self._beats) > MAX_PREFIXES or any(map(BEATS.startswith, self._beats))
        prefixes = (BEATS,) if everything else tuple(self._beats)
        wanted = WantedBeats(prefixes, bool(self._batches))
        if wanted != self.wanted:
            self.wanted = wanted
