"""An episode in a picture: the ECG on its paper, the worst beat beside the patient's own."""

from math import ceil
from typing import IO, TYPE_CHECKING

import numpy as np
from msgspec import UNSET

from beatgan.explain import ecg_paper
from beatgan.explain.ecg_paper import (
    COPY,
    INK,
    LEFT,
    OWN,
    ROW_S,
    SOFT,
    WORST,
    Page,
    Trace,
    bounds,
    draw_lead,
)
from beatgan.explain.episode import COMPONENTS, Beat, Episode
from beatgan.types import Doubles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP, BOTTOM = 22.0, 8.0  # margins of the page, in mm
BELOW_STRIP, PANELS, BELOW_PANELS = 14.0, 58.0, 4.0
HEADROOM = 1.3  # of a curve's height, for the legend
LIKELY = 0.05  # of a class: others are not named


def draw(episode: Episode, file: IO[bytes]) -> None:
    """Write the picture to ``file`` as PNG. Raises UsageError where matplotlib is not installed."""
    traces = _traces(episode)
    strip = sum(trace.room for trace in traces) + (BELOW_STRIP if traces else 0.0)
    panels = 0.0 if episode.worst is None else PANELS + BELOW_PANELS
    with ecg_paper.style("--png") as figure:
        page = Page(figure, TOP + strip + panels + BOTTOM)
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
            draw_beat(page, episode.worst, TOP + strip)
        page.figure.savefig(file, format="png")


def _traces(episode: Episode) -> list[Trace]:
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
    traces: list[Trace] = []
    for row in range(rows, 0, -1):
        begins = max(float(times[0]), end - ROW_S * row)
        ends = end - ROW_S * (row - 1)
        inside = (times >= begins) & (times < ends)
        for column, lead in enumerate(strip.leads):
            last = column == len(strip.leads) - 1
            shown = times[inside], signal[inside, column]
            low, high = bounds(shown[1])
            traces.append(Trace(lead, *shown, begins, ends, low, high, last))
    return traces


def _draw_trace(axes: "Axes", trace: Trace, episode: Episode) -> None:
    assert episode.strip is not None
    draw_lead(axes, trace)
    onset = episode.latest.onset_sample
    worst = None if episode.worst is None else episode.worst.explanation.sample
    for beat in episode.beats:
        at = (beat - onset) / episode.strip.fs
        if trace.begins <= at < trace.ends:
            size, edge = (7, INK) if beat == worst else (4.5, WORST)
            axes.plot(at, trace.high - 0.15, "v", color=WORST, markersize=size, mec=edge, mew=0.8)
    if trace.begins <= 0.0 < trace.ends:
        axes.axvline(0.0, color=OWN, linewidth=1, linestyle=(0, (4, 3)))


def draw_beat(page: Page, beat: Beat, top: float) -> None:
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
