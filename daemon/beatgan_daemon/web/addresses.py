"""Under which names the page is opened, and so which Host and Origin are right.

Both are checked at every request, WebSockets included: another site's script could open one, and a
name of another site could be made to lead here (DNS rebinding).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from beatgan.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Addresses:
    """``origins``: scheme://host[:port], as a browser sends them."""

    origins: frozenset[str]

    @property
    def hosts(self) -> frozenset[str]:
        """What the Host header may be."""
        return frozenset(each.partition("://")[2] for each in self.origins)


def addresses(scheme: str, names: Iterable[str], port: int) -> Addresses:
    """The page opened at ``port`` under any of ``names``."""
    end = "" if DEFAULT_PORTS[scheme] == port else f":{port}"
    return Addresses(frozenset(f"{scheme}://{name.lower()}{end}" for name in names))


def proxy_address(origin: str) -> Addresses:
    """The page opened through a proxy. Raises UsageError where that is no origin."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in DEFAULT_PORTS
        or not parts.netloc
        or origin != f"{parts.scheme}://{parts.netloc}"
    ):
        raise UsageError(f"--behind-proxy {origin}: expected scheme://host[:port] and no more")
    return Addresses(frozenset({origin.lower()}))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener at ``host``."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
