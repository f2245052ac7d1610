"""An engine with what would be on its disk, and the frames that tests give it."""

from collections.abc import Iterable, Sequence

import msgspec

from beatgan.pipeline.checkpointing import Checkpointer, restore_streams
from beatgan.pipeline.engine import Engine
from beatgan.protocol.messages import AlertMessage, Delay, Message, StatusMessage
from beatgan.types import Chunk, Floats
from tests.support.chunks import make_chunk


def timeless(messages: Iterable[Message]) -> list[Message]:
    """The messages of beats and alerts without what depends on the moment."""
    return [
        msgspec.structs.replace(m, n=0, raised_ns=0, delay_ms=Delay(m.delay_ms.condition, 0.0))
        if isinstance(m, AlertMessage)
        else m
        for m in messages
        if not isinstance(m, StatusMessage)
    ]


class Daemon:
    """An engine, what it told, and what would be on the disk."""

    def __init__(self, engine: Engine, now: float = 0.0, round_s: float = 7.0) -> None:
        self.engine = engine
        self.checkpointer = Checkpointer(engine, round_s, now)
        self.messages: list[Message] = []
        self.journal: list[AlertMessage] = []  # also of those before it
        self.alarms: dict[str, bytes] = {}
        self.checkpoints: dict[str, bytes] = {}

    def receive(self, chunks: Iterable[Chunk], now: float, step: float = 0.5) -> float:
        for each in chunks:
            now += step
            self.engine.receive(each, now)
            self.write(self.engine.poll(now).messages, now)
        return now

    def write(self, messages: Sequence[Message], now: float) -> None:
        self.messages += messages
        self.journal += [message for message in messages if isinstance(message, AlertMessage)]
        writes = self.checkpointer.pending_writes(messages, now)
        for name, state in writes.alarms.items():
            if state is not None:
                self.alarms[name] = state
        for name in writes.gone():
            self.alarms.pop(name, None)
            self.checkpoints.pop(name, None)
        self.checkpoints.update(writes.checkpoints)

    def stop(self, now: float) -> None:
        """As at SIGTERM."""
        self.write(self.engine.drain(now).messages, now)
        self.checkpoints.update(self.checkpointer.all())

    def restarted(self, engine: Engine, now: float) -> "Daemon":
        """What a new daemon makes of what is on the disk."""
        after = Daemon(engine, now)
        after.journal = list(self.journal)
        engine.active_alarms.restore(self.active().values(), len(self.journal))
        after.alarms, after.checkpoints = dict(self.alarms), dict(self.checkpoints)
        assert restore_streams(engine, self.alarms.items(), self.checkpoints.items(), now) == []
        after.write(engine.drain(now).messages, now)
        return after

    def active(self) -> dict[str, AlertMessage]:
        last = {message.id: message for message in self.journal}
        return {name: message for name, message in last.items() if message.phase != "end"}

    def phases(self) -> dict[str, list[str]]:
        published: dict[str, list[str]] = {}
        for message in self.journal:
            published.setdefault(message.id, []).append(message.phase)
        return published


def pieces(samples: Floats, start: int, stop: int, size: int = 360) -> list[Chunk]:
    return [
        make_chunk(samples[at : min(at + size, stop)], at, stream)
        for at in range(start, stop, size)
        for stream in ("bed", "cot")
    ]
