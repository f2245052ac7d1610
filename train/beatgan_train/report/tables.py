"""The tables of an evaluation: one description of each serves the terminal and the page.

Knows figures and how they are written; knows no data and no HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from beatgan.ec57.class_matching import ECTOPICS, MISSED, NO_BEAT
from beatgan_train.data.mitdb import DS1, DS2, HARD
from beatgan_train.evaluation.bootstrap import DRAWS, LEVEL, Interval
from beatgan_train.evaluation.classification import RATES, Classification, EctopicFigures
from beatgan_train.evaluation.databases import NOTHING, DatabaseRow
from beatgan_train.evaluation.metrics import ClassFigures, Gain, Measured, RecordRow, Row
from beatgan_train.evaluation.result import Evaluation

NAME_WIDTH = 8  # at least, of a row's name, however narrow the terminal
FEW = 5  # patients, of whom an interval says little
NONE = "none"  # where there is nothing to measure


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: the first column is text, the others are figures.

    ``model_first``: the first row is the model's. ``sortable``: rows have no order of their own.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    model_first: bool = False
    sortable: bool = False


def show(found: Evaluation, databases: Sequence[DatabaseRow], console: Console) -> None:
    """Print the tables; that of ``databases`` last, if there are any."""
    console.print(f"[bold]{found.model}[/bold], {escape(found.tested_on)}")
    for line in found.warnings:
        console.print(f"WARNING: {line}.", style="bold", markup=False, soft_wrap=True)
    for line in (*remarks(found), f"Square brackets: {intervals_are(found)}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for grid in [*grids(found), *beside(databases)]:
        show_grid(grid, console)


def show_grid(grid: Grid, console: Console) -> None:
    """Print one table."""
    table = Table(title=grid.title, caption=grid.note, title_justify="left")
    for number, name in enumerate(grid.header):
        if number:
            table.add_column(name, justify="right", no_wrap=True)
        else:
            table.add_column(name, min_width=NAME_WIDTH)
    for row in grid.rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console.print(table)


def grids(found: Evaluation) -> list[Grid]:
    """All tables, most important first."""
    return [
        headline(found),
        *rankings(found),
        *rankings_without_hard(found),
        at_threshold(found),
        records(found),
        *classes(found.classification),
        worst(found),
        detection(found),
        cost(found),
    ]


def remarks(found: Evaluation) -> list[str]:
    """What one has to know of the tested records before any figure."""
    lines = []
    if found.left_out:
        lines.append(f"Not tested, the model has seen their patients: {', '.join(found.left_out)}.")
    if found.paced:
        lines.append(f"Not tested, for they have paced beats: {', '.join(found.paced)}.")
    if found.without_beats:
        lines.append(
            "Not tested, no annotation in their signal is a beat's: "
            f"{', '.join(found.without_beats)}."
        )
    if found.missing:
        lines.append(_missing(found))
    for name, count in found.outside.items():
        lines.append(f"{name}: {count} annotated beats lie outside its signal; not compared.")
    for name, count in found.unknown_symbols.items():
        lines.append(f"{name}: {count} annotations have unknown symbols; taken for no beats.")
    if found.seen:
        lines.append(f"Patients that the model has SEEN, not new ones: {', '.join(found.seen)}.")
    if found.protocol is None:
        lines.append(
            f"{found.patients} patients in {len(found.records)} recordings; "
            f"{found.patients_told_by}."
        )
    if found.groups is not None and found.groups > 1:
        lines.append(
            "The baselines are cross-validated by patient: fitted to the normal beats of all but "
            f"one of {found.groups} groups of patients, they score that one."
        )
    for figures, reason in found.not_measured.items():
        lines.append(f"Not measured: {figures}: {reason}.")
    present = [each.label for each in found.rows[0].classes]
    if lacking := [label for label in "SVFQ" if label not in present]:
        lines.append(f"Beats of class {', '.join(lacking)}: {NONE}.")
    return lines


def _missing(found: Evaluation) -> str:
    tested = [name for name in found.missing if name in DS2]
    only_fitted = [name for name in found.missing if name not in DS2]
    words = []
    if tested:
        words.append(
            f"A PART of the test set: {len(DS2) - len(tested)} of DS2's {len(DS2)} records; not "
            f"there: {', '.join(tested)}."
        )
    if only_fitted:
        words.append(
            f"Of DS1, which baselines are fitted to, {len(DS1) - len(only_fitted)} of {len(DS1)} "
            "records are there."
        )
    return " ".join(words)


def intervals_are(found: Evaluation) -> str:
    """What the intervals mean."""
    if found.patients < 2:
        return "none: intervals are over patients, and there is one."
    few = f" {found.patients} patients are too few to rely on it." if found.patients < FEW else ""
    return (
        f"{100 * LEVEL:g} % interval over patients ({found.patients} patients drawn with "
        f"replacement, {DRAWS} times; draws without a beat of a class say nothing of it).{few}"
    )


def headline(found: Evaluation) -> Grid:
    """The model beside the best baseline of each figure."""
    rows = [_gain_cells(gain, "") for gain in found.gains if gain.label != "Q"]
    if found.has_hard:
        rows += [
            _gain_cells(gain, f", without record {HARD}")
            for gain in found.gains_without_hard
            if gain.label == "all"
        ]
    return Grid(
        "The model and the best baseline",
        "The best baseline is chosen for each figure by that very figure, which favours it. "
        "Q is left out, having few beats. Differences are taken patient draw by patient draw.",
        ("figure", "model", "best baseline", "difference", "baseline"),
        rows,
    )


def rankings(found: Evaluation) -> list[Grid]:
    """Each score's AUC and AP, overall and by class."""
    return _ranked(found.rows, "")


