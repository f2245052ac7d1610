"""The alarms of each stream as they stand, for who wants no history: retained at the broker.

It is asked of the daemon and compared with what was published last, so that nothing stale stays.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from beatgan.protocol.messages import AlertMessage, decode_alert

RANKS: Final = ("none", "low", "medium", "high")


class ActiveAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of an episode under way; the keys are those of its latest alert."""

    id: str
    n: int
    code: str
    kind: str
    priority: str
    lead: str | None
    onset_ns: int
    suspended: bool
    latched: bool
    acknowledged: bool
    text: str = ""


class ActiveAlarms(msgspec.Struct, frozen=True, kw_only=True):
    """One stream's. ``highest``: the highest priority, `none` where there is no alarm."""

    v: int = 1
    stream: str
    highest: str
    alarms: list[ActiveAlarm]


def states(streams: Iterable[str], alerts: Iterable[bytes]) -> Mapping[str, bytes]:
    """Each stream's state as JSON; ``alerts``: the last alert of each episode under way."""
    found: dict[str, list[AlertMessage]] = {stream: [] for stream in streams}
    for message in map(decode_alert, alerts):
        if message.stream:  # "": of the daemon itself
            found.setdefault(message.stream, []).append(message)
    return {stream: _encode(_state(stream, each)) for stream, each in found.items()}


def _state(stream: str, alerts: list[AlertMessage]) -> ActiveAlarms:
    ranks = [RANKS.index(each.priority) for each in alerts if each.priority in RANKS]
    alarms = [
        ActiveAlarm(
            id=each.id,
            n=each.n,
            code=each.code,
            kind=each.kind,
            priority=each.priority,
            lead=each.lead,
            onset_ns=each.onset_ns,
            suspended=each.suspended,
            latched=each.latched,
            acknowledged=each.acknowledged,
            text=each.text if isinstance(each.text, str) else "",
        )
        for each in alerts
    ]
    return ActiveAlarms(stream=stream, highest=RANKS[max(ranks, default=0)], alarms=alarms)


_encode = msgspec.json.Encoder().encode


class Retained:
    """What the broker keeps under some topics, and what is to be changed there."""

    def __init__(self) -> None:
        self._there: dict[str, bytes] = {}

    def seen(self, topic: str, body: bytes) -> None:
        """The broker has it, from now or from long ago; b"": it has it no more."""
        if body:
            self._there[topic] = body
        else:
            self._there.pop(topic, None)

    def changes(self, wanted: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
        """What to publish, so that there is what is ``wanted`` and nothing else; b"" removes."""
        stale = [(topic, b"") for topic in self._there if topic not in wanted]
        new = [(topic, body) for topic, body in wanted.items() if self._there.get(topic) != body]
        for topic, body in (*stale, *new):
            self.seen(topic, body)
        return stale + new
