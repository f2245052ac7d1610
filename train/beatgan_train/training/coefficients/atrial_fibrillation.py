"""The weights by which atrial fibrillation is suspected, fitted to labelled and annotated rhythms.

A row is what is seen over the latest beats of a stream. Streams are the recordings of CinC 2017
labelled A, N or O, each joined with itself; DS1, where AFIB is annotated; and svdb, which has no
annotation of rhythm and counts as free of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from beatgan.alarms import irregularity
from beatgan.alarms.atrial_fibrillation import (
    CALM,
    SELDOM,
    AtrialFibrillationDetector,
    State,
    compare,
)
from beatgan.alarms.irregularity import EVERY, Features, Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.watch import Watch
from beatgan.coefficients import AtrialFibrillationCoefficients
from beatgan.ec57.episodes import Span
from beatgan.errors import RecordError
from beatgan.frontend import Frontend
from beatgan.model.artifact import Artifact
from beatgan.model.model import Model
from beatgan.records import Recording, read_recording
from beatgan.types import Beat, Bools, Doubles, Floats, Phase, Score
from beatgan_train.data.cinc2017 import labels
from beatgan_train.data.development import CINC2017, MITDB, SVDB
from beatgan_train.data.mitdb import DS1
from beatgan_train.training.coefficients.regression import (
    FOLDS,
    Fit,
    folds,
    logistic_regression,
    rounded,
)

STREAM_S, WITHIN_S = 180.0, 60.0  # how long joined recordings are; how soon it is to be told
PHASE = 0.6  # of an RR interval, where a recording is cut: between T and P
LEAST_BEATS = 4
SETTLE_S = 25.0  # after annotated rhythms change, rows are of both
AFIB, FLUTTER = "AFIB", "AFL"
LABELS = ("A", "N", "O")
DATABASES = (CINC2017, MITDB, SVDB)
# Of the weight of rows without atrial fibrillation, by where they are from.
SHARES = {"N": 0.45, "O": 0.25, MITDB: 0.15, SVDB: 0.15}
LIMITS = (0.5, 0.75, 1.0, 1.25, 1.5)  # log odds that begin an alarm, for the report
BATCH = 256  # beats scored at once


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Of one stream: features (n, 7), R peak of the latest beat, when known, in samples.

    ``inside``: in atrial fibrillation; ``far``: in none. ``first``: the stream's first beat.
    """

    name: str
    kind: str
    fs: float
    samples: int
    first: int
    at: Sequence[int]
    known_at: Sequence[int]
    features: Doubles
    inside: Bools
    far: Bools


def streams(data: Path, artifact: Artifact) -> Iterator[Rows]:
    """All that the weights are fitted to."""
    for name, label in labels(data / CINC2017, LABELS):
        recording = read_recording(data / CINC2017 / name)
        beats = _beats(recording, artifact)
        if len(beats) >= LEAST_BEATS:
            stream = joined(recording, beats)
            found = rows_of(name, label, stream, artifact)
            yield replace(
                found, inside=found.inside | (label == "A"), far=found.far & (label != "A")
            )
    for database, names in ((MITDB, DS1), (SVDB, _annotated(data / SVDB))):
        for name in names:
            path = data / database / name
            recording = read_recording(path)
            yield _marked(rows_of(name, database, recording, artifact), path)


