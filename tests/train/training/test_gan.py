"""The teacher's training: as published, step by step."""

from typing import Any

import numpy as np
import pytest
import torch

from beatgan.model.torch_modules.networks import initialise
from beatgan.types import Floats
from beatgan_train.training import gan
from beatgan_train.training.gan import BeatGan, TeacherOptions, resolved

SCORED = slice(50, 270)


def beats(count: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    heights = rng.uniform(3, 5, (count, 1))
    waves = heights * np.exp(-0.5 * ((np.arange(320) - 140) / 6) ** 2)
    return (waves + 0.05 * rng.standard_normal((count, 320))).astype(np.float32)


def task(**changes: Any) -> BeatGan:
    options = TeacherOptions(width=4, epochs=100, **changes)
    return BeatGan(options, beats(128, 0), beats(16, 1), SCORED, 10.0)


def train(beat_gan: BeatGan, steps: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    return [dict(beat_gan.step(rng.permutation(beat_gan.rows)[:32], rng)) for _ in range(steps)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_to_reconstruct_beats_it_has_not_seen(precision: str) -> None:
    beat_gan = task(precision=precision)
    before = beat_gan.validation_loss()
    losses = train(beat_gan, 300)
    assert losses[-1]["reconstruction"] < 0.1 * losses[0]["reconstruction"]
    assert beat_gan.validation_loss() < before - 1


def test_both_networks_learn_in_each_step() -> None:
    beat_gan = task()
    before = [copy(beat_gan.generator), copy(beat_gan.discriminator)]
    losses = train(beat_gan, 1)[0]
    for network, old in zip([beat_gan.generator, beat_gan.discriminator], before, strict=True):
        for name, parameter in network.named_parameters():
            assert not torch.equal(parameter, old[name]), name
    assert set(losses) == {"reconstruction", "features", "discriminator"}
    assert losses["discriminator"] == pytest.approx(2 * np.log(2), abs=1)


def copy(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def test_a_collapsed_discriminator_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_gan = task()
    train(beat_gan, 3)
    assert norms(beat_gan).abs().max() > 0  # has seen batches
    monkeypatch.setattr(gan, "COLLAPSED", np.inf)
    generator = copy(beat_gan.generator)
    train(beat_gan, 1)
    assert norms(beat_gan).abs().max() == 0
    moved = beat_gan.generator.state_dict()["encoder.0.weight"] - generator["encoder.0.weight"]
    assert 0 < moved.abs().max() < 0.01  # one step, not a new start


def norms(beat_gan: BeatGan) -> torch.Tensor:
    """The running means of the discriminator: zero in a new one."""
    state = beat_gan.discriminator.state_dict()
    return torch.cat([value for name, value in state.items() if name.endswith("running_mean")])


def test_choosing_the_best_epoch_teaches_nothing() -> None:
    beat_gan = task()
    train(beat_gan, 2)
    before = copy(beat_gan.generator)
    assert beat_gan.validation_loss() == beat_gan.validation_loss()
    assert all(torch.equal(value, before[name]) for name, value in copy(beat_gan.generator).items())


def test_without_feature_matching_the_discriminator_does_not_matter() -> None:
    states = []
    for seed in (0, 1):
        beat_gan = task(feature_weight=0.0)
        torch.manual_seed(seed)
        beat_gan.discriminator.apply(initialise)
        train(beat_gan, 2)
        states.append(copy(beat_gan.generator))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_same_seed_trains_the_same() -> None:
    one, other, third = (task(seed=seed) for seed in (4, 4, 5))
    assert train(one, 3) == train(other, 3) != train(third, 3)


def test_what_auto_means() -> None:
    cpu = torch.device("cpu")
    assert resolved("auto", cpu) in ("float32", "bfloat16")
    assert resolved("float32", cpu) == "float32"
    assert resolved("bfloat16", cpu) == "bfloat16"
