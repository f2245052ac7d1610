"""The latest half minute of every stream, in frames as they came: no sample is read."""

from collections import deque
from typing import Final, NamedTuple

import msgspec

from beatgan_daemon.clients.strip_frames import Frame

SECONDS: Final = 33.0  # of each stream: a strip's 30, and a frame at each end
STREAM_BYTES: Final = 2 * 2**20
ALL_BYTES: Final = 64 * 2**20
FRAME_BYTES: Final = 500  # that a frame takes beside its own
FORGET_S: Final = 120.0  # a stream that is silent for as long
_WIDTH = {"<i2": 2, "<f4": 4}


class _Place(msgspec.Struct):
    epoch: int
    first: int
    fs: float
    leads: tuple[str, ...]
    dtype: str


_read_place = msgspec.msgpack.Decoder(_Place).decode


class _Frame(NamedTuple):
    epoch: int
    end: int  # the sample after its last
    fs: float
    seconds: float
    heard: float
    parts: Frame

    @property
    def size(self) -> int:
        return len(self.parts[0]) + len(self.parts[1]) + FRAME_BYTES


class _Stream:
    def __init__(self) -> None:
        self.frames: deque[_Frame] = deque()
        self.seconds, self.bytes = 0.0, 0

    def add(self, frame: _Frame) -> None:
        self.frames.append(frame)
        self.seconds += frame.seconds
        self.bytes += frame.size

    def drop(self) -> None:
        frame = self.frames.popleft()
        self.seconds -= frame.seconds
        self.bytes -= frame.size


class RecentFrames:
    """Of all streams, within ALL_BYTES."""

    def __init__(self, most: int = ALL_BYTES) -> None:
        self._most = most
        self._streams: dict[str, _Stream] = {}  # who was heard last is last
        self.bytes = 0
        self.early = 0  # frames let go for want of room

    def add(self, stream: str, head: bytes, payload: bytes, now: float) -> None:
        """Take in a frame of the tap; one that is none is passed over."""
        try:
            place = _read_place(head)
            samples = len(payload) // (_WIDTH[place.dtype] * len(place.leads))
            seconds = samples / place.fs
        except (ValueError, KeyError, ZeroDivisionError):
            return
        end = place.first + samples
        kept = self._streams.pop(stream, None) or _Stream()
        self._streams[stream] = kept
        before = kept.bytes
        kept.add(_Frame(place.epoch, end, place.fs, seconds, now, (head, payload)))
        self._trim(kept)
        self.bytes += kept.bytes - before
        while self.bytes > self._most or self._oldest_heard() < now - FORGET_S:
            self._forget(early=self._oldest_heard() >= now - FORGET_S)

    def _trim(self, kept: _Stream) -> None:
        """By time, then by the stream's share of the room."""
        while kept.seconds - kept.frames[0].seconds >= SECONDS:
            kept.drop()
        most = min(STREAM_BYTES, self._most // len(self._streams))
        while kept.bytes > most and len(kept.frames) > 1:
            kept.drop()
            self.early += 1

    def _oldest_heard(self) -> float:
        if not self._streams:
            return float("inf")
        return next(iter(self._streams.values())).frames[-1].heard

    def _forget(self, *, early: bool) -> None:
        """All of the stream that has been silent for longest."""
        stream = self._streams.pop(next(iter(self._streams)))
        self.bytes -= stream.bytes
        if early:
            self.early += len(stream.frames)

    def of(self, stream: str) -> list[Frame]:
        """Its frames, in order of arrival."""
        kept = self._streams.get(stream)
        return [] if kept is None else [each.parts for each in kept.frames]

    def rate(self, stream: str, epoch: int) -> float | None:
        """Samples a second; None where there is no frame of the epoch."""
        last = self._last(stream, epoch)
        return None if last is None else last.fs

    def has(self, stream: str, epoch: int, end: int, now: float, patience: float) -> bool:
        """Whether the samples before ``end`` are there, or will not come: for ``patience`` seconds
        another epoch came in their place."""
        last = self._last(stream, epoch)
        if last is None:
            return False
        another = self._streams[stream].frames[-1].epoch != epoch
        return last.end >= end or (another and now - last.heard > patience)

    def _last(self, stream: str, epoch: int) -> _Frame | None:
        kept = self._streams.get(stream)
        if kept is None:
            return None
        return next((each for each in reversed(kept.frames) if each.epoch == epoch), None)
