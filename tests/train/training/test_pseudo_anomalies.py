"""Pseudo-anomalies: altered where they say, visibly, and by chance that can be repeated."""

import numpy as np
import pytest

from beatgan.errors import UsageError
from beatgan.model.synthetic_ecg import NORMAL
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Ints
from beatgan_train.training.pseudo_anomalies import FAMILIES, NOTICEABLE, families_without, make

SPEC = PreprocessSpec()


def normal_beats(count: int) -> tuple[Floats, Ints]:
    """Windows with P, QRS and T, and whose they are (four patients)."""
    rng = np.random.default_rng(0)
    seconds = (np.arange(SPEC.length) - SPEC.before) / SPEC.rate
    patients = np.arange(count) % 4
    windows = 0.02 * rng.standard_normal((count, SPEC.length))
    for at, width, height in NORMAL:
        share = height * (1 + 0.3 * patients[:, None]) / 0.3
        windows += share * np.exp(-0.5 * ((seconds - at) / width) ** 2)
    return windows.astype(np.float32), patients


WINDOWS, PATIENTS = normal_beats(40)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_alters_its_span_and_nothing_else(family: str) -> None:
    made = make(WINDOWS, PATIENTS, SPEC, rng(), [family])
    assert made.family == (family,) * 40
    assert made.window.dtype == np.float32
    assert np.isfinite(made.window).all()
    samples = np.arange(SPEC.length)
    for window, altered, (first, last) in zip(WINDOWS, made.window, made.span, strict=True):
        outside = (samples < first) | (samples >= last)
        assert np.array_equal(altered[outside], window[outside])
        inside = ~outside & (samples >= SPEC.scored.start) & (samples < SPEC.scored.stop)
        assert inside.any(), "altered where no error counts"
        if family != "without_p":  # small in any beat
            assert np.abs(altered - window)[inside].max() > 0.2 * window.std()


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"stepped", "noisy"}))  # these must jump
def test_a_family_starts_and_ends_smoothly(family: str) -> None:
    made = make(WINDOWS, PATIENTS, SPEC, rng(), [family])
    steepest = np.abs(np.diff(WINDOWS)).max(axis=1)
    growth = np.abs(np.diff(made.window)).max(axis=1) / steepest
    assert growth.max() < 3.2  # a complex 2.5 times as high is 2.5 times as steep


def test_families_are_mixed_and_what_does_not_show_is_replaced() -> None:
    made = make(WINDOWS, PATIENTS, SPEC, rng())
    assert len(set(made.family)) >= 8
    assert (np.abs(made.window - WINDOWS).max(axis=1) >= NOTICEABLE * WINDOWS.std(axis=1)).all()
    flat = np.tile(WINDOWS[:1] * (np.abs(np.arange(SPEC.length) - 140) < 12), (40, 1))
    made = make(flat.astype(np.float32), PATIENTS, SPEC, rng())
    assert "without_p" not in made.family  # there was none to remove


def test_chance_can_be_repeated() -> None:
    one, same, other = (make(WINDOWS, PATIENTS, SPEC, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.window, same.window)
    assert one.family == same.family
    assert not np.array_equal(one.window, other.window)


def test_a_splice_takes_from_another_patient() -> None:
    heights = np.repeat(np.array([1.0, 2.0, 3.0, 4.0], np.float32), 10)
    level = np.tile(heights[:, None], (1, SPEC.length)).astype(np.float32)
    made = make(level, heights.astype(np.int64), SPEC, rng(), ["spliced"])
    for row, window in enumerate(made.window):
        assert set(window[[0, -1]]) > {heights[row]}


def test_a_beat_on_its_own_range_stays_on_it() -> None:
    spec = PreprocessSpec(scale="beat")
    low, high = WINDOWS.min(axis=1, keepdims=True), WINDOWS.max(axis=1, keepdims=True)
    unit = (2 * (WINDOWS - low) / (high - low) - 1).astype(np.float32)
    made = make(unit, PATIENTS, spec, rng())
    assert np.allclose(made.window.min(axis=1), -1, atol=1e-5)
    assert np.allclose(made.window.max(axis=1), 1, atol=1e-5)


def test_families_can_be_held_out() -> None:
    left = families_without(["noisy", "flipped"])
    assert set(left) == set(FAMILIES) - {"noisy", "flipped"}
    made = make(WINDOWS, PATIENTS, SPEC, rng(), left)
    assert not {"noisy", "flipped"} & set(made.family)


def test_an_unknown_family_and_none_left() -> None:
    with pytest.raises(UsageError, match="no pseudo-anomaly 'fliped'; there are widened, resized"):
        families_without(["fliped"])
    with pytest.raises(UsageError, match="no family of pseudo-anomalies is left"):
        families_without(list(FAMILIES))
