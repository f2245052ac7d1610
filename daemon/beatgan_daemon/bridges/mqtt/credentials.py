"""Who the bridge is to the broker: a user and a password from a file, never from the command line,
which every process of the machine can read."""

from pathlib import Path
from typing import NamedTuple

from beatgan.errors import UsageError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.security.private_file import refuse_readable


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
    refuse_readable(path)
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError):
        raise StartError(f"--login {path}: it is no text in UTF-8") from None
    if len(lines) != 2 or not lines[0]:
        raise UsageError(f"--login {path}: expected two lines, the user and the password")
    return Credentials(*lines)
