"""Which recordings lie in a folder. Opens nothing but WFDB headers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from beatgan.errors import UsageError

# What recordings are usually called. Any other file can be named by itself.
SUFFIXES: Final = (
    *(".hea", ".edf", ".bdf", ".csv", ".tsv", ".txt"),
    *(".dcm", ".xml", ".ecg", ".ish"),
)


def recordings_in(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """The recordings in ``folder`` and in all folders below it, by name, sorted.

    A name is the path from ``folder``, without ``.hea``: "p7.edf", "p8/night1". Segments of a WFDB
    record are no recordings of their own; a header that cannot be read is for its reader to tell.
    Raises UsageError where there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in suffixes and f.is_file())
    segments = {path for file in files for path in _segments(file)}
    found = {_name(file.relative_to(folder)): file for file in files if file not in segments}
    if not found:
        raise UsageError(f"{folder}: no recording ({', '.join(suffixes)}) there or in its folders")
    return found


def _name(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".hea" else path).as_posix()


def _segments(file: Path) -> list[Path]:
    """The headers of the segments that a multi-segment WFDB header names."""
    if file.suffix != ".hea":
        return []
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    if not lines or "/" not in lines[0][0]:
        return []
    return [file.parent / f"{words[0]}.hea" for words in lines[1:]]
