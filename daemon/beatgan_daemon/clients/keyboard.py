"""Single keys from a terminal, without Enter."""

import os
import re
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

ESCAPED = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b": "escape",
    "\x7f": "erase",
    "\r": "enter",
    "\n": "enter",
}


@contextmanager
def keys() -> Iterator[int | None]:
    """The descriptor to read keys from while the block runs; None: stdin is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def read(descriptor: int) -> list[str]:
    """The keys that wait: characters, or the names in `ESCAPED`."""
    text = os.read(descriptor, 64).decode("utf-8", "ignore")
    return [ESCAPED.get(key, key) for key in re.findall(r"\x1b\[.|.", text, re.DOTALL)]
