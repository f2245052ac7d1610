"""From the time stamps of an LSL stream to UNIX time: two differences of clocks, measured anew
every few seconds and followed slowly."""

from collections.abc import Callable
from typing import Final

from beatgan_daemon.bridges.slewed_offset import SlewedOffset

MEASURE_S: Final = 5.0


class StreamClock:
    """Of one stream. Times in seconds."""

    def __init__(
        self,
        correction: Callable[[], float | None],
        unix: Callable[[], float],
        now: float,
    ) -> None:
        """``correction``: what is to be added to a stamp for this machine's LSL clock, None where
        that is not known now; ``unix``: UNIX time less that clock. ``now`` is by that clock."""
        self._measure_correction, self._measure_unix = correction, unix
        self._unix = SlewedOffset(unix(), now)
        self._correction: SlewedOffset | None = None
        self._at = now
        self._measure(now)

    @property
    def known(self) -> bool:
        """Whether the stream's clock has been compared with ours."""
        return self._correction is not None

    def update(self, now: float, *, reset: bool = False) -> None:
        """Measure anew, if it is time; ``reset``: the stream's clock is another one."""
        if reset:
            self._correction = None
        if reset or not self.known or now - self._at >= MEASURE_S:
            self._measure(now)

    def _measure(self, now: float) -> None:
        self._at = now
        self._unix.measure(self._measure_unix(), now)
        correction = self._measure_correction()
        if correction is None:
            return
        if self._correction is None:
            self._correction = SlewedOffset(correction, now)
        else:
            self._correction.measure(correction, now)

    def correction(self, now: float) -> float:
        """To be added to a stamp, for this machine's LSL clock; 0 while it is not known."""
        return 0.0 if self._correction is None else self._correction.at(now)

    def unix_ns(self, local: float, now: float) -> int:
        """UNIX time of a moment of this machine's LSL clock."""
        return round(1e9 * (local + self._unix.at(now)))
