"""Networks as compiled passes for CPUs, with a copy of their weights.

Law as in `beatgan.model.dense_forward`: a row's bits depend on nothing but the row and the weights.
"""

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np

from beatgan.jit import compiled
from beatgan.model.architectures import (
    MAX_LOG_SCALE,
    MAX_LOG_VARIANCE,
    MIN_LOG_SCALE,
    MIN_LOG_VARIANCE,
    MIXED,
    SLOPE,
)
from beatgan.model.bounded import bounded
from beatgan.model.dense_forward import Dense, Layers, run, scaled_tanh, tanh
from beatgan.model.features import TIMING_SIZE, own_interval, past
from beatgan.model.networks import Network
from beatgan.types import Doubles, Floats

ForwardPass = Callable[[Floats], Floats]  # rows to as many rows of the same length

LEAST_TAIL = 1e-9  # a probability: keeps its logarithm finite
FURTHEST_LOGIT = 1e4  # either way: keeps differences finite, whatever the weights
CLASS_N, CLASS_Q = 0, 4  # places in `CLASSES`


def compiled_autoencoder(network: Network) -> ForwardPass | None:
    """The pass of a network that says what a beat looks like, `bounded`; None where there is none.

    BeatGAN's generator has none: convolutions are left to torch.
    """
    kinds: dict[str, Callable[[Network], ForwardPass]] = {
        "Student": CompiledStudent,
        "ContextAutoencoder": CompiledContextAutoencoder,
    }
    if network.architecture not in kinds:
        return None
    ready = kinds[network.architecture](network)
    return lambda rows: bounded(ready(rows))


class CompiledStudent:
    """A student: windows (n, length) to their reconstructions."""

    def __init__(self, student: Network) -> None:
        self._encoder, self._decoder = dense(student, "encoder"), dense(student, "decoder")
        self._amplitude = np.float32(student.amplitude)

    def __call__(self, windows: Floats) -> Floats:
        """The reconstructions of ``windows``."""
        found = self._decoder(self._encoder(windows / self._amplitude))
        scaled_tanh(found.reshape(-1), self._amplitude, found.reshape(-1))
        return found


class CompiledContextAutoencoder:
    """See `ContextAutoencoder`: rows (n, 2 * length) to rows of the same shape."""

    def __init__(self, network: Network) -> None:
        parts = [dense(network, part) for part in ("encoder", "template", "decoder")]
        self._layers = parts[0].layers, parts[1].layers, parts[2].layers
        self._latent, self._context = parts[0].outputs, parts[1].outputs
        self._amplitude = np.float32(network.amplitude)

    def __call__(self, rows: Floats) -> Floats:
        """Expected beats and log variances of ``rows``."""
        latent = np.empty((len(rows), self._latent), np.float32)
        context = np.empty((len(rows), self._context), np.float32)
        found = np.empty(rows.shape, np.float32)
        _expect(np.ascontiguousarray(rows), self._layers, self._amplitude, latent, context, found)
        return found


@compiled
def _expect(
    rows: Floats,
    layers: tuple[Layers, Layers, Layers],
    amplitude: np.float32,
    latent: Floats,
    context: Floats,
    found: Floats,
) -> None:
    """Write expected beats and bounded log variances of ``rows`` to ``found``."""
    encoder, template, decoder = layers
    length = rows.shape[1] // 2
    scaled = rows / amplitude
    run(scaled[:, :length].copy(), encoder, latent)
    run(scaled[:, length:].copy(), template, context)
    both = np.empty((rows.shape[0], latent.shape[1] + context.shape[1]), np.float32)
    for row in range(rows.shape[0]):
        for k in range(latent.shape[1]):
            both[row, k] = latent[row, k]
        for k in range(context.shape[1]):
            value = context[row, k]
            both[row, latent.shape[1] + k] = value if value > 0 else value * np.float32(SLOPE)
    run(both, decoder, found)
    low, high = np.float32(MIN_LOG_VARIANCE), np.float32(MAX_LOG_VARIANCE)
    for row in range(rows.shape[0]):
        for j in range(length):
            found[row, j] = rows[row, length + j] + tanh(found[row, j]) * amplitude
            found[row, length + j] = min(max(found[row, length + j], low), high)


