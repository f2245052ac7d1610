"""What is subscribed to, as far as ZeroMQ tells, and so which beats and frames are wanted.

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
    ECG,
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


_ECG_OF_A_STREAM: Final = re.compile(
    rb"%b[%b]{1,%d}" % (re.escape(ECG), STREAM_CHARACTERS.encode(), MAX_NAME)
)


def covered_frames(prefix: bytes) -> Sequence[bytes]:
    """The same of what the tap sends: frames, under topics ``ecg.``."""
    return (prefix,) if ECG.startswith(prefix) or _ECG_OF_A_STREAM.fullmatch(prefix) else ()


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
    """All of one socket; used by one thread.

    ``bytes``: what all take together.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """All connections have been ended."""
        self.bytes = 0
        self._subscribers: Counter[bytes] = Counter()  # of each prefix
        self._connections: dict[bytes, list[int]] = {}  # theirs, as far as known

    def add(self, prefix: bytes, connection: int | None) -> None:
        """Somebody subscribed, over this ``connection`` if it is known."""
        self._subscribers[prefix] += 1
        self.bytes += len(prefix) + TOPIC_BYTES
        if connection is not None:
            self._connections.setdefault(prefix, []).append(connection)
        if self._subscribers[prefix] == 1:
            self._began(prefix)

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
            self._ended(prefix)

    def _began(self, prefix: bytes) -> None:
        """Somebody is the first to subscribe to ``prefix``."""

    def _ended(self, prefix: bytes) -> None:
        """Nobody is subscribed to ``prefix`` any more."""


class BeatSubscriptions(Subscriptions):
    """The publish socket's; any thread may read ``wanted``, which is replaced whole."""

    def clear(self) -> None:
        """See `Subscriptions.clear`."""
        super().clear()
        self.wanted = WantedBeats()
        self._beats: set[bytes] = set()  # prefixes that cover messages of beats
        self._batches: set[bytes] = set()  # and of batches

    def _began(self, prefix: bytes) -> None:
        if BEATS.startswith(prefix) or prefix.startswith(BEATS):
            self._beats.add(prefix)
        if BEAT_BATCH.startswith(prefix) and prefix not in _OTHERS:
            self._batches.add(prefix)
        self._update()

    def _ended(self, prefix: bytes) -> None:
        self._beats.discard(prefix)
        self._batches.discard(prefix)
        self._update()

    def _update(self) -> None:
        everything = len(self._beats) > MAX_PREFIXES or any(map(BEATS.startswith, self._beats))
        prefixes = (BEATS,) if everything else tuple(self._beats)
        wanted = WantedBeats(prefixes, bool(self._batches))
        if wanted != self.wanted:
            self.wanted = wanted


class FrameSubscriptions(Subscriptions):
    """The tap's; any thread may ask what is wanted."""

    def clear(self) -> None:
        """See `Subscriptions.clear`."""
        super().clear()
        self._prefixes: set[bytes] = set()  # that cover topics of frames
        self._lengths: tuple[int, ...] = ()  # theirs, each once
        self._of_length: Counter[int] = Counter()  # how many there are of each

    def wants(self, topic: bytes) -> bool:
        """Whether somebody is subscribed to frames under ``topic``.

        The cost grows with the lengths that prefixes have, not with their number.
        """
        return any(topic[:length] in self._prefixes for length in self._lengths)

    def _began(self, prefix: bytes) -> None:
        if covered_frames(prefix):
            self._prefixes.add(prefix)
            self._count(len(prefix), 1)

    def _ended(self, prefix: bytes) -> None:
        if prefix in self._prefixes:
            self._prefixes.remove(prefix)
            self._count(len(prefix), -1)

    def _count(self, length: int, more: int) -> None:
        self._of_length[length] += more
        if self._of_length[length] == max(more, 0):  # the first of its length, or the last
            self._lengths = tuple(each for each, count in self._of_length.items() if count)
