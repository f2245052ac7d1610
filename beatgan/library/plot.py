"""Some seconds of a result on ECG paper: the leads, each beat's class and score, alarms."""

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from beatgan.errors import UsageError
from beatgan.explain import ecg_paper
from beatgan.explain.ecg_paper import (
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
from beatgan.explain.episode import Beat, explained_beat
from beatgan.explain.picture import BELOW_PANELS, PANELS, draw_beat
from beatgan.library.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST_S = 120.0  # twelve rows
TOP, BOTTOM = 14.0, 8.0  # margins of the page, in mm
LETTERS, BARS, BELOW_ROW = 6.0, 10.0, 9.0  # of a row: classes, scores, numbers
TALLEST = 2.0  # thresholds that a bar shows
PRIORITY = {"high": "#d62728", "medium": "#b8860b", "low": "#4a7a96"}


def draw(result: Result, start_s: float = 0.0, end_s: float | None = None) -> "Figure":
    """See `Result.plot`."""
    length = len(result.ecg) / result.fs
    until = min(length, start_s + ROW_S if end_s is None else end_s)
    if not 0 <= start_s < until or until - start_s > LONGEST_S:
        raise UsageError(
            f"plot: expected up to {LONGEST_S:g} s within the {length:g} s of "
            f"{result.name}, got {start_s:g} to {end_s if end_s is not None else until:g}"
        )
    rows = [
        _row(result, start_s + k * ROW_S, min(until, start_s + (k + 1) * ROW_S))
        for k in range(ceil((until - start_s) / ROW_S - 1e-9))
    ]
    worst = _worst(result, start_s, until)
    heights = [LETTERS + sum(trace.room for trace in row) + BARS + BELOW_ROW for row in rows]
    panels = 0.0 if worst is None else PANELS + BELOW_PANELS
    with ecg_paper.style("plot") as figure:
        page = Page(figure, TOP + sum(heights) + panels + BOTTOM)
        page.write(_title(result, start_s, until), LEFT, 8.0, size=12, weight="bold", color=INK)
        top = TOP
        for row, height in zip(rows, heights, strict=True):
            _draw_row(page, result, row, top)
            top += height
        if worst is not None:
            draw_beat(page, worst, top)
    return page.figure


def _title(result: Result, start_s: float, end_s: float) -> str:
    return f"{result.name}, {start_s:g} to {end_s:g} s, 25 mm/s, 10 mm/mV"


def _row(result: Result, begins: float, ends: float) -> list[Trace]:
    """All leads of the seconds of one row."""
    first, last = ceil(begins * result.fs), ceil(ends * result.fs)
    times = np.arange(first, last) / result.fs
    row = []
    for column, lead in enumerate(result.leads):
        values = result.ecg[first:last, column].astype(np.float64)
        is_last = column == len(result.leads) - 1
        row.append(Trace(lead, times, values, begins, ends, *bounds(values), is_last))
    return row


def _draw_row(page: Page, result: Result, row: list[Trace], top: float) -> None:
    begins, ends, width = row[0].begins, row[0].ends, row[0].width
    beats = result.beats[(result.beats["time_s"] >= begins) & (result.beats["time_s"] < ends)]
    letters = page.axes(LEFT, top, width, LETTERS)
    letters.set(xlim=(begins, ends), ylim=(0, 1))
    letters.axis("off")
    for beat in beats:
        colour = WORST if beat["anomalous"] else SOFT
        words: dict[str, Any] = {"ha": "center", "size": 8, "color": colour, "clip_on": True}
        letters.text(beat["time_s"], 0.1, str(beat["class"]) or "·", **words)
    _draw_episodes(letters, result, begins, ends)
    top += LETTERS
    for trace in row:
        draw_lead(page.axes(LEFT, top, trace.width, trace.height), trace)
        top += trace.room
    _draw_scores(page.axes(LEFT, top, width, BARS), beats, begins, ends)


def _draw_episodes(axes: "Axes", result: Result, begins: float, ends: float) -> None:
    """A line over all that lasts in these seconds, with its code where it begins."""
    for episode in result.episodes:
        last = ends if episode.end_s is None else min(episode.end_s, ends)
        first = max(episode.onset_s, begins)
        if first < last:
            colour = PRIORITY[episode.priority]
            axes.plot([first, last], [0.72, 0.72], color=colour, linewidth=2, clip_on=False)
            style: dict[str, Any] = {"size": 7, "color": colour, "va": "bottom", "clip_on": False}
            axes.text(first, 0.78, episode.code, **style)


def _draw_scores(axes: "Axes", beats: Any, begins: float, ends: float) -> None:
    """A bar for each beat: its score in thresholds; a cross where it was not scored."""
    axes.set(xlim=(begins, ends), ylim=(0, TALLEST))
    axes.axhline(1.0, color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
    share = np.clip(beats["score"] / beats["threshold"], 0.0, TALLEST)
    colours = np.where(beats["anomalous"], WORST, OWN)
    axes.bar(beats["time_s"], np.nan_to_num(share), width=0.12, color=colours.tolist())
    unscored = beats["time_s"][np.isnan(beats["score"])]
    axes.plot(unscored, np.full(len(unscored), 0.2), "x", color=SOFT, markersize=4)
    axes.set_yticks([1.0], ["threshold"])
    axes.tick_params(length=0, labelsize=7)
    axes.set_xticks([])


def _worst(result: Result, begins: float, ends: float) -> Beat | None:
    """The beat with the highest score among those of these seconds that an alert explains."""
    found = [
        beat
        for beat in map(explained_beat, result.alerts)
        if beat is not None and begins <= beat.explanation.sample / result.fs < ends
    ]
    return max(found, key=lambda beat: beat.score, default=None)
