"""The pictures of an evaluation: curves, score distributions, and beats with their explanation.

Matplotlib draws them as SVG to be put into a page. Colours are Okabe & Ito's, distinct to the
colour-blind; in the SVG they are the page's CSS variables, so that a picture suits light and dark.
Knows curves, scores and example beats; knows no file and no page.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from beatgan.beat_classes import ABNORMAL, CLASSES
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Score
from beatgan_train.evaluation.metrics import Scored
from beatgan_train.evaluation.ranking import flagged, precision_recall, roc

PALETTE = {
    "ink": "#1b1f24", "paper": "#ffffff", "soft": "#59636e", "rule": "#d8dee4",
    "blue": "#0072b2", "orange": "#e08a00", "green": "#009e73", "pink": "#cc79a7",
    "red": "#d55e00", "sky": "#56b4e9", "grey": "#9aa4ae",
}  # fmt: skip
CLASS_COLOURS = {"N": "grey", "S": "orange", "V": "red", "F": "green", "Q": "pink"}
SCORE_COLOURS = ("blue", "grey", "pink", "sky", "green", "red")  # the model, then the baselines
BEAT_COLOURS = {"beat": "blue", "expected": "orange", "reference": "grey", "error": "red"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "beatgan",  # text as text; the same ids every time
    "font.size": 11, "text.color": PALETTE["ink"], "axes.labelcolor": PALETTE["ink"],
    "xtick.labelcolor": PALETTE["soft"], "ytick.labelcolor": PALETTE["soft"],
    "xtick.major.size": 0, "ytick.major.size": 0,
    "axes.spines.left": False, "axes.spines.bottom": False,
    "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": PALETTE["rule"], "grid.linewidth": 1,
    "lines.linewidth": 1.6, "lines.solid_joinstyle": "round",
}  # fmt: skip
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
FOR_PAGES = (  # what turns matplotlib's file into a part of a page
    (r'xmlns(:\w+)?="[^"]*" ?', ""),
    ("xlink:href", "href"),
    ("<style.*?</style>", ""),  # would hold for the whole page
    ('<g id="[^"]*">', "<g>"),  # numbered anew in every picture
    (r"(\d\.\d\d)\d+", r"\1"),  # hundredths of a pixel will do
)
FEW = 0.1  # of the normal beats flagged: nobody would look at more
BINS = 90
NORMAL_FLAGGED = "normal beats flagged (1 - specificity)"
SENSITIVITY = "abnormal beats flagged (sensitivity)"
Line = tuple[Doubles, Doubles]
Point = tuple[float, float]


def rankings(scored: Mapping[str, Scored], threshold: float) -> list[tuple[str, str]]:
    """Titles and charts: ROC, the same where few normal beats are flagged, precision-recall.

    The first of ``scored`` is the model, with a dot where ``threshold`` is.
    """
    rocs = [roc(beats.score, beats.abnormal) for beats in scored.values()]
    pr = [precision_recall(beats.score, beats.abnormal)[::-1] for beats in scored.values()]
    fall_out, sensitivity, precision = _operating(next(iter(scored.values())), threshold)
    few = f"ROC where at most {FEW:.0%} of the normal beats are flagged"
    dot = [(fall_out, sensitivity)]
    return [
        ("ROC", _curves(rocs, SCORE_COLOURS, dot, NORMAL_FLAGGED, SENSITIVITY)),
        (few, _curves(rocs, SCORE_COLOURS, dot, NORMAL_FLAGGED, SENSITIVITY, FEW)),
        (
            "Precision and recall",
            _curves(pr, SCORE_COLOURS, [(sensitivity, precision)], SENSITIVITY, "precision"),
        ),
    ]


def classes(model: Scored, threshold: float) -> str:
    """The model's ROC of each abnormal class against N, with a dot at ``threshold``."""
    lines, dots, colours = [], [], []
    for label in (label for label in ABNORMAL if label in model.label):
        pair = model.where(model.against_normal(label))
        lines.append(roc(pair.score, pair.abnormal))
        dots.append(_operating(pair, threshold)[:2])
        colours.append(CLASS_COLOURS[label])
    return _curves(lines, colours, dots, NORMAL_FLAGGED, "beats of the class flagged", FEW)


def distributions(model: Scored, threshold: float) -> str:
    """The score's distribution in each class; beats without a score count, but are not drawn."""
    known = model.where(np.isfinite(model.score))
    labels = [label for label in CLASSES if label in known.label]
    edges = np.linspace(*_range(known, labels, threshold), BINS + 1)
    height = 62 * len(labels) + 42

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(0.1, 42 / height, 0.87, 1 - 8 / height, hspace=0.24)
        for axes, label in zip(panels, labels, strict=True):
            _distribution(axes, label, model.score[model.label == label], edges, threshold)
        panels[-1].set(xlabel="score", xlim=(edges[0], edges[-1]))

    alt = "Histograms of the score, one for each class, with the threshold."
    return _svg(alt, 860, height, draw)


