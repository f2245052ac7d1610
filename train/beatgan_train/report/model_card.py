"""The model card: what a student is, was made of, and must not be used for, in Markdown."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from beatgan.errors import UsageError
from beatgan.model.artifact import Artifact
from beatgan.model.networks import Network
from beatgan_train.data.development import MITDB
from beatgan_train.data.mitdb import HARD
from beatgan_train.evaluation.metrics import Row
from beatgan_train.evaluation.result import Evaluation
from beatgan_train.report import tables
from beatgan_train.training.distillation import COMPARING

NO_FIGURES = "Not evaluated yet: `beatgan-train evaluate --card` fills this in."
FIGURES = {True: "Figures, one lead", False: "Figures, all leads"}  # by Evaluation.one_lead
COLUMNS = ("student", "teachers")
LIMITS = """\
- Research software, not a medical device. It is not to be used for diagnosis, treatment or
  monitoring of patients, and no conformity with any standard is claimed.
- It was trained on adults' Holter recordings of one hospital (1975-1979) and, where databases are
  named under "Timing and class", on those. Paced rhythm, children, and recordings during exercise
  were not in it.
- It scores beats that were found, one at a time. It knows no rhythm: asystole and fibrillation
  are not its business.
- A beat that is always abnormal in a patient becomes that patient's own reference.
- Atrial fibrillation makes many beats look premature."""
HOLTER, OWN_DATA = (
    LIMITS[LIMITS.index("- It was trained") : LIMITS.index("- It scores")],
    "- It was trained on somebody's own recordings. Whom and what they lack, it does not know.\n",
)
CITATIONS = """\
- Data: Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia Database. IEEE Eng Med Biol
  20(3):45-50 (2001). Goldberger AL et al. PhysioBank, PhysioToolkit, and PhysioNet. Circulation
  101(23):e215-e220 (2000). Open Data Commons Attribution License 1.0.
- Method: Zhou B, Liu S, Hooi B, Cheng X, Ye J. BeatGAN: anomalous rhythm detection using
  adversarially generated time series. IJCAI 2019. Lim and Hwang. Self-improving BeatGAN via
  knowledge distillation (2021). Hinton G, Vinyals O, Dean J. Distilling the knowledge in a neural
  network (2015).
- Division of the patients: de Chazal P, O'Dwyer M, Reilly RB. Automatic classification of
  heartbeats using ECG morphology and heartbeat interval features. IEEE Trans Biomed Eng
  51(7):1196-1206 (2004)."""


def write_card(artifact: Artifact, path: Path) -> None:
    """Write the card of ``artifact`` to ``path``."""
    path.write_text(card(artifact), encoding="utf-8")


def card(artifact: Artifact) -> str:
    """The card's text. Its figures are left to whoever evaluates the model."""
    made = artifact.provenance
    sections = {
        f"beatgan {artifact.kind} {artifact.digest}": _summary(artifact),
        "Data": _data(made),
        **dict.fromkeys(FIGURES.values(), NO_FIGURES),
        "Score": _score(artifact),
        "Timing and class": _context(made.get("context")),
        "Altered beats refused": _pseudo_anomaly_auc(
            made.get("pseudo_anomaly_auc", made.get("refused", {}))
        ),
        "Options": _block(made["options"]),
        "Teacher": _teacher(made),
        "Packages": _block(made["packages"]),
        "Limits": LIMITS.replace(HOLTER, OWN_DATA) if made["protocol"] == "own" else LIMITS,
        "Sources": CITATIONS,
    }
    first, *rest = sections.items()
    parts = [f"# {first[0]}\n\n{first[1]}\n"]
    parts += [f"## {title}\n\n{text}\n" for title, text in rest if text]
    return "\n".join(parts)


def fill_in(path: Path, found: Evaluation) -> None:
    """Write the figures of ``found`` into the card at ``path``, in place of those there.

    Raises UsageError if ``path`` is not the card of the model that was evaluated, or if that was
    on no protocol's test set.
    """
    if found.protocol is None:
        raise UsageError(f"{path}: a card has the figures of a protocol, not of {found.tested_on}")
    if found.missing:
        raise UsageError(
            f"{path}: a card has the figures of all records; {len(found.missing)} are not there: "
            f"{', '.join(found.missing)}"
        )
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, heading, rest = text.partition(f"## {FIGURES[found.one_lead]}\n\n")
    _, following, after = rest.partition("\n## ")
    digest = before.partition("\n")[0].rpartition(" ")[2]
    if not heading or not following or digest not in found.model.split():
        raise UsageError(f"{path} is not the card of {found.model}")
    path.write_text(f"{before}{heading}{figures(found)}\n{following}{after}", encoding="utf-8")


