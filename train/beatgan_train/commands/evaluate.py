"""The figures of a model under a protocol or on a database, the trivial baselines beside it.

Brings the rooms together: beats from the dataset, scores from the model or from the daemon's own
output, measures, pictures. It refuses what the model has seen; it computes no figure itself.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.progress import Progress

from beatgan.ec57 import beat_matching
from beatgan.ec57.class_matching import compare_classes
from beatgan.errors import UsageError
from beatgan.model.artifact import Artifact, self_test, without_labels
from beatgan.model.model import Model
from beatgan.types import Doubles
from beatgan_train.atomic_write import write_text
from beatgan_train.data.evaluation_set import (
    Database,
    EvaluationSet,
    annotated,
    of_database,
    of_protocol,
)
from beatgan_train.data.mitdb import DS2, HARD
from beatgan_train.data.patients import seen_among
from beatgan_train.data.source import Protocol
from beatgan_train.evaluation import examples, result, timing
from beatgan_train.evaluation.baselines import (
    BASELINES,
    LEAST_FITTED,
    TEMPLATE_AND_RR,
    UNFITTED,
)
from beatgan_train.evaluation.beat_scores import BeatScores
from beatgan_train.evaluation.caveats import no_advantage, not_measured
from beatgan_train.evaluation.classification import Classification, classification
from beatgan_train.evaluation.databases import read_rows, row_of
from beatgan_train.evaluation.examples import RankedBeats
from beatgan_train.evaluation.metrics import (
    Row,
    Scored,
    by_record,
    gains,
    gains_over,
    measure,
)
from beatgan_train.evaluation.model_set import ModelSet
from beatgan_train.evaluation.ranking import flagged
from beatgan_train.evaluation.result import DetectionRow, Evaluation, FalseDetections, as_json
from beatgan_train.evaluation.score_file import read_scores
from beatgan_train.report.page import PageContent, page
from beatgan_train.report.tables import show
from beatgan_train.training.model_file import read

UNSAID = "the model does not say what it was trained on: it cannot be tested"


def run(
    model: Path | Sequence[Path],
    data: Path,
    protocol: Protocol = "interpatient",
    *,
    database: Database | None = None,
    beside: Sequence[Path] = (),
    json_file: Path | None = None,
    report_dir: Path | None = None,
    scores: Path | None = None,
    one_lead: bool = False,
    label_free: bool = False,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate the model file ``model`` on the databases under ``data`` and show the figures.

    With ``database`` all its annotated recordings are tested, and ``data`` and ``protocol`` are not
    looked at; protocol ``own`` is the database ``data``. Several models of a cross-validation are
    tested on a database as one: each recording is scored by the first that has not seen its
    patient. With ``scores``, the JSON Lines of ``beatgan-daemon score``, the scores are the
    daemon's and the model file only says what it was trained on. ``json_file`` receives all
    figures, ``report_dir`` an ``index.html`` with pictures and the same JSON. ``beside`` are such
    JSON files of other databases, for one table of all. With ``one_lead`` the second lead of a
    recording is not looked at. With ``label_free`` what was learnt from labels has no say.

    Raises UsageError if the model has seen the protocol's test set or all of the database, or if
    the scores are of another model or signal; ArtifactError or RecordError on files that cannot be
    used.
    """
    if label_free and scores:
        raise UsageError("--label-free: the --scores of a file are with all that the model knows")
    console = console or Console()
    others = read_rows(beside)
    artifacts = [read(file) for file in ([model] if isinstance(model, Path) else model)]
    artifact = artifacts[0]
    if protocol == "own":
        database = database or Database(data)
    _refuse_unlike(artifacts, database, scores)
    spec = replace(artifact.spec, second_lead=0.0) if one_lead else artifact.spec
    with Progress(console=console, transient=True) as progress:
        if database:
            seen, of_record = _division([seen_records(a.provenance) for a in artifacts], database)
            tested = of_database(database, seen, spec, artifact.coefficients, progress)
        else:
            fold, seed = refuse_leak(artifact.provenance, protocol)
            of_record = {}
            tested = of_protocol(data, protocol, fold, seed, spec, artifact.coefficients, progress)
    beats, rows = tested.beats, np.flatnonzero(tested.rows)
    models = ModelSet([_scorer(each, label_free) for each in artifacts], of_record)
    said = BeatScores.empty(len(beats))
    said.put(rows, read_scores(scores, beats.take(rows)) if scores else models.scores(beats, rows))
    source = ", ".join(f"{each.kind} {each.digest}" for each in artifacts)
    source += " as the daemon scored it" if scores else ""
    source += ", one lead" if one_lead else ""
    source += ", no labels" if label_free else ""
    everything = {source: said.value, **_baselines(tested)}
    scored = {name: score_test_beats(tested, x) for name, x in everything.items()}
    easier = {name: x.without(HARD) for name, x in scored.items()}
    if not easier[source].patients:  # nothing but HARD was tested
        easier = scored
    threshold = artifact.calibration.threshold
    measured = _measured(scored, source, threshold)
    best_baseline = _best_baseline(measured)
    over = gains_over(TEMPLATE_AND_RR, scored) if TEMPLATE_AND_RR in scored else []
    fewest = min((len(fold.fit) for fold in tested.folds), default=0)
    found = Evaluation(
        model=source,
        tested_on=database.name if database else f"{protocol} protocol",
        protocol=None if database else protocol,
        warnings=no_advantage(over, scored[source].patients),
        not_measured=not_measured(scored, over, fewest),
        patients_told_by=tested.patients.words,
        left_out=tested.left_out,
        seen=tested.seen,
        paced=tested.paced,
        without_beats=tested.without_beats,
        missing=tested.missing,
        outside={n: r.outside for n, r in tested.references.items() if r.outside},
        unknown_symbols={n: r.unknown for n, r in tested.references.items() if r.unknown},
        groups=len(tested.folds) if tested.by_patient else None,
        one_lead=one_lead,
        of_scores=scores is not None,
        threshold=threshold,
        provenance=artifact.provenance,
        patients=scored[source].patients,
        detection=detection(tested),
        rows=measured,
        rows_without_hard=_measured(easier, source, threshold),
        over_template_and_rr=over,
        gains=gains(scored),
        gains_without_hard=gains(easier),
        records=by_record(scored[source], threshold, scored[best_baseline]),
        classification=_classification(tested, said) if tested.whole and said.classified else None,
        compared_with=best_baseline,
        worst=examples.worst_records(scored[source], threshold),
        false_detections=_false_detections(tested, said.value, threshold),
        speed=timing.compare(
            artifact, [beats.beat(i) for i in np.resize(tested.test, 64).tolist()]
        ),
    )
    databases = [row_of(found), *others] if others else []
    show(found, databases, console)
    if json_file:
        write_text(json_file, as_json(found))
    if report_dir:
        choice = RankedBeats(beats, tested.test, said.value, threshold)
        galleries = examples.galleries(models, choice, found.worst)
        content = PageContent(found, scored, galleries, artifact.spec, databases)
        write_text(report_dir / "index.html", page(content))
        write_text(report_dir / "evaluation.json", as_json(found))
        console.print(f"report: {report_dir / 'index.html'}")
    return found