class CompiledRhythmDensity:
    """Rhythms (n, RHYTHM_SIZE) to how unlikely it was that the beat comes this early (n,)."""

    def __init__(self, network: Network) -> None:
        self._layers = dense(network, "layers")

    def __call__(self, rhythm: Floats) -> Doubles:
        """The negative natural log of the probability of an interval this short or shorter."""
        surprisal = np.empty(len(rhythm))
        # Of one row a column is contiguous, of several it is not: one kind, for one compilation.
        interval = np.ascontiguousarray(own_interval(rhythm))
        _surprisal(self._layers(past(rhythm)), interval, surprisal)
        return surprisal


@compiled
def _surprisal(outputs: Floats, interval: Floats, surprisal: Doubles) -> None:
    """From the mixtures' weights before the softmax, locations and log scales, (n, 3 * MIXED)."""
    for row in range(outputs.shape[0]):
        highest = float(outputs[row, 0])
        for k in range(1, MIXED):
            highest = max(highest, float(outputs[row, k]))
        weights, below = 0.0, 0.0
        for k in range(MIXED):
            weight = exp(float(outputs[row, k]) - highest)
            scale = min(max(float(outputs[row, 2 * MIXED + k]), MIN_LOG_SCALE), MAX_LOG_SCALE)
            t = (float(interval[row]) - float(outputs[row, MIXED + k])) / exp(scale)
            q = t / sqrt(1 + t * t / 4)
            weights += weight
            below += weight * (0.5 + 0.375 * q * (1 - q * q / 12))  # Student's t, 4 degrees
        surprisal[row] = -log(max(below / weights, LEAST_TAIL))


class CompiledClassifier:
    """See `BeatClassifier`; its two parts apart, since a revision needs only the first anew."""

    def __init__(self, network: Network) -> None:
        self._timing = dense(network, "timing")
        self._with_next = dense(network, "timing_with_next")
        self._shape = dense(network, "shape")

    def timing(self, timing: Floats) -> Floats:
        """What timing says, logits (n, classes), of beats with or without the next interval."""
        return (self._timing if timing.shape[1] == TIMING_SIZE else self._with_next)(timing)

    def shape(self, shapes: Floats) -> Floats:
        """What the shape on one lead says, logits (n, classes)."""
        return self._shape(shapes)


def probabilities(logits: Floats) -> tuple[Doubles, Doubles]:
    """Of logits (n, classes): the classes' probabilities, and the log odds (n,) of S, V or F to N.

    Q, what cannot be classified, has no say in the odds. All are finite: a logit that is NaN counts
    as 0, one beyond +-FURTHEST_LOGIT as that.
    """
    shares, log_odds = np.empty(logits.shape), np.empty(len(logits))
    _probabilities(logits, shares, log_odds)
    return shares, log_odds


@compiled
def _probabilities(logits: Floats, shares: Doubles, log_odds: Doubles) -> None:
    for row in range(logits.shape[0]):
        known = shares[row]
        for k in range(known.size):
            logit = 0.0 if np.isnan(logits[row, k]) else float(logits[row, k])
            known[k] = min(max(logit, -FURTHEST_LOGIT), FURTHEST_LOGIT)
        highest, normal, ectopic_highest = known[0], known[CLASS_N], known[CLASS_N + 1]
        for k in range(1, known.size):
            highest = max(highest, known[k])
        for k in range(CLASS_N + 2, CLASS_Q):
            ectopic_highest = max(ectopic_highest, known[k])
        total, ectopic = 0.0, 0.0
        for k in range(known.size):
            if CLASS_N < k < CLASS_Q:
                ectopic += exp(known[k] - ectopic_highest)
            known[k] = exp(known[k] - highest)
            total += known[k]
        for k in range(known.size):
            known[k] /= total
        log_odds[row] = log(ectopic) + ectopic_highest - normal


def dense(network: Network, part: str) -> Dense:
    """The compiled pass of a part's linear layers, with LeakyReLU between; without dropout."""
    state = network.state
    names = [
        name.removesuffix(".weight")
        for name in state
        if name.startswith(f"{part}.") and name.endswith(".weight")
    ]
    slopes = [SLOPE] * (len(names) - 1) + [1.0]
    return Dense.of(
        [
            (state[f"{name}.weight"], state[f"{name}.bias"], slope)
            for name, slope in zip(names, slopes, strict=True)
        ]
    )
