"""What an evaluation found, and how it is shown: tables on a terminal, a page for a browser.

One description of each table serves both. Knows figures that were already computed, no data.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import Any

from rich.console import Console
from rich.table import Table

from beatgan_train.bxb import Detection
from beatgan_train.measures import RecordRow, Row
from beatgan_train.speed import Speed

HARD = "232"  # has three quarters of DS2's S beats, most of its own: reported with and without


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """Beat detection within one matching window, gross over records."""

    window_ms: float
    tp: int
    fp: int
    fn: int
    sensitivity: float
    ppv: float
    f1: float
    median_error_ms: float


@dataclass(frozen=True, slots=True)
class FalseDetections:
    """Detections that match no reference beat: how many, and how many of them were flagged."""

    count: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything one run found; the first of ``rows`` is the model, the others baselines."""

    model: str
    protocol: str
    threshold: float
    provenance: Mapping[str, Any]
    detection: Sequence[DetectionRow]
    rows: Sequence[Row]
    rows_without_hard: Sequence[Row]
    records: Sequence[RecordRow]
    false_detections: FalseDetections
    speed: Sequence[Speed]


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: the first column is text, the others are figures."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as a PNG, with the words that say what is seen in it."""

    title: str
    alt: str
    png_base64: str


def detection_row(found: Detection, window_s: float) -> DetectionRow:
    """The figures of ``found`` as a row."""
    return DetectionRow(
        window_ms=1000 * window_s,
        tp=found.tp,
        fp=found.fp,
        fn=found.fn,
        sensitivity=found.sensitivity,
        ppv=found.ppv,
        f1=found.f1,
        median_error_ms=found.median_error_ms,
    )


def show(found: Evaluation, console: Console) -> None:
    """Print the tables."""
    console.print(f"[bold]{found.model}[/bold], {found.protocol} protocol")
    for grid in grids(found):
        table = Table(title=grid.title, caption=grid.note, title_justify="left")
        for number, name in enumerate(grid.header):
            table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)


def page(found: Evaluation, pictures: Sequence[Picture]) -> str:
    """A page of HTML that needs no other file."""
    body = [f"<h1>{escape(found.model)}</h1>", f"<p>Protocol: {escape(found.protocol)}.</p>"]
    body += [_table(grid) for grid in grids(found)]
    body += [_figure(picture) for picture in pictures]
    origin = escape(json.dumps(dict(found.provenance), indent=2, default=str))
    body.append(f"<h2>Where the model comes from</h2><pre>{origin}</pre>")
    body.append("<footer>Not a medical device.</footer>")
    return PAGE.format(title=escape(found.model), body="\n".join(body))


def grids(found: Evaluation) -> list[Grid]:
    """The tables of an evaluation, most important first."""
    tables = [
        _scores_grid(found.rows, "Scores", "threshold of the best F1 chosen by the test labels"),
        _classes_grid(found.rows, "Each class against N: AUC / AP"),
    ]
    if found.rows_without_hard[0].abnormal != found.rows[0].abnormal:
        tables += [
            _scores_grid(found.rows_without_hard, f"Scores without record {HARD}", ""),
            _classes_grid(
                found.rows_without_hard, f"Each class against N without record {HARD}: AUC / AP"
            ),
        ]
    return [
        *tables,
        _threshold_grid(found),
        _detection_grid(found),
        _speed_grid(found.speed),
        _records_grid(found.records),
    ]


def _scores_grid(rows: Sequence[Row], title: str, note: str) -> Grid:
    return Grid(
        title,
        note,
        ("score", "N", "abnormal", "AUC", "AP", "best F1", "at threshold"),
        [
            (
                row.name, str(row.normal), str(row.abnormal), _figure3(row.auc), _figure3(row.ap),
                _figure3(row.best_f1), f"{row.best_threshold:.4g}",
            )
            for row in rows
        ],
    )  # fmt: skip


def _classes_grid(rows: Sequence[Row], title: str) -> Grid:
    labels = [f"{c.label} ({c.beats})" for c in rows[0].classes]
    return Grid(
        title,
        "",
        ("score", *labels),
        [
            (row.name, *(f"{_figure3(c.auc)} / {_figure3(c.ap)}" for c in row.classes))
            for row in rows
        ],
    )


