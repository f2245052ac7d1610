"""Acts on overload: limits rates, sheds and readmits streams, and reports it.

`overload` decides, from times alone, which streams are served; this file applies that to the frame
queue and reports it to streams, metrics, health and the log. Knows no socket and no frame.
"""

from structlog.typing import FilteringBoundLogger

from beatgan.protocol.names import stream_of_topic, topic_of
from beatgan_daemon.ingest import rate_limit
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.ingest.overload import OverloadPolicy
from beatgan_daemon.ingest.rate_limit import StreamRateLimiter
from beatgan_daemon.liveness import Liveness
from beatgan_daemon.log import Overloaded
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.pipeline.engine import Engine

CHECK_S = 0.1  # at least, between two checks of who fills the queue
REASON = "flood"  # of a frame that is rejected because its stream sends too many
MAX_NAMES_LOGGED = 5  # streams named in a log line


class LoadShedder:
    """Bounds a daemon's delays when more ECG comes than it can serve.

    Streams that send far too much are held to a rate, unless only such streams send: then they may
    send as fast as they are served. Where that is not enough, streams are shed.
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
        self._rate_limiter = StreamRateLimiter(frames_per_s)
        self._checked_at = -CHECK_S
        self._metrics, self._liveness, self._log = metrics, liveness, logger
        self._overload_log = Overloaded(logger)

    def adjust(self, frames_per_s: float) -> None:
        """Go by another rate from now on."""
        self._rate_limiter.rate = frames_per_s

    def active(self) -> bool:
        """Whether some streams are not served."""
        return bool(self._overload.shed)

    def refuses(self, stream: str) -> bool:
        """Whether a frame of ``stream`` is dropped; if so, it is counted."""
        refused = self._overload.refuses(stream)
        if refused:
            self._drop(1)
        return refused

    def forget(self, stream: str) -> None:
        """A stream was discharged."""
        self._overload.forget(stream)
        self._report()

    def balance(self, now: float, queue: FrameQueue) -> None:
        """Limit rates, shed streams if a frame has waited too long, or readmit some."""
        self._limit_rates(now, queue)
        behind = queue.oldest_wait(now)
        if queue.applies_backpressure():
            pass  # only fast senders wait, behind their own frames
        elif self._overload.too_far_behind(behind):
            self._shed(now, behind)
            self._drop(queue.discard())
        elif self._overload.probation_over(now):
            self._readmit(now)
        if self.active():
            self._report()
        if self._overload_log.due(now):
            known = len(self._engine.streams())
            self._overload_log.write(now, shed=len(self._overload.shed), streams=known)

    # --- rate limits ------------------------------------------------------------------------------

    def _limit_rates(self, now: float, queue: FrameQueue) -> None:
        if queue.applies_backpressure() and not len(queue):
            queue.apply_backpressure(None)
        self._metrics.rejected(REASON, queue.take_rejected())
        behind = queue.oldest_wait(now)
        if now - self._checked_at < CHECK_S and not self._overload.too_far_behind(behind):
            return
        if self._overload.falls_behind(behind) and not queue.applies_backpressure():
            self._check_rates(now, behind, queue)
        elif self._rate_limiter.limited:
            self._release(now, queue)

    def _check_rates(self, now: float, behind: float, queue: FrameQueue) -> None:
        """Find who fills the queue: backpressure if all send fast, else limit those that do."""
        self._checked_at = now
        limiter, loads = self._rate_limiter, queue.load_by_topic(rate_limit.load)
        limiter.measure(loads, behind, self._known(), now)
        if not limiter.limited and all(map(limiter.sends_fast, loads)):
            queue.apply_backpressure(limiter.sends_fast)
        elif new := limiter.limit_fast(now):
            queue.set_filter(limiter.admits)
            self._log_rate_limits("held to a rate", new)

    def _release(self, now: float, queue: FrameQueue) -> None:
        self._checked_at = now
        released = self._rate_limiter.release_slow(self._known(), now)
        if released:
            self._log_rate_limits("no longer held to a rate", released)
        if not self._rate_limiter.limited:
            queue.set_filter(None)

    def _known(self) -> frozenset[bytes]:
        return frozenset(topic_of("ecg", each) for each in self._engine.streams())

    def _log_rate_limits(self, event: str, topics: list[bytes]) -> None:
        names = [stream_of_topic(each) or "unknown topics" for each in topics]
        self._log.warning(
            event,
            streams=names[:MAX_NAMES_LOGGED],
            count=len(names),
            why="more frames than ingest.frames_per_s, while others wait",
        )

    # --- shedding -----------------------------------------------------------------------------

    def _shed(self, now: float, behind: float) -> None:
        text = f"not served: more ECG comes than can be; the daemon was {behind:.1f} s behind"
        for stream in self._overload.shed_more(self._engine.streams(), now):
            self._engine.report_status(stream, "shed", text, now)

    def _readmit(self, now: float) -> None:
        back = self._overload.readmit(now)
        for stream in back:
            self._engine.report_status(stream, "resumed", "served again", now)
        if back:
            self._report()
            self._log.info("resumed", streams=len(back), streams_shed=len(self._overload.shed))

    def _report(self) -> None:
        shed = len(self._overload.shed)
        self._metrics.streams_shed(shed)
        self._liveness.overload = f"overloaded: {shed} streams are not served" if shed else None

    def _drop(self, frames: int) -> None:
        self._metrics.shed(frames)
        self._overload_log.add(frames)
