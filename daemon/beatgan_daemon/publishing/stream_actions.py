"""What clients ask of streams and alarms: in the publisher's thread, done in the pipeline's."""

from collections.abc import Callable, Collection, Iterator, Sequence
from heapq import nsmallest
from queue import Empty, SimpleQueue
from time import time_ns
from typing import NamedTuple

from beatgan.pipeline.engine import Engine
from beatgan.protocol.control import StreamEntry
from beatgan_daemon.security.allow_list import Client, Server


class Acknowledgement(NamedTuple):
    """Somebody (None: without keys) has seen these episodes, at a UNIX time."""

    episodes: tuple[str, ...]
    by: str | None
    at_ns: int


class Discharge(NamedTuple):
    """Somebody ended the watch over a stream."""

    stream: str
    by: str | None
    at_ns: int


Action = Acknowledgement | Discharge


class StreamActionQueue:
    """See `protocol.control_answers.StreamActions`."""

    def __init__(
        self,
        engine: Engine,
        shed: Callable[[], Collection[str]],
        who: Callable[[str], Client | Server | None],
        clock: Callable[[], float],
        unix_ns: Callable[[], int] = time_ns,
    ) -> None:
        """``shed``: the streams not served for overload; ``who`` knows a sender; any thread may
        ask both. ``clock`` is the engine's."""
        self._engine, self._shed, self._who = engine, shed, who
        self._clock, self._unix_ns = clock, unix_ns
        self._waiting: SimpleQueue[Action] = SimpleQueue()

    # --- in the publisher's thread ------------------------------------------------------------

    def acknowledge(self, episodes: Sequence[str], by: str | None) -> None:
        """Somebody has seen these episodes."""
        self._waiting.put(Acknowledgement(tuple(episodes), by, self._unix_ns()))

    def discharge(self, stream: str, by: str | None) -> None:
        """End the watch over a stream."""
        self._waiting.put(Discharge(stream, by, self._unix_ns()))

    def streams(self, after: str, most: int) -> list[StreamEntry]:
        """At most ``most`` streams behind the name ``after``, in the order of their names."""
        names = nsmallest(most, (name for name in self._engine.streams() if name > after))
        entries = map(self.stream, names)
        return [entry for entry in entries if entry is not None]

    def stream(self, name: str) -> StreamEntry | None:
        """One stream, None if it is not known."""
        state = self._engine.state(name)
        if state is None:
            return None
        stream, segment = state.stream, state.stream.segment
        last, shed = stream.expected - 1, name in self._shed()
        since = state.received if shed and state.received is not None else state.since
        who = None if stream.sender is None else self._who(stream.sender)
        return StreamEntry(
            stream=name,
            state="shed" if shed else "silent" if state.silent else "watched",
            since_ns=self._unix(since),
            epoch=segment.epoch,
            fs=segment.fs,
            leads=segment.leads,
            last_sample=last,
            last_sample_ns=segment.source_clock.times.at(last),
            next_sample=stream.following,
            received_ns=None if state.received is None else self._unix(state.received),
            sender=who.name if isinstance(who, Client) else stream.sender,
            key=who.key.decode() if isinstance(who, Server) else stream.sender,
        )

    def _unix(self, moment: float) -> int:
        """UNIX time of a moment on the engine's clock."""
        return self._unix_ns() - round((self._clock() - moment) * 1e9)

    # --- in the pipeline's --------------------------------------------------------------------

    def take(self) -> Iterator[Action]:
        """What was asked for since the last call, in order."""
        while True:
            try:
                yield self._waiting.get_nowait()
            except Empty:
                return
