"""Ventricular runs: how many are told, how many of those told are none; and how that was chosen.

    python -m benchmarks.ventricular --data DIR --model models/student.pt --choose
        the model's ventricular coefficients, fitted to DS1; and, cross-validated by patient, what
        a higher or lower offset would do (the network itself has learnt from all of DS1), there
        and in nstdb's noise, to whose patients the weights were not fitted either
    python -m benchmarks.ventricular --data DIR --model models/student.pt --patients DS2
        the judge as it ships: runs that it told, and episodes that are none
A run is three and more V beats of the reference in a row; a fast one reaches the limit by the
median of three intervals, the one that leads to it included. An episode is true where it overlaps
a run, within 150 ms, or annotated flutter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from beatgan.alarms import ventricular_beat
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_beat import VentricularClassifier
from beatgan.alarms.ventricular_run import Runs
from beatgan.frontend import Frontend
from beatgan.model.artifact import Artifact
from beatgan.model.model import Model
from beatgan.records import read_recording
from beatgan.types import Beat, Bools, Doubles, Evidence, Ints, Phase, Score
from beatgan_train.data.beat_set import label_beats, locate
from beatgan_train.data.mitdb import DS1, DS2, PACED
from beatgan_train.ec57.annotations import Labels, Reference, read_reference
from beatgan_train.training.model_file import read

Group = Literal["DS1", "DS2", "paced", "noise"]
GROUPS: dict[Group, tuple[str, ...]] = {
    "DS1": DS1,
    "DS2": DS2,
    "paced": PACED,
    "noise": tuple(f"{r}e{s}" for r in (118, 119) for s in ("24", "18", "12", "06", "00", "_6")),
}
LIMITS = AlarmLimits()
NEAR_S = 0.15
BATCH = 256
RIDGE = 3.3  # on weights of features in units of their spread
EVIDENCE = 10.0  # a patient's beats of a class weigh together: this, times the root of their number
SHIFTS = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a stream: its evidence, and what cardiologists wrote about it."""

    name: str
    fs: float
    hours: float
    evidence: tuple[Evidence, ...]
    reference: Reference

    @property
    def scores(self) -> list[Score]:
        """Its beats."""
        return [event for event in self.evidence if isinstance(event, Score)]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one record; one entry for each run, or each false episode."""

    fast: Bools
    told: Bools
    delay_s: tuple[float, ...]  # of runs told, from their third beat until that could be known
    hours: float
    episodes: int
    false: tuple[str, ...]  # the reference's classes of its beats


def stream(data: Path, name: str, artifact: Artifact) -> Record:
    """The record ``name``, a second at a time."""
    scorer = Model(artifact.spec, artifact.network, artifact.calibration)
    recording = read_recording(locate(data, name))
    frontend = Frontend(artifact.spec, artifact.coefficients, recording.fs, recording.leads)
    step, samples = int(recording.fs), recording.samples
    seconds = (samples[first : first + step] for first in range(0, len(samples), step))
    events = [event for second in seconds for event in frontend.push(second)] + frontend.close()
    beats = [event for event in events if isinstance(event, Beat)]
    batches = (beats[first : first + BATCH] for first in range(0, len(beats), BATCH))
    scores = (score for batch in batches for score in scorer.score(batch))
    evidence = tuple(next(scores) if isinstance(event, Beat) else event for event in events)
    reference = read_reference(locate(data, name)).at(recording.fs)
    return Record(name, recording.fs, len(samples) / recording.fs / 3600, evidence, reference)


def annotated(reference: Reference) -> Ints:
    """Runs of the reference: (n, 2), their first and last beat's index. Flutter breaks a run."""
    ventricular = np.append(np.append(False, np.equal(reference.label, "V")), False)
    edges = np.flatnonzero(np.diff(ventricular.astype(np.int8)))
    cuts = np.searchsorted(reference.sample, [first for first, _ in reference.flutter])
    spans: list[tuple[int, int]] = []
    for first, stop in edges.reshape(-1, 2).tolist():
        ends = [first, *(int(cut) for cut in cuts if first < cut < stop), stop]
        spans += [(a, b - 1) for a, b in pairwise(ends) if b - a >= 3]
    return np.array(spans, np.int64).reshape(-1, 2)


