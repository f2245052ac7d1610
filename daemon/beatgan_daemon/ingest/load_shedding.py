"""Acts on overload: limits rates, sheds and readmits streams, and reports it.

`overload` decides, from times alone, which streams are served; this file applies that to the frame
queue and reports it to streams, metrics, health and the log. Knows no socket, and decodes no frame.
"""

from structlog.typing import FilteringBoundLogger

from beatgan.pipeline.engine import Engine
from beatgan.protocol.names import stream_of_topic, topic_of
from beatgan_daemon.ingest import rate_limit
from beatgan_daemon.ingest.fair_queue import Frame
from beatgan_daemon.ingest.frame_queue import FrameQueue
from beatgan_daemon.ingest.overload import OverloadPolicy
from beatgan_daemon.ingest.rate_limit import StreamRateLimiter
from beatgan_daemon.ingest.rejected_streams import RejectedStreams
from beatgan_daemon.liveness import Liveness
from beatgan_daemon.log import Overloaded
from beatgan_daemon.metrics import Metrics

CHECK_S = 0.1  # at least, between two checks of who fills the queue
REASON = "flood"  # of a frame that is rejected because its stream sends too many
SHED = "overload"  # of a frame that is not read because its stream is shed
HELD_WHY = "it takes far more time than others, and there is too little"
HELD_S = 10.0  # without being held to a share once more: it is over
MAX_NAMES_LOGGED = 5  # streams named in a log line


