"""The pictures of an evaluation, drawn with matplotlib straight to PNG; no window, no state.

Knows curves, scores and example beats; knows no file and no page.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beatgan.spec import PreprocessSpec
from beatgan.types import Score
from beatgan_train.measures import Scored
from beatgan_train.ranking import Curve
from beatgan_train.report import Picture

# Okabe & Ito's palette, told apart by the colour-blind; the first is the model's.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999")
CLASS_COLOURS = {"N": "#999999", "S": "#E69F00", "V": "#D55E00", "F": "#009E73", "Q": "#CC79A7"}
POINTS = 2000  # of a curve that are drawn: more cannot be seen


def pages(
    curves: Mapping[str, Curve],
    scored: Scored,
    threshold: float,
    examples: Sequence[tuple[str, Score]],
    spec: PreprocessSpec,
) -> list[Picture]:
    """All pictures of one evaluation; ``scored`` and ``examples`` are the model's."""
    return [
        Picture(
            "Ranking: ROC and precision-recall",
            "Two curves for the model and each baseline: sensitivity over false alarm rate, and "
            "precision over sensitivity.",
            _png(ranking(curves)),
        ),
        Picture(
            "Scores of each class",
            "Histograms of the score, one for each class, with the shipped threshold.",
            _png(histograms(scored, threshold)),
        ),
        Picture(
            "Beats, what the model expected, and the error of each tick",
            "Example beats of each class: the extremes of the ranking.",
            _png(beats(examples, spec)),
        ),
    ]


def ranking(curves: Mapping[str, Curve]) -> Figure:
    """ROC and precision-recall curves of several scores."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    roc, pr = figure.subplots(1, 2)
    for colour, (name, steps) in zip(COLOURS, curves.items(), strict=False):
        shown = _thinned(len(steps.value))
        width = 2.2 if colour == COLOURS[0] else 1.2
        roc.plot(steps.fall_out[shown], steps.recall[shown], color=colour, lw=width, label=name)
        pr.plot(steps.recall[shown], steps.precision[shown], color=colour, lw=width, label=name)
    _axes(roc, "share of N flagged", "share of abnormal beats flagged (sensitivity)")
    _axes(pr, "share of abnormal beats flagged (sensitivity)", "precision")
    roc.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def histograms(scored: Scored, threshold: float) -> Figure:
    """The score's distribution in each class; beats without a score are left to the tables."""
    known = scored.where(np.isfinite(scored.score))
    labels = [label for label in CLASS_COLOURS if label in known.label]
    low, high = np.percentile(known.score, [0.1, 99.9])
    bins = np.linspace(float(low), float(high), 80)
    figure = Figure(figsize=(11, 1.5 * len(labels) + 0.6), layout="constrained")
    for axes, label in zip(
        figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0], labels, strict=True
    ):
        members = np.clip(known.score[known.label == label], bins[0], bins[-1])
        axes.hist(members, bins=bins, color=CLASS_COLOURS[label])
        axes.axvline(threshold, color="#1b1f24", lw=1)
        axes.set_ylabel(f"{label} ({len(members)})")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks([])
    axes.set_xlabel(
        "score; the line is the shipped threshold (the outermost 0.1 % lie on the edges)"
    )
    return figure


def beats(examples: Sequence[tuple[str, Score]], spec: PreprocessSpec) -> Figure:
    """Each example beat over what was expected and the patient's reference beat, with its error."""
    columns = 4
    count = max(1, -(-len(examples) // columns))
    figure = Figure(figsize=(3.4 * columns, 2.7 * count), layout="constrained")
    panels = figure.subplots(count, columns, squeeze=False).ravel()
    for axes in panels[len(examples) :]:
        axes.set_visible(False)
    for axes, (caption, score) in zip(panels, examples, strict=False):
        _beat(axes, score, spec)
        axes.set_title(f"{caption}\nscore {score.value:.2f}", fontsize=8)
    if examples:
        panels[0].legend(frameon=False, fontsize=7, loc="upper right")
    return figure


def _beat(axes: Axes, score: Score, spec: PreprocessSpec) -> None:
    ms = (np.arange(spec.length) - spec.before) * (1000 / spec.rate)
    axes.plot(ms, score.beat.reference, color="#bbbbbb", lw=1, label="patient's reference")
    axes.plot(ms, score.expected, color=COLOURS[1], lw=1.2, label="expected")
    axes.plot(ms, score.beat.window, color=COLOURS[0], lw=1.2, label="beat")
    error = axes.twinx()
    error.fill_between(ms, score.error, color=COLOURS[4], alpha=0.35, lw=0)
    error.set_ylim(0, 4 * max(float(score.error.max()), 1e-6))
    error.set_yticks([])
    axes.tick_params(labelsize=7)
    axes.set_xlabel("ms from R", fontsize=7)
    for side in (axes, error):
        side.spines[["top", "right"]].set_visible(False)


def _axes(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(color="#e6e6e6", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _thinned(count: int) -> slice:
    return slice(None, None, max(1, count // POINTS))


def _png(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return b64encode(buffer.getvalue()).decode("ascii")
