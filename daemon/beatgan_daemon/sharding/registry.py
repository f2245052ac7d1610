"""What each shard says of itself: ``shard.json`` in its directory, written when it is ready."""

import re
from pathlib import Path

import msgspec

from beatgan.errors import UsageError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.sharding.atomic_file import write_whole
from beatgan_daemon.storage.sequence_file import in_use

FILE = "shard.json"
VERSION = 1


class ShardRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A shard that was ready at ``ready_ns`` (UNIX time), and the endpoints to reach it by.

    ``version``: of beatgan; ``model``: the digest of its model; ``http``: a URL.
    """

    v: int = VERSION
    shard: str
    host: str
    pid: int
    ready_ns: int
    version: str
    model: str
    ingest: tuple[str, ...]
    publish: str
    control: str
    tap: tuple[str, ...]
    http: str


def write_record(directory: Path, record: ShardRecord) -> None:
    """Say so of a shard of ``directory``. Raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(record)) + b"\n"
    write_whole(directory / record.shard / FILE, content)


def read_records(directory: Path) -> tuple[list[ShardRecord], list[str]]:
    """Every shard that was ready once, in the order of numbers in names; and what of the files
    could not be read, in words."""
    records: list[ShardRecord] = []
    problems: list[str] = []
    for path in directory.glob(f"*/{FILE}"):
        try:
            record = _read(path)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            problems.append(f"{path}: cannot be read: {error}")
            continue
        if record.shard == path.parent.name:
            records.append(record)
        else:
            problems.append(f"{path}: of {record.shard}: a copy, which counts for nothing")
    return sorted(records, key=lambda each: _in_order(each.shard)), sorted(problems)


def is_copy(state: Path) -> bool:
    """Whether the directory ``state`` is a copy of another shard's: it is that one's state, as it
    was once."""
    try:
        return _read(state / FILE).shard != state.name
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return False


def _read(path: Path) -> ShardRecord:
    return msgspec.json.decode(read_text(path), type=ShardRecord)


def is_running(directory: Path, shard: str) -> bool:
    """Whether a process holds the lock of the shard's state, on whichever machine that is, if the
    file system has locks for all of them.

    Raises UsageError where that cannot be known, as for another user than the shards' own.
    """
    path = directory / shard / "journal.n"
    try:
        return in_use(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be used: {error.strerror}") from None


def reachable(endpoint: str, host: str) -> str:
    """``endpoint`` for a client: where it listens on all interfaces, ``host`` takes their place."""
    match = re.fullmatch(r"(\w+://)(?:\*|0\.0\.0\.0|\[::\])(:\d+)", endpoint)
    return endpoint if match is None else f"{match[1]}{host}{match[2]}"


def _in_order(name: str) -> list[tuple[int, str]]:
    """shard-2 before shard-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
