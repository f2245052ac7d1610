"""The daemon's control socket, asked from a thread of its own: an answer may take seconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from beatgan.protocol.control import StreamEntry
from beatgan_daemon.clients.client import Client, Page, fetch_episode
from beatgan_daemon.security.curve import ConfigureSocket

ANSWER_S = 2.0
ResultT = TypeVar("ResultT")


class Control:
    """Asks one question at a time. Raises UsageError as `Client` does."""

    def __init__(self, endpoint: str, configure: ConfigureSocket | None) -> None:
        """Raises UsageError on an impossible endpoint."""
        self._endpoint, self._configure = endpoint, configure
        self._client = Client(endpoint, configure=configure, timeout=ANSWER_S)
        self._thread = ThreadPoolExecutor(1, "control")
        self._others = ThreadPoolExecutor(1, "episodes")

    async def alerts(self, since: int) -> Page:
        """Alerts from number ``since`` on, as many as come in one answer."""
        return await self._ask(lambda: self._client.alerts(since))

    async def active(self) -> list[bytes]:
        """The last alert of each episode under way."""
        return await self._ask(self._all_active)

    async def streams(self) -> list[StreamEntry]:
        """Every stream."""
        return await self._ask(lambda: list(self._client.streams()))

    async def acknowledge(self, episode: str, by: str) -> None:
        """Somebody has seen the episode."""
        await self._ask(lambda: self._client.acknowledge(episode, by=by))

    async def episode(self, episode: str) -> list[bytes]:
        """All alerts of one episode; none where the journal knows no such."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._others,
            lambda: fetch_episode(
                self._endpoint,
                episode,
                configure=self._configure,
                timeout=ANSWER_S,
                patience=ANSWER_S,
            ),
        )

    async def _ask(self, question: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    def _all_active(self) -> list[bytes]:
        found: list[bytes] = []
        since, more = 0, True
        while more:
            header, bodies = self._client.active(since)
            found += bodies
            since, more = header.next, header.more
        return found

    def close(self) -> None:
        """End the connection, once what is asked is answered or given up; it does not wait."""
        self._thread.submit(self._client.close)
        self._thread.shutdown(wait=False)
        self._others.shutdown(wait=False, cancel_futures=True)
