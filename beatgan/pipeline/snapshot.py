"""One stream's whole state as a value, and that value as bytes: what a restart goes on with.

Knows no file and no clock, and not what a stream does with what it remembers.
"""

import struct
import zlib
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from beatgan.alarms.policy import PolicyState
from beatgan.errors import BeatganError
from beatgan.frontend import FrontendState

VERSION = 2  # of what the bytes mean: another is not read
MARK = b"bgan"
HEAD = struct.Struct("<4sHI")  # mark, version, checksum of what follows


class SnapshotError(BeatganError):
    """Bytes that are no snapshot, not an intact one, or one of another version."""


class SourceClockState(msgspec.Struct, frozen=True):
    """What a `SourceClock` remembers: pairs of a sample and its UNIX time in ns."""

    anchors: tuple[tuple[int, int], ...]
    since: tuple[int, int]
    latest: tuple[int, int]


class BeatPlace(msgspec.Struct, frozen=True):
    """What tells a beat from all others of its stream: its number in the epoch and its UNIX time.

    The same in both messages of a beat that is revised, whatever was learnt between them.
    """

    n: int
    time_ns: int


class FrontendSnapshot(msgspec.Struct, frozen=True):
    """A front end's state once all samples before ``expected`` were pushed.

    ``beats``: so many had come out of it.
    """

    expected: int
    beats: int
    state: FrontendState


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One stream's state.

    With ``frontend`` it is a checkpoint; without, an *alarm state*: small enough to be written with
    every alert, and enough for episodes to go on under their ids. ``revision`` rises with every
    snapshot of a stream. ``first``, ``beats_before``: of the segment under way; ``beats``: of the
    epoch. ``reconcile_in``: samples until policy and front end, of different moments since a
    restart, must agree; 0 where they do.
    """

    stream: str
    started_ns: int  # UNIX time of the first sample that the daemon received
    revision: int
    epoch: int
    previous_epoch: int | None
    fs: float
    leads: tuple[str, ...]
    first: int
    expected: int
    beats: int
    beats_before: int
    received: int
    lost: int
    repeated: int
    silent: bool  # nothing new came for so long that `signal.no-data` was raised
    reconcile_in: int
    clock: SourceClockState
    policy: PolicyState
    frontend: FrontendSnapshot | None
    restarts: int = 0  # of the source under this epoch
    latest_beat: BeatPlace | None = None  # which may still be revised


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot with a mark, a version and a checksum before it."""
    body = _encoder.encode(snapshot)
    return HEAD.pack(MARK, VERSION, zlib.crc32(body)) + body


def decode(content: bytes) -> Snapshot:
    """The snapshot in ``content``; raises SnapshotError saying why there is none."""
    if len(content) < HEAD.size:
        raise SnapshotError(f"no snapshot of a stream: {len(content)} bytes")
    mark, version, checksum = HEAD.unpack_from(content)
    if mark != MARK:
        raise SnapshotError("no snapshot of a stream: the mark is missing")
    if version != VERSION:
        raise SnapshotError(f"snapshot version {version}; this beatgan reads version {VERSION}")
    body = memoryview(content)[HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise SnapshotError("snapshot damaged: its checksum differs")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotError(f"snapshot of another version or damaged: {error}") from None


def latest(checkpoint: Snapshot | None, alarms: Snapshot | None) -> Snapshot | None:
    """What to go on with: the newer of both, with the checkpoint's front end where it fits."""
    if checkpoint is None or alarms is None:
        return checkpoint or alarms
    if (checkpoint.started_ns, checkpoint.revision) >= (alarms.started_ns, alarms.revision):
        return checkpoint
    same = _segment(checkpoint) == _segment(alarms)
    return replace(alarms, frontend=checkpoint.frontend if same else None)


def _segment(snapshot: Snapshot) -> tuple[int, int, float, tuple[str, ...], int]:
    return snapshot.epoch, snapshot.restarts, snapshot.fs, snapshot.leads, snapshot.first


def _plain(value: Any) -> bytes:
    """The arrays of a score: all are of float32, in one dimension."""
    if isinstance(value, np.ndarray) and value.dtype == np.float32 and value.ndim == 1:
        return value.tobytes()
    raise TypeError(f"a snapshot cannot hold {type(value).__name__}")


def _array(_kind: Any, value: bytes) -> Any:
    return np.frombuffer(value, np.float32).copy()


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(Snapshot, dec_hook=_array)
