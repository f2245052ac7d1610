"""A tab of the page that never reads: what is sent to it stays with the server."""

import socket
from collections.abc import Sequence
from contextlib import suppress

import msgspec


def deaf_tab(host: str, cookie: str, streams: Sequence[str], leads: Sequence[int]) -> socket.socket:
    """Opened at ``host``, HOST:PORT, by plain HTTP; it wants these leads of all ``streams``."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    name, port = host.split(":")
    one.connect((name, int(port)))
    one.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: {cookie}\r\n\r\n".encode()
    )
    assert one.recv(12) == b"HTTP/1.1 101"  # what comes earlier is not heard
    wanted = [{"stream": each, "leads": leads, "zoom": "full"} for each in streams]
    wish = msgspec.json.encode({"t": "want", "streams": wanted})
    frame = bytes([0x81, 0xFE]) + len(wish).to_bytes(2, "big") + bytes(4) + wish  # a mask of zeros
    with suppress(ConnectionError):  # more than there may be: it is shut
        one.sendall(frame)
    return one
