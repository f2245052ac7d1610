"""The weights that separate noise from beats, fitted to clean records and to noise mixed in.

A row is a detected beat of one lead. It counts as noise where it lies in a noisy stretch of DS1
(without 118 and 119) with nstdb's noises mixed in and no reference beat is near; as no noise where
it is a reference beat of DS1 as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beatgan.beats import beat_quality, emit, lead_pipeline, stream
from beatgan.beats.beat_quality import REPEATS
from beatgan.beats.lead_pipeline import Lead, Plan
from beatgan.coefficients import AlarmCoefficients, NoiseCoefficients, NoiseWeights
from beatgan.ec57.annotations import Reference, read_reference
from beatgan.frontend import choose_leads
from beatgan.jit import compiled
from beatgan.records import Recording, read_recording
from beatgan.signal import resample, rhythm_status, signal_quality
from beatgan.signal.latest_samples import BLOCK
from beatgan.spec import PreprocessSpec
from beatgan.types import Bools, Doubles, Ints
from beatgan_train.data.beat_set import beats_of, label_beats, locate
from beatgan_train.data.mitdb import DS1
from beatgan_train.training.coefficients.noise_stress import (
    SHIFT,
    STRESSED,
    in_noise,
    mixed,
    noises,
)
from beatgan_train.training.coefficients.regression import (
    FOLDS,
    Fit,
    folds,
    logistic_regression,
    rounded,
)

SNRS = (24, 18, 12, 6, 0, -6)
HF_NOISE = 1  # the column that one of the two fits does without
MOST_BEATS = 8  # a second, in the room for rows


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One lead of a record, clean, or with noise in the noisy stretches."""

    recording: Recording
    reference: Reference
    noisy: bool


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Of one record: features (n, 4), and which rows are noise."""

    patient: str
    features: Doubles
    noise: Bools


def trials(data: Path, spec: PreprocessSpec) -> Iterator[Trial]:
    """All that the weights are fitted to."""
    mixed_in = noises(data)
    unstressed = [name for name in DS1 if name not in STRESSED]
    for name in DS1:
        path = locate(data, name)
        recording, reference = read_recording(path), read_reference(path)
        column = choose_leads(recording.leads, spec.leads, 1)[0]
        lead, samples = recording.leads[column], recording.samples[:, [column]]
        yield Trial(replace(recording, leads=(lead,), samples=samples), reference, False)
        if name in STRESSED:
            continue
        for noise in mixed_in.values():
            shifted = np.roll(noise, -SHIFT * unstressed.index(name))
            for snr in SNRS:
                yield Trial(mixed(recording, column, reference, shifted, snr), reference, True)


@compiled
def _measure(
    lead: Lead, plan: Plan, taps: Doubles, x: Doubles, places: Ints, features: Doubles
) -> int:
    """Write R peak and features of each beat that a whole signal has; how many they are.

    Beats near lost signal, and those that repeat another, are left out: no weight decides on them.
    """
    changes = np.empty(signal_quality.MAX_CHANGES, signal_quality.CHANGE)
    idle = np.empty(BLOCK, np.int64)
    looks = np.empty(rhythm_status.MAX_STATUSES, rhythm_status.STATUS)
    window, template = np.empty(plan.length), np.empty(plan.length)
    state = np.zeros(1, beat_quality.STATE)
    made, count = 0, 0
    lead_pipeline.begin(lead, 0)
    for start in range(0, x.size, plan.turn):
        block = x[start : start + plan.turn]
        made, _ = lead_pipeline.push(lead, plan, taps, block, start, made, changes, idle, looks)
        while lead.waiting and stream.due(lead, plan) < made:
            peak = lead.found[0].r_peak
            if lead_pipeline.whole(lead, plan, peak, made):
                state[0] = lead.noise
                lead_pipeline.compare(lead, plan, peak, made, emit.FREE, window, template)
                distance = beat_quality.template_distance(state[0], window, template, plan.before)
                start_of_window = peak - plan.before - plan.align
                stop = start_of_window + plan.length + 2 * plan.align
                first = start_of_window - lead_pipeline.SETTLE  # as `compare` grades it
                signal = lead_pipeline.span(lead, first, stop, made)
                if distance >= REPEATS and not np.isnan(signal).any():
                    row = beat_quality.features(signal, template, distance)
                    places[count] = peak - plan.late
                    for i in range(4):
                        features[count, i] = row[i]
                    count += 1
            stream.drop_first(lead)
    return count


def rows_of(trial: Trial, spec: PreprocessSpec, coefficients: AlarmCoefficients) -> Rows:
    """The rows of one recording, by the front end's own path."""
    recording = trial.recording
    plan = lead_pipeline.plan(spec, coefficients, recording.fs)
    taps = resample.design(recording.fs, spec.rate).taps
    room = int(MOST_BEATS * len(recording.samples) / recording.fs)
    places, features = np.empty(room, np.int64), np.empty((room, 4))
    x = np.ascontiguousarray(recording.samples[:, 0], np.float64)
    state = np.zeros(1, lead_pipeline.layout(spec))[0]
    count = _measure(state, plan[0], taps, x, places, features)
    samples = np.round(places[:count] * recording.fs / spec.rate).astype(np.int64)
    label, _ = label_beats(samples, trial.reference)
    unmatched = label == ""
    kept = in_noise(samples, recording.fs) & unmatched if trial.noisy else ~unmatched
    return Rows(recording.name, features[:count][kept], unmatched[kept])


