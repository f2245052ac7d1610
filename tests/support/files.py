"""What may lie where a file should."""

import os
from pathlib import Path

NO_FILES = ("directory", "fifo", "link to nothing", "device")


def make(path: Path, what: str) -> None:
    """Put one of `NO_FILES` at ``path``."""
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full" if what == "device" else path.parent / "nowhere" / "file")