def refuse_leak(provenance: Mapping[str, Any], protocol: Protocol) -> tuple[int, int]:
    """The fold and seed of the test set, if the model can be tested on it.

    Raises UsageError where the model, or the teacher it was distilled from, was trained on what
    the protocol tests on, or does not say what it was trained on.
    """
    seen = seen_records(provenance)
    trainings = list(_trainings(provenance))
    if any(t.get("protocol") not in get_args(Protocol) for t in trainings):
        raise UsageError(UNSAID)
    if protocol == "interpatient":
        if leaked := sorted(seen & set(DS2)):
            raise UsageError(f"the model was trained on the test set: {', '.join(leaked)}")
        return 0, 0
    if any(training["protocol"] != "beatgan" for training in trainings):
        raise UsageError(
            "the model was trained on all the normal beats of its records, and the beatgan "
            "protocol tests on a fifth of them; train one with --protocol beatgan"
        )
    drawn = {_drawn(training) for training in trainings}
    if len(drawn) > 1:
        raise UsageError("the model and its teachers were trained on different folds")
    return drawn.pop()


def seen_records(provenance: Mapping[str, Any]) -> set[str]:
    """The records that the model, or a teacher it was distilled from, was fitted to or chosen by.

    Raises UsageError where it does not say.
    """
    if "records" not in provenance:
        raise UsageError(UNSAID)
    return {str(name) for training in _trainings(provenance) for name in training["records"]}


def score_test_beats(tested: EvaluationSet, values: Doubles) -> Scored:
    """The tested beats and their scores, with those added that have none, as the lowest.

    Added are reference beats never detected, and those whose signal was unusable: where whole
    records are tested, all of them; else the abnormal ones, since an undetected normal beat is in
    no fold (it would only flatter the ranking).
    """
    beats, rows = tested.beats, tested.test
    blank = ~beats.usable & np.not_equal(beats.label, "")
    record = np.concatenate([beats.missed.record, beats.record[blank]])
    label = np.concatenate([beats.missed.label, beats.label[blank]])
    numbers = [i for i, name in enumerate(beats.records) if name in tested.references]
    counted = np.isin(record, numbers)
    if not tested.whole:
        counted &= label != "N"
    return Scored(
        beats.records,
        np.concatenate([beats.record[rows], record[counted]]),
        np.concatenate([beats.label[rows], label[counted]]),
        np.concatenate([values[rows], np.full(int(counted.sum()), -np.inf)]),
        tuple(tested.patients.of(name) for name in beats.records),
    )


