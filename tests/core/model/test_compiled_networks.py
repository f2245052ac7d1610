"""The context's networks compiled: what torch gives, in the same bits whatever the batch."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from beatgan.beat_classes import CLASSES
from beatgan.model import features
from beatgan.model.bounded import BOUND, bounded
from beatgan.model.compiled_networks import (
    LEAST_TAIL,
    CompiledClassifier,
    CompiledContextAutoencoder,
    CompiledRhythmDensity,
    probabilities,
)
from beatgan.model.torch_modules.context_networks import (
    BeatClassifier,
    ContextAutoencoder,
    RhythmDensity,
)
from beatgan.model.torch_modules.conversion import network_of
from beatgan.model.torch_modules.forward import run
from beatgan.types import RHYTHM_INTERVALS, RHYTHM_SIZE, Floats

torch.manual_seed(0)
AUTOENCODER = ContextAutoencoder().eval()
DENSITY = RhythmDensity().eval()
CLASSIFIER = BeatClassifier().eval()
RNG = np.random.default_rng(0)


def random(count: int, width: int) -> Floats:
    return RNG.standard_normal((count, width)).astype(np.float32)


ROWS = 3 * random(150, 640)
RHYTHM = 0.3 * random(150, RHYTHM_SIZE)
TIMING = features.timings(RHYTHM, [0.1] * 150)
WITH_NEXT = features.with_next(TIMING, [800.0] * 150)
SHAPES = random(150, features.SHAPE_SIZE)
PASSES: dict[str, tuple[Callable[[Floats], Any], Floats]] = {
    "autoencoder": (CompiledContextAutoencoder(network_of(AUTOENCODER)), ROWS),
    "density": (CompiledRhythmDensity(network_of(DENSITY)), RHYTHM),
    "timing": (CompiledClassifier(network_of(CLASSIFIER)).timing, TIMING),
    "timing with next": (CompiledClassifier(network_of(CLASSIFIER)).timing, WITH_NEXT),
    "shape": (CompiledClassifier(network_of(CLASSIFIER)).shape, SHAPES),
    "probabilities": (lambda rows: probabilities(rows)[0], random(150, len(CLASSES))),
    "log odds": (lambda rows: probabilities(rows)[1], random(150, len(CLASSES))),
}


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 15, 16, 17, 64, 149])
def test_a_rows_bits_do_not_depend_on_its_batch(name: str, count: int) -> None:
    compiled, rows = PASSES[name]
    full = compiled(rows)
    assert np.array_equal(compiled(rows[:count]), full[:count])
    assert np.array_equal(compiled(rows[150 - count :]), full[150 - count :])


def test_an_expected_beat_is_what_torch_gives() -> None:
    with torch.inference_mode():
        wanted = AUTOENCODER(torch.from_numpy(ROWS)).numpy()
    assert np.abs(run(AUTOENCODER, ROWS) - wanted).max() < 2e-5  # of values up to 10


def test_without_a_difference_the_template_is_expected() -> None:
    network = ContextAutoencoder()
    with torch.no_grad():
        network.get_parameter("decoder.2.weight").zero_()
    expected, log_variance = np.split(run(network, ROWS), 2, axis=1)
    assert np.array_equal(expected, ROWS[:, 320:])
    assert not log_variance.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30, -1e30])
def test_a_spoilt_row_is_bounded_and_spoils_no_other(value: float) -> None:
    spoilt = ROWS[:6].copy()
    spoilt[2, 150] = value
    found, full = run(AUTOENCODER, bounded(spoilt)), run(AUTOENCODER, ROWS)
    assert np.abs(found).max() <= BOUND
    others = [0, 1, 3, 4, 5]
    assert np.array_equal(found[others], full[others])


def test_a_surprisal_is_the_mixtures_tail() -> None:
    with torch.inference_mode():
        log_weight, location, log_scale = (
            part.double().numpy() for part in DENSITY(torch.from_numpy(features.past(RHYTHM)))
        )
    own = features.own_interval(RHYTHM).astype(np.float64)[:, None]
    below = np.exp(log_weight) * stats.t.cdf(own, 4, location, np.exp(log_scale))
    wanted = -np.log(below.sum(axis=1))
    assert np.abs(CompiledRhythmDensity(network_of(DENSITY))(RHYTHM) - wanted).max() < 1e-5


def test_a_tail_that_is_nothing_has_a_finite_logarithm() -> None:
    early, late = RHYTHM[:1].copy(), RHYTHM[:1].copy()
    early[:, RHYTHM_INTERVALS - 1], late[:, RHYTHM_INTERVALS - 1] = -1e9, 1e9
    density = CompiledRhythmDensity(network_of(DENSITY))
    assert density(early)[0] == pytest.approx(-np.log(LEAST_TAIL))
    assert density(late)[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("next_rr_ms", [float("nan"), 300.0, 800.0])
def test_logits_are_what_torch_gives(next_rr_ms: float) -> None:
    rows = features.with_next(TIMING, [next_rr_ms] * len(RHYTHM))
    known = not np.isnan(next_rr_ms)
    with torch.inference_mode():
        tensors = map(torch.from_numpy, (rows, np.full(len(rows), known), SHAPES))
        wanted = CLASSIFIER(*tensors).numpy()
    compiled = CompiledClassifier(network_of(CLASSIFIER))
    timing = compiled.timing(rows if known else TIMING)
    assert np.abs(timing + compiled.shape(SHAPES) - wanted).max() < 1e-5


def test_probabilities_and_odds_are_those_of_the_softmax() -> None:
    logits = 3 * random(50, len(CLASSES))
    shares, log_odds = probabilities(logits)
    wanted = np.exp(logits.astype(np.float64))
    assert np.allclose(shares, wanted / wanted.sum(axis=1, keepdims=True))
    assert np.allclose(log_odds, np.log(wanted[:, 1:4].sum(axis=1) / wanted[:, 0]))


@pytest.mark.parametrize("extreme", [(-1e4, 1e4), (-np.inf, np.inf), (-3e38, np.nan)])
def test_extreme_logits_have_probabilities_and_finite_odds(extreme: tuple[float, float]) -> None:
    extremes = np.array(np.meshgrid(*[[0, *extreme]] * len(CLASSES)), np.float32)
    shares, log_odds = probabilities(extremes.reshape(len(CLASSES), -1).T.copy())
    assert np.isfinite(shares).all()
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.isfinite(log_odds).all()


HASHES = """
import json, torch
import numpy as np
from hashlib import sha256
from beatgan.model.compiled_networks import *
from beatgan.model.torch_modules.context_networks import *
from beatgan.model.torch_modules.conversion import network_of

rng = np.random.default_rng(0)  # not torch's, which may differ with the processor
networks = [ContextAutoencoder(), RhythmDensity(), BeatClassifier()]
for parameter in [each for network in networks for each in network.parameters()]:
    values = rng.standard_normal(tuple(parameter.shape)).astype("f4") / 10
    parameter.data = torch.from_numpy(values)
classes = CompiledClassifier(network_of(networks[2]))
autoencoder = CompiledContextAutoencoder(network_of(networks[0]))
widths = {autoencoder: 640, classes.timing: 35, classes.shape: 169}
digest = sha256()
for compiled, width in widths.items():
    digest.update(compiled(rng.standard_normal((70, width)).astype("f4")).tobytes())
print(json.dumps(digest.hexdigest()))
"""


def test_bits_depend_on_no_thread() -> None:
    found = set()
    for threads in "12":
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": ":".join(sys.path)}
        made = subprocess.run(
            [sys.executable, "-c", HASHES],
            env=environment, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        found.add(json.loads(made.stdout))
    assert len(found) == 1