def figures(found: Evaluation) -> str:
    """The figures of an evaluation: the model beside the baselines, then the model's own."""
    rows = [
        (row.name, *_ranks(row), *(f"{each.auc:.3f}" for each in row.classes), *_ranks(easier))
        for row, easier in zip(found.rows, found.rows_without_hard, strict=True)
    ]
    classes = [each.label for each in found.rows[0].classes]
    head = ("score", "AUC", "AP", *classes, f"AUC without {HARD}", f"AP without {HARD}")
    lead = " --one-lead" if found.one_lead else ""
    scores = " --scores FILE`, FILE by `beatgan-daemon score" if found.of_scores else ""
    return (
        f"`beatgan-train evaluate --protocol {found.protocol}{lead}{scores}`; AUC of each class "
        "against N. A reference beat that was not found, or where the signal was unusable, counts "
        f"as the lowest score. Square brackets: {tables.intervals_are(found)}\n\n"
        f"{_table(head, rows)}\n\n"
        + "".join(f"**Warning.** {line}.\n\n" for line in found.warnings)
        + f"{_grid(tables.headline(found))}\n\n{_grid(tables.at_threshold(found))}\n\n"
        f"{_grid(tables.worst(found))}\n\n{_costs(found)}"
    )


def _grid(grid: tables.Grid) -> str:
    return f"**{grid.title}.** {grid.note}\n\n{_table(grid.header, grid.rows)}"


def _costs(found: Evaluation) -> str:
    beats = ", ".join(f"{d.f1:.2%} within {d.window_ms:g} ms" for d in found.detection)
    cost = ", ".join(f"{s.name} {s.network_us[64]:.1f} ({s.parameters:,})" for s in found.speed)
    return (
        f"- Beats found, F1: {beats}.\n"
        f"- Microseconds a beat, batches of 64, one CPU thread (parameters): {cost}."
    )


def _ranks(row: Row) -> tuple[str, str]:
    return (
        tables.figure(row.auc, row.auc_interval),
        tables.figure(row.ap, row.ap_interval),
    )


def _summary(artifact: Artifact) -> str:
    networks = "\n".join(map(_network, artifact.networks.present().values()))
    options = artifact.provenance["options"]
    altered = " and on normal beats altered by hand" if any(map(options.get, COMPARING)) else ""
    labels = 'no anomalous beat and no label but "normal" was used'
    if artifact.networks.classes is not None:
        labels = "what tells the classes apart was trained on labelled beats of every class"
    return (
        "Scores single heartbeats of one ECG lead or two: higher is more anomalous. It was "
        f"trained on normal beats{altered}; {labels}.\n\n"
        f"{networks}\n\n{artifact.networks.parameters:,} parameters in all."
    )


def _network(network: Network) -> str:
    """A line on one of the networks."""
    layers = ", ".join(f"{name} {value:g}" for name, value in network.arguments.items())
    return f"- {network.architecture}, {network.parameters:,} parameters ({layers})"


def _context(made: Mapping[str, Any] | None) -> str:
    """What the networks of timing and class were made of; empty where there are none."""
    if made is None:
        return ""
    names = made["records"]
    records = [
        f"{database}: {sum(name.startswith(f'{database}/') for name in names)}"
        for database in made["databases"]
        if database != MITDB
    ]
    if MITDB in made["databases"]:
        records.insert(0, f"{MITDB}: {sum('/' not in name for name in names)} (DS1)")
    rows = (
        ("records", ", ".join(records)),
        ("normal beats, for timing", f"{made['normal_beats']:,}"),
        ("labelled beats, for classes", f"{made['labelled_beats']:,}"),
        ("student that they were given to", made["student"]),
    )
    return f"{_table(('', ''), rows)}\n\n{_block(made['options'])}"


def _data(made: Mapping[str, Any]) -> str:
    unseen = "each by a student that had not seen its patient"
    if made["protocol"] == "beatgan":
        unseen = "not fitted to, but of the same patients"
    rows = (
        ("database", made["database"]),
        ("protocol", f"{made['protocol']}, fold {made['fold']}, mode {made['mode']}"),
        ("normal beats fitted to", f"{made['beats']:,}"),
        ("normal beats calibrated on", f"{made['calibrated_on']:,}, {unseen}"),
        ("records", " ".join(made["records"])),
        ("of these only chosen by", " ".join(made["held_out"]) or "none"),
        ("seed", str(made["options"]["seed"])),
    )
    return _table(("", ""), rows)


def _score(artifact: Artifact) -> str:
    calibration = artifact.calibration
    rows = [
        (name, *(f"{table[name]:.5g}" for table in _tables(artifact)))
        for name in calibration.weight
    ]
    share = artifact.provenance["options"]["flagged"]
    return (
        "The sum of weight * cap * tanh((component - location) / (spread * cap)).\n\n"
        + _table(("component", "weight", "cap", "location", "spread"), rows)
        + f"\n\nThreshold {calibration.threshold:.5g}: {share:.1%} of the normal beats calibrated "
        "on score higher."
    )


def _tables(artifact: Artifact) -> tuple[Mapping[str, float], ...]:
    calibration = artifact.calibration
    return calibration.weight, calibration.cap, calibration.location, calibration.spread


def _pseudo_anomaly_auc(table: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        (name, f"{row['student']:.3f}", f"{row['teachers']:.3f}") for name, row in table.items()
    ]
    return (
        "By `beatgan-train distill`: AUC of the reconstruction error alone between altered and "
        "normal beats of the held-out patients.\n\n" + _table(("alteration", *COLUMNS), rows)
    )


def _teacher(made: Mapping[str, Any]) -> str:
    return f"Digests: {', '.join(made['teachers'])}. Options of the first:\n\n" + _block(
        made["teacher"]["options"]
    )


def _block(values: Mapping[str, Any]) -> str:
    return f"```json\n{json.dumps(values, indent=2)}\n```"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
