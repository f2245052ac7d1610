"""What a section reports, and how: plain text, aligned columns, distributions, intervals.

Knows no alarm and no annotation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np

from beatgan_train.evaluation.bootstrap import draw, interval, ratios

TWO, ONE = "two leads", "one lead"


class Figure(NamedTuple):
    """One thing worth comparing with another release: its name, the figure as text, the leads."""

    name: str
    text: str
    leads: str = TWO


class Section(Protocol):
    """What a section found: a dataclass that reports itself as plain text."""

    def lines(self) -> Iterator[str]:
        """Its summary."""
        ...

    def details(self) -> Iterator[str]:
        """Each case, above all the wrong ones."""
        ...

    def figures(self) -> Iterator[Figure]:
        """What is worth comparing with another release."""
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


def tally(title: str, found: Mapping[str, Sequence[str]]) -> list[str]:
    """How often each thing was found, a row for each, in the columns of ``found``."""
    counts = {column: Counter(things) for column, things in found.items()}
    things = sorted({thing for count in counts.values() for thing in count})
    rows = [(thing, *(count[thing] for count in counts.values())) for thing in things]
    return columns((title, *counts), rows)


def markdown_table(measured: Mapping[str, Sequence[Figure]]) -> str:
    """A table in Markdown: a row for each figure, columns by leads and by what was ``measured``."""
    cells = {
        (each.name, each.leads, title): each.text
        for title, figures in measured.items()
        for each in figures
    }
    heads = [
        (leads, title)
        for leads in (TWO, ONE)
        for title in measured
        if any(key[1:] == (leads, title) for key in cells)
    ]
    rows = [
        ["", *(f"{title}, {leads}" for leads, title in heads)],
        ["---"] * (1 + len(heads)),
        *(
            [name, *(cells.get((name, *head), "") for head in heads)]
            for name in dict.fromkeys(name for name, _, _ in cells)
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def share(part: int, whole: int) -> str:
    """``part`` of ``whole``, and in percent."""
    return f"{part} of {whole}" + (f" ({100 * part / whole:.1f} %)" if whole else "")


def per_hour(count: int, hours: float) -> str:
    """``count`` in ``hours``, and the rate."""
    return f"{count} in {hours:.2f} h" + (f" ({count / hours:.3f} an hour)" if hours else "")


def rate(counts: Sequence[float], hours: Sequence[float]) -> str:
    """How many an hour, with the interval over recordings; both one value for each of them."""
    if not sum(hours):
        return "none"
    part, whole = np.asarray(counts, np.float64), np.asarray(hours, np.float64)
    each = interval(ratios(part, whole, draw(len(whole))))
    return f"{part.sum() / whole.sum():.2f} ({each.low:.2f} to {each.high:.2f})"


def clock(seconds: float) -> str:
    """A place in a record as m:ss.s, as viewers of records show it."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
