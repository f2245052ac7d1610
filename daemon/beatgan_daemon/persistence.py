"""What of a daemon survives a restart: its files, opened, and the engine restored from them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from beatgan.pipeline.active_alarms import ActiveAlarms
from beatgan.pipeline.checkpointing import end_unattended, restore_streams
from beatgan.pipeline.engine import Engine
from beatgan.protocol.alert_journal import JournalEntry
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.storage.checkpoint_store import CheckpointStore
from beatgan_daemon.storage.journal import Journal
from beatgan_daemon.storage.stored_streams import StoredStreams, forget_streams, read_streams


@dataclass(frozen=True, slots=True)
class Persistence:
    """The journal and the checkpoints; ``store`` None: there is no directory for them."""

    journal: Journal
    store: CheckpointStore | None

    def read(self) -> StoredStreams:
        """What the daemon that was here before left."""
        return read_streams(self.journal, self.store)

    def restore(
        self, engine: Engine, stored: StoredStreams, now: float, served: Callable[[str], bool]
    ) -> list[AlertMessage]:
        """Restore the streams and alarms that were ``stored``.

        ``served``: whether a stream is this daemon's; of others nothing is kept, see
        `moving.arrivals`. Alerts to be published: the end of episodes that no restored stream will
        end.
        """
        # What was taken over and not claimed before the end is where it was taken from.
        forget_streams(self.journal, self.store, stored, lambda name: not served(name))
        states = [(name, state) for name, state in stored.states.items() if served(name)]
        checkpoints = [(name, state) for name, state in stored.checkpoints.items() if served(name)]
        for problem in restore_streams(engine, states, checkpoints, now):
            log.get().warning("a stream's state is of no use", why=problem)
        alarms = engine.active_alarms
        active = (entry for entry in stored.active if served(entry.stream))
        _restore_alarms(alarms, active, self.journal.next_n)
        return end_unattended(engine, alarms.active.values())

    def close(self) -> None:
        """Free the files, once no publisher uses them any more."""
        self.journal.close()
        if self.store is not None:
            self.store.close()


def _restore_alarms(
    active_alarms: ActiveAlarms, active: Iterable[JournalEntry], following: int
) -> None:
    messages: list[AlertMessage] = []
    for entry in active:
        try:
            messages.append(decode_alert(entry.body))
        except msgspec.MsgspecError as error:
            log.get().warning("an alert of the journal is of no use", n=entry.n, why=str(error))
    active_alarms.restore(messages, following)


def open_persistence(directory: Path | None) -> Persistence:
    """The journal and the store in ``directory``, which is made if need be.

    Raises StartError where that cannot be.
    """
    logger = log.get()
    if directory is None:
        logger.warning("alerts are kept in memory only: state.dir is not set")
        return Persistence(Journal(None, lambda text: logger.warning("journal", why=text)), None)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartError(f"state.dir: cannot make {directory}: {error.strerror}") from None
    journal = Journal(directory / "journal.db", lambda text: logger.error("journal", why=text))
    store = CheckpointStore(directory / "streams.db")
    if store.anew is not None:
        kept = None if store.aside is None else str(store.aside)
        file = str(directory / "streams.db")
        logger.error("checkpoints begun anew", file=file, why=store.anew, kept=kept)
    return Persistence(journal, store)
