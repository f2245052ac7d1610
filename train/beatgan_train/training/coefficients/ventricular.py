"""The weights by which a ventricular beat is recognised, fitted to DS1 and one model's scores.

A row is a beat of class N, S or V that is suspicious enough for its shape to be looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beatgan.alarms.detector import AlarmInput
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_beat import Features, VentricularClassifier
from beatgan.alarms.ventricular_run import VentricularRunDetector
from beatgan.coefficients import VentricularCoefficients
from beatgan.frontend import Frontend
from beatgan.model.artifact import Artifact
from beatgan.model.model import Model
from beatgan.records import read_recording
from beatgan.types import Beat, Bools, Doubles, Phase, Score
from beatgan_train.data.beat_set import label_beats, locate
from beatgan_train.data.mitdb import DS1
from beatgan_train.ec57.annotations import Reference, read_reference
from beatgan_train.ec57.episodes import (
    RUN_TOLERANCE_S,
    DetectedEpisode,
    EpisodeComparison,
    RhythmReference,
    Span,
    compare,
    read_rhythm,
    run_detection,
    union,
)
from beatgan_train.training.coefficients.noise_stress import STRESSED
from beatgan_train.training.coefficients.regression import Fit, logistic_regression, rounded

NOISY = tuple(f"{r}e{snr}" for r in STRESSED for snr in ("24", "18", "12", "06", "00", "_6"))
RIDGE = 3.3  # on weights of features in units of their spread
EVIDENCE = 10.0  # a patient's beats of a class weigh together: this, times the root of their number
# Added to the fitted offset: where, cross-validated by patient, most runs are found before false
# ones multiply. See the costs that `refit` reports.
SHIFT = 0.75
SHIFTS = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
BATCH = 256  # beats scored at once


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One record as the alarms see it, and what is annotated."""

    name: str
    fs: float
    samples: int
    evidence: tuple[AlarmInput, ...]
    beats: Reference
    rhythm: RhythmReference

    def runs(self, classifier: VentricularClassifier) -> list[DetectedEpisode]:
        """The episodes of the detector that ships, with these coefficients. In seconds."""
        detector, fs = VentricularRunDetector(AlarmLimits(), classifier, self.fs), self.fs
        events = [each for event in self.evidence for each in detector.push(event)]
        events += detector.close(self.samples)
        raised = {each.onset: each for each in events if each.phase is Phase.START}
        return [
            DetectedEpisode(
                raised[each.onset].known_at / fs,
                Span(each.onset / fs, (each.at if each.end is None else each.end) / fs),
            )
            for each in events
            if each.phase is Phase.END
        ]


def stream(data: Path, name: str, artifact: Artifact) -> Stream:
    """The record ``name``, a second at a time."""
    path = locate(data, name)
    recording = read_recording(path)
    model = Model(artifact.spec, artifact.networks, artifact.calibration)
    frontend = Frontend(artifact.spec, artifact.coefficients, recording.fs, recording.leads)
    step, samples = int(recording.fs), recording.samples
    seconds = (samples[first : first + step] for first in range(0, len(samples), step))
    events = [event for second in seconds for event in frontend.push(second)] + frontend.close()
    beats = [event for event in events if isinstance(event, Beat)]
    batches = (beats[first : first + BATCH] for first in range(0, len(beats), BATCH))
    scores = (score for batch in batches for score in model.score(batch))
    evidence = tuple(next(scores) if isinstance(event, Beat) else event for event in events)
    reference = read_reference(path).at(recording.fs)
    return Stream(name, recording.fs, len(samples), evidence, reference, read_rhythm(path))


def rows_of(each: Stream, classifier: VentricularClassifier) -> tuple[Doubles, Bools]:
    """Features (n, 4) of the suspicious beats of known class N, S or V; which of them are V."""
    scores = [event for event in each.evidence if isinstance(event, Score)]
    at = np.array([score.beat.sample for score in scores], np.int64)
    labels = label_beats(at, each.beats)[0]
    labels[each.beats.in_flutter(at)] = ""
    rows, ventricular = [], []
    for score, label in zip(scores, labels.tolist(), strict=True):
        if label in ("N", "S", "V") and score.value is not None and classifier.suspicious(score):
            rows.append(classifier.features(score, score.value))
            ventricular.append(label == "V")
    return np.array(rows, np.float64).reshape(-1, 4), np.array(ventricular, np.bool_)


def fit(
    parts: Sequence[tuple[Doubles, Bools]], present: VentricularCoefficients, shift: float
) -> VentricularCoefficients:
    """Logistic regression. A patient's beats of a class weigh as the root of their number."""
    x, positive = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    weight = np.concatenate(
        [EVIDENCE / np.sqrt(np.where(truth, truth.sum(), (~truth).sum())) for _, truth in parts]
    )
    found = logistic_regression(x, positive, weight, RIDGE)
    found[-1] += shift
    names = (*Features._fields, "offset")
    return replace(present, **dict(zip(names, rounded(found), strict=True)))


def cost(streams: Sequence[Stream], classifiers: Mapping[str, VentricularClassifier]) -> str:
    """Runs found and false episodes; nstdb's records are named after their patients."""
    total, fast, found_fast, in_noise = EpisodeComparison(), 0, 0, 0
    for each in streams:
        detected = each.runs(classifiers[each.name[:3]])
        found = compare(union(each.rhythm.ventricular), detected, RUN_TOLERANCE_S)
        if each.name in NOISY:
            in_noise += found.false
            continue
        total += found
        quick = [run for run in each.rhythm.runs() if run.rate >= AlarmLimits().vt_rate]
        fast += len(quick)
        found_fast += sum(run_detection(run, detected) is not None for run in quick)
    return f"{found_fast} of {fast} fast runs; {total.false} false, {in_noise} more in noise"


def refit(data: Path, artifact: Artifact) -> Fit[VentricularCoefficients]:
    """The weights anew, for the scores of this model; costs are those of patients left out.

    The network itself has learnt from all of DS1.
    """
    spec, present = artifact.spec, artifact.coefficients.ventricular
    shipped = VentricularClassifier(spec, present)
    streams = [stream(data, name, artifact) for name in DS1]
    noisy = [stream(data, name, artifact) for name in NOISY]
    parts = [rows_of(each, shipped) for each in streams]
    left_out = {
        each.name: fit(parts[:k] + parts[k + 1 :], present, 0.0) for k, each in enumerate(streams)
    }
    costs = []
    for shift in SHIFTS:
        shifted = {
            name: VentricularClassifier(spec, replace(each, offset=each.offset + shift))
            for name, each in left_out.items()
        }
        line = cost([*streams, *noisy], shifted)
        chosen = ", as chosen" if shift == SHIFT else ""
        costs.append(f"cross-validated by patient, shifted by {shift:+.2f}{chosen}: {line}")
    as_shipped = cost([*streams, *noisy], dict.fromkeys(left_out, shipped))
    costs.append(f"present, fitted to the same patients: {as_shipped}")
    return Fit("ventricular", present, fit(parts, present, SHIFT), tuple(costs))
