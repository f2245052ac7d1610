"""An HL7 receiver, of the library that its users have: it can go away, come back, and misbehave."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Self

from hl7.mllp import start_hl7_server

Serve = Callable[[Any, Any], Awaitable[None]]
PATIENCE_S = 5.0


class MllpReceiver:
    """Used as a context. It listens on ``port`` and accepts each message."""

    def __init__(
        self,
        serve: Serve | None = None,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        code: Callable[[str], str | None] = lambda _: "AA",
    ) -> None:
        """``serve``, if any, has a connection to itself. ``code`` is the answer's for a message;
        None: there is none."""
        self.serve, self.port, self.code = serve, port, code
        self.received: list[str] = []
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._tasks = set[asyncio.Task[Any]]()
        self._thread = Thread(target=self._run)

    async def _connection(self, reader: Any, writer: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.serve is not None:
                await self.serve(reader, writer)
            while self.serve is None:
                await self._answer(reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _answer(self, reader: Any, writer: Any) -> None:
        message = await reader.readmessage()
        self.received.append(str(message))
        code = self.code(str(message))
        if code is not None:
            writer.writemessage(message.create_ack(code))
            await writer.drain()

    async def _main(self) -> None:
        server = await start_hl7_server(
            self._connection, "127.0.0.1", self.port, encoding="utf-8", ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self._over = asyncio.Event()
        self._ready.set()
        async with server:
            await self._over.wait()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def wait_for_one_more(self, seconds: float = PATIENCE_S) -> bool:
        """Whether another message comes in time."""
        before, end = len(self.received), monotonic() + seconds
        while len(self.received) == before and monotonic() < end:
            sleep(0.01)
        return len(self.received) > before

    def stop(self) -> None:
        """Close its connections, and listen no longer."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.stop()
