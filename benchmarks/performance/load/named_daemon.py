"""The daemon with threads that /proc knows by their names, so that each one's CPU time can be read.

Python tells the system no names before 3.14. A script, not a module: it runs with the interpreter
and the code of any checkout, and does nothing else.
    python -P named_daemon.py run --model models/student.pt
"""

import ctypes
import runpy
import threading

PIPELINE = "pipeline"  # what the daemon calls its first thread
PR_SET_NAME = 15  # <linux/prctl.h>
run_thread = threading.Thread.run


def tell_name(name: str) -> None:
    """Name the calling thread; the system keeps 15 bytes."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def run_named(thread: threading.Thread) -> None:
    """`Thread.run` under the thread's name."""
    tell_name(thread.name)
    run_thread(thread)


if __name__ == "__main__":
    threading.Thread.run = run_named  # type: ignore[assignment, method-assign]
    tell_name(PIPELINE)
    runpy.run_module("beatgan_daemon.cli", run_name="__main__", alter_sys=True)
