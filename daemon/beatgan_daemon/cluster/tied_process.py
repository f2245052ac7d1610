"""Become another program that gets SIGTERM when whoever started it dies, whatever of.

    python -m beatgan_daemon.cluster.tied_process PARENT_PID PROGRAM [ARGUMENT]...

The kernel ties it to the parent's *thread* that started it; see prctl(2), PR_SET_PDEATHSIG.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tied(command: tuple[str, ...]) -> list[str]:
    """``command`` for `Popen`, tied to the thread that calls it."""
    return [sys.executable, "-m", __spec__.name, str(os.getpid()), *command]


def main() -> None:
    """See above."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == parent:  # it could have died before
        os.execv(program[0], program)


if __name__ == "__main__":
    main()
