"""The descriptors of this process: how many there may be, and how many are used."""

import os
import resource

MOST = 65_536  # more are of no use: what takes them takes memory, too


def raise_limit() -> None:
    """Raise the soft limit as far as the hard one and MOST allow; many shells give 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _at_most(soft) < (wanted := _at_most(hard)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """How many there may be; MOST where there may be more."""
    return _at_most(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _at_most(limit: int) -> int:
    return MOST if limit == resource.RLIM_INFINITY else min(limit, MOST)


def present() -> list[int]:
    """Those that there are, with one for looking; all that there may be, where none is left to."""
    try:
        return [int(each) for each in os.listdir("/proc/self/fd")]
    except OSError:
        return list(range(limit() + 1))


def used() -> int:
    """How many there are."""
    return len(present()) - 1


def free() -> int:
    """How many more there may be."""
    return limit() - used()
