"""What of the engine is written down, and when; and the engine as it was, from what was written.

Bytes under names: where they lie is known to the journal and the store. No clock of its own.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from beatgan.jit import state_digest
from beatgan.pipeline.engine import Engine
from beatgan.pipeline.snapshot import Snapshot, SnapshotError, decode, encode, latest
from beatgan.protocol.messages import AlertMessage, Message, StatusMessage

CHECK_S = 0.05  # how often it is asked whose checkpoint is due


class CheckpointSchedule:
    """One stream after another, so that the work of saving them is spread evenly over a round."""

    def __init__(self, round_s: float, now: float) -> None:
        """A round takes ``round_s`` seconds; the first begins at ``now``."""
        self._round_s, self._began = round_s, now
        self._waiting: deque[str] = deque()  # still to be saved in this round
        self._size = 0  # of the round

    def due(self, streams: Collection[str], now: float) -> list[str]:
        """The streams to be saved that have become due since the last call; to be called often.

        ``streams``: all there are. Who comes during a round takes part from the next one on.
        """
        past = (now - self._began) / self._round_s
        left = int(self._size * (1 - past)) if past < 1 else 0
        due = [self._waiting.popleft() for _ in range(len(self._waiting) - left)]
        if past >= 1:
            self._began = now
            self._waiting.extend(streams)
            self._size = len(self._waiting)
        return due


class PendingWrites(NamedTuple):
    """To be written down: alarm states after the alerts that are published, then checkpoints.

    ``alarms``: None for a stream that is gone, whose checkpoint is of no use any more either.
    """

    alarms: dict[str, bytes | None]
    checkpoints: list[tuple[str, bytes]]

    def gone(self) -> list[str]:
        """The streams that are gone."""
        return [name for name, state in self.alarms.items() if state is None]


class Checkpointer:
    """Says what is to be written down of an engine's streams."""

    def __init__(self, engine: Engine, round_s: float, now: float) -> None:
        """Each stream that goes on has a checkpoint about every ``round_s`` seconds."""
        state_digest()  # of source files: read now, not when they have changed or cannot be opened
        self._engine = engine
        self._checkpoints = CheckpointSchedule(round_s, now)
        self._next_check = now

    def pending_writes(self, messages: Sequence[Message], now: float) -> PendingWrites:
        """What is to be written with ``messages``, which are about to be published.

        Nothing where they are not `Engine.poll`'s or `Engine.drain`'s and events still wait: a
        stream's alarms have not changed then, and its state is not of one moment.
        """
        if not self._engine.idle():
            return PendingWrites({}, [])
        due: list[str] = []
        if now >= self._next_check:
            self._next_check = now + CHECK_S
            due = self._checkpoints.due(self._engine.streams(), now)
        return PendingWrites(self._alarms(messages), self._saved(due))

    def all(self) -> list[tuple[str, bytes]]:
        """The checkpoints of all streams that have gone on; after `Engine.drain`."""
        return self._saved(self._engine.streams())

    def _alarms(self, messages: Sequence[Message]) -> dict[str, bytes | None]:
        """The alarm state after them of every stream that began, ended or has alerts among
        ``messages``."""
        touched = [message.stream for message in messages if _is_written_down(message)]
        knows = self._engine.knows
        return {
            name: encode(self._engine.save(name, checkpoint=False)) if knows(name) else None
            for name in dict.fromkeys(touched)
            if name  # the daemon's own alerts have none
        }

    def _saved(self, streams: Iterable[str]) -> list[tuple[str, bytes]]:
        changed = filter(self._engine.changed, streams)
        return [(name, encode(self._engine.save(name, checkpoint=True))) for name in changed]


def restore_streams(
    engine: Engine,
    alarms: Iterable[tuple[str, bytes]],
    checkpoints: Iterable[tuple[str, bytes]],
    now: float,
    why: str = "goes on after a restart",
) -> list[str]:
    """Restore what was saved of each stream; what of it could not be read, in words.

    ``why`` stands in the streams' status messages.
    """
    problems: list[str] = []
    states, saved = _read(alarms, problems), _read(checkpoints, problems)
    for name in states | saved:
        snapshot = latest(saved.get(name), states.get(name))
        if snapshot is not None:
            engine.restore(snapshot, now, why)
    return problems


def end_unattended(engine: Engine, alerts: Iterable[AlertMessage]) -> list[AlertMessage]:
    """The end of those of the episodes under way that no stream of the engine is left to end.

    ``alerts``: the last one of each; after `restore_streams`.
    """
    known = engine.episodes()
    left = [each for each in alerts if not each.latched and each.id not in known]
    return engine.active_alarms.end(left)


def _read(saved: Iterable[tuple[str, bytes]], problems: list[str]) -> dict[str, Snapshot]:
    found: dict[str, Snapshot] = {}
    for name, content in saved:
        try:
            found[name] = decode(content)
        except SnapshotError as error:
            problems.append(f"{name}: {error}")
    return found


def _is_written_down(message: Message) -> bool:
    """Whether the stream's state is written with ``message``: where its alarms are others than
    before, and where it is new, so that a kill before its first checkpoint is told as a gap."""
    if isinstance(message, StatusMessage):
        return message.state in ("started", "ended")
    return isinstance(message, AlertMessage)
