"""Who may open the page and under which addresses: the four ways, and what each of them needs."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from beatgan.errors import UsageError
from beatgan_daemon import log
from beatgan_daemon.web.addresses import LOOPBACK, Addresses, addresses, is_loopback, proxy_address
from beatgan_daemon.web.sessions import ProxySession, Sessions, TokenSession, UserSessions
from beatgan_daemon.web.tls import certificate
from beatgan_daemon.web.users import Users

SOON: Final = timedelta(days=14)  # a certificate that ends so soon is told of


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """What the command line says of it."""

    host: str
    tls_cert: Path | None = None
    tls_key: Path | None = None
    users: Path | None = None
    behind_proxy: str | None = None
    proxies: Sequence[str] = ()
    user_header: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for options that make none of the ways."""
        of_users = (self.tls_cert, self.tls_key, self.users)
        given = [each is not None for each in of_users]
        if any(given) and not all(given):
            raise UsageError("--tls-cert, --tls-key and --users: give all three or none")
        if any(given) and self.behind_proxy is not None:
            raise UsageError("--behind-proxy: the proxy has the certificate and knows the users")
        if self.behind_proxy is None and (self.proxies or self.user_header):
            raise UsageError("--proxy and --user-header: with --behind-proxy only")
        if not is_loopback(self.host) and not any(given) and self.behind_proxy is None:
            raise UsageError(
                f"--listen {self.host}: other machines may reach it: give --tls-cert, --tls-key "
                "and --users, or --behind-proxy"
            )


class Access(NamedTuple):
    """``tls``: None where the page goes over plain HTTP."""

    addresses: Addresses
    sessions: Sessions
    tls: ssl.SSLContext | None
    opened_at: str  # the address to open


def access(options: AccessOptions, port: int) -> Access:
    """By what the options say. Raises StartError and UsageError."""
    if options.behind_proxy is not None:
        sessions = ProxySession(options.proxies or ("127.0.0.1", "::1"), options.user_header)
        return Access(proxy_address(options.behind_proxy), sessions, None, options.behind_proxy)
    if options.tls_cert is not None:
        assert options.tls_key is not None
        assert options.users is not None
        return _with_users(options.tls_cert, options.tls_key, Users(options.users), port)
    token = TokenSession(f"beatgan-{port}")
    host = f"[{options.host}]" if ":" in options.host else options.host
    names = {*LOOPBACK, host}
    url = f"http://{host}:{port}/?token={token.token}"
    return Access(addresses("http", names, port), token, None, url)


def _with_users(cert: Path, key: Path, users: Users, port: int) -> Access:
    served = certificate(cert, key)
    if served.ends - datetime.now(UTC) < SOON:
        log.get().warning("the certificate ends soon", ends=served.ends.isoformat())
    names = addresses("https", served.names, port)
    # The prefix: it cannot have been set without TLS, or by another host (RFC 6265bis).
    sessions = UserSessions(users, f"__Host-beatgan-{port}")
    first = addresses("https", served.names[:1], port)
    return Access(names, sessions, served.context, f"{next(iter(first.origins))}/")
