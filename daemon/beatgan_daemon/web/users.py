"""The file of those who may log in: a JSON object a line, read again when it changes."""

import os
import stat
from pathlib import Path
from time import monotonic
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from beatgan.protocol.names import MAX_NAME
from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError, one_line
from beatgan_daemon.security.credentials_directory import is_credential
from beatgan_daemon.security.trusted_file import read_trusted
from beatgan_daemon.web.passwords import Hashed

Role = Literal["view", "acknowledge"]
LOOK_S: Final = 1.0  # between looks at the file


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the file."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    role: Role
    password: Hashed

    def __post_init__(self) -> None:
        """Raises ValueError for a name that cannot be shown."""
        if not self.name.isprintable() or self.name != self.name.strip():
            raise ValueError("a name is printable, without space at its ends")


_decode = msgspec.json.Decoder(User).decode


def read_users(path: Path) -> dict[str, User]:
    """The users of a file, by name.

    Raises StartError where it cannot be read, is wrong, holds nobody, may be read by others than
    its owner, or written or replaced by others than root and this process's user.
    """
    text = read_trusted(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_credential(path):
        raise StartError(f"{path}: others may read it (mode {mode:04o}); run `chmod 600 {path}`")
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise StartError(f"{path}:{number}: no user: {one_line(error)}") from None
        if user.name in users:
            raise StartError(f"{path}:{number}: a second {user.name!r}")
        users[user.name] = user
    if not users:
        raise StartError(f"{path}: holds nobody; `beatgan-daemon web-user NAME` makes a line")
    return users


def line_of(user: User) -> str:
    """The user's line in the file."""
    return msgspec.json.encode(user).decode()


class Users:
    """The users as the file has them. A file that is wrong changes nothing, and the log says so."""

    def __init__(self, path: Path) -> None:
        """Raises StartError as `read_users`."""
        self._path = path
        self._seen = self._state()
        self._users = read_users(path)
        self._next = monotonic() + LOOK_S

    def user(self, name: str) -> User | None:
        """The user of that name; None where there is none, or none any more."""
        self._look(monotonic())
        return self._users.get(name)

    def _look(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + LOOK_S
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._users = read_users(self._path)
        except (StartError, OSError) as error:
            why = f"{one_line(error)}; those of before stay"
            log.get().error("users not read again", why=why)
        else:
            log.get().info("users read again", users=len(self._users))

    def _state(self) -> tuple[int, ...] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
