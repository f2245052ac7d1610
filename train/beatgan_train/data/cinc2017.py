"""The rhythms of the hand-held recordings of the PhysioNet/CinC Challenge 2017."""

import csv
from collections.abc import Collection
from pathlib import Path

from beatgan.errors import RecordError


def labels(folder: Path, among: Collection[str]) -> list[tuple[str, str]]:
    """The recordings in ``folder`` whose rhythm is ``among`` these, each with it.

    A: atrial fibrillation, N: normal, O: another, ~: too noisy. RecordError without a list.
    """
    file = folder / "REFERENCE.csv"
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.reader(lines) if len(row) > 1]
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    return [(name, label) for name, label, *_ in rows if label in among]
