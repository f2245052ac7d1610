"""Whose keys are let in where (the allow-list), and whose are expected where the daemon calls.

Two text files, read whole or refused. Knows no socket.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.security.curve import KEY_LENGTH, is_key

_NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,64}")


class Role(StrEnum):
    """What a client may do: send ECG, read what is published, ask for alerts and acknowledge."""

    INGEST = "ingest"
    SUBSCRIBE = "subscribe"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who holds a key: a name for the log, and roles."""

    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class AllowList:
    """The allow-list: clients by their public keys (Z85)."""

    clients: Mapping[bytes, Client]

    def allows(self, key: bytes, role: Role) -> bool:
        """Whether the holder of ``key`` has ``role``."""
        client = self.clients.get(key)
        return client is not None and role in client.roles


def read_clients(path: Path) -> AllowList:
    """An allow-list: lines ``PUBLIC_KEY ROLES NAME``, roles with commas, ``#`` for comments.

    Raises StartError, with file and line, on anything else.
    """
    clients: dict[bytes, Client] = {}
    for place, words in _lines(path, 3, "PUBLIC_KEY ROLES NAME"):
        key = _key(words[0], place)
        if key in clients:
            raise StartError(f"{place}: this key is that of {clients[key].name!r} already")
        if not _NAME.fullmatch(words[2]):
            raise StartError(
                f"{place}: a name has 1-64 characters of A-Z a-z 0-9 _ . : @ -, got {words[2]!r}"
            )
        clients[key] = Client(words[2], frozenset(_roles(words[1], place)))
    return AllowList(clients)


def read_servers(path: Path) -> dict[str, bytes]:
    """Public keys by endpoint: lines ``ENDPOINT PUBLIC_KEY``. Raises StartError as above."""
    servers: dict[str, bytes] = {}
    for place, (endpoint, key) in _lines(path, 2, "ENDPOINT PUBLIC_KEY"):
        if endpoint in servers:
            raise StartError(f"{place}: {endpoint} has a key already")
        servers[endpoint] = _key(key, place)
    return servers


def _lines(path: Path, count: int, form: str) -> Iterator[tuple[str, list[str]]]:
    """Where a line is, and its words; blank lines and comments are left out."""
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):  # no key begins so: it would exceed Z85's 32 bits
            continue
        if len(words) < count or not all(word.startswith("#") for word in words[count : count + 1]):
            raise StartError(f"{path}, line {number}: expected `{form}`, got {len(words)} words")
        yield f"{path}, line {number}", words[:count]


def _key(word: str, place: str) -> bytes:
    key = word.encode()
    if not is_key(key):
        raise StartError(f"{place}: a public key has {KEY_LENGTH} characters of Z85")
    return key


def _roles(word: str, place: str) -> Iterator[Role]:
    for role in word.split(","):
        if role not in set(Role):
            raise StartError(f"{place}: roles are of {', '.join(Role)} with commas, got {word!r}")
        yield Role(role)
