"""An episode explained in a picture: the ECG on its paper, the worst beat beside the patient's own.

A strip is drawn as on paper: 25 mm a second and 10 mm a millivolt, at 25.4 mm to each inch of the
figure. Matplotlib is an extra of this package, imported when a picture is asked for.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import IO, TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from msgspec import UNSET

from beatgan.errors import UsageError
from beatgan.types import Doubles
from beatgan_daemon.clients.episode import COMPONENTS, Beat, Episode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCH, MM_A_SECOND, MM_A_MV = 25.4, 25.0, 10.0
ROW_S = 10.0  # of a strip in one row
LEFT, RIGHT, TOP, BOTTOM = 14.0, 8.0, 22.0, 8.0  # margins of the page, in mm
GAP, NUMBERS, BELOW_STRIP, PANELS, BELOW_PANELS = 2.0, 7.0, 14.0, 58.0, 4.0
HEADROOM = 1.3  # of a curve's height, for the legend
LEAST_MV, MOST_MV = 2.0, 7.0  # of a lead that are shown
LIKELY = 0.05  # of a class: others are not named
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


def draw(episode: Episode, file: IO[bytes]) -> None:
    """Write the picture to ``file`` as PNG. Raises UsageError where matplotlib is not installed."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "--png: matplotlib is not installed; pip install 'beatgan[explain]'"
        ) from None
    traces = _traces(episode)
    strip = sum(trace.room for trace in traces) + (BELOW_STRIP if traces else 0.0)
    panels = 0.0 if episode.worst is None else PANELS + BELOW_PANELS
    with rc_context(STYLE), catch_warnings():
        simplefilter("ignore", UserWarning)  # a lead's name may have letters that no font has
        page = _Page(Figure, TOP + strip + panels + BOTTOM)
        page.write(episode.sentence, LEFT, 9.0, size=13, weight="bold", color=INK)
        page.write(episode.circumstances, LEFT, 15.0, color=SOFT)
        top = TOP
        for trace in traces:
            _draw_trace(page.axes(LEFT, top, trace.width, trace.height), trace, episode)
            top += trace.room
        if traces:
            text = "25 mm/s, 10 mm/mV; seconds from the onset"
            page.write(text, LEFT, top + 3.0, size=8, color=SOFT)
        if episode.worst is not None:
            _draw_beat(page, episode.worst, TOP + strip)
        page.figure.savefig(file, format="png")


class _Page:
    """A figure that is laid out in mm from its upper left corner."""

    def __init__(self, kind: "type[Figure]", height: float) -> None:
        self._width, self._height = LEFT + MM_A_SECOND * ROW_S + RIGHT, height
        self.figure = kind(figsize=(self._width / INCH, height / INCH), dpi=DPI)

    def axes(self, left: float, top: float, width: float, height: float) -> "Axes":
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
        self.figure.text(left / self._width, 1 - baseline / self._height, text, **style)


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
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
        return MM_A_SECOND * (self.ends - self.begins)

    @property
    def height(self) -> float:
        return MM_A_MV * (self.high - self.low)

    @property
    def room(self) -> float:
        return self.height + (NUMBERS if self.last else GAP)


def _traces(episode: Episode) -> list[_Trace]:
    """The strip in rows of ROW_S, the last of them full, each lead below the one before."""
    strip = episode.strip
    if strip is None:
        return []
    signal = strip.millivolt
    onset = episode.latest.onset_sample
    times, end = (
        (np.arange(strip.first, strip.end) - onset) / strip.fs,
        (strip.end - onset) / strip.fs,
    )
    rows = max(1, ceil(len(signal) / strip.fs / ROW_S - 1e-9))
    traces: list[_Trace] = []
    for row in range(rows, 0, -1):
        begins = max(float(times[0]), end - ROW_S * row)
        ends = end - ROW_S * (row - 1)
        inside = (times >= begins) & (times < ends)
        for column, lead in enumerate(strip.leads):
            last = column == len(strip.leads) - 1
            shown = times[inside], signal[inside, column]
            low, high = _bounds(shown[1])
            traces.append(_Trace(lead, *shown, begins, ends, low, high, last))
    return traces


def _bounds(values: Doubles) -> tuple[float, float]:
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


