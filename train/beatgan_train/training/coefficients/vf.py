"""The weights by which ventricular fibrillation is recognised, fitted to annotated records.

Fitted to the odd records of cudb and to DS1, clean and with nstdb's noises mixed in. A row is what
is seen over 3 s of one lead; rows near the edge of an annotated episode are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_fibrillation import (
    OWN_BEATS,
    State,
    VentricularFibrillationDetector,
)
from beatgan.alarms.watch import Watch
from beatgan.coefficients import AlarmCoefficients, VfCoefficients
from beatgan.ec57.annotations import Reference, read_reference
from beatgan.ec57.episodes import (
    VF_LIMIT_S,
    DetectedEpisode,
    RhythmReference,
    Span,
    read_rhythm,
    vf_detections,
    vf_is_true,
)
from beatgan.frontend import Frontend, choose_leads
from beatgan.jit import compiled
from beatgan.records import Recording, read_recording
from beatgan.signal import filters, resample, signal_quality, vf_features
from beatgan.spec import PreprocessSpec
from beatgan.types import Bools, Doubles, Floats, Phase, RhythmStatus
from beatgan_train.data.beat_set import locate
from beatgan_train.data.mitdb import DS1
from beatgan_train.training.coefficients.noise_stress import SHIFT, gain, noises
from beatgan_train.training.coefficients.regression import (
    FOLDS,
    Fit,
    folds,
    logistic_regression,
    rounded,
)

ODD = tuple(f"cu{n:02d}" for n in range(1, 36, 2))
MARGIN_S = (5.0, 10.0)  # rows that end so near before, or begin so near after, an episode: neither
SNRS = (6, 0, -6)
NOISY_S = {"em0": 300, "ma0": 180, "bw0": 180}  # how long each noise is mixed in
SHARES = {"clean": 0.5, "noisy": 0.35, "cudb": 0.15}  # of the weight of rows without fibrillation
LIMITS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25)  # log odds that begin an alarm, for the report
COUNT = 4  # features


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A stretch of a recording of at most two leads; ``kind``: see SHARES."""

    patient: str
    kind: str
    recording: Recording
    reference: RhythmReference


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A trial's rows: features (n, 4), and where each counts: in an episode, or far from all."""

    trial: Trial
    features: Doubles
    inside: Bools
    far: Bools


def trials(data: Path, spec: PreprocessSpec) -> Iterator[Trial]:
    """All that the weights are fitted to."""
    for name in ODD:
        path = locate(data, name)
        yield Trial(name, "cudb", _leads(read_recording(path), spec), read_rhythm(path))
    mixed_in = noises(data)
    for place, name in enumerate(DS1):
        path = locate(data, name)
        recording = _leads(read_recording(path), spec)
        yield Trial(name, "clean", recording, read_rhythm(path))
        yield from _noisy(recording, read_reference(path), mixed_in, place)


def _leads(recording: Recording, spec: PreprocessSpec) -> Recording:
    """The leads that the front end would choose."""
    columns = choose_leads(recording.leads, spec.leads, 2)
    leads = tuple(recording.leads[column] for column in columns)
    return replace(recording, leads=leads, samples=recording.samples[:, columns])


def _noisy(
    recording: Recording, reference: Reference, mixed_in: Mapping[str, Doubles], place: int
) -> Iterator[Trial]:
    """Stretches of the recording, away from its flutter, with each noise at each SNR."""
    fs = int(recording.fs)
    ecgs = [np.nan_to_num(lead.astype(np.float64)) for lead in recording.samples.T]
    for k, (kind, snr) in enumerate((kind, snr) for kind in NOISY_S for snr in SNRS):
        seconds = NOISY_S[kind]
        at = 700 if reference.flutter else min(60 + 180 * k + 7 * place, 1800 - seconds)
        leads = []
        for channel, ecg in enumerate(ecgs):
            noise = np.roll(mixed_in[f"em{channel}" if kind == "em0" else kind], -SHIFT * place)
            noise = np.roll(noise, -5000 * k)
            part = ecg[at * fs : (at + seconds) * fs]
            leads.append(part + gain(ecg, reference, noise, snr) * np.resize(noise, part.size))
        samples: Floats = np.stack(leads, axis=1).astype(np.float32)
        nothing = RhythmReference(recording.name, seconds, (), (), ())
        yield Trial(recording.name, "noisy", replace(recording, samples=samples), nothing)