def rankings_without_hard(found: Evaluation) -> list[Grid]:
    """The same without record HARD; nothing if that was not tested."""
    return _ranked(found.rows_without_hard, f", without record {HARD}") if found.has_hard else []


def at_threshold(found: Evaluation) -> Grid:
    """What the shipped threshold flags."""
    false = found.false_detections
    rows = [_flagged_cells("all records", found.rows[0])]
    if found.has_hard:
        rows.append(_flagged_cells(f"without record {HARD}", found.rows_without_hard[0]))
    return Grid(
        f"Share flagged at the shipped threshold, {found.threshold:.4g}",
        f"Besides, {false.count} detections match no reference beat (flutter included), "
        f"{false.flagged} of them flagged.",
        ("", "N (false alarms)", *(each.label for each in found.rows[0].classes)),
        rows,
    )


def records(found: Evaluation) -> Grid:
    """Each record's figures."""
    same = "; 202 is the same man as 201" if any(r.record == "202" for r in found.records) else ""
    return Grid(
        "Each record",
        "Beats of each class, and the share of them flagged at the shipped threshold. Unscored: "
        f"never detected, or the signal unusable; counted as the lowest score{same}. Last column: "
        f"the AUC of {found.compared_with}, for comparison.",
        (
            "record", *(head for label in "NSVF" for head in (label, "flagged")), "Q", "unscored",
            "AUC", "AP", "baseline AUC",
        ),
        [_record_cells(row) for row in found.records],
        sortable=True,
    )  # fmt: skip


def classes(found: Classification | None) -> list[Grid]:
    """The ectopic beats, the confusion matrix, each record; nothing without classes."""
    if found is None:
        return []
    return [_ectopics(found.ectopics), _confusion(found), _ectopics_by_record(found)]


def beside(databases: Sequence[DatabaseRow]) -> list[Grid]:
    """One database beside the other; nothing where there is no other."""
    if not databases:
        return []
    models = "; ".join(f"{row.database}: {row.model}" for row in databases)
    cells = [_database_cells(row) for row in databases]
    return [
        Grid(
            "Each database, with the model that was tested on it",
            "Meant for models that were made without the database in their column. AUC and AP of "
            "all abnormal beats, of V and of S against N; VEB and SVEB gross, as EC57 counts them. "
            f"Models: {models}.",
            ("", *(row.database for row in databases)),
            [(name, *(column[name] for column in cells)) for name in cells[0]],
        )
    ]


