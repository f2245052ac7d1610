"""What a section reports, and how: plain text, aligned columns, the distribution of delays.

Knows no alarm and no annotation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np


class Section(Protocol):
    """What a section found: a dataclass that reports itself as plain text."""

    def lines(self) -> Iterator[str]:
        """Its lines."""
        ...


@dataclass(frozen=True, slots=True)
class Distribution:
    """Least, median, 90th percentile and most of ``count`` values; 0 each where there are none."""

    count: int
    least: float = 0.0
    median: float = 0.0
    p90: float = 0.0
    most: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """That of ``values``; the percentile is a value that occurs, the next higher one."""
        if not values:
            return cls(0)
        p90 = float(np.quantile(values, 0.9, method="higher"))
        return cls(len(values), min(values), float(np.median(values)), p90, max(values))

    def __str__(self) -> str:
        if not self.count:
            return "none"
        parts = (
            f"{name} {value:.2f}"
            for name, value in (
                ("least", self.least),
                ("median", self.median),
                ("p90", self.p90),
                ("most", self.most),
            )
        )
        return f"{', '.join(parts)} ({self.count})"


def columns(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    cells = [list(head), *([_cell(each) for each in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            each.rjust(width) if i else each.ljust(width)
            for i, (each, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def share(part: int, whole: int) -> str:
    """``part`` of ``whole``, and in percent."""
    return f"{part} of {whole}" + (f" ({100 * part / whole:.1f} %)" if whole else "")


def per_hour(count: int, hours: float) -> str:
    """``count`` in ``hours``, and the rate."""
    return f"{count} in {hours:.2f} h" + (f" ({count / hours:.3f} an hour)" if hours else "")


def clock(seconds: float) -> str:
    """A place in a record as m:ss.s, as viewers of records show it."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
