"""Who may open the page and under which addresses: the four ways, and what each of them needs."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from beatgan_daemon import log
from beatgan_daemon.web.addresses import LOOPBACK, Addresses, addresses, proxy_address
from beatgan_daemon.web.options import AccessOptions
from beatgan_daemon.web.sessions import ProxySession, Sessions, TokenSession, UserSessions
from beatgan_daemon.web.tls import certificate
from beatgan_daemon.web.users import Users

SOON: Final = timedelta(days=14)  # a certificate that ends so soon is told of


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
