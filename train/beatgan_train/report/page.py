"""An evaluation as one page of HTML that needs no other file: `templates/page.html.j2`, filled in.

Knows figures, pictures and words; computes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from beatgan.spec import PreprocessSpec
from beatgan_train.data.mitdb import HARD
from beatgan_train.evaluation.databases import DatabaseRow
from beatgan_train.evaluation.examples import SHOWN, Gallery
from beatgan_train.evaluation.metrics import Scored
from beatgan_train.evaluation.result import Evaluation
from beatgan_train.report import charts, tables
from beatgan_train.report.tables import figure, percent

TEMPLATES = Environment(
    loader=PackageLoader("beatgan_train", "report/templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


@dataclass(frozen=True, slots=True, eq=False)
class PageContent:
    """What a page is made of. The first of ``scored`` is the model, the others are baselines.

    ``databases``: this evaluation beside those of other databases, if there are any.
    """

    found: Evaluation
    scored: Mapping[str, Scored]
    galleries: Mapping[str, Gallery]
    spec: PreprocessSpec
    databases: Sequence[DatabaseRow] = ()


def page(content: PageContent) -> str:
    """The whole page."""
    found, threshold = content.found, content.found.threshold
    model = next(iter(content.scored.values()))
    ranked = 0 < model.abnormal.sum() < len(model.label)
    return TEMPLATES.get_template("page.html.j2").render(
        found=found,
        spec=content.spec,
        galleries=content.galleries,
        databases=content.databases,
        tables=tables,
        hard=HARD,
        shown=[*SHOWN],
        facts=_facts(found),
        provenance=json.dumps(dict(found.provenance), indent=2, default=str),
        rankings=charts.rankings(content.scored, threshold) if ranked else [],
        classes=charts.classes(model, threshold) if ranked else "",
        distributions=charts.distributions(model, threshold),
        beat=charts.beat,
        palette=charts.PALETTE,
        beat_colours=charts.BEAT_COLOURS,
        class_colours=charts.CLASS_COLOURS,
        score_colours=charts.SCORE_COLOURS,
    )


def _facts(found: Evaluation) -> dict[str, str]:
    """The figures that one wants first, in large type."""
    row = found.rows[0]
    facts = {
        "AUC, all abnormal beats": figure(row.auc, row.auc_interval),
        "average precision": figure(row.ap, row.ap_interval),
    }
    for each in row.classes:
        if each.label == "V":
            share = percent(each.flagged, 1, each.flagged_interval)
            facts["of ventricular beats (V) flagged"] = share
    return facts | {
        "of normal beats flagged": percent(row.flagged_normal, 1, row.flagged_normal_interval),
        "F1 of beat detection": percent(found.detection[0].f1, 2),
        "network, a beat, one thread": f"{found.speed[0].network_us[64]:.1f} µs",
    }
