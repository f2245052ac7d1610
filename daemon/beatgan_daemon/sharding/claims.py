"""Which buckets' state lies in a shard's directory, and under which fence: its file ``buckets``.

The map says who is to have a bucket; a claim, who has it. Written once the state is on the disk,
and struck out once it has been handed over.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from beatgan.errors import UsageError
from beatgan.protocol.buckets import ALL
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.sharding.atomic_file import write_whole

FILE: Final = "buckets"  # in the shard's directory
HEADER: Final = "# bucket fence\n"
_LINE: Final = re.compile(r"([0-9a-f]{2}) (\d{1,18})")
OF_A_DAEMON_ALONE: Final = dict.fromkeys(sorted(ALL), 0)  # it had them all before there was a map


def read_claims(state: Path) -> dict[int, int]:
    """The fences by bucket. Where state lies in the directory ``state`` and no such file, a daemon
    without a map wrote it: it had all buckets, under fence 0.

    Raises UsageError where the file cannot be read or is spoilt.
    """
    path = state / FILE
    if not path.exists():
        return dict(OF_A_DAEMON_ALONE) if (state / "journal.db").exists() else {}
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if not text.startswith(HEADER):  # an emptied file would be a shard without patients
        raise UsageError(f"{path}: line 1: expected {HEADER.strip()!r}")
    found: dict[int, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(f"{path}: line {number}: expected BUCKET FENCE, got {line!r}")
        found[int(match[1], 16)] = int(match[2])
    return found


def highest_claims(directory: Path) -> dict[int, int]:
    """By bucket the highest fence under which its state lies with any shard of ``directory``, as
    far as their files can be read. Raises UsageError where the directory cannot be."""
    highest: dict[int, int] = {}
    try:
        states = list(directory.iterdir())
    except OSError as error:
        raise UsageError(f"{directory}: cannot be read: {error.strerror}") from None
    for state in states:
        with suppress(UsageError):
            for bucket, fence in read_claims(state).items():
                highest[bucket] = max(fence, highest.get(bucket, fence))
    return highest


def write_claims(state: Path, fences: Mapping[int, int]) -> None:
    """Replace the file. Raises OSError."""
    lines = (f"{bucket:02x} {fence}\n" for bucket, fence in sorted(fences.items()))
    write_whole(state / FILE, (HEADER + "".join(lines)).encode())
