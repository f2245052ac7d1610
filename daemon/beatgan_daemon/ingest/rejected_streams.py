"""Streams whose frames come but are refused, so that nobody is watched: an alarm for each.

Hears of each frame that is refused or left unread, and says which alerts that makes. Bounded in
number, whatever names come. No clock: times come in.
"""

from collections.abc import Callable
from dataclasses import dataclass

from beatgan.alarms.codes import AlarmCode
from beatgan.pipeline.engine import OTHER_SENDER
from beatgan.pipeline.message_builder import own_alert
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.ingest.sender_guard import NOT_ALLOWED

LASTS_S = 5.0  # that frames of a stream are refused, and none is used, before it is told
ENDS_S = 10.0  # without a refused frame: it is over
MAX_STREAMS = 1024  # remembered at a time; of others it is only known that there are some
MAX_NAMED = 100  # alarms with a name at a time; one without stands for all others
CHECK_S = 0.2
FULL = "streams"  # reason of a frame that begins a stream too many
OTHERS = ""  # stands for frames whose topic names no stream, and for the streams without a place


@dataclass(slots=True)
class _Rejected:
    since: float
    latest: float
    reason: str
    why: str
    frames: int = 0
    alert: AlertMessage | None = None

    @property
    def by_key(self) -> bool:
        """Whether a key keeps the frames out: whatever else is watched under the name."""
        return self.reason in (NOT_ALLOWED, OTHER_SENDER)


class RejectedStreams:
    """What was refused lately, by stream."""

    def __init__(self, watches: Callable[[str], bool]) -> None:
        """``watches``: whether frames of a stream are used now."""
        self._watches = watches
        self._streams: dict[str, _Rejected] = {}
        self._named = 0
        self._next_check = 0.0
        self.summary: str | None = None  # what is refused, for a status line
        self.full: str | None = None  # that streams find no place

    def add(self, reason: str, stream: str | None, why: str, now: float) -> None:
        """A frame was refused, or not read, that arrived ``now``; ``why`` is for people."""
        name = OTHERS if stream is None else stream
        if name not in self._streams and len(self._streams) >= MAX_STREAMS:
            name = OTHERS
        found = self._streams.get(name)
        if found is None:
            found = self._streams[name] = _Rejected(now, now, reason, why)
        found.latest, found.reason, found.why = now, reason, why
        found.frames += 1

    def alerts(self, now: float, unix_ns: Callable[[], int]) -> list[AlertMessage]:
        """The alerts, not numbered, that begin and end now; to be called often."""
        if not self._streams or now < self._next_check:
            return []
        self._next_check = now + CHECK_S
        found: list[AlertMessage] = []
        for name, each in tuple(self._streams.items()):
            if now - each.latest > ENDS_S or self._resolved(name, each):
                del self._streams[name]
                if each.alert is not None:
                    self._named -= name != OTHERS
                    found.append(own_alert(_code(each.alert), name, each.alert, unix_ns()))
            elif each.alert is None and each.frames > 1 and each.latest - each.since >= LASTS_S:
                found += self._begin(name, each, unix_ns())
        self._summarise()
        return found

    def forget(self, stream: str) -> None:
        """A discharge ended its alarm: if its frames are still refused, another begins."""
        each = self._streams.pop(stream, None)
        if each is not None and each.alert is not None and stream != OTHERS:
            self._named -= 1

    def _summarise(self) -> None:
        told = [each for each in self._streams.values() if each.alert is not None]
        without_place = sum(each.reason == FULL for each in told)
        self.summary = f"frames of {len(told)} streams are refused" if told else None
        self.full = (
            f"full: {without_place} streams or more find no place (streams.max)"
            if without_place
            else None
        )

    def _resolved(self, name: str, each: _Rejected) -> bool:
        """Whether the stream is watched after all: but for those whom a key keeps out."""
        if each.by_key:
            return each.alert is not None and _code(each.alert) is not self._code_of(name, each)
        return name != OTHERS and self._watches(name)

    def _code_of(self, name: str, each: _Rejected) -> AlarmCode:
        second = each.by_key and self._watches(name)
        return AlarmCode.SOURCE_CONFLICT if second else AlarmCode.REJECTED

    def _begin(self, name: str, each: _Rejected, now_ns: int) -> list[AlertMessage]:
        if name != OTHERS and self._named >= MAX_NAMED:
            self.add(each.reason, None, each.why, each.latest)
            return []
        self._named += name != OTHERS
        what = (
            f"frames of {name} are refused" if name else "frames of streams not named are refused"
        )
        text = f"{what} ({each.reason}), last: {each.why}"
        each.alert = own_alert(self._code_of(name, each), name, None, now_ns, text)
        return [each.alert]


def _code(alert: AlertMessage) -> AlarmCode:
    return AlarmCode(alert.code)
