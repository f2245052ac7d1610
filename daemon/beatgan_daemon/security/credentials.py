"""What the settings say of keys, read and checked: with none, nobody but this machine may call.

Knows no socket; the keys are in curve.py, the lists in allow_list.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.allow_list import (
    AllowList,
    Server,
    ServerList,
    read_clients,
    read_servers,
)
from beatgan_daemon.security.curve import KeyPair, load_key
from beatgan_daemon.zmq_endpoints import is_local

HOW = (
    "make a key with `beatgan-daemon keygen NAME` and name it and an allow-list under [security] "
    "(key, clients), or use a loopback or ipc endpoint"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """This daemon's key, who may call it, and those whom it calls, by endpoint.

    ``warnings``: what of the two lists an operator should mend.
    """

    key: KeyPair
    allow_list: AllowList
    servers: Mapping[str, Server]
    warnings: tuple[str, ...] = ()


def load_credentials(
    key: Path | None,
    clients: Path | None,
    servers: Path | None,
    *,
    bind: Mapping[str, Iterable[str]],
    connect: Iterable[str],
) -> Credentials | None:
    """Everything that the three files say; None without keys.

    ``bind``: endpoints by setting; ``connect``: those of ingest.connect. Raises StartError on a
    bad file, on an endpoint that other machines can reach though there are no keys, and on one to
    call whose key is not known.
    """
    if key is None or clients is None:
        _refuse_exposed({**bind, "ingest.connect": connect})
        return None
    known = ServerList({}) if servers is None else read_servers(servers)
    _refuse_unknown(connect, known.servers, servers)
    allow_list = read_clients(clients)
    warnings = (*allow_list.warnings, *known.warnings)
    if not allow_list.clients:
        warnings = (*warnings, f"{clients}: names no client, so nobody can connect")
    return Credentials(load_key(key), allow_list, known.servers, warnings)


def _refuse_exposed(endpoints: Mapping[str, Iterable[str]]) -> None:
    for name, each in ((name, each) for name, several in endpoints.items() for each in several):
        if not is_local(each):
            raise StartError(f"{name}: {each} leaves this machine, and there are no keys: {HOW}")


def _refuse_unknown(
    connect: Iterable[str], known: Mapping[str, Server], servers: Path | None
) -> None:
    for endpoint in connect:
        if endpoint not in known:
            where = "security.servers names no file" if servers is None else f"{servers} has none"
            raise StartError(f"ingest.connect: {endpoint}: which public key is its? {where}")
