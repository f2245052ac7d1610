"""What `web-user` does: somebody's line, and its place in the file."""

import os
from pathlib import Path

import msgspec

from beatgan.errors import UsageError
from beatgan.library.output_file import writing
from beatgan_daemon.web.passwords import hashed
from beatgan_daemon.web.users import Role, User, line_of, read_users


def line(name: str, role: Role, password: str) -> str:
    """The line. Raises UsageError where the name or the password is none."""
    try:
        user = msgspec.convert({"name": name, "role": role, "password": hashed(password)}, User)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"{name}: {error}") from None
    return line_of(user)


def put(file: Path, name: str, new: str) -> None:
    """Write ``new`` into the file, in place of that name's line; its owner alone may read it.

    Raises StartError where what is there is no such file, UsageError where it cannot be written.
    """
    os.umask(0o077)
    kept = ""
    if file.exists() and file.stat().st_size:
        read_users(file)
        lines = file.read_text().splitlines()
        kept = "".join(f"{each}\n" for each in lines if _name(each) != name)
    with writing(file, option="--users") as target:
        target.write(f"{kept}{new}\n".encode())


def _name(text: str) -> str | None:
    """Whose line of the file it is; None of a comment."""
    return msgspec.json.decode(text, type=User).name if text.startswith("{") else None
