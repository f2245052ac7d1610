"""The shards as a table for people: one line each."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from beatgan_daemon.clients.stream_table import NOT_KNOWN, aligned
from beatgan_daemon.sharding.overview import Overview
from beatgan_daemon.sharding.registry import ShardRecord

HEAD = (
    *("SHARD", "STATE", "BUCKETS", "HELD", "READY SINCE", "VERSION", "MODEL"),
    *("INGEST", "PUBLISH", "CONTROL", "TAP", "HTTP"),
)
DIGEST = 12  # characters of a model's digest that tell it from others


def lines(overview: Overview, held: Mapping[str, int]) -> Iterator[str]:
    """The table's lines. ``held``: how many buckets' state lies with each, as far as is known."""
    names = overview.names()
    return aligned([HEAD, *(_row(overview, name, held.get(name)) for name in names)])


def _row(overview: Overview, name: str, holds: int | None) -> tuple[str, ...]:
    state = "running" if name in overview.running else "not running"
    if name in overview.draining:
        state += ", drained"
    buckets = str(len(overview.shard_map.fences_of(name)))
    record = overview.records.get(name)
    held = NOT_KNOWN if holds is None else str(holds)
    told = (NOT_KNOWN,) * (len(HEAD) - 4) if record is None else _told(record)
    return (name, state, buckets, held, *told)


def _told(record: ShardRecord) -> tuple[str, ...]:
    said = (
        *(record.version, record.model[:DIGEST], ",".join(record.ingest)),
        *(record.publish, record.control, ",".join(record.tap), record.http),
    )
    since = f"{datetime.fromtimestamp(record.ready_ns // 10**9):%Y-%m-%d %H:%M:%S}"
    return (since, *(each or NOT_KNOWN for each in said))