@compiled
def _measure(s: vf_features.State, signal: Doubles, features: Doubles) -> None:
    """Write the features of a whole filtered signal."""
    vf_features.begin(s)
    for k in range(signal.size // vf_features.PART):
        end = (k + 1) * vf_features.PART
        vf_features.push_part(s, signal[end - vf_features.PART : end])
        if end % vf_features.VF_INTERVAL == 0:
            row = vf_features.features(s)
            for i in range(COUNT):
                features[end // vf_features.VF_INTERVAL - 1, i] = row[i]


def features_of(x: Doubles, fs: float, spec: PreprocessSpec) -> Doubles:
    """Features (n, 4) of one lead, one row each `vf_features.RENEWED`, by the front end's path."""
    ratio = resample.design(fs, spec.rate)
    num, den = ratio.num, ratio.den
    y = np.empty(int(x.size * spec.rate / fs) + 2)
    made = resample.ready(0, num, den, ratio.delay)
    history = np.full(resample.MAX_TAPS, np.nan)
    y = y[: resample.run(x, y, history, ratio.taps, 0, made, num, den)]
    gate = np.zeros(1, signal_quality.STATE)[0]
    signal_quality.begin(gate)
    signal_quality.run(
        y, 0, gate, np.empty(y.size, signal_quality.CHANGE), np.empty(y.size, np.int64)
    )
    sos, steady, _ = filters.design(spec.rate, spec.highpass_hz, spec.lowpass_hz)
    filters.run(y, y, sos, steady, np.full((2, 2), np.nan))
    features = np.empty((y.size // vf_features.VF_INTERVAL, COUNT))
    _measure(np.zeros(1, vf_features.STATE)[0], y, features)
    return features


def rows_of(trial: Trial, spec: PreprocessSpec) -> Rows:
    """The rows of all of its leads."""
    fs, leads = trial.recording.fs, trial.recording.samples.T.astype(np.float64)
    parts = [features_of(np.ascontiguousarray(lead), fs, spec) for lead in leads]
    ends = vf_features.VF_INTERVAL / spec.rate * np.arange(1.0, len(parts[0]) + 1)
    starts = ends - vf_features.BLOCKS * vf_features.PART / spec.rate
    inside, far = np.zeros(ends.size, np.bool_), np.ones(ends.size, np.bool_)
    for first, last in trial.reference.flutter:
        inside |= (starts >= first) & (ends <= last)
        far &= (ends < first - MARGIN_S[0]) | (starts > last + MARGIN_S[1])
    features = np.concatenate(parts)
    known = np.isfinite(features).all(axis=1)
    inside, far = np.tile(inside, len(parts)) & known, np.tile(far, len(parts)) & known
    return Rows(trial, features, inside, far)


def fit(rows: Sequence[Rows]) -> VfCoefficients:
    """Logistic regression. Each record with fibrillation weighs as much as another."""
    x, positive, groups = [], [], []
    for each in rows:
        for truth, where in ((True, each.inside), (False, each.far)):
            x.append(each.features[where])
            positive.append(np.full(where.sum(), truth))
            groups += [each.trial.patient if truth else each.trial.kind] * int(where.sum())
    names, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    records = sum(name not in SHARES for name in names)
    share = np.array([SHARES.get(name, 1 / records) for name in names.tolist()])
    found = logistic_regression(np.concatenate(x), np.concatenate(positive), (share / size)[place])
    return VfCoefficients(*rounded(found))


@dataclass(frozen=True, slots=True, eq=False)
class Statuses:
    """What the front end reports of a trial's rhythm, with some coefficients."""

    trial: Trial
    events: Sequence[RhythmStatus]

    def alarms(self, limit: float) -> list[DetectedEpisode]:
        """The episodes of the detector that ships, if this log odds begins one. In seconds."""
        fs, seconds = self.trial.recording.fs, self.trial.reference.seconds
        watch = Watch(replace(AlarmLimits(), vf_log_odds_limit=limit), fs)
        detector = VentricularFibrillationDetector(watch)
        detector.state = State(own_beats=OWN_BEATS)  # it is told no beats
        events = [each for status in self.events for each in detector.push(status)]
        events += detector.close(len(self.trial.recording.samples))
        raised = [each for each in events if each.phase is Phase.START]
        ends = [each.at for each in events if each.phase is Phase.END]
        return [
            DetectedEpisode(start.known_at / fs, Span(start.onset / fs, min(end / fs, seconds)))
            for start, end in zip(raised, ends, strict=True)
        ]


def statuses(trial: Trial, spec: PreprocessSpec, coefficients: AlarmCoefficients) -> Statuses:
    """The trial through the front end."""
    recording, step = trial.recording, round(trial.recording.fs)
    frontend = Frontend(spec, coefficients, recording.fs, recording.leads)
    events = [
        event
        for start in range(0, len(recording.samples), step)
        for event in frontend.push(recording.samples[start : start + step])
        if isinstance(event, RhythmStatus)
    ]
    return Statuses(trial, events)


def cost(found: Sequence[Statuses], limit: float) -> str:
    """Episodes detected, and false alarms by kind of recording."""
    pairs = [(each.trial, each.alarms(limit)) for each in found]
    episodes = [each for trial, alarms in pairs for each in vf_detections(trial.reference, alarms)]
    in_time = sum(each.outcome == "in time" for each in episodes)
    line = f"limit {limit:4.2f}: {in_time} of {len(episodes)} within {VF_LIMIT_S:g} s; false: "
    parts = []
    for kind in SHARES:
        here = [(trial, alarms) for trial, alarms in pairs if trial.kind == kind]
        hours = sum(trial.reference.seconds for trial, _ in here) / 3600
        false = sum(not vf_is_true(a, t.reference.flutter) for t, alarms in here for a in alarms)
        parts.append(f"{false} in {hours:.1f} h {kind}")
    return line + ", ".join(parts)


def refit(data: Path, spec: PreprocessSpec, present: AlarmCoefficients) -> Fit[VfCoefficients]:
    """The weights anew; costs are those of folds that each patient had no part in."""
    rows = [rows_of(trial, spec) for trial in trials(data, spec)]
    fold = folds([each.trial.patient for each in rows])
    left_out = []
    for k in range(FOLDS):
        others = fit([each for each in rows if fold[each.trial.patient] != k])
        left_out += [
            statuses(each.trial, spec, replace(present, vf=others))
            for each in rows
            if fold[each.trial.patient] == k
        ]
    shipped = [statuses(each.trial, spec, present) for each in rows]
    costs = [f"cross-validated by patient, {cost(left_out, limit)}" for limit in LIMITS]
    default = AlarmLimits().vf_log_odds_limit
    return Fit(
        "vf",
        present.vf,
        fit(rows),
        (*costs, f"present, fitted to the same patients, {cost(shipped, default)}"),
    )
