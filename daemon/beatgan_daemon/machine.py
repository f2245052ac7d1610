"""What the libraries cannot do without, tried before they are loaded, and refused in a line.

ZeroMQ and LLVM end the process where the machine, or the unit's sandbox, forbids it. Imports none
of them.
"""

import mmap
import os
import socket

from beatgan_daemon import descriptors
from beatgan_daemon.exit_codes import StartError

LEAST_FILES = 200  # half of them for peers, see sockets/connection_limit.py


def require_machine() -> None:
    """Raise StartError, naming what to allow, where a library could not do its work here."""
    _require_scheduling()
    _require_netlink()
    _require_executable_memory()
    _require_descriptors()


def _require_scheduling() -> None:
    try:
        os.sched_setscheduler(0, os.sched_getscheduler(0), os.sched_getparam(0))
    except OSError as error:
        raise StartError(
            f"ZeroMQ needs the system call sched_setscheduler: {error.strerror}; in a systemd "
            "unit, SystemCallFilter=sched_setscheduler allows it"
        ) from None


def _require_netlink() -> None:
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    except OSError as error:
        raise StartError(
            f"ZeroMQ needs sockets of the family AF_NETLINK: {error.strerror}; in a systemd unit, "
            "RestrictAddressFamilies=AF_NETLINK allows them"
        ) from None


def _require_executable_memory() -> None:
    try:
        mmap.mmap(-1, 1, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except OSError as error:
        raise StartError(
            f"compiled code needs memory that is writable and executable: {error.strerror}; in a "
            "systemd unit, MemoryDenyWriteExecute=no allows it"
        ) from None


def _require_descriptors() -> None:
    descriptors.raise_limit()
    free = descriptors.free()
    if free < LEAST_FILES:
        raise StartError(
            f"only {free} more files may be opened, {LEAST_FILES} are needed at least; "
            "LimitNOFILE= in a systemd unit, `ulimit -n` in a shell"
        )
