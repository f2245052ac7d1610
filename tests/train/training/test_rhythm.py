"""The training of the next interval's distribution, with and without teachers."""

import numpy as np
import torch
from scipy.stats import t as student_t

from beatgan.model.compiled_networks import CompiledRhythmDensity
from beatgan.model.torch_modules.conversion import network_of
from beatgan.types import RHYTHM_INTERVALS, RHYTHM_SIZE, Floats
from beatgan_train.training.rhythm import RhythmOptions, RhythmTraining, log_density

OPTIONS = RhythmOptions(hidden=8, epochs=40, batch=64, taught=1.0)
OWN = RHYTHM_INTERVALS - 1


def rhythms(count: int = 512, seed: int = 0) -> Floats:
    """Two kinds of patients: an interval is like the one before, or unlike it."""
    rng = np.random.default_rng(seed)
    found = 0.03 * rng.standard_normal((count, RHYTHM_SIZE)).astype(np.float32)
    alternating = rng.random(count) < 0.5
    found[alternating, OWN - 1] -= 0.4
    found[~alternating, OWN] -= 0.4
    return found


def trained(options: RhythmOptions) -> RhythmTraining:
    task = RhythmTraining(options, rhythms())
    rng = np.random.default_rng(0)
    for _ in range(options.epochs):
        for rows in np.arange(512).reshape(-1, 64):
            task.step(rows, rng)
    return task


def test_the_density_is_that_of_students_t() -> None:
    torch.manual_seed(0)
    weight = torch.log_softmax(torch.randn(4, 3), dim=1)
    location, log_scale = torch.randn(4, 3), torch.randn(4, 3)
    at = torch.linspace(-2, 2, 9).expand(4, -1)
    found = log_density((weight, location, log_scale), at)
    scale = log_scale.exp()[:, None].numpy()
    z = (at[:, :, None] - location[:, None]).numpy() / scale
    wanted = np.log((weight.exp()[:, None].numpy() * student_t.pdf(z, 4) / scale).sum(axis=2))
    constant = wanted - found.numpy()
    assert np.abs(constant - constant[0, 0]).max() < 1e-4


def test_an_interval_is_surprising_where_it_does_not_follow_from_those_before() -> None:
    network = trained(OPTIONS).network.eval()
    usual = np.zeros((2, RHYTHM_SIZE), np.float32)
    usual[0, OWN - 1] = usual[1, OWN] = -0.4  # short then long; long then short: both learnt
    premature = np.zeros((1, RHYTHM_SIZE), np.float32)
    premature[0, OWN - 1] = premature[0, OWN] = -0.4  # short and short again: never seen
    density = CompiledRhythmDensity(network_of(network))
    assert density(premature)[0] > density(usual).max() + 1


def test_a_small_network_learns_from_a_larger_one_by_expectation() -> None:
    teacher = trained(RhythmOptions(hidden=32, epochs=40, batch=64)).network.eval()
    task = RhythmTraining(OPTIONS, rhythms(seed=1), [teacher])
    rng = np.random.default_rng(0)
    rows = np.arange(64)
    first = task.step(rows, rng)["teachers"]
    for _ in range(150):
        last = task.step(rows, rng)["teachers"]
    assert last < first - 0.3
    assert not teacher.training
