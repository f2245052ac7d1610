"""What overload.py and flood.py decide, done and told: to streams, metrics, health and the log.

Knows no socket and no frame.
"""

from structlog.typing import FilteringBoundLogger

from beatgan_daemon.ingest import rate_limit
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.ingest.overload import OverloadPolicy
from beatgan_daemon.ingest.rate_limit import StreamRateLimiter
from beatgan_daemon.liveness import Liveness
from beatgan_daemon.log import Overloaded
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.pipeline.engine import Engine

LOOK_S = 0.1  # at the least, between two looks at who fills the queue
REASON = "flood"  # of a frame that is rejected because its stream sends too many
SOME = 5  # names in a log line


class LoadShedder:
    """Keeps a daemon's delays bounded when more ECG comes than it can serve.

    If some streams send absurdly much they are held to a rate; unless nobody else is there, when
    they may send as fast as they are served. Only where that is not enough, streams are shed.
    """

    def __init__(
        self,
        overload: OverloadPolicy,
        engine: Engine,
        metrics: Metrics,
        liveness: Liveness,
        logger: FilteringBoundLogger,
        frames_per_s: float = 200.0,
    ) -> None:
        """``frames_per_s``: what a stream may send while others wait."""
        self._overload, self._engine = overload, engine
        self._flood = StreamRateLimiter(frames_per_s)
        self._looked = -LOOK_S
        self._metrics, self._progress, self._log = metrics, liveness, logger
        self._news = Overloaded(logger)

    def adjust(self, frames_per_s: float) -> None:
        """Go by another rate from now on."""
        self._flood.rate = frames_per_s

    def active(self) -> bool:
        """Whether some streams are not served."""
        return bool(self._overload.shed)

    def refuses(self, stream: str) -> bool:
        """Whether a frame of ``stream`` is to be dropped; it is counted then."""
        refused = self._overload.refuses(stream)
        if refused:
            self._drop(1)
        return refused

    def balance(self, now: float, intake: FrameQueue) -> None:
        """Hold floods back, shed streams if a frame has waited too long, or readmit some."""
        self._watch_floods(now, intake)
        behind = intake.behind(now)
        if intake.holds_back():
            pass  # they wait for themselves alone
        elif self._overload.too_far_behind(behind):
            self._shed(now, behind)
            self._drop(intake.discard())
        elif self._overload.probation_over(now):
            self._readmit(now)
        if self.active():
            self._tell()
        if self._news.due(now):
            known = len(self._engine.streams())
            self._news.say(now, shed=len(self._overload.shed), streams=known)

    # --- floods -------------------------------------------------------------------------------

    def _watch_floods(self, now: float, intake: FrameQueue) -> None:
        if intake.holds_back() and not len(intake):
            intake.hold_back(None)
        self._metrics.rejected(REASON, intake.turned_away())
        behind = intake.behind(now)
        if now - self._looked < LOOK_S and not self._overload.too_far_behind(behind):
            return
        if self._overload.falls_behind(behind) and not intake.holds_back():
            self._look(now, behind, intake)
        elif self._flood.held:
            self._release(now, intake)

    def _look(self, now: float, behind: float, intake: FrameQueue) -> None:
        """See who fills the queue; hold back all, if they all are fast, or else the fast ones."""
        self._looked = now
        crowd = intake.crowd(rate_limit.load)
        self._flood.look(crowd, behind, self._known(), now)
        if not self._flood.held and all(map(self._flood.fast, crowd)):
            intake.hold_back(self._flood.fast)
        elif new := self._flood.hold(now):
            intake.limit(self._flood.passes)
            self._tell_flood("held to a rate", new)

    def _release(self, now: float, intake: FrameQueue) -> None:
        self._looked = now
        quiet = self._flood.release(self._known(), now)
        if quiet:
            self._tell_flood("no longer held to a rate", quiet)
        if not self._flood.held:
            intake.limit(None)

    def _known(self) -> frozenset[bytes]:
        return frozenset(b"ecg." + each.encode() for each in self._engine.streams())

    def _tell_flood(self, event: str, topics: list[bytes]) -> None:
        names = [each.removeprefix(b"ecg.").decode() or "unknown topics" for each in topics]
        self._log.warning(
            event,
            streams=names[:SOME],
            count=len(names),
            why="more frames than ingest.frames_per_s, while others wait",
        )

    # --- shedding -----------------------------------------------------------------------------

    def _shed(self, now: float, behind: float) -> None:
        text = f"not served: more ECG comes than can be; the daemon was {behind:.1f} s behind"
        for stream in self._overload.shed_more(self._engine.streams(), now):
            self._engine.notice(stream, "shed", text, now)

    def _readmit(self, now: float) -> None:
        back = self._overload.readmit(now)
        for stream in back:
            self._engine.notice(stream, "resumed", "served again", now)
        if back:
            self._tell()
            self._log.info("resumed", streams=len(back), streams_shed=len(self._overload.shed))

    def _tell(self) -> None:
        shed = len(self._overload.shed)
        self._metrics.streams_shed(shed)
        self._progress.overload = f"overloaded: {shed} streams are not served" if shed else None

    def _drop(self, frames: int) -> None:
        self._metrics.shed(frames)
        self._news.add(frames)
