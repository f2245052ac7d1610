"""What lies in the directory of a shard that does not run, or does not answer, handed over.

Every call may block for as long as the disk does.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from beatgan.errors import UsageError
from beatgan.protocol.buckets import bucket_of
from beatgan_daemon.sharding.claims import read_claims, write_claims
from beatgan_daemon.sharding.handover import BucketState, left_fences, write_handovers
from beatgan_daemon.sharding.shard_map import ShardMap
from beatgan_daemon.storage.checkpoint_store import CheckpointStore, read_checkpoints
from beatgan_daemon.storage.journal import Journal
from beatgan_daemon.storage.journal_tables import JournalTables
from beatgan_daemon.storage.sqlite import open_to_read
from beatgan_daemon.storage.stored_streams import StoredStreams, forget_streams, read_streams


def current_claims(directory: Path, shard: str, shard_map: ShardMap) -> dict[int, int]:
    """The claims of a shard that the map agrees with. Raises UsageError."""
    claims, given = read_claims(directory / shard), shard_map.fences_of(shard)
    return {bucket: fence for bucket, fence in claims.items() if given.get(bucket) == fence}


def leave_behind(
    directory: Path, shard: str, shard_map: ShardMap, report: Callable[[str], None]
) -> list[int]:
    """Hand over the buckets of a shard that does not run which the map gives to others, or to it
    anew; which ones.

    Its directory has nothing of them afterwards. Raises StartError where the shard runs,
    and OSError, sqlite3.Error or UsageError where its files are not to be had.
    """
    state = directory / shard
    if read_claims(state) == current_claims(directory, shard, shard_map):
        return []
    with ExitStack() as opened:
        journal = Journal(state / "journal.db", report)  # holds the lock from here on
        opened.callback(journal.close)
        store = CheckpointStore(state / "streams.db")
        opened.callback(store.close)
        stored = read_streams(journal, store)
        gone = leave(directory, shard, shard_map, stored)

        def is_gone(stream: str) -> bool:
            return bool(stream) and bucket_of(stream) in gone

        forget_streams(journal, store, stored, is_gone)
    return gone


def leave(directory: Path, shard: str, shard_map: ShardMap, stored: StoredStreams) -> list[int]:
    """The same where a shard's files are open, which holds its lock: but what is ``stored`` there
    of these buckets is still to be forgotten.

    Raises OSError or UsageError.
    """
    state = directory / shard
    claims, keep = read_claims(state), current_claims(directory, shard, shard_map)
    gone = {bucket: fence for bucket, fence in claims.items() if bucket not in keep}
    if not gone:
        return []
    if stored.trouble:
        raise UsageError(f"{state}: cannot be read: {stored.trouble}")  # it may have more
    left = left_fences(directory)  # by the shard itself, just before it died: that is newer
    missing = {b: fence for b, fence in gone.items() if fence not in left.get(b, ())}
    write_handovers(directory, _bucket_states(shard, missing, stored).values())
    write_claims(state, keep)
    return sorted(gone)


def copy_of(directory: Path, shard: str, buckets: Collection[int]) -> dict[int, BucketState]:
    """What is on the disk of ``buckets`` of a shard that runs and does not answer, or whose files
    cannot be handed over; of those that it had.

    Its files stay as they are. Raises OSError, sqlite3.Error or UsageError.
    """
    state = directory / shard
    claims = read_claims(state)
    wanted = {bucket: claims[bucket] for bucket in buckets if bucket in claims}
    with closing(open_to_read(state / "journal.db")) as database:
        tables = JournalTables(database)
        states = {each.stream: each.state for each in tables.states()}
        active = tuple(tables.active())
    checkpoints = dict(read_checkpoints(state / "streams.db"))
    stored = StoredStreams(states, checkpoints, active, trouble=None)
    return _bucket_states(shard, wanted, stored)


def _bucket_states(
    shard: str, fences: Mapping[int, int], stored: StoredStreams
) -> dict[int, BucketState]:
    """One of each bucket in ``fences``."""
    left = {
        bucket: BucketState(
            bucket=bucket,
            fence=fence,
            shard=shard,
            released=False,
            states={},
            checkpoints={},
            alerts=[],
        )
        for bucket, fence in fences.items()
    }
    for name, state in stored.states.items():
        if (found := left.get(bucket_of(name))) is not None:
            found.states[name] = state
    for name, state in stored.checkpoints.items():
        if (found := left.get(bucket_of(name))) is not None:
            found.checkpoints[name] = state
    for entry in stored.active:
        if entry.stream and (found := left.get(bucket_of(entry.stream))) is not None:
            found.alerts.append(entry.body)
    return left
