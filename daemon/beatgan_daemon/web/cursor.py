"""How far one reader has come in one stream's ring, and what he gets next.

There is no queue: who is slow keeps nothing waiting but his own place. One who falls behind the
ring skips, and sees a gap.
"""

from collections.abc import Iterator
from typing import Literal

from beatgan_daemon.web import samples_message
from beatgan_daemon.web.ring import Ring

Zoom = Literal["full", "wall"]
BACKFILL_S = {"full": 20.0, "wall": 12.0}  # of the past, at the beginning: what a screen shows


class Cursor:
    """A place in a ring."""

    def __init__(self, leads: tuple[int, ...], zoom: Zoom) -> None:
        """``leads``: which of the stream's leads, each once."""
        self.leads, self.zoom = tuple(dict.fromkeys(leads)), zoom
        self._ring: Ring | None = None
        self._place = 0
        self._late = 0  # stretches known

    def records(self, ring: Ring, index: int) -> Iterator[bytes]:
        """What is new since the last call; ``index``: the stream's number in the messages.

        Between two records the ring may go on: what it has lost by then is skipped.
        """
        if ring is not self._ring:
            self._ring, self._late = ring, ring.late_count
            past = round(BACKFILL_S[self.zoom] * ring.fs)
            self._place = self._whole(max(ring.start, ring.end - past), up=True)
        late, self._late = [*ring.late(self._late)], ring.late_count
        for begin, end in late:
            yield from self._stretch(index, max(begin, ring.start), min(end, self._place))
        if self._place < ring.start:
            self._place = self._whole(ring.start, up=True)
        end = self._whole(ring.end, up=False)
        yield from self._stretch(index, self._place, end)
        self._place = max(self._place, end)

    def _stretch(self, index: int, begin: int, end: int) -> Iterator[bytes]:
        ring = self._ring
        assert ring is not None
        step = ring.step if self.zoom == "wall" else 1
        begin = max(self._whole(begin, up=False), self._whole(ring.start, up=True))
        end = min(self._whole(end, up=True), self._whole(ring.end, up=False))
        for at in range(begin, end, step * samples_message.MOST):
            until = min(end, at + step * samples_message.MOST)
            for lead in self.leads:
                first = max(at, self._whole(ring.start, up=True))
                if lead >= len(ring.leads) or first >= until:
                    continue
                kind, values = (
                    (samples_message.PAIRS, ring.pairs(lead, first, until))
                    if self.zoom == "wall"
                    else (samples_message.SAMPLES, ring.samples(lead, first, until))
                )
                yield samples_message.record(index, lead, kind, first, ring.fs / step, values)

    def _whole(self, place: int, *, up: bool) -> int:
        """The nearest place at which a pair begins."""
        assert self._ring is not None
        step = self._ring.step if self.zoom == "wall" else 1
        return -(-place // step) * step if up else place // step * step
