"""A daemon joins the shards of a directory: what it has, and the parts that follow the map."""

from collections.abc import Callable
from pathlib import Path

from beatgan.errors import UsageError
from beatgan.pipeline.engine import Engine
from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.moving.arrivals import Arrivals
from beatgan_daemon.moving.bucket_moves import BucketMoves
from beatgan_daemon.moving.departures import Departures
from beatgan_daemon.moving.held_frames import HeldFrames
from beatgan_daemon.moving.shared_directory import SharedDirectory
from beatgan_daemon.publishing.delivery import Delivery
from beatgan_daemon.sharding.claims import FILE, highest_claims, write_claims
from beatgan_daemon.sharding.ownership import Ownership
from beatgan_daemon.sharding.shard_map import read_map
from beatgan_daemon.sharding.stored_state import current_claims, leave
from beatgan_daemon.sockets.ingest_socket import IngestSocket
from beatgan_daemon.storage.stored_streams import StoredStreams


def join(directory: Path, shard: str, stored: StoredStreams, now: float) -> Ownership:
    """The buckets of ``shard`` when it starts: it has those whose state lies in its directory.

    ``stored`` is what lies there, in files that are open: nobody else takes them over meanwhile.
    What is of others is handed over; it is still to be forgotten. Raises StartError.
    """
    state = directory / shard
    try:
        claimed = highest_claims(directory)  # first: it may be changed meanwhile
        shard_map = read_map(directory)
        if text := shard_map.outdated(claimed):
            raise UsageError(f"{directory}: {text}")
        if not (state / FILE).exists() and _is_empty(stored):
            write_claims(state, {})  # no daemon alone, see `read_claims`
        left = leave(directory, shard, shard_map, stored)
        claims = current_claims(directory, shard, shard_map)
    except (UsageError, OSError) as error:
        raise StartError(f"shard.dir: {error}") from None
    if left:
        names = [f"{bucket:02x}" for bucket in left]
        log.get().info("buckets handed over that the map gives to others", buckets=names)
    if not shard_map.fences_of(shard):
        log.get().warning("no bucket", why=f"the map in {directory} gives {shard} none")
    return Ownership(shard, shard_map, claims, now)


def _is_empty(stored: StoredStreams) -> bool:
    anything = stored.states or stored.checkpoints or stored.active
    return not anything and stored.trouble is None


def follow_map(
    directory: Path,
    shard: str,
    ownership: Ownership,
    engine: Engine,
    delivery: Delivery,
    source: IngestSocket,
    queue: FrameQueue,
    metrics: Metrics,
    forget: Callable[[str], None],
    held_bytes: int,
) -> BucketMoves:
    """What moves the buckets of ``ownership`` from now on.

    ``forget`` is called with each stream that is another shard's now. At most ``held_bytes`` of
    frames are held while the state of their buckets is waited for.
    """
    shared = SharedDirectory(directory, shard, ownership.held)
    metrics.ask("buckets", "Buckets of streams served", lambda: len(ownership.held))
    metrics.ask(
        "buckets_awaited",
        "Buckets that the map gives to this shard and whose state is not here yet",
        lambda: len(ownership.awaited),
    )
    return BucketMoves(
        ownership,
        shared,
        source,
        HeldFrames(held_bytes, metrics.held_frame_dropped),
        Departures(shard, engine, delivery, queue, shared, metrics, forget),
        Arrivals(engine, delivery, shared, metrics),
    )
