"""The few strokes that a chart needs, as SVG text: a frame with axes, lines, areas, words.

Colours come from the page's style sheet by class name, so that a picture suits light and dark.
Knows numbers and pixels; knows nothing of what is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

from beatgan.types import Doubles

Values = NDArray[np.floating]
POINTS = 300  # of a line that are drawn: more cannot be seen


@dataclass(frozen=True, slots=True)
class Axis:
    """The values that an axis spans, those that are named on it, and how; ``label`` beside it."""

    low: float
    high: float
    ticks: Sequence[float]
    label: str = ""
    text: Callable[[float], str] = "{:g}".format


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle of the picture, in pixels, that shows ``x`` from left and ``y`` from below."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def across(self, values: Values) -> Doubles:
        """Where ``values`` of x lie, in pixels."""
        span = self.x.high - self.x.low
        return np.asarray(self.left + (values - self.x.low) / span * self.width, np.float64)

    def up(self, values: Values) -> Doubles:
        """Where ``values`` of y lie, in pixels; those off the axis on its ends."""
        share = (np.clip(values, self.y.low, self.y.high) - self.y.low) / (self.y.high - self.y.low)
        return np.asarray(self.top + (1 - share) * self.height, np.float64)

    def line(self, x: Values, y: Values, style: str) -> str:
        """A line through the points, in the page's ``style``."""
        return f'<path class="line {style}" d="M{_points(self.across(x), self.up(y))}"/>'

    def area(self, x: Values, y: Values, style: str) -> str:
        """What lies between the points and the foot of the frame."""
        across, foot = self.across(x), self.top + self.height
        shape = _points(across, self.up(y))
        return (
            f'<path class="area {style}" d="M{across[0]:.1f} {foot:.1f}L{shape}'
            f'L{across[-1]:.1f} {foot:.1f}Z"/>'
        )

    def dot(self, x: float, y: float, style: str) -> str:
        """A mark at one point."""
        across, up = self.across(np.array([x]))[0], self.up(np.array([y]))[0]
        return f'<circle class="dot {style}" cx="{across:.1f}" cy="{up:.1f}" r="4"/>'

    def upright(self, x: float, style: str) -> str:
        """A vertical line through the whole frame."""
        across = self.across(np.array([x]))[0]
        ends = f'x1="{across:.1f}" x2="{across:.1f}"'
        return f'<line class="{style}" {ends} y1="{self.top}" y2="{self.top + self.height}"/>'

    def axes(self) -> str:
        """Grid lines, the numbers at them, and the labels."""
        return self._x_axis() + self._y_axis()

    def _x_axis(self) -> str:
        foot = self.top + self.height
        parts = [self.upright(tick, "grid") for tick in self.x.ticks]
        at = self.across(np.array(self.x.ticks))
        parts += [
            word(px, foot + 15, self.x.text(tick), "tick", "middle")
            for px, tick in zip(at, self.x.ticks, strict=True)
        ]
        if self.x.label:
            middle = self.left + self.width / 2
            parts.append(word(middle, foot + 33, self.x.label, "label", "middle"))
        return "".join(parts)

    def _y_axis(self) -> str:
        right, parts = self.left + self.width, []
        for tick, py in zip(self.y.ticks, self.up(np.array(self.y.ticks)), strict=True):
            ends = f'x1="{self.left}" x2="{right}" y1="{py:.1f}" y2="{py:.1f}"'
            parts.append(f'<line class="grid" {ends}/>')
            parts.append(word(self.left - 5, py + 4, self.y.text(tick), "tick", "end"))
        if self.y.label:
            middle = self.top + self.height / 2
            turned = f' transform="rotate(-90 12 {middle:.1f})"'
            parts.append(word(12, middle, self.y.label, "label", "middle", turned))
        return "".join(parts)


def picture(width: int, height: int, alt: str, *parts: str) -> str:
    """A whole picture with the words ``alt`` for those who cannot see it."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}">'
        f"{''.join(parts)}</svg>"
    )


def word(x: float, y: float, text: str, style: str, anchor: str = "start", more: str = "") -> str:
    """Words at a place; ``anchor`` is the end of them that lies there."""
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
        f"{escape(text)}</text>"
    )


def round_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within ``low`` and ``high``, about so many."""
    rough = max(high - low, 1e-9) / about
    unit = 10.0 ** floor(log10(rough))
    step = unit * next(m for m in (1, 2, 5, 10) if m * unit >= rough * 0.99)
    return [round(i * step, 10) for i in range(ceil(low / step), floor(high / step) + 1)]


def thinned(x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
    """POINTS of a line's points, evenly along its way."""
    way = np.cumsum(np.abs(np.diff(x, prepend=x[:1])) + np.abs(np.diff(y, prepend=y[:1])))
    at = np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)))
    return x[at], y[at]


def _points(across: Doubles, up: Doubles) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, up, strict=True))
