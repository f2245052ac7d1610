"""An episode that a command is asked about: of a daemon's journal or of a file, with its strip."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from beatgan.errors import UsageError
from beatgan.explain.episode import Episode, episode
from beatgan_daemon.clients import client
from beatgan_daemon.clients.strip_frames import read_kept_strip
from beatgan_daemon.security import curve


def find_episode(
    wanted: str,
    connect: str,
    file: Path | None,
    strips: Path | None,
    key: Path | None,
    server_key: str | None,
) -> Episode:
    """The episode of this id: of ``file``, JSON Lines, if given, else of the daemon at ``connect``.

    With ``strips``, a folder that `web --strips` keeps, it has the strip of that. Raises UsageError
    where there is none.
    """
    found: Iterable[bytes]
    if file is None:
        found = client.fetch_episode(
            connect, wanted, configure=curve.configuration(key, server_key)
        )
    else:
        found = lines_of(file)
    told = episode(found, wanted, connect if file is None else str(file))
    if strips is not None:
        told = dataclasses.replace(told, strip=read_kept_strip(strips, wanted))
    return told


def lines_of(path: Path) -> Iterator[bytes]:
    """Of a file of JSON Lines. Raises UsageError where it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise UsageError(f"--from {path}: {error.strerror}") from None
