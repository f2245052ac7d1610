"""For `check`: what a start would find at its end, and what only another user would find.

Leaves nothing behind, and disturbs no daemon that runs.
"""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import zmq

from beatgan import compiled_cache
from beatgan.errors import UsageError
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.settings import Settings
from beatgan_daemon.sharding.shard_map import read_map
from beatgan_daemon.tcp_listener import drops_resets

HIDDEN = ("/root", "/home", "/run/user")  # from a unit with ProtectHome=yes


def require_endpoints(settings: Settings) -> list[str]:
    """Raise UsageError or StartError where the daemon could not listen on these settings.

    A warning of each that is in use, as it is by a daemon that runs.
    """
    used: list[str] = []
    with zmq.Context[zmq.Socket[bytes]]() as context:
        for each, purpose in (
            *((each, "ingest") for each in settings.ingest.bind),
            (settings.publish.bind, "publish"),
            (settings.control.bind, "control"),
            *((each, "tap") for each in settings.tap.bind),
        ):
            if not zmq_endpoints.try_bind(context, each, purpose):
                used.append(each)
    address = settings.http.listen
    if not zmq_endpoints.is_free(address.host, address.port, "http.listen"):
        used.append(str(address))
    return [f"{each} is in use; before another daemon can start, it must be free" for each in used]


def require_state(directory: Path | None) -> None:
    """Raise StartError where the state directory cannot be made, or not be written to."""
    if directory is None:
        return
    if directory.exists():
        if not directory.is_dir():
            raise StartError(f"state.dir: {directory} is no directory")
        place = directory
    else:
        place = directory.parent
        if not place.is_dir():
            raise StartError(f"state.dir: cannot make {directory}: {place} is no directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise StartError(f"state.dir: cannot write to {place}")


def require_map(directory: Path | None) -> None:
    """Raise StartError where the shards' directory has no map that can be read."""
    if directory is None:
        return
    try:
        read_map(directory)
    except UsageError as error:
        raise StartError(f"shard.dir: {error}") from None


def warnings(files: Iterable[Path | None]) -> Iterator[str]:
    """What does not keep it from starting as this user, but may as another, or makes it slow.

    ``files``: those that the daemon reads.
    """
    yield from cache_warnings()
    yield from connection_warnings()
    if os.geteuid() == 0:
        yield from _unreadable(files)


def cache_warnings() -> Iterator[str]:
    """Why compiled code is not kept; once the model is loaded, it should have been."""
    if troubles := compiled_cache.troubles():
        more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
        yield (
            f"compiled code is not kept, and every start compiles it: {troubles[0]}{more}; "
            "who may write there runs `beatgan-daemon compile`, or NUMBA_CACHE_DIR names another "
            "directory"
        )


def connection_warnings() -> Iterator[str]:
    """Why a peer that was let in could end the daemon."""
    if not drops_resets():
        yield (
            "a peer that was let in can end the daemon by breaking its connection: this kernel "
            "lets only who has CAP_NET_ADMIN drop resets (SO_ATTACH_FILTER)"
        )


def _unreadable(files: Iterable[Path | None]) -> Iterator[str]:
    """What root can read, and the unit's user cannot."""
    program = Path(sys.executable).resolve()
    if any(program.is_relative_to(place) for place in HIDDEN):
        yield f"{program} lies in a home, which the unit's user cannot see: use another Python"
    for file in (program, *(each for each in files if each is not None)):
        if closed := _closed(file):
            yield f"{closed} is not readable by other users, and so not by the unit's"


def _closed(file: Path) -> Path | None:
    """``file``, or the folder on the way to it, that is open to its owner or group alone."""
    path = file.absolute()
    for each in (path, *path.parents):
        try:
            mode = each.stat().st_mode
        except OSError:
            continue  # whoever needs it says so
        if not mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH):
            return each
    return None
