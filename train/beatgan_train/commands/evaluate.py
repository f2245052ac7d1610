"""The figures of a model under a protocol, with the trivial baselines beside it.

Brings the rooms together: beats from the dataset, scores from the model or from the daemon's own
output, measures, pictures. It decides what counts as tested; it computes no figure itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.progress import Progress

from beatgan.errors import UsageError
from beatgan.model.artifact import self_test
from beatgan.model.model import Model
from beatgan.types import Doubles, Ints
from beatgan_train.atomic_write import write_text
from beatgan_train.data import beat_set, splits
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.data.mitdb import DS2, HARD
from beatgan_train.data.source import Protocol
from beatgan_train.ec57 import beat_matching
from beatgan_train.ec57.annotations import read_reference
from beatgan_train.evaluation import examples, result, timing
from beatgan_train.evaluation.baselines import BASELINES
from beatgan_train.evaluation.examples import RankedBeats
from beatgan_train.evaluation.metrics import Row, Scored, by_record, gains, measure
from beatgan_train.evaluation.ranking import flagged
from beatgan_train.evaluation.result import DetectionRow, Evaluation, FalseDetections, as_json
from beatgan_train.evaluation.score_file import read_scores
from beatgan_train.report.page import PageContent, page
from beatgan_train.report.tables import show
from beatgan_train.training.model_file import read

BLOCK = 4096  # beats scored at a time: a score carries its pictures, which take memory
TESTED: dict[Protocol, tuple[str, ...]] = {
    "beatgan": splits.RECORDS_OF["beatgan"],
    "interpatient": DS2,
}


def run(
    model: Path,
    data: Path,
    protocol: Protocol,
    *,
    json_file: Path | None = None,
    report_dir: Path | None = None,
    scores: Path | None = None,
    one_lead: bool = False,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate the model file ``model`` on the databases under ``data`` and show the figures.

    With ``scores``, the JSON Lines of ``beatgan-daemon score``, the scores are the daemon's and
    the model file only says what it was trained on. ``json_file`` receives all figures,
    ``report_dir`` an ``index.html`` with pictures and the same JSON. With ``one_lead`` the second
    lead of a recording is not looked at.

    Raises UsageError if the model has seen the protocol's test set, or if the scores are of
    another model or signal; ArtifactError or RecordError on files that cannot be used.
    """
    console = console or Console()
    if protocol not in TESTED:
        raise UsageError(f"protocol {protocol}: there is nothing to test on, only to learn from")
    artifact = read(model)
    fold, seed = refuse_leak(artifact.provenance, protocol)
    with Progress(console=console, transient=True) as progress:
        spec = replace(artifact.spec, second_lead=0.0) if one_lead else artifact.spec
        beats = beat_set.load(
            data, splits.RECORDS_OF[protocol], spec, artifact.coefficients, progress
        )
    tested = beats.of(TESTED[protocol])
    scorer = self_test(artifact)
    values = np.full(len(beats), -np.inf)
    if scores:
        values[tested] = read_scores(scores, beats.take(tested))
    else:
        values[tested] = model_scores(scorer, beats, np.flatnonzero(tested))
    rows = splits.split(protocol, beats, fold, seed)
    source = f"{artifact.kind} {artifact.digest}" + (" as the daemon scored it" if scores else "")
    source += ", one lead" if one_lead else ""
    everything = {source: values, **_baselines(beats, rows)}
    scored = {
        name: score_test_beats(beats, rows.test, x, protocol) for name, x in everything.items()
    }
    easier = {name: x.without(HARD) for name, x in scored.items()}
    threshold = artifact.calibration.threshold
    measured = _measured(scored, source, threshold)
    best_baseline = max(measured[1:], key=lambda row: row.auc).name
    found = Evaluation(
        model=source,
        protocol=protocol,
        one_lead=one_lead,
        threshold=threshold,
        provenance=artifact.provenance,
        patients=scored[source].patients,
        detection=detection(data, beats, TESTED[protocol]),
        rows=measured,
        rows_without_hard=_measured(easier, source, threshold),
        gains=gains(scored),
        gains_without_hard=gains(easier),
        records=by_record(scored[source], threshold, scored[best_baseline]),
        compared_with=best_baseline,
        worst=examples.worst_records(scored[source], threshold),
        false_detections=_false_detections(beats, values, tested, threshold),
        speed=timing.compare(artifact, [beats.beat(i) for i in rows.test[:64].tolist()]),
    )
    show(found, console)
    if json_file:
        write_text(json_file, as_json(found))
    if report_dir:
        choice = RankedBeats(beats, rows.test, values, threshold)
        galleries = examples.galleries(scorer, choice, found.worst)
        write_text(
            report_dir / "index.html", page(PageContent(found, scored, galleries, artifact.spec))
        )
        write_text(report_dir / "evaluation.json", as_json(found))
        console.print(f"report: {report_dir / 'index.html'}")
    return found


