"""Where a bridge's peer is, and whether it is spoken to by TLS: the options that say it."""

import re
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from beatgan.errors import UsageError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.private_file import refuse_readable

Tls = Annotated[bool, typer.Option("--tls", help="in TLS")]
TlsCa = Annotated[
    Path | None,
    typer.Option("--tls-ca", metavar="FILE", help="whom to trust, PEM; else the system's"),
]
TlsCert = Annotated[
    Path | None, typer.Option("--tls-cert", metavar="FILE", help="our own certificate, PEM")
]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="its key, PEM")]
InTheClear = Annotated[
    bool, typer.Option("--in-the-clear", help="without TLS to another machine, all the same")
]


def tls_context(
    tls: bool, ca: Path | None, certificate: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    """What the options say; None without ``tls``.

    Raises UsageError where they do not fit together, StartError where a file cannot be used.
    """
    if not tls:
        if ca or certificate or key:
            raise UsageError("--tls-ca, --tls-cert, --tls-key: with --tls only")
        return None
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert, --tls-key: give both, or neither")
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None and key is not None:
            refuse_readable(key)
            # The password: nobody is asked for one at a terminal.
            context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(each) for each in (ca, certificate, key) if each is not None)
        raise StartError(f"{files}: {getattr(error, 'reason', None) or error.strerror}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def host_and_port(option: str, text: str, default: int) -> tuple[str, int]:
    """Of HOST, HOST:PORT, [IPv6] or [IPv6]:PORT. Raises UsageError, which names the ``option``."""
    if _is_address(text):
        return text, default
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", text)
    if match is None or not 0 < int(match[3] or default) < 65_536:
        raise UsageError(f"{option} {text}: expected HOST, HOST:PORT or [IPv6]:PORT")
    return match[1] or match[2], int(match[3] or default)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def require_tls(
    option: str, host: str, tls: ssl.SSLContext | None, what: str, *, in_the_clear: bool
) -> None:
    """Raise UsageError where ``what`` would go to another machine unencrypted, unless that is
    what is wanted."""
    if tls is None and not in_the_clear and not is_local(host):
        raise UsageError(
            f"{option} {host}: {what} would go to another machine unencrypted; give --tls, or "
            "--in-the-clear where that network is yours alone"
        )


def is_local(host: str) -> bool:
    """Whether it is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
