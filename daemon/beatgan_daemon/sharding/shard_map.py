"""Which shard has which bucket: a text file of 256 lines, ``BUCKET SHARD FENCE``.

Whoever changes a bucket's shard raises its fence, a fencing token: every alert bears that of its
bucket, so that of two shards that both believe to have it the later one counts.
"""

import fcntl
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from beatgan.errors import UsageError
from beatgan.protocol.buckets import BUCKETS
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.shard_name import PATTERN, shard_name
from beatgan_daemon.sharding.atomic_file import write_whole

FILE = "map"  # in the directory that the shards share
HEADER = "# bucket shard fence\n"
_LINE = re.compile(rf"([0-9a-f]{{2}}) ({PATTERN}) (\d{{1,18}})")


class Assignment(NamedTuple):
    """A bucket's shard, and the fence under which it has the bucket."""

    shard: str
    fence: int


class ShardMap(NamedTuple):
    """The assignment of each bucket, in their order."""

    assignments: tuple[Assignment, ...]

    @classmethod
    def even(cls, shards: Sequence[str], before: Mapping[int, int] | None = None) -> Self:
        """Every bucket to one of ``shards``, in turn, under fences above those of ``before``, by
        bucket. Raises UsageError on impossible names."""
        names = [shard_name(each) for each in shards]
        if not names or len(set(names)) < len(names) or len(names) > BUCKETS:
            raise UsageError(f"expected 1 to {BUCKETS} shards, each named once")
        fences = [(before or {}).get(b, 0) + 1 for b in range(BUCKETS)]
        return cls(tuple(Assignment(names[b % len(names)], f) for b, f in enumerate(fences)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the file's text. Raises UsageError naming the line and what was expected."""
        found: dict[int, Assignment] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise UsageError(f"line {number}: expected BUCKET SHARD FENCE, got {line!r}")
            bucket = int(match[1], 16)
            if bucket in found:
                raise UsageError(f"line {number}: bucket {match[1]} stands there twice")
            try:
                found[bucket] = Assignment(shard_name(match[2]), int(match[3]))
            except UsageError as error:
                raise UsageError(f"line {number}: {error}") from None
        if missing := [b for b in range(BUCKETS) if b not in found]:
            raise UsageError(f"{len(missing)} buckets have no line, the first {missing[0]:02x}")
        return cls(tuple(found[b] for b in range(BUCKETS)))

    def text(self) -> str:
        """What `parse` reads."""
        lines = (f"{b:02x} {each.shard} {each.fence}\n" for b, each in enumerate(self.assignments))
        return HEADER + "".join(lines)

    def shards(self) -> list[str]:
        """The shards that have a bucket, in the order of their names."""
        return sorted({each.shard for each in self.assignments})

    def fences_of(self, shard: str) -> dict[int, int]:
        """The shard's buckets, each with its fence."""
        return {b: each.fence for b, each in enumerate(self.assignments) if each.shard == shard}

    def moved(self, to: Mapping[int, str]) -> Self:
        """The map after these buckets have gone to these shards."""

        def after(bucket: int, now: Assignment) -> Assignment:
            shard = to.get(bucket, now.shard)
            return now if shard == now.shard else Assignment(shard, now.fence + 1)

        return type(self)(tuple(after(b, each) for b, each in enumerate(self.assignments)))

    def first_earlier(self, before: Self) -> int | None:
        """The first bucket whose fence is lower than in the map ``before``: this is an old map."""
        pairs = zip(self.assignments, before.assignments, strict=True)
        return next((b for b, (now, then) in enumerate(pairs) if now.fence < then.fence), None)

    def outdated(self, claims: Mapping[int, int]) -> str:
        """Why it is an old map, where shards have had buckets under the fences ``claims``; empty
        where it is none."""
        for bucket, each in enumerate(self.assignments):
            if claims.get(bucket, 0) > each.fence:
                text = f"bucket {bucket:02x} has fence {each.fence} there, and a shard has had it"
                return f"the map is an old one: {text} under {claims[bucket]}"
        return ""

    def emptied(self, shard: str, others: Collection[str]) -> Self:
        """The map once ``others`` have the shard's buckets, each who has the fewest. Raises
        UsageError where there are no others."""
        held = Counter(dict.fromkeys(sorted({*others} - {shard}), 0))
        if not held:
            raise UsageError("no shard is left to take the buckets")
        held.update(each.shard for each in self.assignments if each.shard in held)
        to: dict[int, str] = {}
        for bucket in self.fences_of(shard):
            to[bucket] = min(held, key=lambda name: (held[name], name))
            held[to[bucket]] += 1
        return self.moved(to)


def read_map(directory: Path) -> ShardMap:
    """The map in the shards' directory. Raises UsageError where there is none or it is spoilt."""
    path = directory / FILE
    try:
        return ShardMap.parse(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


class MapFile:
    """The map in the shards' directory, read again when it was replaced."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> ShardMap | None:
        """The map; None where it is the one last given. Raises UsageError and OSError."""
        status = os.stat(self._directory / FILE)
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return None
        found = read_map(self._directory)
        self._seen = seen
        return found


def write_map(directory: Path, shard_map: ShardMap) -> None:
    """Replace the map: who reads it sees the old or the new one. Raises UsageError."""
    path = directory / FILE
    try:
        write_whole(path, shard_map.text().encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


@contextmanager
def only_editor(directory: Path) -> Iterator[None]:
    """Nobody else changes the map within the block, who does the same. Raises UsageError."""
    try:
        lock = os.open(directory / f"{FILE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