def refuse_leak(provenance: Mapping[str, Any], protocol: Protocol) -> tuple[int, int]:
    """The fold and seed of the test set, if the model can be tested on it.

    Raises UsageError where the model, or the teacher it was distilled from, was trained on what
    the protocol tests on, or does not say what it was trained on.
    """
    trainings = list(_trainings(provenance))
    if "records" not in provenance or any(
        t.get("protocol") not in get_args(Protocol) for t in trainings
    ):
        raise UsageError("the model does not say what it was trained on: it cannot be tested")
    seen = {str(name) for training in trainings for name in training["records"]}
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


def score_test_beats(beats: BeatSet, rows: Ints, values: Doubles, protocol: Protocol) -> Scored:
    """The tested beats and their scores, with those added that have none, as the lowest.

    ``rows`` were detected and scored. Added are reference beats never detected, and those whose
    signal was unusable: under ``interpatient`` all of DS2's; under ``beatgan`` the abnormal ones,
    since an undetected normal beat is in no fold (it would only flatter the ranking).
    """
    blank = ~beats.usable & np.not_equal(beats.label, "")
    record = np.concatenate([beats.missed.record, beats.record[blank]])
    label = np.concatenate([beats.missed.label, beats.label[blank]])
    tested = [i for i, name in enumerate(beats.records) if name in TESTED[protocol]]
    counted = np.isin(record, tested)
    if protocol == "beatgan":
        counted &= label != "N"
    return Scored(
        beats.records,
        np.concatenate([beats.record[rows], record[counted]]),
        np.concatenate([beats.label[rows], label[counted]]),
        np.concatenate([values[rows], np.full(int(counted.sum()), -np.inf)]),
    )


def model_scores(model: Model, beats: BeatSet, rows: Ints) -> Doubles:
    """The model's score of each of ``rows``; -inf where it gives none."""
    values: list[float] = []
    for first in range(0, len(rows), BLOCK):
        block = [beats.beat(i) for i in rows[first : first + BLOCK].tolist()]
        values += [-np.inf if s.value is None else s.value for s in model.score(block)]
    return np.array(values, dtype=np.float64)


def detection(data: Path, beats: BeatSet, names: Sequence[str]) -> list[DetectionRow]:
    """How well the front end finds beats, gross over the records ``names``, flutter excluded."""
    references = {name: read_reference(beat_set.locate(data, name)) for name in names}
    rows: list[DetectionRow] = []
    for window_s in (beat_matching.WINDOW_S, beat_matching.NARROW_S):
        total = beat_matching.BeatCounts()
        for name, reference in references.items():
            total += beat_matching.compare(reference, beats.sample[beats.of([name])], window_s)
        rows.append(result.detection_row(total, window_s))
    return rows


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


def _baselines(beats: BeatSet, rows: splits.Split) -> dict[str, Doubles]:
    """Each baseline's scores of the tested rows, fitted on the normal beats not tested."""
    held = rows.validation[beats.label[rows.validation] == "N"]
    train, test = beats.take(np.union1d(rows.train, held)), beats.take(rows.test)
    scores: dict[str, Doubles] = {}
    for name, baseline in BASELINES.items():
        scores[name] = np.full(len(beats), -np.inf)
        scores[name][rows.test] = baseline(train, test)
    return scores


def _measured(scored: Mapping[str, Scored], source: str, threshold: float) -> list[Row]:
    return [measure(name, x, threshold if name == source else None) for name, x in scored.items()]


def _false_detections(
    beats: BeatSet, values: Doubles, tested: np.ndarray[Any, np.dtype[np.bool_]], threshold: float
) -> FalseDetections:
    """What was detected where the reference has no beat, and is in no ranking therefore."""
    nowhere = values[tested & np.equal(beats.label, "")]
    share = flagged(nowhere, threshold)
    return FalseDetections(len(nowhere), round(share * len(nowhere)) if len(nowhere) else 0)
