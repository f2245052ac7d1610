"""Standard input, output and error as a command needs them, however it was started.

One that was closed would give its number to the next file opened, a database or a connection, and
what somebody writes to stderr would go there.
"""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper, UnsupportedOperation

from beatgan_daemon import log_writer


def open_missing() -> None:
    """Open those that are closed, to nowhere; to be called before anything else opens a file."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - open as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def show_anything(stream: object) -> None:
    """Escape what a terminal's encoding does not have: a name of a lead must not end a command."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def forget_output() -> None:
    """Let what is still to be written to stdout go nowhere: where it should go, it cannot."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def keep_nobody_waiting() -> None:
    """Let stderr keep nobody waiting who writes to it, and never be an error: see log_writer.py.

    One that is no file keeps nobody.
    """
    with suppress(UnsupportedOperation):
        sys.stderr = log_writer.open_writer(sys.stderr)
