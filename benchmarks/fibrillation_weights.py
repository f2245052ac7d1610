"""How the weights of vf_features.py are fitted, and what weights of other records would give.

Knows strips, annotations and nstdb's noises; knows no judge but by its limits. Run by
benchmarks/fibrillation.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from beatgan.alarms import ventricular_fibrillation
from beatgan.beats import emit
from beatgan.frontend import choose_leads
from beatgan.jit import compiled
from beatgan.records import Recording, read_recording
from beatgan.signal import filters, resample, signal_quality, vf_features
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Record
from beatgan_train.data.beat_set import locate
from beatgan_train.data.mitdb import DS1
from beatgan_train.ec57.annotations import read_reference
from benchmarks.clinical.noise import gain, noises

ODD = tuple(f"cu{n:02d}" for n in range(1, 36, 2))
SPEC = PreprocessSpec()
STEP_S = vf_features.RENEWED / SPEC.rate  # from one renewal of the chaos to the next
IN_TIME_S = 10.0  # an alarm later than this is a miss
BEFORE_S, AFTER_S = 20.0, 15.0  # an alarm so near to an annotated span belongs to it
APART_S = (5.0, 10.0)  # strips so near before and after one are neither
SNRS = (6, 0, -6)
NOISY_S = {"em0": 300, "ma0": 180, "bw0": 180}  # how long each noise is mixed in
SHARES = {"clean": 0.5, "noisy": 0.35, "cudb": 0.15}  # of the weight of all that is no fibrillation
FOLDS = 5
STEPS = 15  # of Newton's, for the fit

Mask = NDArray[np.bool_]
Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Strips of a recording: their ends (s), their features (leads, n, 4), what is annotated."""

    name: str
    kind: str  # see SHARES
    ends: Doubles
    features: Doubles
    spans: Spans


def spans_of(path: Path, seconds: float) -> Spans:
    """Where fibrillation or flutter is annotated, in seconds."""
    reference = read_reference(path)
    found = [(a / reference.fs, b / reference.fs) for a, b in reference.flutter]
    return [(a, min(b, seconds)) for a, b in found]


def delays(spans: Spans, alarms: Spans) -> list[float]:
    """For each annotated span, s from its onset to the alarm; infinite where there is none."""
    found = []
    for first, last in spans:
        during = [began for began, ended in alarms if ended >= first and began <= last]
        found.append(max(0.0, min(during) - first) if during else np.inf)
    return found


def astray(spans: Spans, alarms: Spans) -> Spans:
    """The alarms that are near no annotated span."""
    return [
        (began, ended)
        for began, ended in alarms
        if all(began > last + AFTER_S or ended < first - BEFORE_S for first, last in spans)
    ]


