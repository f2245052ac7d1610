"""The alarms of all streams that are under way: numbered, latched, acknowledged, repeated.

A pure fold over alert messages: what it knows follows from those it has handed out, so that a
journal of them is all that it needs to go on after a restart. Knows no signal and no socket.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from beatgan.alarms.codes import PRESENT
from beatgan.protocol.messages import AlertMessage

MAX_LATCHED = 100_000  # beyond, the oldest is ended: streams may come and go for ever


class ActiveAlarms:
    """Every alert message passes over it once, in the order in which it was raised."""

    def __init__(self, latch: bool) -> None:
        """``latch``: an episode of high priority ends only when it is acknowledged."""
        self.latch = latch
        self.active: dict[str, AlertMessage] = {}  # of each episode under way, the last message
        self._latched: dict[tuple[str, str], str] = {}  # ids by stream and code, the oldest first
        self._next = 0

    def restore(self, active: Iterable[AlertMessage], following: int) -> None:
        """Go on after a restart: ``active`` as it was, ``following`` the next message's number."""
        self.active = {message.id: _summary(message) for message in active}
        self._latched = {_key(m): m.id for m in self.active.values() if m.latched}
        self._next = following

    def take(self, message: AlertMessage) -> list[AlertMessage]:
        """What is to be published instead of ``message``, which is not numbered yet.

        An episode that becomes one of high priority is to be acknowledged anew.
        """
        if message.phase == "start":
            return [*self._release_latched(message), self._number(message)]
        before = self.active.get(message.id)
        if before is not None and message.priority == "high" != before.priority:
            before = replace(before, acknowledged=False, by=UNSET, acknowledged_ns=UNSET)
        acknowledged = before is not None and before.acknowledged
        onset_ns = message.onset_ns if before is None else before.onset_ns  # said once, it stays
        message = replace(message, acknowledged=acknowledged, onset_ns=onset_ns)
        if before is not None:
            message = replace(message, by=before.by, acknowledged_ns=before.acknowledged_ns)
        if message.phase != "end" or acknowledged or not self._latches(message):
            return [self._number(message)]
        self._latched[_key(message)] = message.id
        excess = len(self._latched) - MAX_LATCHED
        released = [self._release(place) for place in list(self._latched)[: max(0, excess)]]
        return [self._number(replace(message, phase="update", latched=True)), *released]

    def acknowledge(
        self, episode: str, by: str | None = None, at_ns: int | UnsetType = UNSET
    ) -> list[AlertMessage]:
        """Somebody has seen the episode: a latched one ends, another goes on without latching.

        ``by``: who, if that is known; ``at_ns``: when (UNIX time).
        """
        message = self.active.get(episode)
        if message is None or message.acknowledged:
            return []
        who = UNSET if by is None else by
        seen = replace(message, acknowledged=True, by=who, acknowledged_ns=at_ns)
        if message.latched:
            del self._latched[_key(message)]
            return [self._end(seen)]
        return [self._number(replace(seen, phase="update"))]

    def discharge(self, stream: str, by: str | None, at_ns: int) -> list[AlertMessage]:
        """End all that is under way of ``stream``, because ``by`` ended the watch over it."""
        ended = [m for m in self.active.values() if m.stream == stream]
        self._latched = {key: each for key, each in self._latched.items() if key[0] != stream}
        return [self._end(discharged(message, by, at_ns)) for message in ended]

    def hand_over(self, streams: Collection[str]) -> list[AlertMessage]:
        """What is under way of ``streams``: somebody else goes on with it, see `take_over`."""
        gone = [m for m in self.active.values() if m.stream in streams]
        for message in gone:
            del self.active[message.id]
            if message.latched:
                del self._latched[_key(message)]
        return gone

    def take_over(self, messages: Iterable[AlertMessage]) -> list[AlertMessage]:
        """Go on with what somebody else had under way; what is to be published: each is told
        again, under a number of this journal's."""
        taken = [replace(m, fence=UNSET, repeat=UNSET) for m in messages]
        numbered = [self._number(m) for m in taken]
        self._latched.update({_key(m): m.id for m in numbered if m.latched})
        return [replace(m, repeat=True) for m in numbered]

    def end(self, messages: Iterable[AlertMessage]) -> list[AlertMessage]:
        """These episodes are over, because nothing is left that could end them."""
        return [self._end(message) for message in messages]

    def release(self, stream: str) -> list[AlertMessage]:
        """End what is latched of ``stream``: its recording is over."""
        return [self._release(place) for place in list(self._latched) if place[0] == stream]

    def counts(self) -> Counter[tuple[str, str]]:
        """How many episodes are under way, by code and priority; any thread may ask."""
        return Counter((m.code, m.priority) for m in tuple(self.active.values()))

    def latched(self) -> int:
        """How many wait to be acknowledged, their condition being over."""
        return len(self._latched)

    def _latches(self, message: AlertMessage) -> bool:
        return self.latch and message.priority == "high"

    def _release_latched(self, message: AlertMessage) -> list[AlertMessage]:
        """A latched episode ends when a newer one of the same stream and code begins."""
        place = _key(message)
        return [self._release(place)] if place in self._latched else []

    def _release(self, place: tuple[str, str]) -> AlertMessage:
        return self._end(self.active[self._latched.pop(place)])

    def _end(self, message: AlertMessage) -> AlertMessage:
        end = message.sample if message.end_sample is None else message.end_sample
        ended = replace(message, phase="end", end_sample=end, sample=end, latched=False)
        return self._number(replace(ended, suspended=False))

    def _number(self, message: AlertMessage) -> AlertMessage:
        message = replace(message, n=self._next)
        self._next += 1
        if message.phase == "end":
            self.active.pop(message.id, None)
        else:
            self.active[message.id] = _summary(message)
        return message


def discharged(message: AlertMessage, by: str | None, at_ns: int) -> AlertMessage:
    """The message, with who ended the watch over its stream, if that is known, and when."""
    return replace(message, by=message.by if by is None else by, discharged_ns=at_ns)


def _key(message: AlertMessage) -> tuple[str, str]:
    """Stream and code; the present one, where the episode began before its code was renamed."""
    return message.stream, PRESENT.get(message.code, message.code)


def _summary(message: AlertMessage) -> AlertMessage:
    """Without what belongs to that message alone: beats, and what is said of them."""
    return replace(
        message,
        beats=(),
        score=None,
        threshold=None,
        explanation=None,
        beat_class=UNSET,
        probabilities=UNSET,
        components=UNSET,
        strip=UNSET,
        suppressed=0,
    )
