"""Whose keys are let in where (the allow-list), and whose are expected where the daemon calls.

Two text files, read whole or refused. Knows no socket.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import translate
from pathlib import Path
from typing import Final

from beatgan.protocol.names import ECG
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.curve import KEY_LENGTH, is_key
from beatgan_daemon.security.trusted_file import read_trusted

EVERY_STREAM: Final = ("*",)
NO_STREAMS = (
    "{place}: {name} may send every stream, because the line names none; the next release refuses "
    "this. Add patterns, such as `bed-7` or `ward-3:*`, or `*` for all"
)
NO_ACKNOWLEDGE = (
    "{path}: no client has the role acknowledge, so those with control may acknowledge; the next "
    "release lets them read only"
)
CUT_SHORT = (
    "{path}: its last line does not end: was it cut short, with what it says of a key? A reload "
    "refuses this, and so does the next release; end the line"
)
SAME_NAME = "{place}: {name} is the name of another key, too: no message can tell the two apart"
_NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,64}")
_PATTERN = re.compile(r"([A-Za-z0-9_:*?-]|\[!?[A-Za-z0-9_:-]+\])+")


class Role(StrEnum):
    """What a client may do. The first four are what a socket is for, too."""

    INGEST = "ingest"  # send ECG, of the streams that its line names
    SUBSCRIBE = "subscribe"  # read what is published
    CONTROL = "control"  # ask for alerts and streams
    SIGNAL = "signal"  # read the ECG itself, of all streams
    ACKNOWLEDGE = "acknowledge"  # say that an alarm was seen
    DISCHARGE = "discharge"  # end the watch over a stream


SOCKET_ROLES: Final = (Role.INGEST, Role.SUBSCRIBE, Role.CONTROL, Role.SIGNAL)
# Who may connect to a socket of this role: there is one for all requests.
_CONNECTS: Final[Mapping[Role, frozenset[Role]]] = {
    Role.INGEST: frozenset({Role.INGEST}),
    Role.SUBSCRIBE: frozenset({Role.SUBSCRIBE}),
    Role.CONTROL: frozenset({Role.CONTROL, Role.ACKNOWLEDGE, Role.DISCHARGE}),
    Role.SIGNAL: frozenset({Role.SIGNAL}),
}


class StreamPatterns:
    """Which streams somebody may send: shell patterns (``*``, ``?``, ``[...]``) on their names."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Any of ``patterns`` is enough."""
        self.patterns = patterns
        either = "|".join(map(translate, patterns))
        self._topic = re.compile(b"(?s:%b(?:%b))" % (re.escape(ECG), either.encode()))

    def match(self, topic: bytes) -> bool:
        """Whether frames under ``topic`` are of one of these streams."""
        return self._topic.match(topic) is not None

    def __eq__(self, other: object) -> bool:
        """Whether the patterns are the same."""
        return isinstance(other, StreamPatterns) and other.patterns == self.patterns

    def __hash__(self) -> int:
        """As `__eq__`."""
        return hash(self.patterns)


