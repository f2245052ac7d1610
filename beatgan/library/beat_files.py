"""Tables of beats in files: CSV, Parquet, or JSON Lines of the very messages.

Each is begun once and takes any number of recordings; ``record`` names whose a row is.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from math import isnan
from pathlib import Path
from typing import IO, Any, Final, Protocol

from beatgan.errors import UsageError
from beatgan.library.beat_table import BEAT, Beats
from beatgan.library.output_file import writing
from beatgan.protocol.messages import Message, encode_lines

SUFFIXES: Final = (".csv", ".parquet", ".jsonl")


class Found(Protocol):
    """What was found in one recording: a `Result`."""

    @property
    def name(self) -> str:
        """The recording's."""
        ...

    @property
    def beats(self) -> Beats:
        """As `beat_table.beats_of` gives them."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """In their order."""
        ...


class BeatFile(Protocol):
    """A file that takes recordings one after another."""

    def add(self, found: Found) -> None:
        """What was found in the next recording."""
        ...


@contextmanager
def beat_file(out: Path, inputs: Sequence[str] = (), option: str = "--out") -> Iterator[BeatFile]:
    """To be filled in the block; it appears whole, or not at all where that fails.

    Its kind is that of its suffix, one of SUFFIXES; ``option`` named it, for errors. Raises
    UsageError where it is another, cannot be written, is one of the ``inputs``, or where pyarrow
    is not installed for Parquet.
    """
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{out}: expected a file of {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        _require_pyarrow(out)
    with writing(out, inputs, option) as file:
        if suffix == ".jsonl":
            yield _JsonLines(file)
        elif suffix == ".csv":
            with _text(file) as text:
                yield _Csv(text)
        else:
            with _Parquet(file) as parquet:
                yield parquet


class _JsonLines:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, found: Found) -> None:
        self._file.write(encode_lines(found.messages))


class _Csv:
    def __init__(self, file: IO[str]) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(["record", *(BEAT.names or ())])

    def add(self, found: Found) -> None:
        for row in found.beats.tolist():
            self._rows.writerow([found.name, *map(_cell, row)])


class _Parquet:
    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "U": pa.string()}
        fields = [(name, kinds[BEAT[name].kind]) for name in BEAT.names or ()]
        self._schema = pa.schema([("record", pa.string()), *fields])
        self._table = pa.Table
        self._writer = pq.ParquetWriter(file, self._schema)

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, found: Found) -> None:
        columns: dict[str, Any] = {"record": [found.name] * len(found.beats)}
        columns |= {name: found.beats[name].tolist() for name in BEAT.names or ()}
        self._writer.write_table(self._table.from_pydict(columns, schema=self._schema))


def _cell(value: object) -> object:
    """As CSV has it: nothing for what is not known, true and false as JSON has them."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, float) and isnan(value) else value


@contextmanager
def _text(file: IO[bytes]) -> Iterator[IO[str]]:
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    yield text
    text.flush()
    text.detach()  # the file is closed by who opened it


def _require_pyarrow(out: Path) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UsageError(f"{out}: pyarrow is not installed; pip install 'beatgan[table]'") from None