def detection(tested: EvaluationSet) -> list[DetectionRow]:
    """How well the front end finds beats, gross over the tested records, flutter excluded."""
    rows: list[DetectionRow] = []
    for window_s in (beat_matching.WINDOW_S, beat_matching.NARROW_S):
        total = beat_matching.BeatCounts()
        for name, reference in tested.references.items():
            found = tested.beats.sample[tested.beats.of([name])]
            total += beat_matching.compare(reference, found, window_s)
        rows.append(result.detection_row(total, window_s))
    return rows


def _refuse_unlike(
    artifacts: Sequence[Artifact], database: Database | None, scores: Path | None
) -> None:
    """Raise UsageError unless several models can be tested as one."""
    first, *others = artifacts
    if others and (database is None or scores):
        raise UsageError("several --model go with --database or --protocol own, without --scores")
    for other in others:
        if (other.kind, other.spec, other.coefficients) != (
            first.kind, first.spec, first.coefficients
        ):  # fmt: skip
            raise UsageError(f"{other.kind} {other.digest} is no model of {first.digest}'s kind")


def _division(
    seen: Sequence[set[str]], database: Database
) -> tuple[Collection[str], dict[str, int]]:
    """Records that every model has seen, and for each recording the first that has not."""
    if len(seen) == 1:
        return seen[0], {}
    names = annotated(database)
    known = [{*seen_among(names, each, database.patients)} for each in seen]
    scored_by = {
        name: next(k for k, each in enumerate(known) if name not in each)
        for name in names
        if any(name not in each for each in known)
    }
    return set.intersection(*known), scored_by


def _scorer(artifact: Artifact, label_free: bool) -> Model:
    whole = self_test(artifact)
    if not label_free:
        return whole
    bare = without_labels(artifact)
    return Model(bare.spec, bare.networks, bare.calibration)


def _trainings(provenance: object) -> Iterator[Mapping[str, Any]]:
    """Every training that a provenance names: its own, and its teachers' within it."""
    if isinstance(provenance, Mapping):
        if "records" in provenance:
            yield provenance
        for part in provenance.values():
            yield from _trainings(part)
    elif isinstance(provenance, list):
        for part in provenance:
            yield from _trainings(part)


def _drawn(training: Mapping[str, Any]) -> tuple[int, int]:
    try:
        return int(training["fold"]), int(training["split_seed"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            "the model does not say on which fold of the beats it was trained"
        ) from None


def _classification(tested: EvaluationSet, said: BeatScores) -> Classification:
    """The classes that were given, record by record, against the references."""
    counts = {}
    for name, reference in tested.references.items():
        rows = tested.beats.of([name])
        counts[name] = compare_classes(reference, tested.beats.sample[rows], said.called[rows])
    return classification(counts, tested.patients.of)


def _baselines(tested: EvaluationSet) -> dict[str, Doubles]:
    """Each baseline's scores of the tested rows; none of one that has too few beats to fit to."""
    enough = all(len(fold.fit) >= LEAST_FITTED for fold in tested.folds)
    scores = {
        name: np.full(len(tested.beats), -np.inf)
        for name in BASELINES
        if enough or name in UNFITTED
    }
    for fold in tested.folds:
        train, test = tested.beats.take(fold.fit), tested.beats.take(fold.test)
        for name, values in scores.items():
            values[fold.test] = BASELINES[name](train, test)
    return scores


def _best_baseline(measured: Sequence[Row]) -> str:
    """The baseline with the highest AUC; the model itself where there is none."""
    return max(measured[1:] or measured, key=lambda row: np.nan_to_num(row.auc)).name


def _measured(scored: Mapping[str, Scored], source: str, threshold: float) -> list[Row]:
    return [measure(name, x, threshold if name == source else None) for name, x in scored.items()]


def _false_detections(tested: EvaluationSet, values: Doubles, threshold: float) -> FalseDetections:
    """What was detected where the reference has no beat, and is in no ranking therefore."""
    nowhere = values[tested.rows & np.equal(tested.beats.label, "")]
    share = flagged(nowhere, threshold)
    return FalseDetections(len(nowhere), round(share * len(nowhere)) if len(nowhere) else 0)