def is_fast(record: Record, first: int, last: int) -> bool:
    """Whether somewhere in a run the median of three intervals reaches the limit."""
    intervals = np.diff(record.reference.sample[max(0, first - 1) : last + 1]) / record.fs
    medians = [np.median(intervals[k : k + 3]) for k in range(max(1, len(intervals) - 2))]
    return bool(60 / min(medians) >= LIMITS.run_rate)


def classifier(artifact: Artifact) -> VentricularClassifier:
    """The model's own."""
    return VentricularClassifier(artifact.spec, artifact.coefficients.ventricular)


def episodes(record: Record, ventricular: VentricularClassifier) -> list[tuple[int, int, int]]:
    """Onset, end, and when it was known that it begins, of each episode. In samples."""
    judge, began = Runs(LIMITS, ventricular, record.fs), {}
    turns = [turn for event in record.evidence for turn in judge.push(event)]
    turns += judge.close(round(record.hours * 3600 * record.fs))
    found: list[tuple[int, int, int]] = []
    for turn in turns:
        if turn.phase is Phase.START:
            began[turn.onset] = turn.known_at
        elif turn.phase is Phase.END:
            found.append((turn.onset, turn.end or turn.at, began[turn.onset]))
    return found


def judged(record: Record, ventricular: VentricularClassifier) -> Found:
    """What the judge of runs makes of a record, with this classifier of beats."""
    reference, near = record.reference, NEAR_S * record.fs
    runs, told = annotated(reference), episodes(record, ventricular)
    first, last = reference.sample[runs[:, 0]], reference.sample[runs[:, 1]]
    third = reference.sample[runs[:, 0] + 2]
    fast = np.array([is_fast(record, *run) for run in runs.tolist()], np.bool_)
    hit, false, delays = np.zeros(len(runs), np.bool_), [], []
    for onset, end, known_at in told:
        over = (onset <= last + near) & (end >= first - near)
        delays += ((known_at - third[over & ~hit]) / record.fs).tolist()
        hit |= over
        if not over.any() and not any(onset < b and end > a for a, b in reference.flutter):
            inside = (reference.sample >= onset - near) & (reference.sample <= end + near)
            false.append("".join(reference.label[inside]) or "no beat")
    return Found(fast, hit, tuple(delays), record.hours, len(told), tuple(false))


# --- how it was chosen ------------------------------------------------------------------------


def material(record: Record, ventricular: VentricularClassifier) -> tuple[Doubles, Bools]:
    """Features (n, 4) of the suspicious beats of known class N, S or V; which of them are V."""
    scores = record.scores
    at = np.array([score.beat.sample for score in scores], np.int64)
    labels = label_beats(at, record.reference)[0]
    labels[record.reference.in_flutter(at)] = ""
    rows, which = _features(scores, labels, ventricular)
    return np.array(rows, np.float64).reshape(-1, 4), np.array(which, np.bool_)


def _features(
    scores: Sequence[Score], labels: Labels, ventricular: VentricularClassifier
) -> tuple[list[tuple[float, ...]], list[bool]]:
    rows: list[tuple[float, ...]] = []
    which: list[bool] = []
    for score, label in zip(scores, labels.tolist(), strict=True):
        if label in ("N", "S", "V") and score.value is not None and ventricular.suspicious(score):
            rows.append(ventricular.features(score, score.value))
            which.append(label == "V")
    return rows, which


def weighed(truth: Bools) -> Doubles:
    """A patient's beats of a class weigh together as the root of their number."""
    count = np.where(truth, truth.sum(), (~truth).sum())
    return np.asarray(EVIDENCE / np.sqrt(count), np.float64)


def fit(parts: Sequence[tuple[Doubles, Bools]]) -> Doubles:
    """Logistic regression by Newton's method: the features' weights, then the offset."""
    x, truth = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    weight = np.concatenate([weighed(p[1]) for p in parts])
    middle, spread = x.mean(axis=0), x.std(axis=0)
    design = np.column_stack([(x - middle) / spread, np.ones(len(x))])
    ridge = RIDGE * np.diag([1.0] * x.shape[1] + [0.0])
    found = np.zeros(design.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-design @ found))
        slope = design.T @ (weight * (truth - chance)) - ridge @ found
        curve = (design.T * (weight * chance * (1 - chance))) @ design + ridge
        found = found + np.linalg.solve(curve, slope)
    weights = found[:-1] / spread
    return np.append(weights, found[-1] - weights @ middle)


