"""What overload.py decides, done and told: to the streams, to metrics, health and the log.

Knows no socket and no frame.
"""

from structlog.typing import FilteringBoundLogger

from beatgan_daemon.engine import Engine
from beatgan_daemon.intake import Intake
from beatgan_daemon.log import Overloaded
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.overload import Overload
from beatgan_daemon.progress import Progress


class Shedding:
    """Keeps a daemon's delays bounded when more ECG comes than it can serve."""

    def __init__(
        self,
        overload: Overload,
        engine: Engine,
        metrics: Metrics,
        progress: Progress,
        logger: FilteringBoundLogger,
    ) -> None:
        self._overload, self._engine = overload, engine
        self._metrics, self._progress, self._log = metrics, progress, logger
        self._news = Overloaded(logger)

    def active(self) -> bool:
        """Whether some streams are not served."""
        return bool(self._overload.shed)

    def refuses(self, stream: str) -> bool:
        """Whether a frame of ``stream`` is to be dropped; it is counted then."""
        refused = self._overload.refuses(stream)
        if refused:
            self._drop(1)
        return refused

    def balance(self, now: float, intake: Intake) -> None:
        """Shed streams if a frame has waited too long, readmit some if there is time again."""
        behind = intake.behind(now)
        if self._overload.too_far_behind(behind):
            self._shed(now, behind)
            self._drop(intake.discard())
        elif self._overload.probation_over(now):
            self._readmit(now)
        if self.active():
            self._tell()
        if self._news.due(now):
            known = len(self._engine.streams())
            self._news.say(now, shed=len(self._overload.shed), streams=known)

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
        self._progress.trouble = f"overloaded: {shed} streams are not served" if shed else None

    def _drop(self, frames: int) -> None:
        self._metrics.shed(frames)
        self._news.add(frames)
