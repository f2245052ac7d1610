"""Networks with their calibration: beats in, scores out. Knows no stream, no file and no policy.

The score of a beat is a weighted sum of standardised components, each measured against the same
patient's own, so that it means the same on every patient.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from msgspec.structs import replace

from beatgan.jit import compiled
from beatgan.model import features
from beatgan.model.bounded import bounded
from beatgan.model.calibration import LABELLED, UNLABELLED, Calibration, added
from beatgan.model.compiled_networks import (
    CompiledClassifier,
    CompiledRhythmDensity,
    probabilities,
)
from beatgan.model.inference import forward
from beatgan.model.networks import Network, Networks
from beatgan.spec import PreprocessSpec
from beatgan.types import (
    EMPTY,
    Beat,
    Doubles,
    Floats,
    PerClass,
    Quality,
    Score,
    Unrevised,
)

TEMPLATE_SHARE = 0.5  # not 1: the template itself may be of ectopic beats
ByClass = tuple[PerClass | None, Unrevised | None]
NO_CLASSES: ByClass = (None, None)
ERROR, DISTANCE, PREMATURITY, RR_SURPRISAL = range(len(UNLABELLED))  # places of components
MIN_ERROR = 1e-8  # of a mean squared error, so that its logarithm is finite


class Model:
    """A ``beatgan.model.scorer.Scorer``: stateless, shared by all streams.

    What a beat looks like is asked of its network on ``device``; when it comes and which class it
    is of, on the CPU, where that takes less time than the way to a GPU and back.
    """

    def __init__(
        self,
        spec: PreprocessSpec,
        networks: Networks,
        calibration: Calibration,
        device: str = "cpu",
    ) -> None:
        """Raises ArtifactError where a network needs torch there, and there is none."""
        self.calibration = calibration
        self.threshold = calibration.threshold
        self._constants = calibration.constants(UNLABELLED)
        self._class_constants = calibration.constants([LABELLED])
        self._look = Look(networks.beat, spec, device)
        self._rhythm = None if networks.rhythm is None else CompiledRhythmDensity(networks.rhythm)
        self._classes = None if networks.classes is None else CompiledClassifier(networks.classes)
        self._spec, self._name = spec, _name(networks, calibration)
        normal = calibration.normal_sq_diff if spec.scale == "patient" else ()
        self._normal_sq_diff = np.array(normal, np.float32) if normal else None

    @property
    def revises(self) -> bool:
        """Whether `revise` can say more than `score` did: where there are classes."""
        return self._classes is not None

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        """One score for each beat, in order; value None where the quality is unusable."""
        usable = [beat for beat in beats if beat.quality is not Quality.UNUSABLE]
        scored = iter(self._score(usable) if usable else ())
        return [
            self._unscored(beat) if beat.quality is Quality.UNUSABLE else next(scored)
            for beat in beats
        ]

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        """The scores again, now that the interval to the next beat, in ms, is known of each.

        One without ``unrevised``, or of another model, stays as it is.
        """
        pairs = [(s, self._own(s), ms) for s, ms in zip(scores, next_rr_ms, strict=True)]
        known = [(score, kept, ms) for score, kept, ms in pairs if kept is not None]
        if self._classes is None or not known:
            return list(scores)
        beats = [score.beat for score, _, _ in known]
        timing = features.timings(_rhythms(beats), [beat.prematurity for beat in beats])
        timing = features.with_next(timing, [ms for _, _, ms in known])
        shape = np.array([kept.shape_logits for _, kept, _ in known], np.float32)
        found, log_odds = probabilities(self._classes.timing(timing) + shape)
        rest = np.array([kept.value for _, kept, _ in known])
        values = rest + self._class_term(log_odds)
        revised = iter(
            replace(score, value=value, probabilities=tuple(shares))
            for (score, _, _), value, shares in zip(
                known, values.tolist(), found.tolist(), strict=True
            )
        )
        return [score if kept is None else next(revised) for score, kept, _ in pairs]

    def _own(self, score: Score) -> Unrevised | None:
        """What a revision of ``score`` begins with, if it is this model's."""
        kept = score.unrevised
        return kept if kept is not None and kept.model == self._name else None

    def _score(self, beats: Sequence[Beat]) -> list[Score]:
        windows = _stacked([beat.window for beat in beats])
        templates = _stacked([beat.template for beat in beats])
        found = self._look(windows, templates)
        rhythms, numbers = _rhythms(beats), _numbers(beats)
        components = np.full((len(beats), len(UNLABELLED)), np.nan)
        components[:, ERROR] = found.log_error
        components[:, DISTANCE] = numbers[:, BEAT_DISTANCE]
        components[:, PREMATURITY] = numbers[:, BEAT_PREMATURITY]
        if self._rhythm is not None:
            components[:, RR_SURPRISAL] = rr_surprisal(
                self._rhythm, rhythms, numbers[:, BEAT_RR_MS]
            )
        values, terms = added(components, self._constants)
        classes = [NO_CLASSES] * len(beats)
        if self._classes is not None:
            timing = features.timings(rhythms, numbers[:, BEAT_PREMATURITY])
            distances = np.ascontiguousarray(numbers[:, BEAT_LEAD_DISTANCES])
            values, classes = self._by_class(
                self._classes, beats, distances, values, timing, windows, templates
            )
        saliency = self._saliency(windows, templates, found.squared_error)
        rows = zip(
            beats,
            values.tolist(),
            found.windows,
            found.squared_error,
            saliency,
            found.spread if len(found.spread) else [EMPTY] * len(beats),
            classes,
            terms,
            strict=True,
        )
        return [
            Score(
                beat,
                value,
                self.threshold,
                window,
                error if beat.distance is None else against_own,
                probabilities=shares,
                spread=spread,
                unrevised=unrevised,
                terms=parts,
            )
            for beat, value, window, error, against_own, spread, (shares, unrevised), parts in rows
        ]

    def _by_class(
        self,
        classes: CompiledClassifier,
        beats: Sequence[Beat],
        distances: Doubles,
        rest: Doubles,
        timing: Floats,
        windows: Floats,
        templates: Floats,
    ) -> tuple[Doubles, list[ByClass]]:
        """The scores of beats whose other components add up to ``rest``, and what tells classes."""
        two = [beats[row] for row in np.flatnonzero(~np.isnan(distances[:, 1])).tolist()]
        second = (
            _stacked([b.second_window for b in two]),
            _stacked([b.second_template for b in two]),
        )
        shape = shape_logits(classes, (windows, templates), second, distances, self._spec)
        found, log_odds = probabilities(classes.timing(timing) + shape)
        rows = zip(found.tolist(), rest.tolist(), shape.tolist(), strict=True)
        return rest + self._class_term(log_odds), [
            (tuple(shares), Unrevised(value, tuple(logits), self._name))
            for shares, value, logits in rows
        ]

    def _class_term(self, log_odds: Doubles) -> Doubles:
        """What the ``log_odds`` (n,) of classes add to scores, (n,)."""
        return added(log_odds[:, np.newaxis], self._class_constants)[0]

    def _saliency(self, windows: Floats, templates: Floats, error: Floats) -> Floats:
        """The squared difference from the template, sample by sample, over that of normal beats.

        0 behind the scored samples, where the next beat may begin. ``error`` where the model does
        not know how normal beats differ. All (n, length).
        """
        if self._normal_sq_diff is None:
            return error
        saliency = np.zeros(windows.shape, np.float32)
        _against(windows, templates, self._normal_sq_diff, self._spec.scored.stop, saliency)
        return saliency

    def _unscored(self, beat: Beat) -> Score:
        nothing = np.empty(0, np.float32)
        return Score(beat, None, self.threshold, nothing, nothing)


