"""MLLP with a real server, one that behaves and ones that do not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

import pytest

from beatgan_daemon.bridges.hl7.acknowledgement import MAX_BYTES, Verdict, read_acknowledgement
from beatgan_daemon.bridges.hl7.mllp import MllpClient, NoAnswerError, Receiver
from benchmarks.robustness.bridges.mllp_receiver import MllpReceiver

MESSAGE = "MSH|^~\\&|BEATGAN||||2023||ORU^R40^ORU_R40|7-x|P|2.6\rPID|1\r"
ACCEPTED = b"MSH|^~\\&|A||||2023||ACK|1|P|2.6\rMSA|AA|7-x\r"
STRAY = ACCEPTED.replace(b"7-x", b"6-x")
read = partial(read_acknowledgement, control_id="7-x")


@contextmanager
def client_of(
    receiver: MllpReceiver, timeout_s: float = 5.0, stopping: Callable[[], bool] = lambda: False
) -> Iterator[MllpClient]:
    with MllpClient(Receiver("127.0.0.1", receiver.port, None), timeout_s, stopping) as client:
        yield client


def sending(*chunks: bytes, close: bool = False) -> Callable[[Any, Any], Awaitable[None]]:
    """A receiver that reads one message, sends these bytes, and then nothing."""

    async def serve(reader: Any, writer: Any) -> None:
        await reader.readblock()
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        if close:
            writer.close()
        else:
            await asyncio.sleep(60)

    return serve


def block(content: bytes) -> bytes:
    return b"\x0b" + content + b"\x1c\r"


def test_one_connection_for_many_messages() -> None:
    with MllpReceiver() as receiver, client_of(receiver) as client:
        for _ in range(20):
            assert client.ask(MESSAGE, read).verdict is Verdict.ACCEPTED
        assert client.connections == 1
        assert receiver.received == [MESSAGE] * 20


def test_text_is_utf8() -> None:
    with MllpReceiver() as receiver, client_of(receiver) as client:
        client.ask(MESSAGE + "NTE|1||心\r", read)
        assert receiver.received[0].endswith("NTE|1||心\r")


def test_a_late_answer_to_another_message_is_passed_over() -> None:
    serve = sending(block(STRAY), block(b"garbage"), block(ACCEPTED))
    with MllpReceiver(serve) as receiver, client_of(receiver) as client:
        assert client.ask(MESSAGE, read).verdict is Verdict.ACCEPTED
        assert client.strays == 2


@pytest.mark.parametrize(
    ("serve", "why"),
    [
        (sending(b"no block\x1c\r"), "no MLLP block"),
        (sending(block(b"A" * (MAX_BYTES + 1))), "no MLLP block"),
        (sending(b"\x0b" + b"A" * 4 * MAX_BYTES), "no MLLP block"),
        (sending(b"\x0bMSH|", close=True), "the connection ended"),
        (sending(close=True), "the connection ended"),
        (sending(block(STRAY) * 16), "16 answers, none to this"),
        (sending(block(STRAY)), "no answer in 0.5 s"),
        (sending(b"\x0b" + ACCEPTED), "no answer in 0.5 s"),
    ],
)
def test_what_is_no_answer(serve: Callable[[Any, Any], Awaitable[None]], why: str) -> None:
    with MllpReceiver(serve) as receiver, client_of(receiver, timeout_s=0.5) as client:
        with pytest.raises(NoAnswerError, match=why):
            client.ask(MESSAGE, read)
        receiver.serve = None
        assert client.ask(MESSAGE, read).verdict is Verdict.ACCEPTED
        assert client.connections == 2


def test_nobody_there() -> None:
    with MllpReceiver() as receiver:
        port = receiver.port
    with (
        MllpClient(Receiver("127.0.0.1", port, None), 1.0) as client,
        pytest.raises(NoAnswerError, match=f"mllp://127.0.0.1:{port}"),
    ):
        client.ask(MESSAGE, read)


def test_one_that_closes_idle_connections_is_told_from_one_that_is_broken() -> None:
    closing = sending(block(ACCEPTED), close=True)
    with MllpReceiver(closing) as receiver, client_of(receiver) as client:
        client.ask(MESSAGE, read)
        with pytest.raises(NoAnswerError) as raised:
            client.ask(MESSAGE, read)
        assert raised.value.idle
        receiver.serve = sending(close=True)
        with pytest.raises(NoAnswerError) as raised:
            client.ask(MESSAGE, read)
        assert not raised.value.idle


def test_a_signal_to_stop_ends_the_wait() -> None:
    begin = monotonic()
    with (
        MllpReceiver(sending()) as receiver,
        client_of(receiver, 60.0, lambda: monotonic() > begin + 0.2) as client,
        pytest.raises(NoAnswerError, match="stopped"),
    ):
        client.ask(MESSAGE, read)
    assert monotonic() < begin + 5.0
