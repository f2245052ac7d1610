"""A certificate and its key, tried before anybody is served.

It is tried by a handshake with itself, so that what a browser would refuse is said at the start.
"""

import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular
from beatgan_daemon.security.private_file import refuse_readable


class Certificate(NamedTuple):
    """What is served with it: ``names`` are those that it is for, as they stand in an address."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    ends: datetime


def certificate(cert: Path, key: Path) -> Certificate:
    """Read both (PEM; ``cert`` with what leads to its authority).

    Raises StartError where one cannot be read, others may read the key, they do not belong
    together, or the certificate is for no name or not of today.
    """
    refuse_readable(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        with open_regular(cert):
            pass
        context.load_cert_chain(cert, key, password=lambda: "")  # asks nobody at a terminal
    except ssl.SSLError as error:
        raise StartError(f"{cert}, {key}: {_reason(error)}") from None
    except OSError as error:
        raise StartError(f"{cert}, {key}: cannot be read: {error.strerror}") from None
    told = _told(context, cert)
    found = (_in_address(kind, name) for kind, name in told.get("subjectAltName", ()))
    names = tuple(name for name in found if name is not None)
    if not names:
        raise StartError(f"{cert}: is for no name: no DNS name or address in its subjectAltName")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(told["notAfter"]), UTC)
    return Certificate(context, names, ends)


def _told(server: ssl.SSLContext, cert: Path) -> dict[str, Any]:
    """What the certificate says, of a handshake with somebody who trusts it alone."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(cert)
        served = server.wrap_bio(to_server, to_client, server_side=True)
        asked = client.wrap_bio(to_client, to_server)
        for _ in range(3):
            for end in (asked, served):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        told = asked.getpeercert()
    except (ssl.SSLError, ValueError) as error:
        raise StartError(f"{cert}: {_reason(error)}") from None
    assert told is not None
    return told


def _in_address(kind: str, name: str) -> str | None:
    if kind == "DNS":
        return None if name.startswith("*") else name
    if kind != "IP Address":
        return None
    address = ip_address(name)
    return f"[{address}]" if address.version == 6 else str(address)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return f"no certificate and key in PEM: {reason or error}"