def _name(networks: Networks, calibration: Calibration) -> str:
    """A short name of the networks' and the calibration's content, the same after a restart."""
    digest = hashlib.sha256(repr(calibration.to_dict()).encode())
    for part in networks.present().values():
        for weights in part.state.values():
            digest.update(weights.tobytes())
    return digest.hexdigest()[:12]


def _rhythms(beats: Sequence[Beat]) -> Floats:
    """The rhythm that each beat ends, (n, RHYTHM_SIZE)."""
    return _stacked([beat.rhythm for beat in beats])


# Columns of `_numbers`.
BEAT_DISTANCE, BEAT_PREMATURITY, BEAT_RR_MS, BEAT_LEAD_DISTANCES = 0, 1, 2, slice(3, 5)


def _numbers(beats: Sequence[Beat]) -> Doubles:
    """What each beat has in numbers (n, 5), NaN for None."""
    return np.array(
        [(b.distance, b.prematurity, b.rr_ms, *b.lead_distances) for b in beats], np.float64
    )


def rr_surprisal(density: CompiledRhythmDensity, rhythm: Floats, rr_ms: Doubles) -> Doubles:
    """How unlikely it was that each beat comes this early (n,); NaN where ``rr_ms`` (n,) is."""
    return np.where(np.isnan(rr_ms), np.nan, density(rhythm))