ALL_STREAMS: Final = StreamPatterns(EVERY_STREAM)


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who holds a key: a name for log and messages, roles, and the streams to send."""

    name: str
    roles: frozenset[Role]
    streams: StreamPatterns = ALL_STREAMS

    def may_connect(self, socket: Role) -> bool:
        """Whether it is let in at the socket of this role."""
        return bool(self.roles & _CONNECTS[socket])


@dataclass(frozen=True, slots=True)
class Server:
    """A source that the daemon calls: its public key, and the streams that it may send."""

    key: bytes
    streams: StreamPatterns = ALL_STREAMS


@dataclass(frozen=True, slots=True)
class AllowList:
    """The allow-list: clients by their public keys (Z85), and what of it will not do for long."""

    clients: Mapping[bytes, Client]
    warnings: tuple[str, ...] = ()
    cut_short: bool = False  # the last line may be a part of one

    def allows(self, key: bytes, role: Role) -> bool:
        """Whether the holder of ``key`` has ``role``."""
        client = self.clients.get(key)
        return client is not None and role in client.roles

    def may_connect(self, key: bytes, socket: Role) -> bool:
        """Whether the holder of ``key`` is let in at the socket of this role."""
        client = self.clients.get(key)
        return client is not None and client.may_connect(socket)


@dataclass(frozen=True, slots=True)
class ServerList:
    """The sources to call, by endpoint, and what of the list will not do for long."""

    servers: Mapping[str, Server]
    warnings: tuple[str, ...] = ()


def read_clients(path: Path) -> AllowList:
    """An allow-list: lines ``PUBLIC_KEY ROLES NAME [STREAMS]``, ``#`` for comments.

    Roles and streams with commas; streams are patterns, for who has the role ingest. Raises
    StartError, with file and line, on anything else, and on a file that others may write.
    """
    clients: dict[bytes, Client] = {}
    warnings: list[str] = []
    text = read_trusted(path)
    cut_short = bool(text) and not text.endswith("\n")
    if cut_short:
        warnings.append(CUT_SHORT.format(path=path))
    for place, words in _lines(path, text, 3, "PUBLIC_KEY ROLES NAME [STREAMS]"):
        key = _key(words[0], place)
        if key in clients:
            raise StartError(f"{place}: this key is that of {clients[key].name!r} already")
        if not _NAME.fullmatch(words[2]):
            raise StartError(
                f"{place}: a name has 1-64 characters of A-Z a-z 0-9 _ . : @ -, got {words[2]!r}"
            )
        roles = frozenset(_roles(words[1], place))
        if Role.INGEST in roles:
            streams = _streams(words[3:], place, words[2], warnings)
        elif words[3:]:
            raise StartError(
                f"{place}: streams are for who has the role ingest; {words[2]} has not"
            )
        else:
            streams = ALL_STREAMS
        if any(each.name == words[2] for each in clients.values()):
            warnings.append(SAME_NAME.format(place=place, name=words[2]))
        clients[key] = Client(words[2], roles, streams)
    return replace(_with_acknowledge(path, clients, warnings), cut_short=cut_short)


def _with_acknowledge(path: Path, clients: dict[bytes, Client], warnings: list[str]) -> AllowList:
    """A list from before there was the role acknowledge: until the next release, control has it."""
    roles = frozenset[Role]().union(*(client.roles for client in clients.values()))
    if Role.CONTROL in roles and Role.ACKNOWLEDGE not in roles:
        warnings = [*warnings, NO_ACKNOWLEDGE.format(path=path)]
        clients = {
            key: Client(each.name, each.roles | {Role.ACKNOWLEDGE}, each.streams)
            if Role.CONTROL in each.roles
            else each
            for key, each in clients.items()
        }
    return AllowList(clients, tuple(warnings))


def read_servers(path: Path) -> ServerList:
    """Sources to call: lines ``ENDPOINT PUBLIC_KEY [STREAMS]``. Raises StartError as above."""
    servers: dict[str, Server] = {}
    warnings: list[str] = []
    lines = _lines(path, read_trusted(path), 2, "ENDPOINT PUBLIC_KEY [STREAMS]")
    for place, (endpoint, key, *streams) in lines:
        if endpoint in servers:
            raise StartError(f"{place}: {endpoint} has a key already")
        servers[endpoint] = Server(_key(key, place), _streams(streams, place, endpoint, warnings))
    return ServerList(servers, tuple(warnings))


def _lines(path: Path, text: str, count: int, form: str) -> Iterator[tuple[str, list[str]]]:
    """Where a line is, and its ``count`` words or one more; blank lines and comments left out."""
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):  # no key begins so: it would exceed Z85's 32 bits
            continue
        said = next((k for k in range(count, len(words)) if words[k].startswith("#")), len(words))
        if not count <= said <= count + 1:
            raise StartError(f"{path}, line {number}: expected `{form}`, got {len(words)} words")
        yield f"{path}, line {number}", words[:said]


def _key(word: str, place: str) -> bytes:
    key = word.encode()
    if not is_key(key):
        raise StartError(
            f"{place}: a public key has {KEY_LENGTH} characters of Z85, this has {len(word)}"
            + (", or others" if len(word) == KEY_LENGTH else "")
        )
    return key


def _roles(word: str, place: str) -> Iterator[Role]:
    for role in word.split(","):
        if role not in set(Role):
            raise StartError(f"{place}: roles are of {', '.join(Role)} with commas, got {word!r}")
        yield Role(role)


def _streams(words: list[str], place: str, name: str, warnings: list[str]) -> StreamPatterns:
    if not words:
        warnings.append(NO_STREAMS.format(place=place, name=name))
        return ALL_STREAMS
    patterns = tuple(words[0].split(","))
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise StartError(
                f"{place}: streams are names (A-Z a-z 0-9 _ - :) or patterns of them with * ? "
                f"[...], with commas, got {words[0]!r}"
            )
    return StreamPatterns(patterns)
