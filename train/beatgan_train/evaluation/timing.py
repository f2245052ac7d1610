"""How long scoring takes, one thread, beside a generator of the published size in the same run.

Knows models and clocks; it knows no data set but the beats it is handed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np
import torch

from beatgan.model.artifact import Artifact
from beatgan.model.context_networks import ContextAutoencoder, Networks
from beatgan.model.inference import one_thread
from beatgan.model.model import Model
from beatgan.model.networks import Generator
from beatgan.types import Beat

BATCHES = (1, 64)
BUDGET_S = 0.5  # of measuring for each figure


@dataclass(frozen=True, slots=True)
class Speed:
    """Microseconds a beat by batch size: the network of beats alone, and all scoring."""

    name: str
    parameters: int
    network_us: dict[int, float]
    scoring_us: dict[int, float]


def compare(artifact: Artifact, beats: Sequence[Beat]) -> list[Speed]:
    """The artifact's network and, beside it, BeatGAN's generator as published (random weights).

    ``beats`` are usable ones, at least as many as the largest batch.
    """
    published = replace(artifact.networks, beat=Generator(artifact.spec.length))
    with one_thread():
        return [
            _measure(f"this {artifact.kind}", artifact.networks, artifact, beats),
            _measure("BeatGAN's generator as published", published, artifact, beats),
        ]


def _measure(name: str, networks: Networks, artifact: Artifact, beats: Sequence[Beat]) -> Speed:
    model = Model(artifact.spec, networks, artifact.calibration)
    seen = [beat.window for beat in beats]
    if isinstance(networks.beat, ContextAutoencoder):
        seen = [np.concatenate([beat.window, beat.template]) for beat in beats]
    rows = torch.from_numpy(np.stack(seen))
    with torch.inference_mode():
        alone = {n: _per_beat(partial(networks.beat, rows[:n]), n) for n in BATCHES}
    whole = {n: _per_beat(partial(model.score, beats[:n]), n) for n in BATCHES}
    return Speed(name, networks.parameters, alone, whole)


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