def shape_logits(
    classes: CompiledClassifier,
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    distances: Doubles,
    spec: PreprocessSpec,
) -> Floats:
    """What the shapes of beats say, logits (n, classes): of two leads the mean.

    ``first``: windows and templates (n, length) of the lead in use. ``distances`` (n, 2): see
    `Beat.lead_distances`, NaN for None. ``second``: windows and templates (m, length) of the m
    beats whose second distance is known, in order.
    """
    two = ~np.isnan(distances[:, 1])
    logits = classes.shape(features.shapes(*first, distances[:, 0], spec.before))
    if two.any():
        other = classes.shape(features.shapes(*second, distances[two, 1], spec.before))
        logits[two] = (logits[two] + other) / np.float32(2)
    return logits


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """What a network makes of windows.

    ``windows`` as reconstructed and ``squared_error`` of each sample, both (n, length), and the
    ``spread`` that it expects of normal beats, a standard deviation, or (0, length).
    ``log_error`` (n,) is the score's component ``error``: the natural log of the mean squared
    error of the scored samples. Where windows are in units of the patient's template but the
    network does not see that, TEMPLATE_SHARE times the template's own is subtracted: a patient
    whose every beat is unlike those of the training data is no anomaly.
    """

    windows: Floats
    squared_error: Floats
    spread: Floats
    log_error: Doubles


class Look:
    """A network that says what beats should look like, ready to be asked."""

    def __init__(self, network: Network, spec: PreprocessSpec, device: str = "cpu") -> None:
        """Raises ArtifactError where ``network`` needs torch on ``device``, and there is none."""
        self._in_context = network.architecture == "ContextAutoencoder"
        self._forward = forward(network, spec.length * (1 + self._in_context), device)
        self._spec = spec

    def __call__(self, windows: Floats, templates: Floats) -> Reconstruction:
        """Reconstruct ``windows`` of patients with ``templates``, both (n, length), `bounded`."""
        scored = self._spec.scored
        if self._in_context:
            rows = self._forward(np.concatenate([windows, templates], axis=1))
            expected, error, spread = (np.empty_like(windows) for _ in range(3))
            _compare(windows, rows, expected, error, spread)
            return Reconstruction(expected, error, spread, log_mean(error, scored))
        unknown = np.empty((0, self._spec.length), np.float32)
        if self._spec.scale == "beat":
            expected = self._forward(windows)
            error = squared_error(windows, expected)
            return Reconstruction(expected, error, unknown, log_mean(error, scored))
        both = np.concatenate([windows, templates])  # one pass takes less time than two
        expected = self._forward(both)
        error = squared_error(both, expected)
        of_windows, of_templates = np.split(log_mean(error, scored), 2)
        count = len(windows)
        return Reconstruction(
            expected[:count], error[:count], unknown, of_windows - TEMPLATE_SHARE * of_templates
        )


def squared_error(windows: Floats, reconstructed: Floats) -> Floats:
    """The squared error of each sample, in the shape and the squared units of ``windows``."""
    error = windows - reconstructed
    return error * error


def log_mean(error: Floats, columns: slice) -> Doubles:
    """The natural log of the mean of each row's ``columns``, (n, samples) to (n,).

    A mean is at least MIN_ERROR.
    """
    found = np.empty(len(error))
    _log_mean(error, *columns.indices(error.shape[1])[:2], found)
    return found


@compiled
def _log_mean(error: Floats, begin: int, end: int, found: Doubles) -> None:
    for row in range(error.shape[0]):
        total = 0.0
        for k in range(begin, end):
            total += error[row, k]
        found[row] = log(max(total / (end - begin), MIN_ERROR))


@compiled
def _compare(
    windows: Floats, rows: Floats, expected: Floats, error: Floats, spread: Floats
) -> None:
    """From a network's ``rows`` the expected windows, squared errors and standard deviations."""
    length = windows.shape[1]
    for row in range(windows.shape[0]):
        for k in range(length):
            expected[row, k] = rows[row, k]
            difference = windows[row, k] - rows[row, k]
            error[row, k] = difference * difference
            spread[row, k] = exp(rows[row, length + k] * np.float32(0.5))


@compiled
def _against(
    windows: Floats, templates: Floats, normal: Floats, stop: int, saliency: Floats
) -> None:
    """Squared differences in units of those of ``normal`` beats, of the samples until ``stop``."""
    for row in range(windows.shape[0]):
        for k in range(stop):
            difference = windows[row, k] - templates[row, k]
            saliency[row, k] = difference * difference / normal[k]


def _stacked(rows: Sequence[Floats]) -> Floats:
    """``rows`` of one length as an array, bounded; of none an empty one."""
    return bounded(np.concatenate(rows).reshape(len(rows), -1)) if rows else EMPTY
