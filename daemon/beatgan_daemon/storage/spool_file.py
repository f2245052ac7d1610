"""Alerts that wait for the journal, in a file of their own beside it, against a kill.

It is only appended to, without waiting for the disk itself: what was written survives the process,
even where the journal's database is locked or a disk takes seconds to confirm. The next start puts
it into the journal. Knows nothing of what alerts say.
"""

import errno
import os
import stat
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import msgspec

from beatgan.protocol.alert_journal import JournalEntry
from beatgan_daemon.regular_file import open_regular

MAX_BYTES = 64 * 2**20
# A FIFO in its place keeps nobody waiting.
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
_HEAD = Struct("<II")  # length and CRC-32 of what follows


class Spooled(NamedTuple):
    """Alerts, and the alarm states of streams after them; None: the stream is forgotten."""

    entries: Sequence[JournalEntry]
    states: Mapping[str, bytes | None]


def joined(some: Sequence[Spooled]) -> Spooled:
    """One after the other, as one; the latest state of each stream."""
    entries = [entry for each in some for entry in each.entries]
    return Spooled(entries, {name: state for each in some for name, state in each.states.items()})


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(
    tuple[list[tuple[int, str, str, str, bytes]], dict[str, bytes | None]]
)


class SpoolFile:
    """Opened anew for each call: it is seldom there at all. At most MAX_BYTES long; used by one
    thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, spooled: Spooled) -> None:
        """Append, all or nothing. Raises OSError, also where it would be too long."""
        body = _encode((list(map(tuple, spooled.entries)), dict(spooled.states)))
        record = _HEAD.pack(len(body), zlib.crc32(body)) + body
        file = os.open(self._path, _APPEND, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            before = os.fstat(file).st_size
            if before + len(record) > MAX_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            if os.write(file, record) < len(record):  # the disk is full
                os.ftruncate(file, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)

    def read(self) -> list[Spooled]:
        """What was added, in order; a record that a kill cut short ends it. Raises nothing."""
        try:
            with open_regular(self._path) as opened:
                content = opened.read()
        except OSError:
            return []
        found: list[Spooled] = []
        place = 0
        while place + _HEAD.size <= len(content):
            length, check = _HEAD.unpack_from(content, place)
            body = content[place + _HEAD.size : place + _HEAD.size + length]
            if len(body) < length or zlib.crc32(body) != check:
                break
            try:
                entries, states = _decoder.decode(body)
            except msgspec.MsgspecError:
                break
            found.append(Spooled([JournalEntry(*each) for each in entries], states))
            place += _HEAD.size + length
        return found

    def clear(self) -> None:
        """Nothing waits any more. Raises nothing."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
