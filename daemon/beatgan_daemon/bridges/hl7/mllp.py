"""HL7's Minimal Lower Layer Protocol, over TCP or TLS: one message, one answer, one after another.

The framing is the library's, hl7.mllp. Used by one thread, as a plain call that may wait.
"""

import asyncio
import ssl
from asyncio import IncompleteReadError
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, Self, TypeVar

from beatgan_daemon.bridges.hl7.acknowledgement import MAX_BYTES

STEP_S = 0.1  # how soon a signal to stop is seen
MAX_STRAYS: Final = 16  # blocks that are no answer to a message, before it is given up
AnswerT = TypeVar("AnswerT")


class Receiver(NamedTuple):
    """Where an MLLP server is; ``tls`` None: in the clear."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mllps' if self.tls else 'mllp'}://{host}:{self.port}"


class NoAnswerError(Exception):
    """The message was not answered; whether it arrived is not known. In words for people.

    ``idle``: the connection had been used before and was found closed at once, as by a receiver
    that closes idle ones.
    """

    def __init__(self, text: str, *, idle: bool = False) -> None:
        super().__init__(text)
        self.idle = idle


class MllpClient:
    """A connection to a receiver, made when there is something to send."""

    def __init__(
        self, receiver: Receiver, timeout_s: float, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """``timeout_s``: for the connection, and again for an answer."""
        self._receiver, self._timeout_s, self._stopping = receiver, timeout_s, stopping
        self._runner = asyncio.Runner()
        self._streams: tuple[Any, Any] | None = None
        self._used = False
        self.connections, self.strays = 0, 0

    def ask(self, message: str, read: Callable[[bytes], AnswerT]) -> AnswerT:
        """Send it, and return the first block that ``read`` makes an answer of.

        A block of which it raises ValueError is no answer to this message, such as one that comes
        late: it is counted in ``strays`` and passed over. Raises NoAnswerError where none comes in
        time; the connection is then closed.
        """
        try:
            return self._runner.run(self._unless_stopping(self._asked(message.encode(), read)))
        except NoAnswerError:
            self.drop()
            raise

    async def _unless_stopping(self, asked: Coroutine[Any, Any, AnswerT]) -> AnswerT:
        task = asyncio.ensure_future(asked)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=STEP_S)
                if self._stopping() and not task.done():
                    raise NoAnswerError("stopped while waiting for an answer")
            return task.result()
        finally:
            task.cancel()

    async def _asked(self, message: bytes, read: Callable[[bytes], AnswerT]) -> AnswerT:
        from hl7.mllp import InvalidBlockError

        reader, writer = await self._connected()
        before, self._used = self._used, True
        try:
            async with asyncio.timeout(self._timeout_s):
                writer.writeblock(message)
                await writer.drain()
                return await self._answer(reader, read)
        except TimeoutError:
            raise NoAnswerError(f"{self._receiver}: no answer in {self._timeout_s:g} s") from None
        except (OSError, IncompleteReadError) as error:
            closed = isinstance(error, IncompleteReadError) and not error.partial
            idle = before and (closed or isinstance(error, ConnectionError))
            raise NoAnswerError(f"{self._receiver}: the connection ended", idle=idle) from None
        except (ValueError, InvalidBlockError):  # too long, or not begun as a block
            raise NoAnswerError(f"{self._receiver}: what came is no MLLP block") from None

    async def _answer(self, reader: Any, read: Callable[[bytes], AnswerT]) -> AnswerT:
        for _ in range(MAX_STRAYS):
            block = await reader.readblock()
            try:
                return read(block)
            except ValueError as error:
                why = error
                self.strays += 1
        raise NoAnswerError(f"{self._receiver}: {MAX_STRAYS} answers, none to this: {why}")

    async def _connected(self) -> tuple[Any, Any]:
        from hl7.mllp import open_hl7_connection

        if self._streams is None:
            host, port, tls = self._receiver
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._streams = await open_hl7_connection(
                        host, port, ssl=tls, limit=MAX_BYTES, encoding="utf-8"
                    )
            except TimeoutError:
                text = f"{self._receiver}: no connection in {self._timeout_s:g} s"
                raise NoAnswerError(text) from None
            except OSError as error:
                raise NoAnswerError(f"{self._receiver}: {_reason(error)}") from None
            self._used, self.connections = False, self.connections + 1
        return self._streams

    def drop(self) -> None:
        """Close the connection, if there is one: the next message gets another."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.transport.abort()
            self._runner.run(asyncio.sleep(0))

    def close(self) -> None:
        """End it all."""
        self.drop()
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason}"
    return error.strerror or str(error)
