"""Every frame that is refused, whoever refuses it: counted, and logged at a bounded rate."""

from structlog.typing import FilteringBoundLogger

from beatgan_daemon import log
from beatgan_daemon.ingest.rejected_streams import RejectedStreams
from beatgan_daemon.metrics import Metrics


class FrameRefusals:
    """The one place that hears of refused frames."""

    def __init__(
        self, metrics: Metrics, logger: FilteringBoundLogger, rejected: RejectedStreams
    ) -> None:
        self._metrics, self._rejections, self._rejected = metrics, log.Rejections(logger), rejected

    def add(
        self,
        reason: str,
        stream: str | None,
        why: str,
        now: float,
    ) -> None:
        """A frame was refused that arrived ``now``.

        ``stream``: whose it would have been, as far as its topic names one; ``why``: for the log.
        """
        self._metrics.rejected(reason)
        self._rejections.add(reason, why, now)
        self._rejected.add(reason, stream, why, now)

    def flush(self, now: float) -> None:
        """Log what has been held back long enough."""
        self._rejections.flush(now)