class LoadShedder:
    """Bounds a daemon's delays when more ECG comes than it can serve.

    Streams that send far too much are held to a rate, unless only such streams send: then they may
    send as fast as they are served. The queue serves who takes little time first, see `fair_queue`:
    where frames wait too long all the same, they are of streams that take more than their share.
    Of those that take far more than usual what waits is dropped; are there none, streams of the
    senders that are late are shed.
    """

    def __init__(
        self,
        overload: OverloadPolicy,
        engine: Engine,
        metrics: Metrics,
        liveness: Liveness,
        logger: FilteringBoundLogger,
        rejected: RejectedStreams,
        frames_per_s: float = 200.0,
    ) -> None:
        """``frames_per_s``: what a stream may send while others wait."""
        self._overload, self._engine, self._rejected = overload, engine, rejected
        self._late_senders: frozenset[str | int | None] = frozenset()  # while streams are shed
        self._held: dict[bytes, float] = {}  # topics held to their share, and when last
        self._rate_limiter = StreamRateLimiter(frames_per_s)
        self._checked_at = -CHECK_S
        self._metrics, self._liveness, self._log = metrics, liveness, logger
        self._overload_log = Overloaded(logger)

    def adjust(self, frames_per_s: float) -> None:
        """Go by another rate from now on."""
        self._rate_limiter.rate = frames_per_s

    def forget(self, stream: str) -> None:
        """A stream was discharged."""
        self._overload.forget(stream)
        self._report()

    def _admits(self, frame: Frame) -> bool:
        """Whether a frame may wait to be read; if not, it is counted."""
        if not self._rate_limiter.admits(frame.parts, frame.arrived):
            self._metrics.rejected(REASON)
            return False
        stream = stream_of_topic(frame.parts[0]) if self._overload.shed else None
        pressing = frame.connection in self._late_senders
        if stream is None or not self._overload.refuses(stream, new_ones=pressing):
            return True
        self._drop(1)
        self._rejected.add(SHED, stream, "more ECG comes than can be", frame.arrived)
        return False

    def balance(self, now: float, queue: FrameQueue) -> None:
        """Limit rates, shed streams if a frame has waited too long, or readmit some."""
        self._limit_rates(now, queue)
        behind = queue.oldest_wait(now)
        if queue.applies_backpressure():
            pass  # only fast senders wait, behind their own frames
        elif self._overload.too_far_behind(behind):
            self._catch_up(now, behind, queue)
        elif self._overload.probation_over(now):
            self._readmit(now)
        self._filters(queue)
        if self._overload.shed:
            self._report()
        if self._overload_log.due(now):
            known = len(self._engine.streams())
            self._overload_log.write(now, shed=len(self._overload.shed), streams=known)

    # --- rate limits ------------------------------------------------------------------------------

    def _limit_rates(self, now: float, queue: FrameQueue) -> None:
        if queue.applies_backpressure() and not len(queue):
            queue.apply_backpressure(None)
        behind = queue.oldest_wait(now)
        if now - self._checked_at < CHECK_S and not self._overload.too_far_behind(behind):
            return
        if self._overload.falls_behind(behind) and not queue.applies_backpressure():
            self._check_rates(now, behind, queue)
        elif self._rate_limiter.limited:
            self._release(now)

    def _check_rates(self, now: float, behind: float, queue: FrameQueue) -> None:
        """Find who fills the queue: backpressure if all send fast, else limit those that do."""
        self._checked_at = now
        limiter, loads = self._rate_limiter, queue.load_by_topic(rate_limit.load)
        limiter.measure(loads, behind, self._known(), now)
        if not limiter.limited and all(map(limiter.sends_fast, loads)):
            queue.apply_backpressure(limiter.sends_fast)
        elif new := limiter.limit_fast(now):
            queue.set_filter(self._admits)
            self._log_rate_limits("held to a rate", new)

    def _release(self, now: float) -> None:
        self._checked_at = now
        released = self._rate_limiter.release_slow(self._known(), now)
        if released:
            self._log_rate_limits("no longer held to a rate", released)

    def _filters(self, queue: FrameQueue) -> None:
        """Let the queue ask about each frame, or not."""
        wanted = bool(self._rate_limiter.limited or self._overload.shed)
        if wanted != queue.filters():
            queue.set_filter(self._admits if wanted else None)

    def _known(self) -> frozenset[bytes]:
        return frozenset(topic_of("ecg", each) for each in self._engine.streams())

    def _log_rate_limits(
        self,
        event: str,
        topics: list[bytes],
        why: str = "more frames than ingest.frames_per_s, while others wait",
    ) -> None:
        names = [stream_of_topic(each) or "unknown topics" for each in topics]
        self._log.warning(event, streams=names[:MAX_NAMES_LOGGED], count=len(names), why=why)

    # --- shares of the time, shedding ---------------------------------------------------------

    def _catch_up(self, now: float, behind: float, queue: FrameQueue) -> None:
        """Drop what has waited too long. Who takes less than his share never waits so long."""
        if self._overload.paused:
            self._drop(queue.discard())
        elif greedy := queue.lines.greedy(now, self._overload.limit / 2):
            self._hold(now, queue, greedy)
        else:
            self._shed(now, behind, queue)

    def _hold(self, now: float, queue: FrameQueue, greedy: frozenset[bytes]) -> None:
        """Drop what waits of those who take far more time than others: the rest is served."""
        self._metrics.rejected(REASON, queue.drop(greedy.__contains__))
        self._held = {each: at for each, at in self._held.items() if now - at < HELD_S}
        new = [each for each in greedy if each not in self._held]
        self._held.update(dict.fromkeys(greedy, now))
        for topic in greedy:
            self._rejected.add(REASON, stream_of_topic(topic), HELD_WHY, now)
        if new:
            self._log_rate_limits("held to a share", new, HELD_WHY)

    def _shed(self, now: float, behind: float, queue: FrameQueue) -> None:
        late = queue.lines.late_senders(now, self._overload.limit / 2)
        self._late_senders = late | self._late_senders if self._overload.shed else late
        lines, streams = queue.lines.lines_of(late), self._engine.streams()
        spared = {each for each in streams if topic_of("ecg", each) not in lines}
        text = f"not served: more ECG comes than can be; the daemon was {behind:.1f} s behind"
        for stream in self._overload.shed_more(streams, now, spared):
            self._engine.report_status(stream, "shed", text, now)
        everybody = queue.lines.senders() <= late
        self._drop(queue.discard() if everybody else queue.drop(lines.__contains__))

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
