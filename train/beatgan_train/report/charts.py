"""The pictures of an evaluation: curves, score distributions, and beats with their explanation.

Knows curves, scores and example beats; knows no file and no page.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Score
from beatgan_train.ec57.annotations import ABNORMAL
from beatgan_train.evaluation.metrics import Scored
from beatgan_train.evaluation.ranking import flagged, precision_recall, roc
from beatgan_train.report import svg
from beatgan_train.report.svg import Axis, Frame

EDGE = 420, 340  # pixels of a chart
FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
FEW = 0.1  # of the normal beats flagged: nobody would look at more
BINS = 90
SENSITIVITY = "abnormal beats flagged (sensitivity)"
Point = tuple[float, float]


def rankings(scored: Mapping[str, Scored], threshold: float) -> list[tuple[str, str]]:
    """Titles and charts: ROC, the same where few normal beats are flagged, precision-recall.

    The first of ``scored`` is the model, with a dot where ``threshold`` is.
    """
    rocs = [roc(beats.score, beats.abnormal) for beats in scored.values()]
    pr = [precision_recall(beats.score, beats.abnormal)[::-1] for beats in scored.values()]
    styles = [f"s{number}" for number in range(len(scored))]
    false, sensitivity, precision = _operating(next(iter(scored.values())), threshold)
    normal, abnormal = "normal beats flagged (1 - specificity)", SENSITIVITY
    return [
        (
            "ROC",
            _chart(rocs, styles, _share(normal), _share(abnormal), (false, sensitivity)),
        ),
        (
            f"ROC where at most {FEW:.0%} of the normal beats are flagged",
            _chart(rocs, styles, _share(normal, FEW), _share(abnormal), (false, sensitivity)),
        ),
        (
            "Precision and recall",
            _chart(pr, styles, _share(abnormal), _share("precision"), (sensitivity, precision)),
        ),
    ]


def classes(model: Scored, threshold: float) -> str:
    """The model's ROC of each abnormal class against N, with a dot at ``threshold``."""
    lines, styles, dots = [], [], []
    for label in (label for label in ABNORMAL if label in model.label):
        pair = model.where(model.against_normal(label))
        lines.append(roc(pair.score, pair.abnormal))
        styles.append(label)
        dots.append(_operating(pair, threshold)[:2])
    normal = _share("normal beats flagged (1 - specificity)", FEW)
    return _chart(lines, styles, normal, _share("beats of the class flagged"), *dots)


def distributions(model: Scored, threshold: float) -> str:
    """The score's distribution in each class; beats without a score count, but are not drawn."""
    known = model.where(np.isfinite(model.score))
    labels = [label for label in ("N", *ABNORMAL) if label in known.label]
    low, high = _reach(known, labels, threshold)
    axis = Axis(low, high, svg.round_ticks(low, high, 8))
    parts, height = [], 62
    for number, label in enumerate(labels):
        last = number == len(labels) - 1
        below = Axis(low, high, axis.ticks, "score" if last else "", _plain if last else _nothing)
        frame = Frame(86, 8 + height * number, 660, height - 12, below, Axis(0, 1.04, ()))
        parts.append(_distribution(frame, label, model.score[model.label == label], threshold))
    foot = 8 + height * len(labels)
    return svg.picture(
        860, foot + 34, "Histograms of the score, one for each class, with the threshold.", *parts
    )


def beat(score: Score, spec: PreprocessSpec) -> str:
    """A beat over what was expected and the patient's reference; below, the error of each tick."""
    ms = (np.arange(spec.length) - spec.before) * (1000 / spec.rate)
    waves = (
        ("reference", score.beat.template), ("expected", score.reconstruction),
        ("beat", score.beat.window),
    )  # fmt: skip
    low = min(float(wave.min()) for _, wave in waves)
    high = max(float(wave.max()) for _, wave in waves)
    margin = 0.06 * max(high - low, 1e-6)
    time = Axis(float(ms[0]), float(ms[-1]), (-200, 0, 200, 400), text=_nothing)
    wave = Axis(low - margin, high + margin, svg.round_ticks(low, high, 4))
    upper = Frame(32, 6, 282, 128, time, wave)
    return svg.picture(
        320, 210, "A beat, the patient's reference beat, what was expected, and the error.",
        upper.axes(), *(upper.line(ms, y, style) for style, y in waves), _error(score, ms, time),
    )  # fmt: skip


