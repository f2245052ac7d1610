"""Which messages were handed over lately, by partition: an offset is committed when enough time
has passed since. Pure; times are monotonic seconds.
"""

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

SLICE_S: Final = 0.5  # of what was handed over within it, the first and the last are known
SLICES: Final = 20  # of the time that is to pass, at least

Place = tuple[str, int]  # a topic, and a partition of it


@dataclass(slots=True)
class _Slice:
    began: float
    latest: float
    first: dict[Place, int] = field(default_factory=dict)
    following: dict[Place, int] = field(default_factory=dict)


class HandedOver:
    """Offsets, each partition's in rising order."""

    def __init__(self, settle_s: float) -> None:
        """After ``settle_s`` what was handed over counts as having arrived."""
        self.settle_s = settle_s
        self._slice_s = min(SLICE_S, settle_s / SLICES)
        self._slices: deque[_Slice] = deque()

    def add(self, place: Place, offset: int, now: float) -> None:
        """A message was handed over."""
        if not self._slices or now >= self._slices[-1].began + self._slice_s:
            self._slices.append(_Slice(now, now))
        latest = self._slices[-1]
        latest.latest = now
        latest.first.setdefault(place, offset)
        latest.following[place] = offset + 1

    def settled(self, now: float) -> dict[Place, int]:
        """What has arrived since the last call: of each partition, the offset behind it."""
        done: dict[Place, int] = {}
        while self._slices and self._slices[0].latest <= now - self.settle_s:
            done |= self._slices.popleft().following
        return done

    def release(self, places: Collection[Place], until: float) -> dict[Place, int]:
        """Know these partitions no more; behind what was handed over by ``until`` each begins."""
        done: dict[Place, int] = {}
        for each in self._slices:
            for place in places:
                each.first.pop(place, None)
                following = each.following.pop(place, None)
                if following is not None and each.latest <= until:
                    done[place] = following
        return done

    def unsettled(self) -> Iterator[tuple[Place, int]]:
        """The first offset of each slice and partition that has not settled."""
        for each in self._slices:
            yield from each.first.items()

    def clear(self) -> None:
        """Nothing was handed over."""
        self._slices.clear()
