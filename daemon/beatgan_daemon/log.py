"""Logs on stderr: JSON lines for machines, coloured columns on a terminal. One line per event.

Where stderr goes to systemd's journal, each line begins with its priority, as sd-daemon(3) has it.
Knows the form of a line and how often one may be logged; the callers decide what is logged.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "pretty"]
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # syslog's


def configure(level: Level = "info", form: Format = "auto", stream: TextIO | None = None) -> None:
    """Send every log line of this process to ``stream`` (stderr if None)."""
    out = sys.stderr if stream is None else stream
    pretty = out.isatty() if form == "auto" else form == "pretty"
    lines = _pretty(out) if pretty else _json()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_prioritised(lines) if is_journal(out) else lines),
        ],
        wrapper_class=_filtering(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def set_level(level: Level) -> None:
    """Log from this level on; lines go where they went."""
    structlog.configure(wrapper_class=_filtering(level))


def _filtering(level: Level) -> type[FilteringBoundLogger]:
    return structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])


def is_journal(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether ``out`` is the stream to systemd's journal that JOURNAL_STREAM names."""
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):  # no file, or closed
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prioritised(text: str, level: str) -> str:
    """``text`` with ``level`` as the priority of each of its lines (sd-daemon(3))."""
    return "\n".join(f"<{PRIORITIES[level]}>{line}" for line in text.split("\n"))


def _prioritised(processors: list[Processor]) -> list[Processor]:
    """The same ``processors``, the last of which makes the text; then its priority."""

    def last(logger: WrappedLogger, method: str, line: EventDict) -> str:
        level = line["level"]
        return prioritised(str(render(logger, method, line)), level)

    *before, render = processors
    return [*before, last]


def _pretty(out: TextIO) -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(colors=out.isatty(), sort_keys=False)]


def _json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        _head_first,
        structlog.processors.JSONRenderer(),
    ]


def _head_first(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """When, how bad and what come first: JSON is read by people too."""
    head = {"ts": line.pop("timestamp"), "level": line.pop("level"), "event": line.pop("event")}
    return {**head, **line}


def get() -> FilteringBoundLogger:
    """The process's logger; `configure` decides where its lines go."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


class Rejections:
    """Logs that input was rejected, at most once per reason and ``interval`` seconds.

    A broken sender can send thousands of bad frames a second; the operator needs to know of it
    at once, then how many there were. The time comes in as an argument; ``event`` is what to call
    it.
    """

    def __init__(
        self,
        logger: FilteringBoundLogger,
        interval: float = 10.0,
        event: str = "frames rejected",
    ) -> None:
        self._logger, self._event = logger, event
        self._interval = interval
        self._unreported: Counter[str] = Counter()
        self._last: dict[str, str] = {}
        self._next: dict[str, float] = {}

    def add(self, reason: str, text: str, now: float) -> None:
        """Count one rejection, and log it unless this reason was logged just now."""
        self._unreported[reason] += 1
        self._last[reason] = text
        self._report(reason, now)

    def flush(self, now: float) -> None:
        """Log what has been held back long enough."""
        for reason in tuple(self._unreported):
            self._report(reason, now)

    def _report(self, reason: str, now: float) -> None:
        if now < self._next.get(reason, now):
            return
        self._next[reason] = now + self._interval
        self._logger.warning(
            self._event, reason=reason, count=self._unreported.pop(reason), why=self._last[reason]
        )


class Overloaded:
    """Logs that frames are dropped unread, at once and then at most every ``interval`` seconds."""

    def __init__(self, logger: FilteringBoundLogger, interval: float = 5.0) -> None:
        self._logger, self._interval = logger, interval
        self._unreported = 0
        self._next = -inf

    def add(self, frames: int) -> None:
        """So many more."""
        self._unreported += frames

    def due(self, now: float) -> bool:
        """Whether there is something to log, and it may be logged."""
        return self._unreported > 0 and now >= self._next

    def write(self, now: float, shed: int, streams: int) -> None:
        """How many frames since this was last logged; ``shed`` of ``streams`` are not served."""
        self._logger.warning(
            "overloaded",
            frames=self._unreported,
            streams_shed=shed,
            streams=streams,
            why="more ECG came than could be served",
        )
        self._unreported, self._next = 0, now + self._interval
