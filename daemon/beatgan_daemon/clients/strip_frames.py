"""Frames, as the tap sends them, become a strip: exact, and what did not come is lost."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from beatgan.errors import UsageError
from beatgan.explain.strip import EcgStrip, in_millivolt
from beatgan.protocol.frames import Header
from beatgan.types import Doubles
from beatgan_daemon.storage.strip_store import StoredStrip, read_stored

MOST_MV = 1e6  # beyond it nothing is a voltage (docs/protocol.md)

Frame = tuple[bytes, bytes]  # its header and its payload

_read_header = msgspec.msgpack.Decoder(Header).decode
_read_frames = msgspec.msgpack.Decoder(list[Frame]).decode


class _Piece(NamedTuple):
    header: Header
    end: int
    payload: bytes


def read_header(head: bytes) -> Header:
    """The second part of a frame. Raises ValueError where it is none."""
    return _read_header(head)


def read_millivolt(header: Header, payload: bytes) -> Doubles:
    """The payload in mV, (n, leads), NaN where lost. Raises ValueError where it does not fit."""
    if header.dtype not in ("<i2", "<f4") or not header.leads:
        raise ValueError(f"no samples of {header.dtype} and {len(header.leads)} leads")
    raw = np.frombuffer(payload, header.dtype).reshape(-1, len(header.leads))
    with np.errstate(all="ignore"):
        millivolt = in_millivolt(raw, header.scale, header.offset)
        millivolt[~(np.abs(millivolt) <= MOST_MV)] = np.nan
    return millivolt


def join(frames: Iterable[Frame], epoch: int, begin: int, end: int, onset: int) -> EcgStrip | None:
    """The samples from ``begin`` to ``end`` of ``epoch`` as far as they are there; None: none are.

    The leads are those at the onset; a frame of others, or of another rate, counts as lost. Of
    samples that came twice the first stay. Frames that cannot be read are passed over.
    """
    pieces = [each for each in map(_piece, frames) if each is not None]
    pieces = [
        p for p in pieces if p.header.epoch == epoch and p.header.first < end and p.end > begin
    ]
    if not pieces:
        return None
    nearest = min(pieces, key=lambda p: max(p.header.first - onset, onset - p.end + 1, 0)).header
    kind = nearest.leads, nearest.fs
    pieces = [p for p in pieces if (p.header.leads, p.header.fs) == kind]
    begin = max(begin, min(p.header.first for p in pieces))
    end = min(end, max(p.end for p in pieces))
    samples = np.full((end - begin, len(nearest.leads)), np.nan)
    for header, last, payload in pieces:
        start, stop = max(begin, header.first), min(end, last)
        new = read_millivolt(header, payload)[start - header.first : stop - header.first]
        there = samples[start - begin : stop - begin]
        np.copyto(there, new, where=np.isnan(there))
    return EcgStrip(begin, nearest.fs, nearest.leads, samples)


def _piece(frame: Frame) -> _Piece | None:
    try:
        header = read_header(frame[0])
        samples = read_millivolt(header, frame[1])
    except ValueError:
        return None
    return _Piece(header, header.first + len(samples), frame[1])


def write_frames(frames: Iterable[Frame]) -> bytes:
    """As `read_stored_strip` reads them."""
    return msgspec.msgpack.encode(list(frames))


def read_stored_strip(stored: StoredStrip) -> EcgStrip | None:
    """What was stored; None where there was no ECG to store."""
    if not stored.frames:
        return None
    frames = _read_frames(stored.frames)
    return join(frames, stored.epoch, stored.begin, stored.end, stored.onset)


def read_kept_strip(directory: Path, episode: str) -> EcgStrip:
    """The strip of an alarm that `web --strips` keeps in ``directory``.

    Raises UsageError where it has none.
    """
    stored = read_stored(directory, episode)
    strip = None if stored is None else read_stored_strip(stored)
    if strip is None:
        why = "it has none of this alarm" if stored is None else stored.note
        raise UsageError(f"--strips {directory}: {why}")
    return strip
