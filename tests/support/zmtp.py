"""A ZeroMQ peer by hand, which may do what libzmq never does."""

import socket
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)


def part(body: bytes, more: bool = False, command: bool = False) -> bytes:
    return bytes([4 * command + more, len(body)]) + body


def command(name: bytes, body: bytes) -> bytes:
    return part(bytes([len(name)]) + name + body, command=True)


def shaken(port: int, kind: bytes) -> socket.socket:
    """A connection by hand after its handshake: ZMTP 3.1 without a mechanism."""
    peer = socket.create_connection(("127.0.0.1", port))
    peer.sendall(
        GREETING + command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind)
    )
    reply = b""
    while b"READY" not in reply:
        reply += peer.recv(1000)
    return peer
