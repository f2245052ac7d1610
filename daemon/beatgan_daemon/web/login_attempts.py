"""How often somebody may try to log in: one password is tried at a time, of each address by turns.

Trying passwords takes processor time: without a bound it would be a way to stop the server.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Final

from beatgan_daemon.web.passwords import Hashed, hashed

MOST_WAITING: Final = 8
FREE: Final = 4  # failures of an address that cost it nothing
MOST_PAUSE_S: Final = 60.0
FORGET_S: Final = 900.0
MOST_ADDRESSES: Final = 10_000  # that are remembered


class BusyError(Exception):
    """Not now. ``seconds``: how long to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"try again in {max(1, round(seconds))} s")
        self.seconds = max(1, round(seconds))


@dataclass
class _Address:
    failures: int = 0
    last: float = 0.0
    waiting: bool = False

    def pause_s(self) -> float:
        """From the latest failure to the next attempt: 1 s, 2 s, 4 s ..."""
        beyond = self.failures - FREE
        return 0.0 if beyond < 0 else min(2.0**beyond, MOST_PAUSE_S)


class LoginAttempts:
    """Tries passwords in a thread of its own."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """``clock``: monotonic s."""
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._nobody = hashed("a password of nobody")
        self.failures = 0  # since the start

    async def fits(self, peer: str, known: Hashed | None, password: str) -> bool:
        """Whether the password is right. Raises BusyError.

        ``known``: None for a user that is none: that takes as long, and tells nothing.
        """
        address = self._address(_network(peer))
        left = address.last + address.pause_s() - self._clock()
        if left > 0:
            raise BusyError(left)
        if address.waiting or self._waiting >= MOST_WAITING:
            raise BusyError(2.0)
        address.waiting = True
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            kept = known or self._nobody
            right = await loop.run_in_executor(self._thread, kept.fits, password)
        finally:
            address.waiting = False
            self._waiting -= 1
        right = right and known is not None
        address.last = self._clock()
        address.failures = 0 if right else address.failures + 1
        self.failures += not right
        return right

    def _address(self, network: str) -> _Address:
        address = self._addresses.pop(network, None)
        if address is None or self._clock() - address.last > FORGET_S:
            address = _Address(last=self._clock())
        self._addresses[network] = address
        while len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        return address


def _network(peer: str) -> str:
    """Of IPv6 the first half: who has one such address has them all."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.exploded[:19]
    return str(address)
