"""What is said of what a daemon compiles at its start, and later."""

from collections.abc import Iterator
from contextlib import contextmanager

from beatgan.compilations import compilations
from beatgan_daemon import log
from beatgan_daemon.systemd import Notifier


class CompilationLog:
    """Says in the log that a daemon compiles: two lines at its start, and later each function."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._said = self._serves = False

    @contextmanager
    def written(self) -> Iterator[None]:
        """While the block runs."""
        with compilations(self._compiling, self._compiled) as self._found:
            yield

    def starts_serving(self) -> None:
        """Streams wait for what is compiled from now on."""
        self._serves = True
        if self._found.functions:
            log.get().info(
                "compiled", functions=self._found.functions, seconds=round(self._found.seconds, 1)
            )

    def _compiling(self, _: str) -> None:
        if not self._said:
            self._said = True
            self._notifier.send("STATUS=compiling the signal path")
            log.get().info(
                "compiling",
                why="no compiled code of this version was found for this processor; "
                "`beatgan-daemon compile`, at the installation, makes it beforehand",
            )

    def _compiled(self, function: str, seconds: float) -> None:
        if self._serves:
            log.get().warning(
                "compiled while streams waited", function=function, seconds=round(seconds, 1)
            )
