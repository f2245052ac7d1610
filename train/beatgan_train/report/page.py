"""An evaluation as one page of HTML that needs no other file, most important things first.

Knows figures, pictures and words; computes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from beatgan.spec import PreprocessSpec
from beatgan_train.data.mitdb import HARD
from beatgan_train.ec57.annotations import ABNORMAL
from beatgan_train.evaluation.examples import SHOWN, Gallery
from beatgan_train.evaluation.metrics import Scored
from beatgan_train.evaluation.result import Evaluation
from beatgan_train.report import charts, markup, tables
from beatgan_train.report.page_style import SCRIPT, STYLE
from beatgan_train.report.tables import percent

GLOSSARY = {
    "N, S, V, F, Q": "The classes of ANSI/AAMI EC57: normal (bundle branch block and escape beats "
    "included), supraventricular ectopic, ventricular ectopic, fusion of a ventricular and a "
    "normal beat, and unclassifiable.",
    "Score": "How anomalous a beat looks to the model. Beats above the shipped threshold are "
    "flagged. The threshold is the model file's; no beat shown here had a part in choosing it.",
    "AUC": "Area under the ROC curve: how often an abnormal beat scores higher than a normal one. "
    "0.5 is chance, 1 is perfect.",
    "AP": "Average precision, the area under the precision-recall curve: the share of true alarms "
    "among the flagged, averaged over all sensitivities. Chance is the share of abnormal beats.",
    "Beat never found": "A reference beat that was not detected, or whose signal was unusable, "
    "counts as the lowest score: an abnormal one as missed.",
    "Baselines": "Scores without a network: how early the beat came (RR), how far it is from the "
    "patient's own running normal beat (template), both, and how badly principal components of "
    "normal beats describe it (PCA).",
}
DISTRIBUTIONS = (
    "Each class on its own height. The upright line is the threshold; rare extremes lie on the "
    "edges. Beats without a score count as not flagged and are not drawn."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; its title is also in the contents."""

    anchor: str
    title: str
    body: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class PageContent:
    """What a page is made of. The first of ``scored`` is the model, the others are baselines."""

    found: Evaluation
    scored: Mapping[str, Scored]
    galleries: Mapping[str, Gallery]
    spec: PreprocessSpec

    @property
    def model(self) -> Scored:
        """The beats with the model's scores."""
        return next(iter(self.scored.values()))

    def gallery(self, name: str) -> str:
        """One gallery, or nothing if no beat was chosen for it."""
        if name not in self.galleries:
            return ""
        return markup.gallery(self.galleries[name], self.spec, self.found.threshold)


def page(content: PageContent) -> str:
    """The whole page."""
    parts = sections(content)
    contents = "".join(f'<li><a href="#{p.anchor}">{escape(p.title)}</a></li>' for p in parts)
    body = "\n".join(
        f'<section id="{p.anchor}"><h2>{escape(p.title)}</h2>{"".join(p.body)}</section>'
        for p in parts
    )
    return PAGE.format(
        title=escape(content.found.model),
        style=STYLE,
        script=SCRIPT,
        intro=_intro(content.found),
        contents=contents,
        body=body,
    )


def sections(content: PageContent) -> list[Section]:
    """The parts of the page."""
    found = content.found
    beats = markup.waves(content.spec)
    worst = [content.gallery(f"worst {label}") for label in ("N", *SHOWN)]
    missed = [content.gallery(f"missed {label}") for label in SHOWN]
    return [
        Section("summary", "Summary", [_facts(found), markup.table(tables.headline(found))]),
        Section("reading", "How to read this page", [_glossary(found)]),
        Section("ranking", "Ranking: the model and the baselines", _ranking(content)),
        Section("threshold", "At the shipped threshold", _threshold(content)),
        Section("records", "Record by record", [markup.table(tables.records(found), False)]),
        Section(
            "worst", "The worst records", [markup.table(tables.worst(found), False), beats, *worst]
        ),
        Section("typical", "Typical beats", [beats, content.gallery("typical")]),
        Section(
            "mistakes",
            "Worst false alarms and misses",
            [beats, content.gallery("alarms"), *missed],
        ),
        Section("detection", "Beat detection", [markup.table(tables.detection(found), False)]),
        Section("cost", "Cost", [markup.table(tables.cost(found))]),
        Section("provenance", "Where the model comes from", [_provenance(found)]),
    ]


def _intro(found: Evaluation) -> str:
    row = found.rows[0]
    return (
        f"<p class=lead>{escape(found.model)}, on {row.normal:,} normal and {row.abnormal:,} "
        f"abnormal beats of {len(found.records)} records ({escape(found.protocol)} protocol).</p>"
    )


def _facts(found: Evaluation) -> str:
    """The figures that one wants first, in large type."""
    row = found.rows[0]
    ventricular = next((each for each in row.classes if each.label == "V"), None)
    facts = [
        (tables.figure(row.auc, row.auc_interval), "AUC, all abnormal beats"),
        (tables.figure(row.ap, row.ap_interval), "average precision"),
        (percent(row.flagged_normal, 1, row.flagged_normal_interval), "of normal beats flagged"),
        (percent(found.detection[0].f1, 2), "F1 of beat detection"),
        (f"{found.speed[0].network_us[64]:.1f} µs", "network, a beat, one thread"),
    ]
    if ventricular:
        share = percent(ventricular.flagged, 1, ventricular.flagged_interval)
        facts.insert(2, (share, "of ventricular beats (V) flagged"))
    cells = "".join(
        f"<div><b>{markup.cell(figure)}</b>{escape(text)}</div>" for figure, text in facts
    )
    return f"<div class=facts>{cells}</div>"


def _glossary(found: Evaluation) -> str:
    told = GLOSSARY | {"Square brackets": tables.intervals_are(found)}
    terms = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in told.items())
    return f"<dl>{terms}</dl>"


def _ranking(content: PageContent) -> list[str]:
    found, model = content.found, content.model
    drawings = [
        markup.framed(title, drawing)
        for title, drawing in charts.rankings(content.scored, found.threshold)
    ]
    labels = {label: label for label in ABNORMAL if label in model.label}
    by_class = charts.classes(model, found.threshold)
    drawings.append(markup.framed("The model, class by class", by_class, markup.keys(labels)))
    harder = [markup.table(grid) for grid in tables.rankings_without_hard(found)]
    return [
        markup.keys({f"s{number}": row.name for number, row in enumerate(found.rows)}),
        "<p class=note>The dot is the shipped threshold.</p>",
        f"<div class=charts>{''.join(drawings)}</div>",
        *(markup.table(grid) for grid in tables.rankings(found)),
        markup.folded(f"The same without record {HARD}", harder),
    ]


def _threshold(content: PageContent) -> list[str]:
    drawing = charts.distributions(content.model, content.found.threshold)
    return [
        markup.table(tables.at_threshold(content.found)),
        f"<h3>Scores of each class</h3><p class=note>{DISTRIBUTIONS}</p>",
        f"<figure>{drawing}</figure>",
    ]


def _provenance(found: Evaluation) -> str:
    made = found.provenance
    origin = escape(json.dumps(dict(made), indent=2, default=str))
    records = " ".join(map(str, made["records"]))
    return (
        f"<p>Trained on {escape(str(made.get('database', 'records')))}: {escape(records)}.</p>"
        + markup.folded("All that the model file says", [f"<pre>{origin}</pre>"])
    )


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>beatgan: evaluation</h1>{intro}<nav><ol>{contents}</ol></nav></header>
<main>
{body}
</main>
<footer>Research software, not a medical device.</footer>
<script>{script}</script>
</body>
</html>
"""
