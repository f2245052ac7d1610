"""Names of machines: a name server that does not answer keeps nobody else waiting."""

import errno
from collections.abc import Iterator
from time import monotonic

import pytest
import zmq

from beatgan_daemon import zmq_endpoints
from beatgan_daemon.exit_codes import StartError

ANY = "tcp://127.0.0.1:*"
NAMED = ["tcp://localhost:5555", "tcp://ip6-localhost:5556"]
NUMBERS = ["tcp://127.0.0.1:5557", "tcp://[::1]:5558", "tcp://[fe80::1%lo]:5559", "ipc:///run/x"]


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context = zmq.Context[zmq.Socket[bytes]](io_threads=zmq_endpoints.io_threads(NAMED + NUMBERS))
    yield context
    zmq_endpoints.terminate(context, 10.0)
    assert context.closed


def test_each_name_is_looked_up_in_a_thread_of_its_own(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    assert context.get(zmq.IO_THREADS) == 3
    with context.socket(zmq.SUB) as socket:
        socket.linger = 0
        zmq_endpoints.bind(socket, ANY, "ingest")
        assert socket.affinity == 0b001
        found = []
        for endpoint in NAMED:
            zmq_endpoints.connect(socket, endpoint, "ingest")
            found.append(socket.affinity)
        assert sorted(found) == [0b010, 0b100]
        zmq_endpoints.connect(socket, NUMBERS[0], "ingest")
        assert socket.affinity == 0b001


def test_as_many_threads_as_names_and_no_more_than_there_can_be() -> None:
    assert zmq_endpoints.io_threads(NUMBERS) == 1
    assert zmq_endpoints.io_threads([f"tcp://bed-{n}:5555" for n in range(200)]) == 64


def test_a_client_has_one_thread_for_all() -> None:
    with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        zmq_endpoints.connect(socket, NAMED[0], "watch")
        assert socket.affinity == 0b001


def test_the_end_does_not_wait_for_what_hangs() -> None:
    context = zmq.Context[zmq.Socket[bytes]]()
    socket = context.socket(zmq.SUB)  # still open: the context's end waits for it
    began = monotonic()
    zmq_endpoints.terminate(context, 0.1)
    assert monotonic() - began < 5.0
    assert not context.closed
    socket.close()


def test_a_machine_without_ipv6_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("beatgan_daemon.zmq_endpoints.tcp_socket", none)
    with pytest.raises(StartError, match="cannot listen on ::1:80: Address family"):
        zmq_endpoints.is_free("::1", 80, "http.listen")