def joined(recording: Recording, beats: Sequence[Beat]) -> Recording:
    """The recording again and again, from between its first two beats to between its last two.

    The trend from the one place to the other is taken off, so that a join is no step.
    """
    r_peaks = [beat.sample for beat in beats]
    begin, end = (round(a + PHASE * (b - a)) for a, b in (r_peaks[:2], r_peaks[-2:]))
    samples = recording.samples
    share = np.clip((np.arange(len(samples)) - begin) / (end - begin), 0, 1)[:, None]
    samples = samples - share * (samples[end] - samples[begin])
    wanted = round(STREAM_S * recording.fs)
    copies = max(0, -(-(wanted - end) // (end - begin)))
    again = [samples[begin:end]] * copies
    whole: Floats = np.concatenate([samples[:end], *again])[:wanted].astype(np.float32)
    return replace(recording, samples=whole)


def rows_of(name: str, kind: str, recording: Recording, artifact: Artifact) -> Rows:
    """The rows of a recording as the detector sees it; nothing is in atrial fibrillation yet."""
    present = artifact.coefficients.atrial_fibrillation
    rhythm, memory = Irregularity(artifact.spec, present), irregularity.nothing()
    scores = list(_scores(recording, artifact))
    pairs = [
        (score, found) for score in scores if (found := rhythm.push(memory, score)) is not None
    ]
    features = np.array([found for _, found in pairs]).reshape(-1, len(Features._fields))
    return Rows(
        name=name,
        kind=kind,
        fs=recording.fs,
        samples=len(recording.samples),
        first=scores[0].beat.sample if scores else 0,
        at=[score.beat.sample for score, _ in pairs],
        known_at=[score.known_at for score, _ in pairs],
        features=features,
        inside=np.zeros(len(pairs), np.bool_),
        far=np.ones(len(pairs), np.bool_),
    )


def _beats(recording: Recording, artifact: Artifact) -> list[Beat]:
    frontend = Frontend(artifact.spec, artifact.coefficients, recording.fs, recording.leads)
    step, samples = int(recording.fs), recording.samples
    seconds = (samples[first : first + step] for first in range(0, len(samples), step))
    events = [event for second in seconds for event in frontend.push(second)] + frontend.close()
    return [event for event in events if isinstance(event, Beat)]


def _scores(recording: Recording, artifact: Artifact) -> Iterator[Score]:
    model = Model(artifact.spec, artifact.networks, artifact.calibration)
    beats = _beats(recording, artifact)
    for first in range(0, len(beats), BATCH):
        yield from model.score(beats[first : first + BATCH])


def _annotated(folder: Path) -> list[str]:
    if not (names := sorted(file.stem for file in folder.glob("*.atr"))):
        raise RecordError(f"{folder}: no annotated record (.atr) there")
    return names


def _marked(rows: Rows, path: Path) -> Rows:
    """Where atrial fibrillation is annotated; flutter counts neither way."""
    spans = rhythms(path)
    at = np.array(rows.at) / rows.fs
    inside, far = rows.inside.copy(), rows.far.copy()
    for rhythm, span in spans:
        if rhythm in (AFIB, FLUTTER):
            far &= (at < span.begin) | (at >= span.end + SETTLE_S)
        if rhythm == AFIB:
            inside |= (at >= span.begin + SETTLE_S) & (at < span.end)
    return replace(rows, inside=inside, far=far)


def rhythms(path: Path) -> list[tuple[str, Span]]:
    """The annotated rhythms of the WFDB record at ``path``, in seconds."""
    import wfdb

    header, found = wfdb.rdheader(str(path)), wfdb.rdann(str(path), "atr")
    notes = [note.strip("\x00") for note in found.aux_note]
    changes = [
        (note[1:], at / header.fs)
        for note, at in zip(notes, found.sample.tolist(), strict=True)
        if note.startswith("(")
    ]
    changes.append(("", header.sig_len / header.fs))
    return [(name, Span(begin, end)) for (name, begin), (_, end) in pairwise(changes)]


def fit(rows: Sequence[Rows]) -> AtrialFibrillationCoefficients:
    """Logistic regression. Each stream weighs as much as another of its kind."""
    x, positive, kinds, streams = [], [], [], []
    for number, each in enumerate(rows):
        for truth, where in ((True, each.inside), (False, each.far)):
            count = int(where.sum())
            x.append(each.features[where])
            positive += [truth] * count
            kinds += [AFIB if truth else each.kind] * count
            streams += [number] * count
    _, stream, size = np.unique(streams, return_inverse=True, return_counts=True)
    weight = 1 / size[stream]
    names, kind = np.unique(kinds, return_inverse=True)
    share = np.array([SHARES.get(name, 1.0) for name in names.tolist()])
    weight *= (share / np.bincount(kind, weight))[kind]
    found = logistic_regression(np.concatenate(x), np.array(positive), weight)
    return AtrialFibrillationCoefficients(*rounded(found))


def begun(rows: Rows, rhythm: Irregularity, limit: float) -> list[int]:
    """The rows with which the episodes begin of the detector that ships, with this limit."""
    limits = replace(AlarmLimits(), af_log_odds_limit=limit)
    watch = Watch(limits, rows.fs)
    detector = AtrialFibrillationDetector(watch, rhythm)
    detector.state = State(first=rows.first)
    memory = watch.memory[0]
    found, due = [], 0
    for k, (at, known_at) in enumerate(zip(rows.at, rows.known_at, strict=True)):
        if k < due:
            continue
        log_odds = rhythm.log_odds(Features(*rows.features[k]))
        due = k + (SELDOM // EVERY if log_odds < CALM else 1)
        if compare(memory["atrial"], memory["limits"], log_odds, at, at):
            events = detector.begun_or_ended(known_at)
            found += [k for event in events if event.phase is Phase.START]
    return found


def cost(rows: Sequence[Rows], rhythms: Mapping[str, Irregularity], limit: float) -> str:
    """Recordings labelled A that are told in time, others that are told; false episodes an hour."""
    told, false, hours = (
        dict.fromkeys(LABELS, 0),
        dict.fromkeys(SHARES, 0),
        dict.fromkeys(SHARES, 0.0),
    )
    count = dict.fromkeys(LABELS, 0)
    for each in rows:
        starts = begun(each, rhythms[each.name], limit)
        if each.kind in LABELS:
            until = WITHIN_S if each.kind == "A" else STREAM_S
            count[each.kind] += 1
            told[each.kind] += any(each.known_at[k] <= until * each.fs for k in starts)
        else:
            false[each.kind] += int(each.far[starts].sum())
            hours[each.kind] += each.samples / each.fs / 3600
    parts = [f"{told[k]} of {count[k]} ({told[k] / max(1, count[k]):.1%}) {k}" for k in LABELS]
    parts += [f"{false[k]} false in {hours[k]:.1f} h {k}" for k in (MITDB, SVDB)]
    return f"limit {limit:4.2f}: " + ", ".join(parts)


def refit(data: Path, artifact: Artifact) -> Fit[AtrialFibrillationCoefficients]:
    """The weights anew; costs are those of folds that each record had no part in."""
    present, rows = artifact.coefficients.atrial_fibrillation, list(streams(data, artifact))
    fold = folds([each.name for each in rows])
    parts = [fit([each for each in rows if fold[each.name] != k]) for k in range(FOLDS)]
    rhythms = [Irregularity(artifact.spec, part) for part in parts]
    left_out = {each.name: rhythms[fold[each.name]] for each in rows}
    shipped = dict.fromkeys(left_out, Irregularity(artifact.spec, present))
    costs = [f"cross-validated by record, {cost(rows, left_out, limit)}" for limit in LIMITS]
    default = AlarmLimits().af_log_odds_limit
    costs.append(f"present, fitted to the same records, {cost(rows, shipped, default)}")
    return Fit("atrial_fibrillation", present, fit(rows), tuple(costs))
