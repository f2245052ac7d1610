"""The bridges' processes, and what they say of themselves at their end."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beatgan_daemon.clients.process import environment

COMMAND = (sys.executable, "-m", "beatgan_daemon.bridges")
STOP_S = 20.0


class BridgeProcess:
    """One bridge; may be ended and begun again, its log goes on."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        """Begin at once."""
        self._arguments, self._log = arguments, log
        self.start()

    def start(self) -> None:
        """Begin, again if it has been ended."""
        with self._log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*COMMAND, *self._arguments], stderr=stderr, env=environment()
            )

    def stop(self) -> int:
        """End it as a service manager would; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def counts(self) -> list[dict[str, Any]]:
        """What each process of it counted, as the last line of its log says."""
        found: list[dict[str, Any]] = []
        for line in self._log.read_text(errors="replace").splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "ready":
                found.append({})
            elif event.get("event") == "counts":
                found[-1] = event
        return found

    def said(self) -> list[str]:
        """Its lines for people."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.startswith("beatgan-bridge ")]
