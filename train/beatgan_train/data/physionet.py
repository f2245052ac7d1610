"""Download a PhysioNet database: resumable, each file checked against the database's own digests.

Knows PhysioNet's addresses and its list of digests; knows no file format.
"""

import hashlib
import re
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from beatgan.errors import RecordError, UsageError

PHYSIONET = "https://physionet.org"
BLOCK = 1 << 16  # bytes
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the database: its path there and its SHA-256."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many files were downloaded, and how many were there already."""

    new: int
    present: int


def run(db: str, data: Path, *, site: str = PHYSIONET, console: Console | None = None) -> Fetched:
    """Bring ``data/db`` up to date with the latest version of the database ``db`` ("mitdb" ...).

    Files that are there and intact stay; a download that broke off goes on where it stopped.
    Raises UsageError if there is no such database, RecordError if the site cannot be reached or
    sends something else than it lists.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", db):
        raise UsageError(f"{db!r} is no name of a PhysioNet database; try mitdb, nstdb or cudb")
    console = console or Console()
    folder = data / db
    source = f"{site}/files/{db}/{latest_version(db, site)}/"
    files = listing(source)
    missing = [file for file in files if not _intact(folder / file.path, file.digest)]
    with _bars(console) as bars:
        for number, file in enumerate(missing, 1):
            _download(source, file, folder, bars, f"{number}/{len(missing)} {file.path}")
    found = Fetched(len(missing), len(files) - len(missing))
    console.print(f"{folder}: {found.new} files fetched, {found.present} were there already")
    return found


def latest_version(db: str, site: str) -> str:
    """The version of ``db`` that its page forwards to, or at least links to."""
    with _get(f"{site}/content/{db}/", f"there is no database {db!r} on {_host(site)}") as page:
        text = page.geturl() + " " + _read(page).decode("utf-8", errors="replace")
    if not (found := re.search(rf"/content/{db}/(\d[\w.-]*)/", text)):
        raise RecordError(f"{site}/content/{db}/ does not state the version of {db}")
    return found[1]


def listing(source: str) -> list[Listed]:
    """The files under the address ``source``, from its SHA256SUMS.txt."""
    with _get(f"{source}SHA256SUMS.txt") as page:
        text = _read(page).decode("utf-8", errors="replace")
    files: list[Listed] = []
    for line in text.splitlines():
        found = re.fullmatch(r"([0-9a-f]{64})\s+\*?(\S.*)", line.strip())
        if not found or not _safe(found[2]):
            raise RecordError(f"{source}SHA256SUMS.txt: not understood: {line[:80]!r}")
        files.append(Listed(found[2], found[1]))
    return files


def _download(source: str, file: Listed, folder: Path, bars: Progress, caption: str) -> None:
    """Fetch one file to its place; what is there of it as ``.part`` is not fetched again."""
    target = folder / file.path
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    url = source + quote(file.path)
    with _get(url, have=have) as page:
        have = have if page.status == 206 else 0  # anything else is the whole file
        size = have + int(page.headers.get("Content-Length", 0))
        task = bars.add_task(caption, total=size, completed=have)
        with part.open("ab" if have else "wb") as out:
            while block := _read(page, BLOCK):
                out.write(block)
                bars.advance(task, len(block))
        bars.remove_task(task)
    if part.stat().st_size < size:
        raise RecordError(f"{url}: broke off; run it again, it goes on from here")
    if not _intact(part, file.digest):
        part.unlink()
        raise RecordError(f"{url}: what arrived is not what is listed; run it again")
    part.replace(target)


def _get(url: str, missing: str = "", have: int = 0) -> HTTPResponse:
    """Open ``url``, from byte ``have`` on; ``missing`` is the complaint should it not exist."""
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        return cast("HTTPResponse", urlopen(request, timeout=TIMEOUT_S))
    except HTTPError as error:
        error.close()
        if error.code == 416:  # the part is as long as the file, or longer: begin anew
            return _get(url)
        if error.code == 404 and missing:
            raise UsageError(missing) from None
        raise RecordError(f"{url}: {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise _unreachable(url, error) from error


def _read(page: HTTPResponse, count: int | None = None) -> bytes:
    try:
        return page.read(count)
    except (OSError, HTTPException) as error:
        raise _unreachable(page.geturl(), error) from error


def _unreachable(url: str, error: Exception) -> RecordError:
    reason = getattr(error, "reason", None) or error
    return RecordError(
        f"cannot reach {_host(url)} ({reason}); with a network, run it again: it goes on from here"
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _safe(path: str) -> bool:
    """Whether a listed path stays inside the folder it is put into."""
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


def _intact(file: Path, digest: str) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == digest


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
    )
