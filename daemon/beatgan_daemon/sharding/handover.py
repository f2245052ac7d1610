"""What a shard leaves for the one that has a bucket next: a file ``handover/BUCKET-FENCE``.

Bytes under streams' names, as the journal and the checkpoint store hold them; what they say is
known to the engine. The file is there whole or not at all.
"""

import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from beatgan.errors import BeatganError
from beatgan_daemon.regular_file import open_regular
from beatgan_daemon.sharding.atomic_file import flush_folder, replace_file

FOLDER: Final = "handover"  # in the shards' directory
VERSION: Final = 1
MARK: Final = b"bgho"
HEAD: Final = struct.Struct("<4sHI")  # mark, version, checksum of what follows
MOST_BYTES: Final = 2**32
_NAME: Final = re.compile(r"([0-9a-f]{2})-(\d{1,18})")


class BucketStateError(BeatganError):
    """A file that is no handover, or a damaged one."""


class BucketState(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket's streams and alarms, as ``shard`` had them under ``fence``.

    ``states`` and ``checkpoints``: alarm states and checkpoints by stream; ``alerts``: the JSON of
    the last alert of each episode under way. ``released``: the shard let go of the bucket itself,
    so that all it told is in them.
    """

    bucket: int
    fence: int
    shard: str
    released: bool
    states: dict[str, bytes]
    checkpoints: dict[str, bytes]
    alerts: list[bytes]


def write_handovers(directory: Path, handovers: Iterable[BucketState]) -> None:
    """Leave them in the shards' ``directory``. Raises OSError."""
    folder = directory / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for each in handovers:
        body = _encoder.encode(each)
        content = HEAD.pack(MARK, VERSION, zlib.crc32(body)) + body
        replace_file(_path(directory, each.bucket, each.fence), content)
    flush_folder(folder)


def read_handover(directory: Path, bucket: int, fence: int) -> BucketState:
    """What was left of a bucket under ``fence``. Raises OSError and BucketStateError."""
    path = _path(directory, bucket, fence)
    with open_regular(path) as file:
        head = file.read(HEAD.size)  # by itself: what is no handover may be of any size
        if len(head) < HEAD.size or not head.startswith(MARK):
            raise BucketStateError(f"{path}: no handover: the mark is missing")
        _, version, checksum = HEAD.unpack(head)
        if version != VERSION:
            raise BucketStateError(f"{path}: handover version {version}; expected {VERSION}")
        body = file.read(MOST_BYTES)
    if zlib.crc32(body) != checksum:
        raise BucketStateError(f"{path}: damaged: its checksum differs")
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BucketStateError(f"{path}: damaged: {error}") from None
    if (found.bucket, found.fence) != (bucket, fence):
        raise BucketStateError(f"{path}: is of bucket {found.bucket:02x}, fence {found.fence}")
    return found


def left_fences(directory: Path) -> dict[int, list[int]]:
    """The fences under which something was left, by bucket, in order. Raises OSError."""
    found: dict[int, list[int]] = {}
    folder = directory / FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            found.setdefault(int(match[1], 16), []).append(int(match[2]))
    return {bucket: sorted(fences) for bucket, fences in found.items()}


def delete_handover(directory: Path, bucket: int, fence: int) -> None:
    """It is needed no more. Raises OSError, but not where it is gone already."""
    _path(directory, bucket, fence).unlink(missing_ok=True)


def set_aside(directory: Path, bucket: int, fence: int) -> Path:
    """Rename what was left so that nobody takes it for a handover. Raises OSError."""
    path = _path(directory, bucket, fence)
    return path.rename(path.with_name(f"{path.name}.damaged"))


def _path(directory: Path, bucket: int, fence: int) -> Path:
    return directory / FOLDER / f"{bucket:02x}-{fence}"


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(BucketState)
