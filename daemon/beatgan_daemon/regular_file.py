"""Files that the daemon reads while it runs: regular ones alone, so that opening one cannot block.

A FIFO waits for somebody who writes to it, a device may never end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import IO

MAX_TEXT = 16 * 2**20  # bytes


def open_regular(path: Path) -> IO[bytes]:
    """``path``, opened to be read. Raises OSError, also where it is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: Path) -> str:
    """What ``path`` says, in UTF-8. Raises OSError as above and where it has more than MAX_TEXT
    bytes, and UnicodeDecodeError."""
    with open_regular(path) as file:
        return text_of(file, path)


def text_of(file: IO[bytes], path: Path) -> str:
    """The same of a ``file`` that was opened at ``path``."""
    content = file.read(MAX_TEXT + 1)
    if len(content) > MAX_TEXT:
        raise OSError(errno.EFBIG, f"More than {MAX_TEXT} bytes", str(path))
    return content.decode()
