"""What the command line says of the page's server; handed from one process to another as text."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from beatgan.errors import UsageError
from beatgan_daemon.defaults import CONTROL, KEEP_DAYS, KEEP_MB, PUBLISH
from beatgan_daemon.web.addresses import is_loopback


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Who may open the page, see `access`."""

    host: str
    tls_cert: Path | None = None
    tls_key: Path | None = None
    users: Path | None = None
    behind_proxy: str | None = None
    proxies: tuple[str, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Options:
    """Endpoints of the daemon, or the directory of all shards; keys; where to listen, for whom."""

    connect: str
    tap: str | None
    control: str
    host: str
    port: int
    access: AccessOptions
    shards: Path | None = None  # instead of the endpoints
    metrics: str | None = None  # HOST:PORT of its HTTP
    grafana: str | None = None  # where dashboards are
    strips: Path | None = None  # where they are kept; None: nowhere
    strips_keep_days: float = KEEP_DAYS
    strips_keep_mb: float = KEEP_MB
    key: Path | None = None
    server_key: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for strips of nothing."""
        places = (self.connect, self.tap, self.control, self.metrics)
        if self.shards is not None and places != (PUBLISH, None, CONTROL, None):
            raise UsageError("--shards says where all are: give no other place of a daemon")
        if self.strips is not None and self.tap is None and self.shards is None:
            raise UsageError("--strips: the ECG comes from the daemon's tap; give --tap as well")


def written(options: Options) -> str:
    """As JSON in ASCII; paths with bytes that are no UTF-8 stay what they are."""
    return json.dumps(asdict(options), default=str)


def read(text: str) -> Options:
    """What `written` wrote."""
    return msgspec.convert(json.loads(text), Options, dec_hook=_path)


def _path(kind: Any, value: Any) -> Any:
    return kind(value)
