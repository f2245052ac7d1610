"""The weights by which a ventricular run is recognised, fitted to five databases.

A row is what the detector of runs looks at: fast beats one after another that may be ventricular.
It counts as a run inside an annotated one (DS1 of mitdb, svdb), and as none where no run is
annotated near it, with nstdb's noises mixed in or not. cinc2015 says of a whole stretch whether it
has a ventricular tachycardia: there the clearest rows of a true one count (multiple-instance
learning). cinc2017 has none in its recordings of normal rhythm, atrial fibrillation or noise.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_classifier import Features, Row, VentricularClassifier
from beatgan.alarms.ventricular_run import VentricularRunDetector
from beatgan.alarms.watch import Watch
from beatgan.coefficients import VentricularRunCoefficients
from beatgan.ec57.episodes import RhythmReference, Span, read_rhythm, union
from beatgan.model.artifact import Artifact
from beatgan.model.model import Model
from beatgan.records import Recording, read_recording
from beatgan.types import Bools, Doubles, Ints, Score
from beatgan_train.data.beat_set import beats_of
from beatgan_train.data.cinc2017 import labels
from beatgan_train.data.mitdb import DS1
from beatgan_train.training.coefficients.noise_stress import STRESSED, noises, with_noise
from beatgan_train.training.coefficients.regression import (
    FOLDS,
    Fit,
    folds,
    logistic_regression,
    rounded,
)

DATABASES = ("mitdb", "svdb", "nstdb", "cinc2015", "cinc2017")
WITHOUT_RUNS = ("N", "A", "~")  # labels of cinc2017's recordings that have no run
NO_RUN, RUN, UNCERTAIN = 0, 1, -1  # what a row is; uncertain in a stretch that has some run
LATEST_S = 16.0  # before the end of a recording of cinc2015 in which its event lies
NEAR_S = (1.0, 3.0)  # before and after an annotated run, and flutter: rows there are neither
SLACK_S = 0.15  # by which a row may reach out of it
CLEAREST = 2  # rows of an uncertain stretch that count as a run
ROUNDS = 4  # of choosing them anew
RIDGE = 3.3  # on weights of features in units of their spread
# What a record's rows of a kind weigh together is this over the root of their number.
WEIGHT_RUN, WEIGHT_FALSE_ALARM, WEIGHT_OTHER = 4.0, 1.5, 0.7
HARD = 3.0  # and so many times that, of rows whose beats look ventricular: couplets, fusion beats
# Added to the fitted offset: see the costs that `refit` reports.
SHIFT = 1.5
SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
BATCH = 256  # beats scored at once
LATE_S = 1.0  # after an annotated run, in which a row still finds it
EVERY = 3  # of cinc2017's recordings, one in so many is also taken with noise


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one recording: features (n, 11), what each is, when it ends, in s.

    ``runs``: what is annotated. ``alarm``: whether the recording, one of cinc2015, ends with an
    alarm of ventricular tachycardia or fibrillation that was true; None for any other. ``late``:
    which rows lie in its last LATEST_S.
    """

    database: str
    record: str
    seconds: float
    features: Doubles
    kind: Ints
    end: Doubles
    late: Bools
    runs: tuple[Span, ...] = ()
    alarm: bool | None = None

    @property
    def patient(self) -> str:
        """Of whom it is, with noise or without."""
        return f"{self.database.removesuffix(NOISY)}/{self.record}"


NOISY = " with noise"
FoldFit = tuple[list[Rows], VentricularRunCoefficients]  # what is left out, and all others' weights


class Seen(NamedTuple):
    """A row that the detector looked at: first and last R peak, and last sample known."""

    first: int
    last: int
    known_at: int
    features: Features


class _Watching(VentricularClassifier):
    """Sees every row that the detector asks about, and finds no run."""

    seen: list[Seen]

    def is_run(self, row: Row) -> bool:
        first, last = row.scores[0].beat, row.scores[-1].beat
        self.seen.append(Seen(first.sample, last.sample, last.known_at, self.features(row)))
        return False


def seen_in(recording: Recording, artifact: Artifact, model: Model) -> list[Seen]:
    """The rows of ``recording`` that the detector looks at."""
    beats = beats_of(recording, artifact.spec, artifact.coefficients)
    watching = _Watching(artifact.spec, artifact.coefficients.ventricular_run)
    watching.seen = []
    detector = VentricularRunDetector(Watch(AlarmLimits(), recording.fs), watching)
    for first in range(0, len(beats), BATCH):
        for score in model.score(beats[first : first + BATCH]):
            detector.push(_light(score))
    return watching.seen


def _light(score: Score) -> Score:
    """Without the arrays that no feature needs, which are parts of a whole batch's."""
    nothing = np.empty(0, np.float32)
    return Score(score.beat, score.value, score.threshold, nothing, nothing, score.probabilities)


# --- what there is to fit to ----------------------------------------------------------------------