def worst(found: Evaluation) -> Grid:
    """The records with the most errors of each kind."""
    return Grid(
        "The worst three records of each kind",
        "By the number of beats. Unscored: of these, never detected or not scored.",
        ("kind", "record", "beats", "of the record's", "that is", "of all such errors", "unscored"),
        [
            (
                "N flagged" if row.label == "N" else f"{row.label} missed", row.record,
                f"{row.count:,}", f"{row.beats:,}", percent(row.count / row.beats),
                percent(row.share), f"{row.unscored:,}",
            )
            for row in found.worst
        ],
    )  # fmt: skip


def detection(found: Evaluation) -> Grid:
    """How well beats are found."""
    return Grid(
        "Beat detection",
        "Gross over the tested records; ventricular flutter excluded, as in EC57.",
        ("window", "TP", "FP", "FN", "sensitivity", "PPV", "F1", "median error"),
        [
            (
                f"±{row.window_ms:.0f} ms", f"{row.tp:,}", f"{row.fp:,}", f"{row.fn:,}",
                percent(row.sensitivity, 2), percent(row.ppv, 2), percent(row.f1, 2),
                NONE if isnan(row.median_error_ms) else f"{row.median_error_ms:.1f} ms",
            )
            for row in found.detection
        ],
    )  # fmt: skip


def cost(found: Evaluation) -> Grid:
    """What scoring costs."""
    batches = list(found.speed[0].network_us)
    return Grid(
        "Cost in microseconds a beat, one CPU thread",
        "Network: its forward pass alone. Scoring: all that the daemon does to score a beat.",
        (
            "network", "parameters", *(f"network, batch {n}" for n in batches),
            *(f"scoring, batch {n}" for n in batches),
        ),
        [
            (
                s.name, f"{s.parameters:,}", *(f"{s.network_us[n]:.1f}" for n in batches),
                *(f"{s.scoring_us[n]:.1f}" for n in batches),
            )
            for s in found.speed
        ],
        model_first=True,
    )  # fmt: skip


def figure(value: float, around: Interval | None = None) -> str:
    """Three decimals, and the interval if there is one."""
    if isnan(value):
        return NONE
    if around is None or isnan(around.low):
        return f"{value:.3f}"
    return f"{value:.3f} [{around.low:.3f}, {around.high:.3f}]"


def percent(value: float | None, digits: int = 1, around: Interval | None = None) -> str:
    """Per cent, and the interval if there is one."""
    if value is None or isnan(value):
        return NONE
    if around is None or isnan(around.low):
        return f"{100 * value:.{digits}f} %"
    ends = f"{100 * around.low:.{digits}f}, {100 * around.high:.{digits}f}"
    return f"{100 * value:.{digits}f} % [{ends}]"


def _gain_cells(gain: Gain, suffix: str) -> tuple[str, ...]:
    what = "all abnormal beats" if gain.label == "all" else gain.label
    ends = gain.difference.interval
    difference = NONE if isnan(gain.difference.value) else _signed(gain.difference.value)
    if not isnan(ends.low):
        difference += f" [{_signed(ends.low)}, {_signed(ends.high)}]"
    return (
        f"{gain.figure}, {what}{suffix}",
        figure(gain.model.value, gain.model.interval),
        figure(gain.best.value, gain.best.interval),
        difference,
        gain.baseline,
    )


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # no minus before zero


def _ranked(rows: Sequence[Row], suffix: str) -> list[Grid]:
    return [
        _scores(rows, suffix),
        _classes(rows, "AUC", suffix),
        _classes(rows, "AP", suffix),
    ]


def _scores(rows: Sequence[Row], suffix: str) -> Grid:
    return Grid(
        f"All abnormal beats against N{suffix}",
        f"{rows[0].normal:,} normal and {rows[0].abnormal:,} abnormal beats. The best F1 is at a "
        "threshold chosen by the test labels: to compare with others' work, not to expect in use.",
        ("score", "AUC", "AP", "best F1"),
        [
            (
                row.name, figure(row.auc, row.auc_interval), figure(row.ap, row.ap_interval),
                figure(row.best_f1),
            )
            for row in rows
        ],
        model_first=True,
    )  # fmt: skip


