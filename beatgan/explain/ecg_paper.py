"""ECG paper: 25 mm a second and 10 mm a millivolt, at 25.4 mm to each inch of the figure.

Matplotlib is an extra of this package, imported when a picture is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from beatgan.errors import UsageError
from beatgan.types import Doubles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCH, MM_A_SECOND, MM_A_MV = 25.4, 25.0, 10.0
ROW_S = 10.0  # in one row
LEFT, RIGHT = 14.0, 8.0  # margins of the page, in mm
GAP, NUMBERS = 2.0, 7.0
LEAST_MV, MOST_MV = 2.0, 7.0  # of a lead that are shown
DPI = 150
INK, SOFT, PAPER, FINE, COARSE = "#1b1f24", "#59636e", "#fffafa", "#fae3e3", "#efb5b5"
OWN, WORST, COPY = "#0072b2", "#d55e00", "#009e73"  # Okabe & Ito's, distinct to the colour-blind
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a lead may be called $V$
    "font.size": 9, "axes.labelcolor": SOFT, "xtick.color": SOFT, "ytick.color": SOFT,
    "axes.edgecolor": "#9aa4ae", "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 10, "axes.titlelocation": "left", "legend.frameon": False,
    "legend.fontsize": 8,
}  # fmt: skip


@contextmanager
def style(asked: str) -> Iterator["type[Figure]"]:
    """Draw in the block; gives the kind of figure to draw on.

    Raises UsageError, beginning with what was ``asked`` for, where matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            f"{asked}: matplotlib is not installed; pip install 'beatgan[explain]'"
        ) from None
    with rc_context(STYLE), catch_warnings():
        simplefilter("ignore", UserWarning)  # a lead's name may have letters that no font has
        yield Figure


class Page:
    """A figure that is laid out in mm from its upper left corner."""

    def __init__(self, kind: "type[Figure]", height: float) -> None:
        self._width, self._height = LEFT + MM_A_SECOND * ROW_S + RIGHT, height
        self.figure = kind(figsize=(self._width / INCH, height / INCH), dpi=DPI)

    def axes(self, left: float, top: float, width: float, height: float) -> "Axes":
        """New axes, in mm."""
        bottom = self._height - top - height
        return self.figure.add_axes(
            (
                left / self._width,
                bottom / self._height,
                width / self._width,
                height / self._height,
            )
        )

    def write(self, text: str, left: float, baseline: float, **style: Any) -> None:
        """Text that begins there, in mm."""
        self.figure.text(left / self._width, 1 - baseline / self._height, text, **style)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Some seconds of one lead. Times in s from the onset, amplitudes in mV."""

    lead: str
    times: Doubles
    values: Doubles
    begins: float
    ends: float
    low: float
    high: float
    last: bool  # of those that show these seconds

    @property
    def width(self) -> float:
        """In mm, as the next two."""
        return MM_A_SECOND * (self.ends - self.begins)

    @property
    def height(self) -> float:
        """Of the lead alone."""
        return MM_A_MV * (self.high - self.low)

    @property
    def room(self) -> float:
        """With what lies below it."""
        return self.height + (NUMBERS if self.last else GAP)


def bounds(values: Doubles) -> tuple[float, float]:
    """From where to where a lead is shown, in whole halves of a mV."""
    known = values[~np.isnan(values)]
    if not known.size:
        return -LEAST_MV / 2, LEAST_MV / 2
    low, high, middle = float(known.min()), float(known.max()), float(np.median(known))
    if high - low > MOST_MV - 0.5:  # an artefact must not fill the page
        low = max(low, min(middle - MOST_MV / 4, high - MOST_MV))
        high = min(high, low + MOST_MV - 0.5)
    low, high = floor(2 * low - 0.2) / 2, ceil(2 * high + 0.6) / 2  # and room for marks above
    more = max(0.0, LEAST_MV - (high - low))
    return low - floor(more) / 2, high + ceil(more) / 2


def draw_lead(axes: "Axes", trace: Trace) -> None:
    """The lead on its paper, grey where samples are lost, with its name."""
    axes.set(xlim=(trace.begins, trace.ends), ylim=(trace.low, trace.high), facecolor=PAPER)
    draw_paper(axes, trace)
    axes.plot(trace.times, trace.values, color=INK, linewidth=0.8, solid_joinstyle="round")
    lost = np.isnan(trace.values)
    axes.fill_between(
        trace.times, trace.low, trace.high, where=lost.tolist(), color="#d8dee4", linewidth=0
    )
    label = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    axes.text(0.004, 0.04, trace.lead, transform=axes.transAxes, weight="bold", bbox=label)


def draw_paper(axes: "Axes", trace: Trace) -> None:
    """Lines each mm and, stronger, each 5 mm; the latter's numbers below the last lead."""
    fine, coarse = 1 / MM_A_SECOND, 5 / MM_A_SECOND
    for step, height, colour, width in (
        (fine, 1 / MM_A_MV, FINE, 0.4),
        (coarse, 5 / MM_A_MV, COARSE, 0.6),
    ):
        times = np.arange(0, ceil((trace.ends - trace.begins) / step) + 1)
        axes.vlines(trace.ends - step * times, trace.low, trace.high, colour, linewidth=width)
        levels = np.arange(round((trace.high - trace.low) / height) + 1) * height + trace.low
        axes.hlines(levels, trace.begins, trace.ends, colour, linewidth=width)
    for spine in axes.spines.values():
        spine.set_visible(False)
    seconds = np.arange(ceil(trace.begins), floor(trace.ends) + 1)
    axes.set_xticks(seconds if trace.last else [])
    axes.set_yticks([])
    axes.tick_params(length=0, labelsize=8)
