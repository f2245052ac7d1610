"""How long scoring takes, one thread, beside a generator of the published size in the same run.

Knows models and clocks; it knows no data set but the beats it is handed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from beatgan.model.artifact import Artifact
from beatgan.model.compiled_networks import CompiledClassifier, CompiledRhythmDensity, ForwardPass
from beatgan.model.features import shapes, timings
from beatgan.model.inference import forward
from beatgan.model.model import Model
from beatgan.model.networks import Networks
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.forward import one_thread
from beatgan.model.torch_modules.networks import Generator
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats

BATCHES = (1, 64)
BUDGET_S = 0.5  # of measuring for each figure


@dataclass(frozen=True, slots=True)
class Speed:
    """Microseconds a beat by batch size: all its networks alone, and all scoring."""

    name: str
    parameters: int
    network_us: dict[int, float]
    scoring_us: dict[int, float]


def compare(artifact: Artifact, beats: Sequence[Beat]) -> list[Speed]:
    """The artifact's network and, beside it, BeatGAN's generator as published (random weights).

    ``beats`` are usable ones, at least as many as the largest batch.
    """
    published = networks_of(Generator(artifact.spec.length))
    with one_thread():
        return [
            _measure(f"this {artifact.kind}", artifact.networks, artifact, beats),
            _measure("BeatGAN's generator as published", published, artifact, beats),
        ]


def _measure(name: str, networks: Networks, artifact: Artifact, beats: Sequence[Beat]) -> Speed:
    model = Model(artifact.spec, networks, artifact.calibration)
    work = _passes(networks, artifact.spec, beats)
    alone = {n: _per_beat(partial(_all, work, n), n) for n in BATCHES}
    whole = {n: _per_beat(partial(model.score, beats[:n]), n) for n in BATCHES}
    return Speed(name, networks.parameters, alone, whole)


def _passes(
    networks: Networks, spec: PreprocessSpec, beats: Sequence[Beat]
) -> list[tuple[ForwardPass, Floats]]:
    """The forward passes that a beat on one lead needs, each with its rows of ``beats``."""
    windows = np.stack([beat.window for beat in beats])
    templates = np.stack([beat.template for beat in beats])
    in_context = networks.beat.architecture == "ContextAutoencoder"
    rows = np.concatenate([windows, templates], axis=1) if in_context else windows
    found: list[tuple[ForwardPass, Floats]] = [(forward(networks.beat, rows.shape[1]), rows)]
    rhythm = np.stack([beat.rhythm for beat in beats])
    if networks.rhythm is not None:
        density = CompiledRhythmDensity(networks.rhythm)
        found.append((lambda each: density(each).astype(np.float32), rhythm))
    if networks.classes is not None:
        classes = CompiledClassifier(networks.classes)
        distances = [beat.lead_distances[0] for beat in beats]
        found.append((classes.timing, timings(rhythm, [beat.prematurity for beat in beats])))
        found.append((classes.shape, shapes(windows, templates, distances, spec.before)))
    return found


def _all(passes: Sequence[tuple[ForwardPass, Floats]], count: int) -> None:
    for forward_pass, rows in passes:
        forward_pass(rows[:count])


def _per_beat(work: Callable[[], object], count: int) -> float:
    """Microseconds a beat of the median run: a mean would include the machine's other work."""
    work()
    times: list[float] = []
    until = perf_counter() + BUDGET_S
    while perf_counter() < until or len(times) < 5:
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return 1e6 * float(np.median(times)) / count