def _classes(rows: Sequence[Row], name: str, suffix: str) -> Grid:
    def cell(each: ClassFigures) -> str:
        if name == "AUC":
            return figure(each.auc, each.auc_interval)
        return figure(each.ap, each.ap_interval)

    return Grid(
        f"Each class against N: {name}{suffix}",
        "",
        ("score", *(f"{each.label} ({each.beats:,})" for each in rows[0].classes)),
        [(row.name, *map(cell, row.classes)) for row in rows],
        model_first=True,
    )


def _flagged_cells(name: str, row: Row) -> tuple[str, ...]:
    return (
        name,
        percent(row.flagged_normal, 1, row.flagged_normal_interval),
        *(percent(each.flagged, 1, each.flagged_interval) for each in row.classes),
    )


def _record_cells(row: RecordRow) -> tuple[str, ...]:
    def cells(label: str) -> tuple[str, str]:
        count = row.beats[label]
        return f"{count:,}", percent(row.flagged[label] / count if count else None)

    return (
        row.record, *(cell for label in "NSVF" for cell in cells(label)), f"{row.beats['Q']:,}",
        f"{row.unscored:,}", figure(row.auc), figure(row.ap), figure(row.baseline_auc),
    )  # fmt: skip


def _ectopics(columns: Sequence[EctopicFigures]) -> Grid:
    cells = [_ectopic_cells(each) for each in columns]
    return Grid(
        "Ventricular (VEB) and supraventricular (SVEB) ectopic beats, as EC57 counts them",
        "Gross: every beat counted alike; average: the mean over the records that have the figure. "
        "A missed beat is a miss, a false detection called so a false positive; F and Q called V, "
        "and Q called S, count neither way.",
        ("", *(each.name for each in columns)),
        [(name, *(column[name] for column in cells)) for name in cells[0]],
    )


def _ectopic_cells(of: EctopicFigures) -> dict[str, str]:
    cells = {"TP": f"{of.tp:,}", "FP": f"{of.fp:,}", "FN": f"{of.fn:,}"}
    gross = {"Se": of.sensitivity, "PPV": of.ppv, "F1": of.f1}
    cells |= {f"{name}, gross": _share(each) for name, each in gross.items()}
    for name, rate in zip(gross, RATES, strict=True):
        count = of.averaged[rate]
        text = f"{percent(of.average[rate])} (records: {count})" if count else NONE
        cells[f"{name}, average"] = text
    return cells


def _confusion(found: Classification) -> Grid:
    return Grid(
        "Confusion matrix",
        "Rows: the reference; columns: what was found. No beat: a false detection; no class: a "
        "beat that was not scored.",
        ("", *found.columns),
        [
            (name, *(
                "" if (name, column) == (NO_BEAT, MISSED) else f"{count:,}"
                for column, count in zip(found.columns, counts, strict=True)
            ))
            for name, counts in zip(found.rows, found.matrix, strict=True)
        ],
    )  # fmt: skip


def _ectopics_by_record(found: Classification) -> Grid:
    return Grid(
        "VEB and SVEB of each record",
        "",
        ("record", *(f"{name}{what}" for name in ECTOPICS for what in ("", " Se", " PPV", " F1"))),
        [
            (
                row.record,
                *(
                    cell
                    for name in ECTOPICS
                    for cell in (
                        f"{row.beats[name]:,}",
                        *(percent(row.rates[name][rate]) for rate in RATES),
                    )
                ),
            )
            for row in found.records
        ],
        sortable=True,
    )


def _database_cells(row: DatabaseRow) -> dict[str, str]:
    ranks = {"AUC": row.auc, "AP": row.ap, "V, AP": row.v_ap, "S, AUC": row.s_auc}
    cells = {"patients": str(row.patients)}
    cells |= {name: figure(each.value, each.interval) for name, each in ranks.items()}
    for name in ECTOPICS:
        sensitivity, ppv = row.ectopics.get(name, (NOTHING, NOTHING))
        cells |= {f"{name} Se": _share(sensitivity), f"{name} PPV": _share(ppv)}
    return cells


def _share(of: Measured) -> str:
    return percent(of.value, 1, of.interval)
