"""What a daemon's files hold of its streams and alarms: read at once, and forgotten at once."""

from collections.abc import Callable
from time import time_ns
from typing import NamedTuple

from beatgan.protocol.alert_journal import JournalEntry
from beatgan_daemon.storage.checkpoint_store import CheckpointStore
from beatgan_daemon.storage.journal import Journal


class StoredStreams(NamedTuple):
    """``states`` and ``checkpoints``: alarm states and checkpoints by stream; ``active``: the last
    alert of each episode under way, in order of ``n``. ``trouble``: why it may be less than what
    was written; None where it is all."""

    states: dict[str, bytes]
    checkpoints: dict[str, bytes]
    active: tuple[JournalEntry, ...]
    trouble: str | None


def read_streams(journal: Journal, store: CheckpointStore | None) -> StoredStreams:
    """All there is; before anything is written."""
    states = {each.stream: each.state for each in journal.states()}
    checkpoints = {} if store is None else dict(store.load())
    trouble = journal.trouble or (None if store is None else store.trouble)
    return StoredStreams(states, checkpoints, tuple(journal.active()), trouble)


def forget_streams(
    journal: Journal,
    store: CheckpointStore | None,
    stored: StoredStreams,
    gone: Callable[[str], bool],
) -> None:
    """Of the streams that are ``gone``, nothing is kept: they go on elsewhere."""
    episodes = [each for each in stored.active if gone(each.stream)]
    known = {*stored.states, *stored.checkpoints, *(each.stream for each in episodes)}
    if streams := sorted(filter(gone, known)):
        journal.append([], dict.fromkeys(streams), time_ns(), [each.id for each in episodes])
        if store is not None:
            store.forget(streams)
