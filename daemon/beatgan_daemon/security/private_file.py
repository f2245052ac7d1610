"""Files with a secret in them: they are used only where nobody else can read them."""

import os
import stat
from pathlib import Path

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular
from beatgan_daemon.security.credentials_directory import is_credential


def refuse_readable(path: Path) -> None:
    """Raises StartError where others may read the file, or nobody can."""
    try:
        with open_regular(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_credential(path):
        raise StartError(
            f"{path}: others may read this secret (mode {mode:04o}); run `chmod 600 {path}`"
        )