def _draw_trace(axes: "Axes", trace: _Trace, episode: Episode) -> None:
    assert episode.strip is not None
    axes.set(xlim=(trace.begins, trace.ends), ylim=(trace.low, trace.high), facecolor=PAPER)
    _draw_paper(axes, trace)
    axes.plot(trace.times, trace.values, color=INK, linewidth=0.8, solid_joinstyle="round")
    onset = episode.latest.onset_sample
    worst = None if episode.worst is None else episode.worst.explanation.sample
    for beat in episode.beats:
        at = (beat - onset) / episode.strip.fs
        if trace.begins <= at < trace.ends:
            size, edge = (7, INK) if beat == worst else (4.5, WORST)
            axes.plot(at, trace.high - 0.15, "v", color=WORST, markersize=size, mec=edge, mew=0.8)
    if trace.begins <= 0.0 < trace.ends:
        axes.axvline(0.0, color=OWN, linewidth=1, linestyle=(0, (4, 3)))
    lost = np.isnan(trace.values)
    axes.fill_between(
        trace.times, trace.low, trace.high, where=lost.tolist(), color="#d8dee4", linewidth=0
    )
    label = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    place = (0.004, 0.04)
    axes.text(*place, trace.lead, transform=axes.transAxes, weight="bold", bbox=label)


def _draw_paper(axes: "Axes", trace: _Trace) -> None:
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


def _draw_beat(page: _Page, beat: Beat, top: float) -> None:
    """The beat and the patient's own; the beat and the network's copy; what the score is of."""
    explanation = beat.explanation
    window = np.array(explanation.window)
    ms = 1000 * np.arange(len(window)) / explanation.fs
    own = page.axes(LEFT, top, 84.0, PANELS - 12.0)
    likely = ", ".join(f"{n} {p:.0%}" for n, p in beat.probabilities.items() if p >= LIKELY)
    own.set_title("worst beat and the patient's own")
    if explanation.reference is UNSET:
        own.text(0.5, 0.9, "no own beat known yet", transform=own.transAxes, color=SOFT)
    else:
        reference = np.array(explanation.reference)
        own.fill_between(ms, reference, window, color=WORST, alpha=0.12, linewidth=0)
        own.plot(ms, reference, color=OWN, linewidth=1.6, label="the patient's own")
    label = f"worst beat ({likely})" if likely else "worst beat"
    own.plot(ms, window, color=WORST, linewidth=1.6, label=label)
    own.legend(loc="upper right")
    _draw_saliency(own, np.array(explanation.error), ms)
    copy = page.axes(LEFT + 92.0, top, 84.0, PANELS - 12.0)
    copy.set_title("worst beat and the network's copy")
    expected = np.array(explanation.expected)
    if explanation.spread is not UNSET:
        spread = 2 * np.array(explanation.spread)
        band = expected - spread, expected + spread
        copy.fill_between(ms, *band, color=COPY, alpha=0.18, linewidth=0, label="± 2 SD")
    copy.plot(ms, window, color=WORST, linewidth=1.6)
    copy.plot(ms, expected, color=COPY, linewidth=1.6, linestyle=(0, (4, 2)), label="copy")
    copy.legend(loc="upper right")
    low, high = own.get_ylim()
    for axes in (own, copy):
        most = max(high, float(expected.max()))
        axes.set(xlim=(0, ms[-1]), ylim=(low, low + HEADROOM * (most - low)))
    own.set_xlabel("ms; in colour: where the beat is unusual")
    copy.set_xlabel("ms; a good copy does not make a beat normal")
    copy.set_yticklabels([])
    _draw_components(page.axes(LEFT + 184.0, top, 62.0, PANELS - 12.0), beat)


def _draw_saliency(axes: "Axes", error: Doubles, ms: Doubles) -> None:
    """A line of colour below the curves: the darker, the more unusual."""
    low, high = axes.get_ylim()
    place = low - 0.10 * (high - low), low - 0.03 * (high - low)
    axes.imshow(
        np.sqrt(error)[np.newaxis],
        extent=(0, float(ms[-1]), *place),
        aspect="auto",
        cmap="Oranges",
        vmin=0.0,
    )
    axes.set_ylim(low - 0.12 * (high - low), high)


def _draw_components(axes: "Axes", beat: Beat) -> None:
    axes.set_title(f"score {beat.score:.2f}, threshold {beat.threshold:.2f}")
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not beat.components:
        axes.set_xticks([])
        axes.text(0, 0.5, "its components are not known", color=SOFT)
        return
    shares = list(beat.components.values())
    places = -np.arange(len(shares), dtype=float)
    axes.barh(places, shares, height=0.34, color=WORST, alpha=0.8)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    most = max(*shares, 0.1)
    axes.set(xlim=(min(*shares, 0.0), 1.15 * most), ylim=(places[-1] - 0.4, 0.75))
    for (name, share), place in zip(beat.components.items(), places.tolist(), strict=True):
        axes.text(0, place + 0.25, COMPONENTS.get(name, name), fontsize=8, va="bottom", color=INK)
        end = max(share, 0.0) + 0.02 * most
        axes.text(end, place, f"{share:+.2f}", va="center", fontsize=8, color=INK)
    axes.set_xticks([])
