"""The shards as a table for people: one line each."""

from collections.abc import Iterator
from datetime import datetime

from beatgan_daemon.clients.stream_table import NOT_KNOWN, aligned
from beatgan_daemon.sharding.overview import Overview
from beatgan_daemon.sharding.registry import ShardRecord

HEAD = (
    *("SHARD", "STATE", "BUCKETS", "READY SINCE", "VERSION", "MODEL"),
    *("INGEST", "PUBLISH", "CONTROL", "TAP", "HTTP"),
)
DIGEST = 12  # characters of a model's digest that tell it from others


def lines(overview: Overview) -> Iterator[str]:
    """The table's lines."""
    return aligned([HEAD, *(_row(overview, name) for name in overview.names())])


def _row(overview: Overview, name: str) -> tuple[str, ...]:
    state = "running" if name in overview.running else "not running"
    if name in overview.draining:
        state += ", drained"
    buckets = str(len(overview.shard_map.fences_of(name)))
    record = overview.records.get(name)
    told = (NOT_KNOWN,) * (len(HEAD) - 3) if record is None else _told(record)
    return (name, state, buckets, *told)


def _told(record: ShardRecord) -> tuple[str, ...]:
    said = (
        *(record.version, record.model[:DIGEST], ",".join(record.ingest)),
        *(record.publish, record.control, ",".join(record.tap), record.http),
    )
    since = f"{datetime.fromtimestamp(record.ready_ns // 10**9):%Y-%m-%d %H:%M:%S}"
    return (since, *(each or NOT_KNOWN for each in said))
