"""Proof that the pipeline moves, for all who ask: /livez, systemd's watchdog, the status line.

Everything here hangs on `turn`, which the pipeline's loop calls: a loop that hangs cannot claim to
be well. Knows no socket but systemd's, and no ECG.
"""

from collections.abc import Callable

from beatgan_daemon import log
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.notify import Notifier

STALL_S = 10.0  # without a turn of the loop: no longer alive
PINGS = 4  # in each of the watchdog's intervals
COUNTED = {  # word in the status line: metric
    "beats": "beats_scored_total",
    "alerts": "alerts_total",
    "lost": "samples_lost_total",
    "repeated": "samples_repeated_total",
    "rejected": "frames_rejected_total",
    "shed": "frames_shed_total",
}


class Progress:
    """What the pipeline's loop has done lately; may be asked from any thread."""

    def __init__(
        self,
        metrics: Metrics,
        notifier: Notifier,
        clock: Callable[[], float],
        status_s: float,
    ) -> None:
        self.trouble: str | None = None  # why no ECG should be sent here, besides a stall
        self._metrics, self._notifier, self._clock = metrics, notifier, clock
        self._ping_s = notifier.watchdog_s / PINGS if notifier.watchdog_s else None
        self._status_s = status_s
        self._turned = self._pinged = self._reported = clock()
        self._before = self._totals()

    def turn(self, now: float) -> None:
        """The loop has completed a turn: tell whoever watches, as often as each wants it."""
        self._turned = now
        if self._ping_s is not None and now - self._pinged >= self._ping_s:
            self._pinged = now
            self._notifier.send("WATCHDOG=1")
        if self._status_s and now - self._reported >= self._status_s:
            self.report(now)

    def report(self, now: float) -> None:
        """One line of what happened since the last one."""
        seconds, self._reported = now - self._reported, now
        totals = self._totals()
        since = {word: int(totals[word] - self._before[word]) for word in totals}
        self._before = totals
        streams = int(self._metrics.total("streams_active"))
        rate = round(since["beats"] / seconds, 1) if seconds else 0.0
        log.get().info("status", seconds=round(seconds), streams=streams, beats_per_s=rate, **since)
        self._notifier.send(f"STATUS={streams} streams, {rate} beats/s, {since['lost']} lost")

    def stalled(self) -> str | None:
        """What is wrong with the pipeline; None while its loop turns."""
        age = self._clock() - self._turned
        return f"the pipeline has not moved for {age:.0f} s" if age > STALL_S else None

    def unready(self) -> str | None:
        """Why no ECG should be sent here now; None where there is no reason."""
        return self.trouble or self.stalled()

    def _totals(self) -> dict[str, float]:
        return {word: self._metrics.total(name) for word, name in COUNTED.items()}