def all_rows(data: Path, artifact: Artifact) -> Iterator[Rows]:
    """The rows of every recording that the weights are fitted to."""
    model = Model(artifact.spec, artifact.networks, artifact.calibration)
    mixed_in = noises(data)
    rng = np.random.default_rng(0)

    def rows(recording: Recording) -> list[Seen]:
        return seen_in(recording, artifact, model)

    def noisy(recording: Recording) -> Recording:
        return with_noise(recording, mixed_in, rng)

    for database, names in _annotated(data):
        for name in names:
            recording = read_recording(data / database / name)
            rhythm = read_rhythm(data / database / name)
            yield labelled(database, recording, rhythm, rows(recording))
            if database != "nstdb" and name not in STRESSED:
                yield labelled(database + NOISY, recording, rhythm, rows(noisy(recording)))
    for name, kind, true in alarms_of(data / "cinc2015"):
        recording = read_recording(data / "cinc2015" / name)
        if (found := alarmed(recording, kind, true, rows(recording))) is not None:
            yield found
    for place, (name, _) in enumerate(labels(data / "cinc2017", WITHOUT_RUNS)):
        recording = read_recording(data / "cinc2017" / name)
        nothing = RhythmReference(name, len(recording.samples) / recording.fs, (), (), ())
        yield labelled("cinc2017", recording, nothing, rows(recording))
        if place % EVERY == 0:
            yield labelled("cinc2017" + NOISY, recording, nothing, rows(noisy(recording)))


def _annotated(data: Path) -> Iterator[tuple[str, Sequence[str]]]:
    yield "mitdb", DS1
    for database in ("svdb", "nstdb"):
        yield database, sorted(file.stem for file in (data / database).glob("*.atr"))


def alarms_of(folder: Path) -> list[tuple[str, str, bool]]:
    """Of each recording of cinc2015: its name, its alarm's kind, and whether that was true."""
    with (folder / "ALARMS").open(newline="") as file:
        return [(name, kind, true == "1") for name, kind, true in csv.reader(file)]


def labelled(
    database: str, recording: Recording, rhythm: RhythmReference, seen: Sequence[Seen]
) -> Rows:
    """Rows of a recording whose ventricular runs are annotated."""
    fs, runs = recording.fs, union(rhythm.ventricular)
    flutter = [span.wider(*NEAR_S) for span in rhythm.flutter]
    unsure = [*flutter, *(run.wider(*NEAR_S) for run in runs)]
    kept, kinds = [], []
    for row in seen:
        span = Span(row.first / fs, row.last / fs)
        inside = any(
            run.wider(SLACK_S, SLACK_S).holds(span.begin)
            and run.wider(SLACK_S, SLACK_S).holds(span.end)
            for run in runs
        )
        if not any(span.touches(each) for each in (flutter if inside else unsure)):
            kept.append(row)
            kinds.append(RUN if inside else NO_RUN)
    return _rows(database, recording, kept, kinds, runs)


def alarmed(recording: Recording, kind: str, true: bool, seen: Sequence[Seen]) -> Rows | None:
    """Rows of a recording of cinc2015; None where nobody knows whether it has a run."""
    ventricular = kind.startswith("Ventricular")
    if true and kind == "Tachycardia":
        return None
    since = len(recording.samples) - LATEST_S * recording.fs
    if not (ventricular and true):
        return _rows("cinc2015", recording, seen, [NO_RUN] * len(seen), (), ventricular, false=True)
    late = [row for row in seen if row.known_at >= since]
    return _rows("cinc2015", recording, late, [UNCERTAIN] * len(late), (), True)


def _rows(
    database: str,
    recording: Recording,
    seen: Sequence[Seen],
    kinds: Sequence[int],
    runs: tuple[Span, ...],
    ventricular: bool = False,
    false: bool = False,
) -> Rows:
    fs, seconds = recording.fs, len(recording.samples) / recording.fs
    known = np.array([row.known_at / fs for row in seen])
    return Rows(
        database,
        recording.name,
        seconds,
        np.array([row.features for row in seen], np.float64).reshape(-1, len(Features._fields)),
        np.array(kinds, np.int64),
        np.array([row.last / fs for row in seen]),
        known >= seconds - LATEST_S,
        runs,
        (not false) if ventricular else None,
    )


# --- the fit --------------------------------------------------------------------------------------


