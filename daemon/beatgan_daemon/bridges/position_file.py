"""How far a bridge has come in a daemon's journal: a small file that survives the bridge.

Knows a number and a digest; nothing of alerts or who takes them.
"""

import fcntl
import os
from hashlib import sha256
from pathlib import Path

import msgspec

from beatgan.errors import UsageError
from beatgan_daemon.exit_codes import StartError

NAME = "position.json"


class Position(msgspec.Struct, frozen=True):
    """``next``: the number of the next alert. ``digest``: of the one before, which tells another
    journal; "" where it is not known."""

    next: int
    digest: str = ""


def digest_of(body: bytes) -> str:
    """Of one alert's JSON."""
    return sha256(body).hexdigest()


class PositionFile:
    """The position in ``directory``, or in memory alone; the directory is this bridge's own."""

    def __init__(self, directory: Path | None) -> None:
        """Raises StartError where the directory cannot be used or another bridge uses it, and
        UsageError where the file in it is none of ours."""
        self.position: Position | None = None  # None: never written
        self._directory = directory
        self._folder = None if directory is None else _locked(directory)
        if directory is not None:
            try:
                self.position = _read(directory / NAME)
            except BaseException:
                self.close()
                raise

    def write(self, position: Position) -> None:
        """Keep it, whole or not at all. Raises StartError where the disk does not take it."""
        self.position = position
        if self._directory is None or self._folder is None:
            return
        path = self._directory / NAME
        unfinished = path.with_suffix(".new")
        try:
            with unfinished.open("wb") as file:
                file.write(msgspec.json.encode(position) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
            os.fsync(self._folder)
        except OSError as error:
            raise StartError(f"{path}: cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Let another bridge have the directory."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None


def _locked(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StartError(f"--state {directory}: cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(folder)
        raise StartError(
            f"--state {directory}: in use by another bridge; each needs a directory of its own"
        ) from None
    return folder


def _read(path: Path) -> Position | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{path}: not a position ({error}); remove it, and give --since to say where to begin"
        ) from None