def fit(rows: Sequence[Rows], present: NoiseCoefficients) -> NoiseCoefficients:
    """Logistic regression with and without the high-frequency part; both classes weigh alike."""
    x = np.concatenate([each.features for each in rows])
    noise = np.concatenate([each.noise for each in rows])
    weight = 0.5 / np.where(noise, noise.sum(), (~noise).sum())
    with_hf = logistic_regression(x, noise, weight)
    without_hf = logistic_regression(np.delete(x, HF_NOISE, axis=1), noise, weight)
    return replace(
        present,
        with_hf_noise=NoiseWeights(*rounded(with_hf)),
        without_hf_noise=NoiseWeights(*rounded(np.insert(without_hf, HF_NOISE, 0.0))),
    )


def declared(trial: Trial, spec: PreprocessSpec, coefficients: AlarmCoefficients) -> Ints:
    """Beats by what they are (3: of a clean record, of noise, false) and by grade (3)."""
    beats = beats_of(trial.recording, spec, coefficients)
    samples = np.array([beat.sample for beat in beats], np.int64)
    label, _ = label_beats(samples, trial.reference)
    what = np.where(label == "", 2, 1) if trial.noisy else np.zeros(len(beats), np.int64)
    kept = in_noise(samples, trial.recording.fs) if trial.noisy else label != ""
    grade = np.array([beat_quality.QUALITIES.index(beat.quality) for beat in beats], np.int64)
    counts = np.bincount((3 * what + grade)[kept], minlength=9)
    return np.asarray(counts.reshape(3, 3), np.int64)


def cost(counts: Ints) -> str:
    """The shares declared poor and unusable."""
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    names = ("beats of clean records", "beats in noise", "false beats in noise")
    return "; ".join(
        f"of {name} {share[beat_quality.POOR]:.2f} % poor, "
        f"{share[beat_quality.UNUSABLE]:.2f} % unusable"
        for name, share in zip(names, shares, strict=True)
    )


def refit(data: Path, spec: PreprocessSpec, present: AlarmCoefficients) -> Fit[NoiseCoefficients]:
    """The weights anew; costs are those of folds that each patient had no part in.

    The grades' limits are kept as they are.
    """
    rows = [rows_of(trial, spec, present) for trial in trials(data, spec)]
    fold = folds([each.patient for each in rows])
    others = [
        replace(present, noise=fit([r for r in rows if fold[r.patient] != k], present.noise))
        for k in range(FOLDS)
    ]
    left_out, shipped = np.zeros((3, 3), np.int64), np.zeros((3, 3), np.int64)
    for trial in trials(data, spec):
        left_out += declared(trial, spec, others[fold[trial.recording.name]])
        shipped += declared(trial, spec, present)
    costs = (
        f"cross-validated by patient: {cost(left_out)}",
        f"present, fitted to the same patients: {cost(shipped)}",
    )
    return Fit("noise", present.noise, fit(rows, present.noise), costs)
