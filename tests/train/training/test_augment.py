"""Augmentation alters what means nothing, by as much as it was asked to."""

import numpy as np
import torch

from beatgan_train.training.augment import Augmentation

WINDOWS = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 320)).astype(np.float32))


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_off_it_changes_nothing() -> None:
    assert torch.equal(Augmentation(0, 0.0)(WINDOWS, rng()), WINDOWS)


def test_jitter_shifts_by_whole_ticks_and_repeats_the_ends() -> None:
    shifted = Augmentation(3, 0.0)(WINDOWS, rng())
    found = set()
    for row, window in zip(shifted, WINDOWS, strict=True):
        matches = [k for k in range(-3, 4) if torch.equal(row[3:-3], window[3 + k : 317 + k])]
        assert len(matches) == 1
        found.add(matches[0])
        assert row[0] == window[max(0, matches[0])]
    assert found == set(range(-3, 4))


def test_gain_scales_each_window_by_a_factor_of_its_own() -> None:
    factors = (Augmentation(0, 0.2)(WINDOWS, rng()) / WINDOWS).median(dim=1).values
    assert 0.1 < factors.log().std() < 0.3
    assert len(set(factors.tolist())) == 50
