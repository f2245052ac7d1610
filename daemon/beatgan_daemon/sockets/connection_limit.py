"""No number of peers takes the descriptors that the daemon needs for itself.

libzmq accepts whoever calls. Where no descriptor is left, its thread spins (tcp) or ends the
process (ipc), and nothing else can open a file or a socket. So half of them are the most that may
be used: beyond, connections are cut, first from those hosts that have the most, and of a host the
latest.
"""

import os
import socket as sockets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple, Self

from beatgan_daemon import descriptors, log
from beatgan_daemon.security.allow_list import Role

TOO_MANY = "too-many"  # the reason, as other refusals have one
SHARE = 0.5  # of all descriptors that may be used before connections are cut
KEPT = 0.75  # of the connections that these leave room for, where some are cut
FASTEST = 100_000  # connections a second, some three times what libzmq takes on a fast machine
SHORTEST_S, LONGEST_S = 0.01, 0.5  # between two looks


class _Connection(NamedTuple):
    descriptor: int
    inode: int  # names it as long as it is there
    role: Role
    host: str


class ConnectionLimit:
    """A thread that cuts connections of peers where there are too many."""

    def __init__(
        self, endpoints: Mapping[Role, Collection[str]], refused: Callable[[str, str], None]
    ) -> None:
        """Begin at once. ``endpoints``: on which peers are taken, wildcards resolved. ``refused``
        is called, in this thread, with role and reason of each connection that is cut."""
        self._roles = {_place(each): role for role, of in endpoints.items() for each in of}
        self._refused = refused
        self._refusals = log.Rejections(log.get(), event="connections refused")
        self._cut: frozenset[int] = frozenset()  # inodes, until libzmq has closed them
        self._moved = monotonic()
        self._over = Event()
        self._thread = Thread(target=self._run, name="connections", daemon=True)
        self._thread.start()

    def moved(self) -> float:
        """When the thread last looked (monotonic seconds); any thread may ask."""
        return self._moved

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        wait = SHORTEST_S
        while not self._over.wait(wait):
            limit, used = descriptors.limit(), descriptors.used()
            most = SHARE * limit
            if used > most:
                self._cut_down(round(most), used)
            # Soon enough not to be overtaken.
            wait = min(max((limit - used) / 2 / FASTEST, SHORTEST_S), LONGEST_S)
            self._moved = monotonic()
            self._refusals.flush(self._moved)

    def _cut_down(self, most: int, used: int) -> None:
        """Make room among ``most`` descriptors, of which ``used`` are used.

        Called again, it ends the same connections, as long as they are there.
        """
        there = ranked(list(self._connections()))
        room = max(0, most - (used - len(there)))
        before, cut = self._cut, there[: len(there) - round(KEPT * room)]
        for each in cut:
            with suppress(OSError), _Borrowed(each.descriptor) as connection:
                connection.shutdown(sockets.SHUT_RD)  # both would break it: see `tcp_listener`
            if each.inode not in before:
                self._count(each)
        self._cut = frozenset(each.inode for each in cut)

    def _count(self, connection: _Connection) -> None:
        role, now = connection.role, monotonic()
        text = f"{role} from {connection.host}: more than {SHARE:.0%} of all descriptors are used"
        self._refused(role, TOO_MANY)
        self._refusals.add(f"{role}: {TOO_MANY}", text, now)

    def _connections(self) -> Iterator[_Connection]:
        """Those that peers opened."""
        for descriptor in descriptors.present():
            with suppress(OSError), _Borrowed(descriptor) as connection:
                here = connection.getsockname()
                role = self._roles.get(_key(here))
                if role is not None:
                    there = connection.getpeername()  # fails where it listens
                    host = str(there[0]) if isinstance(there, tuple) else "this machine"
                    yield _Connection(descriptor, os.fstat(descriptor).st_ino, role, host)


def ranked(connections: list[_Connection]) -> list[_Connection]:
    """Whom to cut first: who is the n-th of his host before all that are earlier of theirs.

    Of a host the highest descriptor is the latest: the system gives the lowest that is free.
    """
    seen: Counter[str] = Counter()
    ranks: list[tuple[int, int, _Connection]] = []
    for each in sorted(connections):
        seen[each.host] += 1
        ranks.append((seen[each.host], each.descriptor, each))
    return [each for _, _, each in sorted(ranks, reverse=True)]


class _Borrowed:
    """A descriptor of somebody else as a socket; not closed. Needs no further descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError where it is no socket, or no more."""
        self._socket = sockets.socket(fileno=descriptor)

    def __enter__(self) -> sockets.socket:
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.detach()


def _place(endpoint: str) -> int | str:
    """What a connection to it is known by: its port, or the path of its file."""
    scheme, _, rest = endpoint.partition("://")
    return int(rest.rpartition(":")[2]) if scheme == "tcp" else rest


def _key(address: object) -> int | str:
    """The same, from the address of a socket of this process."""
    if isinstance(address, tuple):
        return int(address[1])
    return os.fsdecode(address).replace("\0", "@") if isinstance(address, str | bytes) else ""