def _threshold_grid(found: Evaluation) -> Grid:
    def cells(name: str, row: Row) -> tuple[str, ...]:
        return (name, _percent(row.flagged_normal), *(_percent(c.flagged) for c in row.classes))

    false = found.false_detections
    rows = [cells("all records", found.rows[0])]
    if found.rows_without_hard[0].abnormal != found.rows[0].abnormal:
        rows.append(cells(f"without record {HARD}", found.rows_without_hard[0]))
    return Grid(
        f"Share flagged at the shipped threshold, {found.threshold:.4g}",
        f"besides, {false.count} detections match no reference beat (flutter included), "
        f"{false.flagged} of them flagged",
        ("", "N (false)", *(c.label for c in found.rows[0].classes)),
        rows,
    )


def _detection_grid(found: Evaluation) -> Grid:
    return Grid(
        "Beat detection",
        "gross over the tested records; ventricular flutter excluded, as in EC57",
        ("window", "TP", "FP", "FN", "sensitivity", "PPV", "F1", "median error"),
        [
            (
                f"+-{row.window_ms:.0f} ms", str(row.tp), str(row.fp), str(row.fn),
                _percent(row.sensitivity), _percent(row.ppv), _percent(row.f1),
                f"{row.median_error_ms:.1f} ms",
            )
            for row in found.detection
        ],
    )  # fmt: skip


def _speed_grid(speeds: Sequence[Speed]) -> Grid:
    batches = list(speeds[0].network_us)
    return Grid(
        "Cost in microseconds a beat, one CPU thread",
        "network: its forward pass alone; scoring: all that the daemon does to score a beat",
        (
            "network", "parameters", *(f"network, batch {n}" for n in batches),
            *(f"scoring, batch {n}" for n in batches),
        ),
        [
            (
                s.name, f"{s.parameters:,}", *(f"{s.network_us[n]:.1f}" for n in batches),
                *(f"{s.scoring_us[n]:.1f}" for n in batches),
            )
            for s in speeds
        ],
    )  # fmt: skip


def _records_grid(rows: Sequence[RecordRow]) -> Grid:
    return Grid(
        "Each record",
        "unscored: never detected, or the signal unusable; counted as the lowest score "
        "(202 is the same man as 201, on whom DS1 trains)",
        ("record", "N", "S", "V", "F", "Q", "unscored", "AUC", "AP", "N flagged", "sensitivity"),
        [
            (
                row.record, *(str(row.beats[c]) for c in "NSVFQ"), str(row.unscored),
                _figure3(row.auc), _figure3(row.ap), _percent(row.flagged_normal),
                _percent(row.sensitivity),
            )
            for row in rows
        ],
    )  # fmt: skip


def _figure3(value: float) -> str:
    return "-" if isnan(value) else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None or isnan(value) else f"{100 * value:.2f} %"


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in grid.header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in grid.rows
    )
    note = f"<p class=note>{escape(grid.note)}</p>" if grid.note else ""
    return (
        f"<h2>{escape(grid.title)}</h2>{note}<div class=wide><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _figure(picture: Picture) -> str:
    return (
        f"<figure><figcaption>{escape(picture.title)}</figcaption>"
        f'<img src="data:image/png;base64,{picture.png_base64}" alt="{escape(picture.alt)}">'
        "</figure>"
    )


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff;
  max-width: 68rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin: 2.2rem 0 .4rem }}
.note {{ color: #59636e; margin: 0 0 .4rem }} .wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #d8dee4 }}
th:first-child, td:first-child {{ text-align: left; padding-left: 0 }}
th {{ font-weight: 600; vertical-align: bottom }} tbody tr:hover {{ background: #f6f8fa }}
figure {{ margin: 2rem 0 }} figcaption {{ font-weight: 600; margin-bottom: .4rem }}
img {{ max-width: 100%; height: auto }}
pre {{ background: #f6f8fa; padding: .8rem; max-height: 24rem; overflow: auto; font-size: 13px }}
footer {{ margin-top: 3rem; color: #59636e }}
</style>
{body}
</html>
"""
