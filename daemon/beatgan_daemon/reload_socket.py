"""A reload that answers: the command `reload` asks a daemon here, and learns the outcome.

A signal cannot tell. Both ends are here: a Unix socket without a file (unix(7), abstract), named
after the daemon's process. Whoever asks must be the daemon's own user, or root.
"""

import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Self

from beatgan.errors import UsageError
from beatgan_daemon import log

EVERY_S = 0.1  # so often it is looked whether somebody asks
WAITING = 16  # requests that may wait to be taken in
REPLY_BYTES = 4_096
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid

Answer = Callable[[str], None]  # tells who asked the outcome: one line


class ReloadSocket:
    """Where a daemon is asked; polled, never blocks. Used by one thread."""

    def __init__(self) -> None:
        """Listen. Where that cannot be (the name is taken), signals alone are left, as the log
        says."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._next = 0.0
        try:
            self._listener.bind(_address(os.getpid()))
            self._listener.listen(WAITING)
        except OSError as error:
            self._listener.close()
            log.get().warning("the command reload will not reach this daemon", why=str(error))

    def requests(self) -> Sequence[Answer]:
        """Those who asked since the last call; each is to be told one line."""
        found: list[Answer] = []
        if (now := monotonic()) < self._next:
            return found
        self._next = now + EVERY_S
        while len(found) < WAITING:
            try:
                peer, _ = self._listener.accept()
            except OSError:  # nobody, or the listener is closed
                break
            pid, uid, _ = _credentials(peer)
            if uid in (0, os.geteuid()):
                found.append(_answer_to(peer))
            else:
                log.get().warning("reload refused", why=f"asked by user {uid}, process {pid}")
                peer.close()
        return found

    def close(self) -> None:
        """Listen no more; who waits learns of it."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask_for_reload(pid: int, seconds: float) -> str:
    """What the daemon with this process id says of the reload that this asks for.

    Raises UsageError where there is no such daemon, or no answer within ``seconds``.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(seconds)
        try:
            channel.connect(_address(pid))
            if _credentials(channel)[0] != pid:
                raise UsageError(f"process {pid} is not who answers")
            reply = channel.recv(REPLY_BYTES)
        except TimeoutError:
            raise UsageError(f"process {pid} did not answer within {seconds:g} s") from None
        except OSError as error:
            raise UsageError(
                f"process {pid} takes no requests to reload: {error.strerror}"
            ) from None
    if not reply:
        raise UsageError(f"process {pid} hung up: it stops, or does not take requests of this user")
    return reply.decode("utf-8", "replace")


def _address(pid: int) -> str:
    return f"\0beatgan-daemon/{pid}/reload"


def _credentials(peer: socket.socket) -> tuple[int, int, int]:
    """Process, user and group of the other end, as the kernel says."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return pid, uid, gid


def _answer_to(peer: socket.socket) -> Answer:
    peer.setblocking(False)  # a fresh socket has room for a line

    def answer(text: str) -> None:
        with suppress(OSError):  # it does not wait any more
            peer.send(text.encode()[:REPLY_BYTES])
        peer.close()

    return answer