def _error(score: Score, ms: svg.Values, time: Axis) -> str:
    """The strip below a beat, as high as its largest error."""
    most = max(float(score.saliency.max()), 1e-6)
    named = Axis(time.low, time.high, time.ticks, text=_plain)
    lower = Frame(32, 142, 282, 46, named, Axis(0, most * 1.05, (0, most), text=_short))
    return lower.axes() + lower.area(ms, score.saliency, "error")


def _distribution(frame: Frame, label: str, scores: Doubles, threshold: float) -> str:
    edges = np.linspace(frame.x.low, frame.x.high, BINS + 1)
    drawn = scores[np.isfinite(scores)]
    counts, _ = np.histogram(np.clip(drawn, edges[0], edges[-1]), edges)
    x, y = np.repeat(edges, 2)[1:-1], np.repeat(counts / counts.max(), 2)
    base, right = frame.top + frame.height, frame.left + frame.width + 8
    share = f"{100 * flagged(scores, threshold):.1f} %"
    return (
        frame.axes()
        + frame.area(x, y, label)
        + frame.upright(threshold, "threshold")
        + svg.word(0, base - 12, label, "class")
        + svg.word(22, base - 12, f"{len(scores):,}", "tick")
        + svg.word(right, base - 12, f"{share} flagged", "label")
    )


def _reach(known: Scored, labels: Sequence[str], threshold: float) -> tuple[float, float]:
    """From the lowest to the highest score that is not rare in its class."""
    ends = [np.percentile(known.score[known.label == label], [0.1, 97]) for label in labels]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    return min(float(low), threshold - 1e-6), max(float(high), threshold + 1e-6)


def _chart(
    lines: Sequence[tuple[Doubles, Doubles]],
    styles: Sequence[str],
    x: Axis,
    y: Axis,
    *dots: Point,
) -> str:
    """Lines on one frame; the model's, which is the first, on top. One dot a style."""
    frame = Frame(52, 10, EDGE[0] - 76, EDGE[1] - 54, x, y)
    parts = [frame.axes()]
    for (across, up), style in reversed(list(zip(lines, styles, strict=True))):
        parts.append(frame.line(*svg.thinned(*_cut(across, up, x.high)), style))
    marks = zip(dots, styles, strict=False)
    parts += [frame.dot(*dot, style) for dot, style in marks if _within(dot, x)]
    return svg.picture(*EDGE, f"{y.label} over {x.label}", *parts)


def _cut(x: Doubles, y: Doubles, high: float) -> tuple[Doubles, Doubles]:
    """The line as far as ``high``; x does not fall."""
    inside = x <= high
    if inside.all():
        return x, y
    end = float(np.interp(high, x, y))
    return np.append(x[inside], high), np.append(y[inside], end)


def _within(dot: Point, x: Axis) -> bool:
    return x.low <= dot[0] <= x.high and not np.isnan(dot).any()


def _operating(beats: Scored, threshold: float) -> tuple[float, float, float]:
    """False alarm rate, sensitivity and precision at ``threshold``."""
    above, abnormal = beats.score > threshold, beats.abnormal
    found = int(np.count_nonzero(above & abnormal))
    precision = found / max(1, int(np.count_nonzero(above)))
    return flagged(beats.score[~abnormal], threshold), found / int(abnormal.sum()), precision


def _share(label: str, high: float = 1.0) -> Axis:
    return Axis(0, high, [tick * high for tick in FIFTHS], label, "{:.0%}".format)


def _short(value: float) -> str:
    return "0" if value == 0 else f"{value:.2g}" if value < 100 else f"{value:.0f}"


def _plain(value: float) -> str:
    return f"{value:g}"


def _nothing(_tick: float) -> str:
    return ""