def fit(parts: Sequence[Rows]) -> VentricularRunCoefficients:
    """Logistic regression; the clearest rows of an uncertain stretch are chosen anew each round."""
    parts = [part for part in parts if len(part.kind)]
    x = np.concatenate([part.features for part in parts])
    kind = np.concatenate([part.kind for part in parts])
    part_of = np.repeat(np.arange(len(parts)), [len(part.kind) for part in parts])
    false_alarm = np.array([part.alarm is False for part in parts])[part_of]
    hard = x[:, Features._fields.index("mean")] > 0
    stretches = [
        np.flatnonzero((part_of == k) & (kind == UNCERTAIN))
        for k in np.unique(part_of[kind == UNCERTAIN])
    ]
    clear = x[:, Features._fields.index("least")] + x[:, Features._fields.index("mean")]
    found = np.zeros(x.shape[1] + 1)
    for _ in range(ROUNDS):
        now = kind.copy()
        for rows in stretches:
            now[rows[np.argsort(clear[rows])[-CLEAREST:]]] = RUN
        used = now != UNCERTAIN
        weight = _weights(now, part_of, false_alarm, hard)[used]
        found = logistic_regression(x[used], now[used] == RUN, weight, RIDGE)
        clear = x @ found[:-1] + found[-1]
    found[-1] += SHIFT
    return VentricularRunCoefficients(*rounded(found))


def _weights(kind: Ints, part_of: Ints, false_alarm: Bools, hard: Bools) -> Doubles:
    """A recording's rows of a kind weigh together as the root of their number."""
    other = np.where(false_alarm, WEIGHT_FALSE_ALARM, WEIGHT_OTHER) * np.where(hard, HARD, 1.0)
    total = np.where(kind == RUN, WEIGHT_RUN, other)
    key = part_of * 3 + np.where(kind == RUN, 2, hard.astype(np.int64))
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)
    return np.asarray(total / np.sqrt(count[place]))


# --- what it costs --------------------------------------------------------------------------------


def log_odds(rows: Rows, coefficients: VentricularRunCoefficients) -> Doubles:
    """Of each row."""
    weights = np.array([getattr(coefficients, name) for name in Features._fields])
    return np.asarray(rows.features @ weights + coefficients.offset)


def cost(parts: Sequence[Rows], fitted: Mapping[str, VentricularRunCoefficients]) -> str:
    """Alarms of cinc2015 and annotated runs found, and false ones; ``fitted``: by patient."""
    true = [each for each in parts if each.alarm]
    false = [each for each in parts if each.alarm is False]
    found, raised = (
        sum(bool((log_odds(each, fitted[each.patient])[each.late] > 0).any()) for each in some)
        for some in (true, false)
    )
    line = ""
    if true or false:
        line = f"cinc2015 {found} of {len(true)} true, {raised} of {len(false)} false;"
    for database in dict.fromkeys(each.database for each in parts):
        here = [each for each in parts if each.database == database]
        if database != "cinc2015":
            line += f" {database} {_episodes(here, fitted)};"
    return line.strip(" ;")


def _episodes(parts: Sequence[Rows], fitted: Mapping[str, VentricularRunCoefficients]) -> str:
    runs = detected = false = 0
    for each in parts:
        positive = log_odds(each, fitted[each.patient]) > 0
        ends = each.end[positive]
        for run in each.runs:
            runs += 1
            detected += bool(((ends >= run.begin) & (ends <= run.end + LATE_S)).any())
        wrong = np.sort(each.end[positive & (each.kind == NO_RUN)])
        false += int(len(wrong) > 0) + int((np.diff(wrong) > LATEST_S).sum())
    hours = sum(each.seconds for each in parts) / 3600
    return f"{f'{detected} of {runs} runs, ' if runs else ''}{false / hours:.2f} false an hour"


def refit(
    parts: Sequence[Rows], left_out: Sequence[FoldFit], present: VentricularRunCoefficients
) -> Fit[VentricularRunCoefficients]:
    """The weights anew; costs are those of records, and of whole databases, left out.

    ``left_out``: the `fold_fits` of ``parts``.
    """
    costs = []
    for shift in SHIFTS:
        odds = {
            each.patient: replace(fitted, offset=fitted.offset + shift - SHIFT)
            for fold, fitted in left_out
            for each in fold
        }
        chosen = ", as chosen" if shift == SHIFT else ""
        found = cost(parts, odds)
        costs.append(f"cross-validated by record, shifted by {shift:+.2f}{chosen}: {found}")
    for database in dict.fromkeys(each.database.removesuffix(NOISY) for each in parts):
        here = [each for each in parts if each.database.removesuffix(NOISY) == database]
        others = fit([each for each in parts if each not in here])
        found = cost(here, dict.fromkeys((each.patient for each in here), others))
        costs.append(f"{database} left out: {found}")
    shipped = cost(parts, dict.fromkeys((each.patient for each in parts), present))
    costs.append(f"present, fitted to the same records: {shipped}")
    return Fit("ventricular_run", present, fit(parts), tuple(costs))


def fold_fits(parts: Sequence[Rows]) -> list[FoldFit]:
    """For each fold, what is left out of it and the weights of all others."""
    fold = folds([each.patient for each in parts])
    return [
        (
            [each for each in parts if fold[each.patient] == k],
            fit([each for each in parts if fold[each.patient] != k]),
        )
        for k in range(FOLDS)
    ]
