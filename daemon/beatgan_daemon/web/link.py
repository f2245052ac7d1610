"""One daemon of the ward, as far as it is asked: its journal and its streams."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from beatgan.errors import UsageError
from beatgan.protocol.control import StreamEntry
from beatgan_daemon.clients.address import Daemon
from beatgan_daemon.security.curve import ConfigureSocket
from beatgan_daemon.web.alarm_board import AlarmBoard
from beatgan_daemon.web.alarms import Alarms, catch_up_or_go_on
from beatgan_daemon.web.control import Control

ASK_S: Final = 1.0  # between questions for alerts and streams
SOON_S: Final = 1 / 15  # at least
SILENT_S: Final = 5.0  # without an answer: that is told


class Link:
    """Asks until it is closed; ``streams`` are those of its latest answer."""

    def __init__(
        self,
        daemon: Daemon,
        board: AlarmBoard,
        configure: ConfigureSocket | None,
        answered: Callable[[], None],
    ) -> None:
        """``answered`` is called whenever the daemon has. Raises UsageError on an impossible
        endpoint; must be called in an event loop."""
        assert daemon.control is not None
        self.daemon, self._answered = daemon, answered
        self.control = Control(daemon.control, configure)
        self.alarms = Alarms(board, daemon.name)
        self.streams: list[StreamEntry] = []
        self.heard: float | None = None  # the latest answer, monotonic s
        self._began = monotonic()
        self._asking = asyncio.Event()
        self.task = asyncio.create_task(self._ask(), name=f"link {daemon.title}")

    def ask_soon(self) -> None:
        """Something happened: there is something to ask for."""
        self._asking.set()

    @property
    def silence(self) -> str:
        """Why nothing is known of its patients now; empty where it answers."""
        silent = monotonic() - (self._began if self.heard is None else self.heard)
        return f"no answer for {silent:.0f} s" if silent > SILENT_S else ""

    async def _ask(self) -> None:
        while True:
            if await catch_up_or_go_on(self.alarms, self.control):
                self.heard = monotonic()
                with suppress(UsageError):
                    self.streams = await self.control.streams()
                self._answered()
            self._asking.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_S):
                    await self._asking.wait()
            await asyncio.sleep(SOON_S)

    def close(self) -> None:
        """End the connection."""
        self.task.cancel()
        self.control.close()
