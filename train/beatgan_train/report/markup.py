"""The pieces of a page of HTML: tables, framed pictures, legends, galleries of beats.

Knows figures already written and pictures already drawn; knows nothing of the page's order.
"""

from collections.abc import Sequence
from html import escape
from math import isnan

from beatgan.spec import PreprocessSpec
from beatgan_train.evaluation.examples import Example, Gallery
from beatgan_train.report import charts
from beatgan_train.report.tables import Grid

NIL = ("0", "-")
WAVES = {
    "beat": "the beat",
    "expected": "what the model expected in its place",
    "reference": "the patient's own normal beat so far",
    "error": "error of each tick (strip below, each on its own scale)",
}


def table(grid: Grid, headed: bool = True) -> str:
    """A table with its note, and its title if ``headed``."""
    title = f"<h3>{escape(grid.title)}</h3>" if headed else ""
    note = f"<p class=note>{escape(grid.note)}</p>" if grid.note else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in grid.header)
    body = "".join(f"<tr>{''.join(map(_data, row))}</tr>" for row in grid.rows)
    styles = [("mine", grid.model_first), ("sortable", grid.sortable)]
    style = " ".join(name for name, on in styles if on)
    return (
        f"{title}{note}<div class=wide><table class='{style}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def cell(text: str) -> str:
    """A figure, its interval smaller."""
    value, bracket, rest = text.partition(" [")
    return f"{escape(value)} <small>[{escape(rest)}</small>" if bracket else escape(value)


def folded(title: str, parts: Sequence[str]) -> str:
    """Parts that are out of the way until asked for; nothing if there are none."""
    if not parts:
        return ""
    return f"<details><summary>{escape(title)}</summary>{''.join(parts)}</details>"


def framed(title: str, drawing: str, legend: str = "") -> str:
    """A picture with its title."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawing}{legend}</figure>"


def keys(texts: dict[str, str]) -> str:
    """A legend: the words to each style."""
    items = "".join(f"<li>{_stroke(style)}{escape(text)}</li>" for style, text in texts.items())
    return f"<ul class=keys>{items}</ul>"


def waves(spec: PreprocessSpec) -> str:
    """What is seen in the picture of a beat."""
    unit = (
        "in units of the patient's own normal beat (its root mean square)"
        if spec.scale == "patient"
        else "from -1 to 1, each beat's own range"
    )
    note = (
        f"Across: milliseconds from the R apex. Up: height {unit}. Distance to the patient's own "
        "normal beat and prematurity go into the score beside the error; more is more anomalous."
    )
    return f"{keys(WAVES)}<p class=note>{note}</p>"


def gallery(chosen: Gallery, spec: PreprocessSpec, threshold: float) -> str:
    """Beats beside one another, each with its caption."""
    panels = "".join(_panel(example, spec, threshold) for example in chosen.examples)
    return (
        f"<h3>{escape(chosen.title)}</h3><p class=note>{escape(chosen.note)}</p>"
        f'<div class="beats of{chosen.columns}">{panels}</div>'
    )


def _panel(example: Example, spec: PreprocessSpec, threshold: float) -> str:
    flagged = "flagged" if example.value > threshold else "not flagged"
    distance = "-" if isnan(example.distance) else f"{example.distance:.1f}"
    return (
        f'<figure><figcaption><b class="tag {example.label}">{example.label}</b> '
        f"<b>record {escape(example.record)}</b> sample {example.sample:,}<br>"
        f"score {example.value:.2f}, {flagged}<br>"
        f"distance {distance}, prematurity {example.prematurity:.2f}</figcaption>"
        f"{charts.beat(example.score, spec)}</figure>"
    )


def _stroke(style: str) -> str:
    kind = "swatch" if style == "error" else "line"
    return (
        f'<svg viewBox="0 0 22 10" aria-hidden="true"><path class="{kind} {style}" '
        'd="M0 5H22"/></svg>'
    )


def _data(text: str) -> str:
    return f"<td{' class=nil' if text in NIL else ''}>{cell(text)}</td>"
