"""The lines of a text file, whatever wrote it. Knows nothing of what stands in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from beatgan.errors import RecordError
from beatgan.records import file_format

COMMENT = ("#", "%", "//")
LONGEST = 1 << 20  # letters: no line of samples has as many


@contextmanager
def opened(path: Path) -> Iterator[Iterator[str]]:
    """The lines without their ends: UTF-8, UTF-16 or Latin-1, ending as on any system.

    A byte that is no text becomes a sign that is no number. Raises RecordError on a line without an
    end.
    """
    try:
        with path.open("rb") as file:
            encoding = file_format.encoding(file.read(file_format.HEAD))
        with path.open(encoding=encoding, errors="replace") as file:
            yield _lines(path, file)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST), ""), 1):
        if len(line) >= LONGEST:
            raise RecordError(f"{path}: line {number} is too long to be one of a table")
        yield line.rstrip("\n").lstrip("\ufeff") if number == 1 else line.rstrip("\n")
