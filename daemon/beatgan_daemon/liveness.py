"""Whether every thread makes progress, for /livez and systemd's watchdog; the status line.

A thread that hangs cannot report it; all that is known is when it last completed an iteration.
Knows no ECG, and not what the threads do.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread
from time import monotonic, time
from typing import NamedTuple, Self

from beatgan_daemon import log, log_writer
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.systemd import Notifier

STALL_S = 10.0  # a thread that has not moved for so long: no longer alive
PINGS = 4  # in each of the watchdog's intervals, at the least
CHECK_S = 1.0  # how often the watchdog's thread checks, at the least
CLOCK_STEP_S = 1.0  # the machine's clock was set: more than NTP slews between two checks
SYSTEMD_STATUS_S = 10.0  # how often systemd's status line is renewed
COUNTED = {  # word in the status line: metric
    "beats": "beats_scored_total",
    "alerts": "alerts_total",
    "lost": "samples_lost_total",
    "repeated": "samples_repeated_total",
    "rejected": "frames_rejected_total",
    "shed": "frames_shed_total",
}


class Activity(NamedTuple):
    """What happened in so many seconds, in the words of `COUNTED`."""

    seconds: float
    streams: int
    counts: Mapping[str, int]

    @property
    def beats_per_s(self) -> float:
        """Beats scored each second."""
        return round(self.counts["beats"] / self.seconds, 1) if self.seconds else 0.0


class Liveness:
    """What the daemon's threads have done lately; may be asked from any thread."""

    def __init__(
        self,
        metrics: Metrics,
        notifier: Notifier,
        clock: Callable[[], float],
        status_s: float,
        limit: float = STALL_S,
    ) -> None:
        """``limit``: seconds within which each thread has to move. ``status_s``: seconds between
        two status lines in the log, 0 for none. Both may be changed."""
        # Why no ECG should be sent here, besides a thread that hangs: each has one writer.
        self.overload: str | None = None
        self.full: str | None = None
        self.degraded: str | None = None  # said in the status line alone: others are served
        self.stopping = False
        self._checks: list[Callable[[], str | None]] = []
        self.status_s = status_s
        self._notifier, self._clock, self.limit = notifier, clock, limit
        self._iterated = now = clock()
        self._threads: dict[str, Callable[[], float]] = {"pipeline": lambda: self._iterated}
        self._log_counts, self._systemd_counts = _Since(metrics, now), _Since(metrics, now)
        metrics.ask("ready", "1 where ECG may be sent here", lambda: self.unready() is None)

    def watch(self, name: str, last_moved: Callable[[], float]) -> None:
        """Ask one more thread when it last moved (monotonic s). Before the watchdog begins."""
        self._threads[name] = last_moved

    def iterated(self, now: float) -> None:
        """The pipeline has completed an iteration: report what happened where that is due."""
        self._iterated = now
        if now - self._systemd_counts.at >= SYSTEMD_STATUS_S:
            self._send_status(now)
        if self.status_s and now - self._log_counts.at >= self.status_s:
            self.report(now)

    def report(self, now: float) -> None:
        """One line in the log of what happened since the last one."""
        lately = self._log_counts.until(now)
        log.get().info(
            "status",
            seconds=round(lately.seconds),
            streams=lately.streams,
            beats_per_s=lately.beats_per_s,
            **lately.counts,
        )

    def stalled_threads(self) -> dict[str, float]:
        """The threads that hang, and for how many seconds."""
        now = self._clock()
        ages = {name: now - moved() for name, moved in self._threads.items()}
        return {name: age for name, age in ages.items() if age > self.limit}

    def stalled(self) -> str | None:
        """Which threads hang, in words; None while all of them move."""
        ages = self.stalled_threads().items()
        return ", ".join(f"the {name} has not moved for {age:.0f} s" for name, age in ages) or None

    def unready(self) -> str | None:
        """Why no ECG should be sent here now; None where there is no reason."""
        if self.stopping:
            return "stopping"
        asked = (check() for check in self._checks)
        return self.overload or self.stalled() or self.full or next(filter(None, asked), None)

    def ask(self, check: Callable[[], str | None]) -> None:
        """Ask at each look whether there is another reason; any thread may be the one that asks."""
        self._checks.append(check)

    def _send_status(self, now: float) -> None:
        lately = self._systemd_counts.until(now)
        lost = lately.counts["lost"]
        degraded = f"; degraded: {self.degraded}" if self.degraded else ""
        self._notifier.send(
            f"STATUS={lately.streams} streams, {lately.beats_per_s} beats/s, "
            f"{lost} samples lost{degraded}"
        )


class _Since:
    """What was counted since it was last asked for."""

    def __init__(self, metrics: Metrics, now: float) -> None:
        self._metrics, self.at = metrics, now
        self._before = metrics.totals()

    def until(self, now: float) -> Activity:
        before, self._before = self._before, self._metrics.totals()
        seconds, self.at = now - self.at, now
        counts = {word: int(self._before[key] - before[key]) for word, key in COUNTED.items()}
        return Activity(seconds, int(self._before["streams_active"]), counts)


class WallClock:
    """Notices that the machine's clock was set."""

    def __init__(
        self, now: Callable[[], float] = time, monotonic: Callable[[], float] = monotonic
    ) -> None:
        """Both clocks in s: UNIX time, and one that only goes on."""
        self._now, self._monotonic = now, monotonic
        self._apart = now() - monotonic()

    def stepped(self) -> float:
        """By how many seconds it was set since this was last asked; 0: less than CLOCK_STEP_S."""
        apart = self._now() - self._monotonic()
        step, self._apart = apart - self._apart, apart
        return step if abs(step) >= CLOCK_STEP_S else 0.0


class Watchdog:
    """A thread that reports progress to systemd, as long as there is any, and the log when not.

    It is none of those that are watched: it can say which of them hangs.
    """

    def __init__(self, liveness: Liveness, notifier: Notifier) -> None:
        """Begin at once; leaving the block that this opens ends it."""
        self._liveness, self._notifier = liveness, notifier
        interval = notifier.watchdog_s
        self._every = min(CHECK_S, interval / PINGS) if interval else CHECK_S
        self._reported: set[str] = set()
        self._wall_clock = WallClock()
        self._lost_lines = self._told_lines = 0  # of the log: known of, and said in it
        self._stop = Event()
        self._thread = Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._check()
            self._report_lost_lines()
            if step := self._wall_clock.stepped():
                why = "times in messages follow it; beats, alarms and the age of alerts do not"
                log.get().warning("the machine's clock was set", seconds=round(step, 1), why=why)

    def _report_lost_lines(self) -> None:
        """Say how many, again and again until that line itself is not lost."""
        lost = log_writer.lost_lines()
        if lost == self._lost_lines:
            self._told_lines = lost
            return
        self._lost_lines = lost
        count, why = lost - self._told_lines, "nobody reads them, or they cannot be written"
        log.get().warning("log lines are lost", count=count, why=why)

    def _check(self) -> None:
        """Ping if every thread has moved; say once of each that it hangs, or moves again."""
        stalled_threads = self._liveness.stalled_threads()
        if not stalled_threads and self._notifier.watchdog_s is not None:
            self._notifier.send("WATCHDOG=1")
        for name in stalled_threads.keys() - self._reported:
            why = "systemd's watchdog gets no ping until every thread moves"
            log.get().error(
                "a thread hangs", thread=name, seconds=round(stalled_threads[name]), why=why
            )
        for name in self._reported - stalled_threads.keys():
            log.get().warning("a thread moves again", thread=name)
        self._reported = set(stalled_threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
