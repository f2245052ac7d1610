"""Alerts that a receiver refused for good: a line each, so that none is lost in silence."""

import os
from pathlib import Path
from typing import Final

import msgspec

from beatgan_daemon import log

NAME: Final = "refused.jsonl"


class Refusal(msgspec.Struct, frozen=True):
    """Which alert, and what the receiver answered; the alert itself is in the daemon's journal."""

    refused_ns: int
    n: int
    id: str
    control_id: str
    answer: str  # MSA-1, or what else kept it from being sent
    text: str  # the receiver's words


class Refusals:
    """The file in ``directory``; None: none is kept."""

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / NAME

    def add(self, refusal: Refusal) -> None:
        """Keep it. Where the disk does not take it, the log alone has it."""
        if self._path is None:
            return
        line = msgspec.json.encode(refusal) + b"\n"
        try:
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.get().error("refusal not on record", n=refusal.n, why=str(error.strerror))