@compiled
def measure(s: Record, signal: Doubles, features: Doubles) -> None:
    """Write the features of the strips of a whole signal."""
    vf_features.begin(s)
    for k in range(signal.size // vf_features.PART):
        end = (k + 1) * vf_features.PART
        vf_features.take(s, signal[end - vf_features.PART : end])
        if end % vf_features.RENEWED == 0:
            row = vf_features.features(s)
            for i in range(4):
                features[end // vf_features.RENEWED - 1, i] = row[i]


def features_of(x: Doubles, fs: float) -> Doubles:
    """Features (n, 4) of the strips of one lead, by the front end's own path."""
    ratio = resample.design(fs, SPEC.rate)
    num, den = ratio.num, ratio.den
    y = np.empty(int(x.size * SPEC.rate / fs) + 2)
    made = resample.ready(0, num, den, ratio.delay)
    history = np.full(resample.MOST_TAPS, np.nan)
    y = y[: resample.run(x, y, history, ratio.taps, 0, made, num, den)]
    gate = np.zeros(1, signal_quality.STATE)[0]
    signal_quality.begin(gate)
    signal_quality.run(
        y, 0, gate, np.empty(y.size, signal_quality.CHANGE), np.empty(y.size, np.int64)
    )
    sos, steady, _ = filters.design(SPEC.rate, SPEC.highpass_hz, SPEC.lowpass_hz)
    filters.run(y, y, sos, steady, np.full((2, 2), np.nan))
    features = np.empty((y.size // vf_features.RENEWED, 4))
    measure(np.zeros(1, vf_features.STATE)[0], y, features)
    return features


def trial(name: str, kind: str, leads: Sequence[Doubles], fs: float, spans: Spans) -> Trial:
    """The strips of these leads."""
    features = np.stack([features_of(np.ascontiguousarray(x), fs) for x in leads])
    ends: Doubles = STEP_S * np.arange(1.0, features.shape[1] + 1)
    return Trial(name, kind, ends, features, spans)


def leads_of(recording: Recording) -> list[Doubles]:
    """The leads that the front end would choose."""
    columns = choose_leads(recording.leads, SPEC.leads, 2)
    return [recording.samples[:, column].astype(np.float64) for column in columns]


def noisy(name: str, recording: Recording, data: Path, turn: int) -> Iterator[Trial]:
    """Stretches of the recording, away from its flutter, with each noise at each SNR."""
    fs, reference = int(recording.fs), read_reference(locate(data, name))
    leads, mixed = [np.nan_to_num(x) for x in leads_of(recording)], noises(data)
    places = [(kind, snr) for kind in NOISY_S for snr in SNRS]
    for k, (kind, snr) in enumerate(places):
        seconds = NOISY_S[kind]
        at = 700 if reference.flutter else min(60 + 180 * k + 7 * turn, 1800 - seconds)
        parts = []
        for channel, ecg in enumerate(leads):
            noise = mixed[f"em{channel}" if kind == "em0" else kind]
            noise = np.roll(noise - noise.mean(), -9973 * turn - 5000 * k)
            part = ecg[at * fs : (at + seconds) * fs]
            parts.append(part + gain(ecg, reference, noise, snr) * np.resize(noise, part.size))
        yield trial(name, "noisy", parts, fs, [])


def material(data: Path) -> Iterator[Trial]:
    """All that the weights are fitted to."""
    for name in ODD:
        recording = read_recording(locate(data, name))
        spans = spans_of(locate(data, name), recording.samples.shape[0] / recording.fs)
        yield trial(name, "cudb", leads_of(recording), recording.fs, spans)
    for turn, name in enumerate(DS1):
        recording = read_recording(locate(data, name))
        spans = spans_of(locate(data, name), recording.samples.shape[0] / recording.fs)
        yield trial(name, "clean", leads_of(recording), recording.fs, spans)
        yield from noisy(name, recording, data, turn)


def labelled(trial: Trial) -> tuple[Mask, Mask]:
    """Which strips lie wholly in an annotated span, and which are far from all."""
    inside, far = np.zeros(trial.ends.size, np.bool_), np.ones(trial.ends.size, np.bool_)
    starts = trial.ends - vf_features.BLOCKS * vf_features.PART / SPEC.rate
    for first, last in trial.spans:
        inside |= (starts >= first) & (trial.ends <= last)
        far &= (trial.ends < first - APART_S[0]) | (starts > last + APART_S[1])
    return inside, far


def rows_of(trials: Sequence[Trial]) -> tuple[Doubles, Mask, Doubles]:
    """Features, truth and weight of all strips that count.

    Each record with fibrillation weighs as much as another.
    """
    x, y, groups = [], [], []
    for each in trials:
        inside, far = labelled(each)
        for lead in each.features:
            for true, rows in ((True, inside), (False, far)):
                rows = rows & np.isfinite(lead).all(axis=1)
                x.append(lead[rows])
                y.append(np.full(rows.sum(), true))
                groups += [each.name if true else each.kind] * int(rows.sum())
    names, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    records = sum(name not in SHARES for name in names)
    share = np.array([SHARES.get(name, 1 / records) for name in names.tolist()])
    return np.concatenate(x), np.concatenate(y), (share / size)[place]


def fit(trials: Sequence[Trial]) -> Doubles:
    """Weights and offset by logistic regression, in Newton's steps."""
    x, y, weight = rows_of(trials)
    x = np.column_stack([x, np.ones(len(x))])
    found = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(x @ found)))
        bend = (x * (weight * p * (1 - p))[:, None]).T @ x
        found += np.linalg.solve(bend, x.T @ (weight * (y - p)))
    return np.asarray(found, np.float64)


def running(each: Trial, weights: Doubles) -> Doubles:
    """The running chaos, as `telling.tell_strip` has it."""
    odds = np.clip(
        each.features @ weights[:4] + weights[4], vf_features.LOWEST, vf_features.HIGHEST
    )
    odds[np.isinf(each.features[..., 0])] = vf_features.LOWEST
    least = np.fmin.reduce(odds, axis=0)
    chaos, values = vf_features.LOWEST, []
    for value in np.where(np.isnan(least), vf_features.LOWEST, least):
        chaos += emit.SMOOTH * (value - chaos)
        values.append(chaos)
    return np.array(values)


def choose(data: Path) -> None:
    """Print the weights, and what weights of other records give."""
    trials = list(material(data))
    typer.echo("weights, offset: " + ", ".join(f"{w:.2f}" for w in fit(trials)))
    names = list(dict.fromkeys(t.name for t in trials))
    fold = {name: k % FOLDS for k, name in enumerate(np.random.default_rng(0).permutation(names))}
    chaos: list[tuple[Trial, Doubles]] = []
    for k in range(FOLDS):
        weights = fit([t for t in trials if fold[t.name] != k])
        chaos += [(t, running(t, weights)) for t in trials if fold[t.name] == k]
    for begins in np.arange(0.5, 3.0, 0.25):
        tell_folds(float(begins), [(t, alarms(t, c, float(begins))) for t, c in chaos])


def alarms(each: Trial, chaos: Doubles, begins: float) -> Spans:
    """When `fibrillation.Fibrillation` would begin and end, if it began with this running chaos."""
    found: list[tuple[float, float]] = []
    since: float | None = None
    for at, value in zip(each.ends.tolist(), chaos.tolist(), strict=True):
        if since is None and value >= begins:
            since = at
        elif since is not None and value <= ventricular_fibrillation.ENDS:
            found.append((since, at))
            since = None
    return found if since is None else [*found, (since, float(each.ends[-1]))]


def tell_folds(begins: float, told: Sequence[tuple[Trial, Spans]]) -> None:
    """Print what alarms that begin with this running chaos find, and what else they tell."""
    found = [d for t, a in told for d in delays(t.spans, a)]
    false = {
        kind: sum(len(astray(t.spans, a)) for t, a in told if t.kind == kind) for kind in SHARES
    }
    hours = {kind: sum(t.ends[-1] for t, _ in told if t.kind == kind) / 3600 for kind in SHARES}
    typer.echo(
        f"begins {begins:5.2f}: {sum(d <= IN_TIME_S for d in found)} of {len(found)} in time, "
        + ", ".join(f"{false[kind]} false in {hours[kind]:.1f} h {kind}" for kind in SHARES)
    )
