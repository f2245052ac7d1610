"""The streams as a table for people: one line each."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from beatgan.protocol.control import StreamEntry

HEAD = ("STREAM", "STATE", "SINCE", "LAST SAMPLE", "RECEIVED", "SENT BY")
NOT_KNOWN = "-"


def lines(listed: Iterable[tuple[str, StreamEntry]]) -> Iterator[str]:
    """The table's lines; with a stream comes its shard, "" where there is none."""
    rows = [(*_row(entry), shard) for shard, entry in listed]
    width = len(HEAD) + any(row[-1] for row in rows)
    return aligned([(*HEAD, "SHARD")[:width], *(row[:width] for row in rows)])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each row, columns as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _row(entry: StreamEntry) -> tuple[str, ...]:
    return (
        entry.stream,
        entry.state,
        _clock(entry.since_ns),
        str(entry.last_sample),
        NOT_KNOWN if entry.received_ns is None else _clock(entry.received_ns),
        entry.sender or NOT_KNOWN,
    )


def _clock(ns: int) -> str:
    """Local wall time to the second."""
    return f"{datetime.fromtimestamp(ns // 10**9):%Y-%m-%d %H:%M:%S}"