def with_weights(artifact: Artifact, weights: Doubles) -> VentricularClassifier:
    """The model's own, but with other weights and another offset."""
    names = (*ventricular_beat.Features._fields, "offset")
    changed = dict(zip(names, weights.tolist(), strict=True))
    return VentricularClassifier(
        artifact.spec, replace(artifact.coefficients.ventricular, **changed)
    )


def choose(records: Sequence[Record], noisy: Sequence[Record], artifact: Artifact) -> None:
    """Print the weights, and what offsets would do to patients that they were not fitted to."""
    parts = [material(record, classifier(artifact)) for record in records]
    names = (*ventricular_beat.Features._fields, "offset")
    told = zip(names, fit(parts).round(2).tolist(), strict=True)
    typer.echo("fitted to all: " + ", ".join(f"{name} {value:g}" for name, value in told))
    typer.echo(f"as in the model: {artifact.coefficients.ventricular}")
    left_out = {record.name: fit(parts[:k] + parts[k + 1 :]) for k, record in enumerate(records)}
    for shift in SHIFTS:
        found = [_shifted(record, left_out, shift, artifact) for record in records]
        noise = sum(len(_shifted(record, left_out, shift, artifact).false) for record in noisy)
        typer.echo(f"offset {shift:+5.2f}: {summary(found)}; {noise} false in noise")


def _shifted(
    record: Record, left_out: Mapping[str, Doubles], shift: float, artifact: Artifact
) -> Found:
    """With weights that the patient had no part in; nstdb's records are named after theirs."""
    weights = left_out[record.name[:3]] + np.array([0, 0, 0, 0, shift])
    return judged(record, with_weights(artifact, weights))


# --- what is told -----------------------------------------------------------------------------


def summary(found: Sequence[Found]) -> str:
    """Of all records together."""
    fast = np.concatenate([each.fast for each in found])
    told = np.concatenate([each.told for each in found])
    false = [labels for each in found for labels in each.false]
    mixed = sum("F" in labels for labels in false)
    hours = sum(each.hours for each in found)
    return (
        f"told {told.sum()} of {len(told)} runs, {told[fast].sum()} of {fast.sum()} fast ones; "
        f"{sum(each.episodes for each in found)} episodes, {len(false)} of them false "
        f"({mixed} with F beats) in {hours:.1f} h: {len(false) / hours:.2f} an hour"
    )


def line(record: Record, found: Found) -> str:
    """One record's row: runs, those told, fast ones, told; episodes, the false ones' beats."""
    cells = (len(found.told), found.told.sum(), found.fast.sum(), found.told[found.fast].sum())
    numbers = "".join(f"{cell:6}" for cell in (*cells, found.episodes))
    false = " ".join(
        text if len(text) < 12 else f"{text[:8]}..({len(text)})" for text in found.false
    )
    return f"{record.name:8}{numbers}  {false}"


def tell(records: Sequence[Record], artifact: Artifact) -> None:
    """Print a row for each record that has runs or episodes, and all together."""
    heads = ("runs", "told", "fast", "told", "said")
    typer.echo(f"{'':8}" + "".join(f"{head:>6}" for head in heads) + "  false")
    found = [judged(record, classifier(artifact)) for record in records]
    for record, each in zip(records, found, strict=True):
        if len(each.told) or each.episodes:
            typer.echo(line(record, each))
    typer.echo(summary(found))
    if delays := [delay for each in found for delay in each.delay_s]:
        middle, most = np.median(delays), max(delays)
        typer.echo(f"from the third beat until known: median {middle:.2f} s, at most {most:.2f} s")


def main(
    data: Annotated[Path, typer.Option(envvar="BEATGAN_DATA")],
    model: Annotated[Path, typer.Option(help="The model file.")],
    patients: Annotated[Group, typer.Option(help="Whose records.")] = "DS1",
    choose_weights: Annotated[bool, typer.Option("--choose", help="Fit to DS1 anew.")] = False,
) -> None:
    """Print what the judge tells of some patients, or how it was chosen."""
    group: Group = "DS1" if choose_weights else patients
    artifact = read(model)
    records = [stream(data, name, artifact) for name in GROUPS[group]]
    if choose_weights:
        choose(records, [stream(data, name, artifact) for name in GROUPS["noise"]], artifact)
    else:
        tell(records, artifact)


if __name__ == "__main__":
    typer.run(main)
