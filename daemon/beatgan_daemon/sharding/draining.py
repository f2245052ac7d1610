"""Which shards are to have no buckets though they run: a text file beside the map, a name a line.

Who empties a shard names it here first, so that no coordinator gives it buckets again; who changes
the file does it under `only_editor`.
"""

from collections.abc import Collection
from pathlib import Path

from beatgan.errors import UsageError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.shard_name import shard_name
from beatgan_daemon.sharding.atomic_file import write_whole

FILE = "draining"  # in the directory that the shards share


def read_draining(directory: Path) -> frozenset[str]:
    """The shards that are to be empty; none where there is no file. Raises UsageError where it is
    spoilt, naming the line."""
    path = directory / FILE
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    return frozenset(_name(path, n, line) for n, line in enumerate(lines, 1) if line.strip())


def write_draining(directory: Path, shards: Collection[str]) -> None:
    """Let it be these and no others. Raises UsageError."""
    text = "".join(f"{name}\n" for name in sorted(set(map(shard_name, shards))))
    path = directory / FILE
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _name(path: Path, number: int, line: str) -> str:
    try:
        return shard_name(line.strip())
    except UsageError as error:
        raise UsageError(f"{path}: line {number}: {error}") from None
