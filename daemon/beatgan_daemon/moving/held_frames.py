"""Frames of buckets whose state is not here yet: held, up to a bound, until they can be used."""

from collections import deque
from collections.abc import Callable, Collection

from beatgan_daemon.ingest.fair_queue import Frame


class HeldFrames:
    """By bucket, each in the order of arrival."""

    def __init__(self, most_bytes: int, dropped: Callable[[], None]) -> None:
        """Beyond ``most_bytes`` the oldest frame is dropped, and ``dropped`` called: its samples
        are missing in the sample count then, and told as a gap."""
        self._most_bytes, self._dropped = most_bytes, dropped
        self._frames: dict[int, deque[Frame]] = {}
        self._bytes = 0

    def add(self, bucket: int, frame: Frame) -> None:
        """Hold ``frame``."""
        self._frames.setdefault(bucket, deque()).append(frame)
        self._bytes += frame.size
        while self._bytes > self._most_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        bucket = min(self._frames, key=lambda each: self._frames[each][0].arrived)
        self._bytes -= self._frames[bucket].popleft().size
        if not self._frames[bucket]:
            del self._frames[bucket]
        self._dropped()

    def take(self, bucket: int) -> list[Frame]:
        """All of ``bucket``, which are held no more."""
        frames = list(self._frames.pop(bucket, ()))
        self._bytes -= sum(each.size for each in frames)
        return frames

    def keep(self, buckets: Collection[int]) -> None:
        """Let go of those of other buckets: another shard hears them."""
        for bucket in self._frames.keys() - set(buckets):
            self.take(bucket)
