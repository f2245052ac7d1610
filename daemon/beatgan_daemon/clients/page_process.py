"""The page's server as a child process beside a daemon: started, asked where it serves, stopped."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from beatgan_daemon.clients.process import COMMAND, Endpoints, environment

START_S = 20.0
STOP_S = 5.0
_POLL_S = 0.05


class PageProcess:
    """The process of ``beatgan-daemon web``; what it says goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process, self._said = process, said

    def wait_for_address(
        self, seconds: float = START_S, stopping: Callable[[], bool] = lambda: False
    ) -> str | None:
        """The address to open, with its token; None where it ended, or ``stopping`` says so, or
        ``seconds`` are over."""
        end = monotonic() + seconds
        while not stopping() and monotonic() < end:
            over = self.process.poll() is not None
            for line in self._lines():
                if line.startswith(("http://", "https://")):
                    return line
            if over:
                break
            sleep(_POLL_S)
        return None

    def last_words(self) -> str:
        """The last line that it wrote: why it ended."""
        lines = self._lines()
        return lines[-1].removeprefix("beatgan-daemon: ") if lines else "it said nothing"

    def _lines(self) -> list[str]:
        text = self._said.read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()  # a line that is whole


@contextmanager
def start_page(endpoints: Endpoints, said: Path, strips: Path) -> Iterator[PageProcess]:
    """Serve the page of the daemon at ``endpoints``, which has a tap, on a free port of loopback,
    until the block is left. The ECG round each alarm is kept in the folder ``strips``."""
    assert endpoints.tap is not None
    where = ["--connect", endpoints.publish, "--control", endpoints.control, "--tap", endpoints.tap]
    where += ["--metrics", endpoints.http.removeprefix("http://"), "--strips", str(strips)]
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, "web", *where, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,  # Ctrl-C reaches it through its parent alone
        )
    try:
        yield PageProcess(process, said)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def open_browser(address: str, environ: Mapping[str, str] = os.environ) -> None:
    """Open the page where there is a desktop and somebody who sits before it.

    The address, with its token, is then seen by everybody on this machine who lists processes.
    """
    desktop = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    if not desktop or any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "CI")):
        return
    subprocess.Popen(  # a browser writes to the terminal, and may not return: neither is wanted
        [sys.executable, "-m", "webbrowser", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
