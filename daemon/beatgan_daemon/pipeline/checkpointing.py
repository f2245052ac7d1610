"""What of the engine is written down, and when; and the engine as it was, from what was written.

Bytes under names: where they lie is known to the journal and the store. No clock of its own.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from beatgan.protocol.messages import AlertMessage, Message, StatusMessage
from beatgan_daemon.pipeline.engine import Engine
from beatgan_daemon.pipeline.snapshot import Snapshot, SnapshotError, decode, encode, latest

LOOK_S = 0.05  # how often it is asked whose checkpoint is due


class CheckpointSchedule:
    """Streams take turns, so that the work of saving them is spread evenly over a round."""

    def __init__(self, round_s: float, now: float) -> None:
        """A round takes ``round_s`` seconds; the first begins at ``now``."""
        self._round_s, self._began = round_s, now
        self._line: deque[str] = deque()  # whose turn is still to come in this round
        self._size = 0  # of the round

    def due(self, streams: Collection[str], now: float) -> list[str]:
        """The streams whose turn has come since the last call; to be called often.

        ``streams``: all there are. Who comes during a round takes part from the next one on.
        """
        past = (now - self._began) / self._round_s
        left = int(self._size * (1 - past)) if past < 1 else 0
        turns = [self._line.popleft() for _ in range(len(self._line) - left)]
        if past >= 1:
            self._began = now
            self._line.extend(streams)
            self._size = len(self._line)
        return turns


class PendingWrites(NamedTuple):
    """To be written down: alarm states with the alerts told before, then checkpoints.

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
        self._engine = engine
        self._checkpoints = CheckpointSchedule(round_s, now)
        self._look_at = now

    def kept(self, messages: Sequence[Message], now: float) -> PendingWrites:
        """What goes with ``messages``, which were just told.

        Nothing where they are not `Engine.poll`'s or `Engine.drain`'s and steps wait to be told: a
        stream's alarms have not changed then, and its memory is not of one moment.
        """
        if not self._engine.idle():
            return PendingWrites({}, [])
        due: list[str] = []
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            due = self._checkpoints.due(self._engine.streams(), now)
        return PendingWrites(self._alarms(messages), self._saved(due))

    def all(self) -> list[tuple[str, bytes]]:
        """The checkpoints of all streams that have gone on; after `Engine.drain`."""
        return self._saved(self._engine.streams())

    def _alarms(self, messages: Sequence[Message]) -> dict[str, bytes | None]:
        """The alarm state after them of every stream that has alerts among ``messages``."""
        touched = [message.stream for message in messages if _matters(message)]
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
) -> list[str]:
    """Restore what was kept of each stream; what of it could not be read, in words."""
    complaints: list[str] = []
    states, saved = _read(alarms, complaints), _read(checkpoints, complaints)
    for name in states | saved:
        snapshot = latest(saved.get(name), states.get(name))
        if snapshot is not None:
            engine.restore(snapshot, now)
    return complaints


def _read(kept: Iterable[tuple[str, bytes]], complaints: list[str]) -> dict[str, Snapshot]:
    found: dict[str, Snapshot] = {}
    for name, content in kept:
        try:
            found[name] = decode(content)
        except SnapshotError as error:
            complaints.append(f"{name}: {error}")
    return found


def _matters(message: Message) -> bool:
    """Whether a stream's alarms are not what they were before ``message``."""
    if isinstance(message, StatusMessage):
        return message.state == "ended"
    return isinstance(message, AlertMessage)
