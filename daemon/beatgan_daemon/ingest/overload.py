"""More ECG than can be served: how far behind the daemon is, and which streams it serves then.

A monitor that serves most patients fully is better than one that serves all by halves: streams
are shed whole, the newest first of those that have a part in it. Knows no socket and no frame. No
clock: the time (monotonic seconds) comes in.
"""

from collections.abc import Collection, Sequence
from math import ceil, inf

SHED_SHARE = 0.25  # of the streams that are served, when the daemon is too far behind
READMITTED_SHARE = 0.1  # of all streams, when there is time again
IDLE_SHARE = 0.3  # of a probation: so much time must have been left before streams are readmitted
CATCH_UP = 2.0  # times the limit, at most, to catch up after a pause
PROBATION_S = 5.0
MAX_PROBATION_S = 320.0


class OverloadPolicy:
    """Which streams are shed, and when some may return."""

    def __init__(self, limit: float, most: int, now: float) -> None:
        """``limit``: seconds that a frame may wait; with 0, nothing is ever shed. ``most``: the
        streams that there may be."""
        self.shed: dict[str, None] = {}  # a set in its order
        self._limit, self._most = limit or inf, most
        self._served: set[str] = set()
        self._began, self._idle = now, 0.0  # idle time has been measured since
        self._paused, self._lost = False, 0.0  # a pause, and seconds that it cost
        self._probation = PROBATION_S
        self._on_trial = False  # streams were readmitted in this probation

    def adjust(self, limit: float, most: int) -> None:
        """Go by other limits from now on."""
        self._limit, self._most = limit or inf, most

    def record_iteration(self, busy: float, idle: float, caught_up: bool) -> None:
        """An iteration of the daemon's loop worked for ``busy`` seconds and waited for ``idle``.

        One that took very long was a pause of the machine (a suspended machine, a stopped
        process): until a later one has ``caught_up``, what waits says nothing of the load.
        """
        self._idle += idle
        self._paused = busy > self._limit or (self._paused and not caught_up)
        self._lost = min(max(busy, self._lost), CATCH_UP * self._limit) if self._paused else 0.0

    def too_far_behind(self, behind: float) -> bool:
        """Whether a frame that has waited for ``behind`` seconds has waited too long.

        After a pause there is some time to catch up.
        """
        return behind > self._limit + self._lost

    def falls_behind(self, behind: float) -> bool:
        """Whether that is so much that it is time to see why; a pause of the machine is known."""
        return behind > self._limit / 2 and not self._paused

    def refuses(self, stream: str, new_ones: bool = True) -> bool:
        """Whether a frame of ``stream`` is not to be read: it is shed, or would be a new one.

        New ones are shed, too, and come after those that are; those of a sender who has no part
        in the overload, by not ``new_ones``, are not.
        """
        if not self.shed or stream in self._served:
            return False
        room = len(self.shed) + len(self._served) < self._most
        if room and not new_ones and stream not in self.shed:
            self._served.add(stream)
            return False
        if room:
            self.shed[stream] = None
        return True

    @property
    def limit(self) -> float:
        """Seconds that a frame may wait."""
        return self._limit

    @property
    def paused(self) -> bool:
        """Whether what waits says nothing of the load."""
        return self._paused

    def shed_more(
        self, streams: Sequence[str], now: float, spared: Collection[str] = ()
    ) -> list[str]:
        """Those to shed now of ``streams``, which are all that are known, the oldest first, and
        none of those ``spared``.

        The last one is never shed, and none after a pause: to throw away what waits is enough. If
        this comes while the readmitted are on trial, the next ones wait twice as long.
        """
        if self._paused:
            return []
        if self._on_trial:
            self._probation = min(2 * self._probation, MAX_PROBATION_S)
        self._on_trial = False
        self._measure(now)
        served = [each for each in streams if each not in self.shed]
        heavy = [each for each in served if each not in spared]
        count = min(ceil(SHED_SHARE * len(heavy)), len(served) - 1)
        newest = heavy[-count:] if count > 0 else []
        self._served = set(served).difference(newest)
        known = [each for each in streams if each not in self._served]
        self.shed = dict.fromkeys([*known, *self.shed])  # those that never began come last
        return newest

    def forget(self, stream: str) -> None:
        """It is no stream any more, and takes no place."""
        self.shed.pop(stream, None)
        self._served.discard(stream)

    def probation_over(self, now: float) -> bool:
        """Whether it is time to call `readmit`."""
        return now - self._began >= self._probation

    def readmit(self, now: float) -> list[str]:
        """Those that are served from now on."""
        idle_enough = self._idle >= IDLE_SHARE * (now - self._began)
        self._measure(now)
        self._on_trial = False
        if not self.shed:
            self._probation = PROBATION_S
        if not self.shed or not idle_enough:
            return []
        count = ceil(READMITTED_SHARE * (len(self.shed) + len(self._served)))
        oldest = list(self.shed)[:count]
        self._served.update(oldest)
        for stream in oldest:
            del self.shed[stream]
        self._on_trial = True
        return oldest

    def _measure(self, now: float) -> None:
        self._began, self._idle = now, 0.0