def beat(score: Score, spec: PreprocessSpec) -> str:
    """A beat over what was expected and the patient's reference; below, each sample's error."""
    ms = (np.arange(spec.length) - spec.before) * (1000 / spec.rate)
    waves = {
        "reference": score.beat.template,
        "expected": score.reconstruction,
        "beat": score.beat.window,
    }
    most = max(float(score.saliency.max()), 1e-6)

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[128, 46])
        figure.subplots_adjust(0.1, 22 / 210, 0.98, 1 - 6 / 210, hspace=0.1)
        for name, wave in waves.items():
            above.plot(ms, wave, color=PALETTE[BEAT_COLOURS[name]])
        above.margins(y=0.06)
        above.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        below.fill_between(ms, score.saliency, color=PALETTE["red"], alpha=0.75, linewidth=0)
        below.set(xlim=(ms[0], ms[-1]), xticks=(-200, 0, 200, 400))
        below.set(ylim=(0, most * 1.05), yticks=(0, most))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))

    alt = "A beat, the patient's reference beat, what was expected, and the error."
    return _svg(alt, 320, 210, draw)


def _curves(
    lines: Sequence[Line],
    colours: Sequence[str],
    dots: Sequence[Point],
    x_label: str,
    y_label: str,
    high: float = 1.0,
) -> str:
    """Lines on one frame as far as ``high``; the first, the model's, on top. One dot a line."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for (x, y), colour in reversed(list(zip(lines, colours, strict=False))):
            axes.plot(x, y, color=PALETTE[colour], linewidth=2.6 if colour == "blue" else 1.6)
        for dot, colour in zip(dots, colours, strict=False):
            if dot[0] <= high and not np.isnan(dot).any():
                axes.plot(
                    *dot,
                    "o",
                    color=PALETTE[colour],
                    markersize=8,
                    markeredgecolor=PALETTE["paper"],
                    markeredgewidth=1.5,
                    clip_on=False,
                    zorder=5,
                )
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, high), ylim=(0, 1))
        axes.set(xticks=np.linspace(0, high, 6), yticks=np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        figure.set_layout_engine("constrained")

    return _svg(f"{y_label} over {x_label}", 420, 340, draw)


def _distribution(
    axes: Axes, label: str, scores: Doubles, edges: Doubles, threshold: float
) -> None:
    drawn = scores[np.isfinite(scores)]
    counts, _ = np.histogram(np.clip(drawn, edges[0], edges[-1]), edges)
    colour = PALETTE[CLASS_COLOURS[label]]
    axes.stairs(counts / counts.max(), edges, fill=True, color=colour, alpha=0.75, linewidth=0)
    axes.axvline(threshold, color=PALETTE["ink"], linewidth=1.4)
    axes.set(ylim=(0, 1.04), yticks=())
    axes.text(-0.13, 0.2, label, transform=axes.transAxes, fontsize=15, fontweight="bold")
    count = f"{len(scores):,}"
    axes.text(-0.097, 0.2, count, transform=axes.transAxes, color=PALETTE["soft"])
    share = f"{100 * flagged(scores, threshold):.1f} % flagged"
    axes.text(1.012, 0.2, share, transform=axes.transAxes)


def _range(known: Scored, labels: Sequence[str], threshold: float) -> tuple[float, float]:
    """From the lowest to the highest score that is not rare in its class."""
    ends = [np.percentile(known.score[known.label == label], [0.1, 97]) for label in labels]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    return min(float(low), threshold - 1e-6), max(float(high), threshold + 1e-6)


def _operating(beats: Scored, threshold: float) -> tuple[float, float, float]:
    """False alarm rate, sensitivity and precision at ``threshold``."""
    above, abnormal = beats.score > threshold, beats.abnormal
    found = int(np.count_nonzero(above & abnormal))
    precision = found / max(1, int(np.count_nonzero(above)))
    return flagged(beats.score[~abnormal], threshold), found / int(abnormal.sum()), precision


def _svg(alt: str, width: int, height: int, draw: Callable[[Figure], None]) -> str:
    """What ``draw`` puts on a figure of so many pixels, with the words ``alt`` for the blind."""
    text = StringIO()
    with rc_context(STYLE):
        figure = Figure(figsize=(width / 72, height / 72))
        draw(figure)
        figure.savefig(text, format="svg", metadata=NO_METADATA, transparent=True)
    body = text.getvalue().partition("<svg ")[2].strip()
    for pattern, instead in FOR_PAGES:
        body = re.sub(pattern, instead, body)
    for name, colour in PALETTE.items():
        body = body.replace(colour, f"var(--{name})")
    return f'<svg role="img" aria-label="{escape(alt)}" {body}'


def _short(value: float) -> str:
    return "0" if value == 0 else f"{value:.2g}" if value < 100 else f"{value:.0f}"
