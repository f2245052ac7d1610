"""A TCP socket to listen with whose connections hear no reset.

libzmq (4.3.5) ends the process when a connection breaks while its input is stopped, because as many
messages wait as may, and a ZMTP ``PING`` is among what was read of it (``Assertion failed:
!_io_error``: it wants to answer). So a connection must not break at once: the kernel drops segments
with RST before TCP sees them. A peer that is gone is then found by timeouts, which are longer than
the daemon ever leaves a connection unread; one that closes in order (FIN) is read to its end.

Some kernels let nobody without CAP_NET_ADMIN attach a filter: `drops_resets` says so.
"""

import ctypes
import socket as sockets
import struct
from contextlib import suppress

BACKLOG = 100  # connections that may wait to be accepted, as in libzmq
_SO_ATTACH_FILTER = 26  # of Linux: asm-generic/socket.h
_FLAGS, _RST = 13, 0x04  # the byte of a TCP header with its flags, and one of them
_KEEP = 0xFFFFFFFF  # bytes of a segment
# Classic BPF, an instruction each (linux/filter.h): opcode, jump if true, jump if false, operand.
_DROP_RESETS = (
    (0x30, 0, 0, _FLAGS),  # load the byte
    (0x45, 0, 1, _RST),  # any of these bits? then on, else skip one
    (0x06, 0, 0, 0),  # return: drop it
    (0x06, 0, 0, _KEEP),
)


def tcp_listener(host: str, port: int) -> sockets.socket:
    """Listen on an address in figures, 0 for any port. Raises OSError.

    Connections that it accepts inherit the filter, where there may be one.
    """
    listener = sockets.socket(sockets.AF_INET6 if ":" in host else sockets.AF_INET)
    try:
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        if listener.family == sockets.AF_INET6:
            listener.setsockopt(sockets.IPPROTO_IPV6, sockets.IPV6_V6ONLY, 0)
        with suppress(PermissionError):
            _drop_resets(listener)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def drops_resets() -> bool:
    """Whether this process may attach the filter."""
    with sockets.socket() as trial:
        try:
            _drop_resets(trial)
        except PermissionError:
            return False
    return True


def _drop_resets(listener: sockets.socket) -> None:
    code = b"".join(struct.pack("=HBBI", *each) for each in _DROP_RESETS)
    program = ctypes.create_string_buffer(code)  # which the kernel copies
    pointer = struct.pack("@HP", len(_DROP_RESETS), ctypes.addressof(program))
    listener.setsockopt(sockets.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
