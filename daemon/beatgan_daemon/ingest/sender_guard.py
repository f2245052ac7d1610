"""Who may send which stream: asked for every frame, before it counts as anything else.

A key is bound to the streams that the allow-list names for it, and a stream to the key that sends
it: nobody else is heard under its name while that one's frames come. Decodes no frame.
"""

from collections.abc import Callable
from typing import Final, Protocol

from beatgan.pipeline.engine import OTHER_SENDER, Engine
from beatgan.protocol.names import ECG, stream_of_topic
from beatgan_daemon.security.allow_list import Client, Role, Server

NOT_ALLOWED: Final = "not_allowed"  # reason of a frame whose sender may not send its stream

Refused = Callable[[str, str | None, str, float], None]  # reason, stream, why, time of arrival


class Source(Protocol):
    """Where frames come from."""

    sender: str | None  # of the frame received last: a key, or a called endpoint


class SenderGuard:
    """Lets frames pass whose sender may send their stream."""

    def __init__(
        self,
        source: Source,
        who: Callable[[str], Client | Server | None],
        engine: Engine,
        refused: Refused,
    ) -> None:
        """``who`` knows a sender, by the allow-list in force. ``refused`` is called for each frame
        that is dropped, with its stream as far as its topic names one."""
        self._source, self._who, self._engine, self._refused = source, who, engine, refused

    def check(self, parts: list[bytes], now: float) -> str | None:
        """The sender of the frame received last, which arrived ``now``.

        None if it may not send that stream; this is reported.
        """
        topic, sender = parts[0], self._source.sender
        who = None if sender is None else self._who(sender)
        if who is None or not _may_send(who, topic):
            self._report(NOT_ALLOWED, topic, f"{_named(sender, who)} may not send this stream", now)
            return None
        if self._engine.has_other_sender(topic[len(ECG) :].decode("ascii", "replace"), sender):
            why = f"{_named(sender, who)} is not the one whose frames of this stream come"
            self._report(OTHER_SENDER, topic, why, now)
            return None
        return sender

    def _report(self, reason: str, topic: bytes, why: str, now: float) -> None:
        shown = topic[:80].decode("ascii", "backslashreplace")
        self._refused(reason, stream_of_topic(topic), f"{shown}: {why}", now)


def _may_send(who: Client | Server, topic: bytes) -> bool:
    if isinstance(who, Client) and Role.INGEST not in who.roles:
        return False
    return who.streams.match(topic)


def _named(sender: str | None, who: Client | Server | None) -> str:
    """A client by its name and key, a source that is called by its endpoint."""
    return f"{who.name} (key {sender})" if isinstance(who, Client) else f"{sender}"
