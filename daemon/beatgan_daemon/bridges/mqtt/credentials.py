"""Who the bridge is to the broker: a user and a password from a file, never from the command line,
which every process of the machine can read."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from beatgan.errors import UsageError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.security.credentials_directory import is_credential


class Credentials(NamedTuple):
    """``password`` is in no message and no log line."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


def read_credentials(path: Path) -> Credentials:
    """From a file of two lines: user, password.

    Raises StartError where it cannot be read or others may read it, UsageError where it has not
    two lines.
    """
    try:
        mode = path.stat().st_mode
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise StartError(f"--login {path}: cannot be read: {why}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_credential(path, os.environ):
        raise StartError(f"--login {path}: others may read it; run `chmod 600 {path}`")
    if len(lines) != 2 or not lines[0]:
        raise UsageError(f"--login {path}: expected two lines, the user and the password")
    return Credentials(*lines)
