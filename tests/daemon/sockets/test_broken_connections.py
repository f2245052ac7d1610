"""A peer's connection breaks while its input is stopped: libzmq must not end the process for it."""

import socket
import struct
import subprocess
import sys

import pytest

from beatgan_daemon import preflight, tcp_listener
from tests.support.zmtp import command, part, shaken

NOW = struct.pack("ii", 1, 0)  # for SO_LINGER: closing sends RST
DAEMON = """
import sys, zmq
from beatgan_daemon.sockets.control_socket import ControlSocket
from beatgan_daemon.sockets.ingest_socket import IngestSocket
from beatgan_daemon.sockets.publish_socket import PublishSocket

ANY = "tcp://127.0.0.1:*"
context = zmq.Context()
if sys.argv[1] == "ingest":
    opened = IngestSocket(context, [ANY])
    read = opened.receive
elif sys.argv[1] == "publish":
    opened = PublishSocket(context, ANY)
    read = lambda: next(opened.subscriptions(), None)
else:
    opened = ControlSocket(context, ANY, actions=None, requested=lambda *_: None)
    read = opened._receive
print(opened.endpoint, flush=True)
for line in sys.stdin:  # nothing is read meanwhile
    number = 0
    while opened.socket.poll(500) if sys.argv[1] != "ingest" else opened.wait(0.5):
        while read() is not None:
            number += 1
    print(number, flush=True)
"""


MESSAGES = {
    "ingest": (b"XPUB", part(b"ecg.bed", more=True) + part(b"", more=True) + part(b"")),
    "publish": (b"SUB", part(b"\x01beat.bed")),
    "control": (b"DEALER", part(b"", more=True) + part(b"x")),
}


def test_where_no_filter_may_be_attached_it_listens_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_: socket.socket) -> None:
        raise PermissionError

    monkeypatch.setattr(tcp_listener, "_drop_resets", forbidden)
    assert not tcp_listener.drops_resets()
    (text,) = preflight.connection_warnings()
    assert "CAP_NET_ADMIN" in text
    with tcp_listener.tcp_listener("127.0.0.1", 0) as listener:
        socket.create_connection(listener.getsockname()).close()


@pytest.mark.skipif(not tcp_listener.drops_resets(), reason="no CAP_NET_ADMIN on this kernel")
@pytest.mark.parametrize("name", list(MESSAGES))
def test_a_connection_that_breaks_with_a_ping_unread(name: str) -> None:
    kind, message = MESSAGES[name]
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        port = int(daemon.stdout.readline().rpartition(":")[2])
        peer = shaken(port, kind)
        ping = command(b"PING", b"\0\0x")
        peer.setblocking(False)
        peer.send(100 * message + 100 * (3 * message + ping))
        with shaken(port, kind):  # libzmq's thread has read by now
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
            peer.close()
        with shaken(port, kind):  # and has been told by now
            daemon.stdin.write("\n")
            daemon.stdin.close()
            assert int(daemon.stdout.readline() or -1) >= 400, "all that was sent is read"
    assert daemon.returncode == 0
