"""Calibration: from normal beats alone, the share it promises, the same units for all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from beatgan.errors import UsageError
from beatgan.model.model import Model
from beatgan.model.torch_modules.conversion import network_of, networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan_train.data.beat_set import load
from beatgan_train.data.source import spec_of
from beatgan_train.training.calibrate import calibrate, components
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

RNG = np.random.default_rng(0)
NORMAL = {
    "error": RNG.normal(-2, 0.5, 20_000),
    "distance": RNG.normal(-4, 1.5, 20_000),
    "prematurity": np.maximum(0, RNG.normal(0, 0.05, 20_000)),
}


@pytest.mark.parametrize("flagged", [0.01, 0.02, 0.1])
def test_the_threshold_flags_the_share_it_is_told(flagged: float) -> None:
    calibration = calibrate(NORMAL, "full", flagged)
    scores = calibration.combine(NORMAL)
    assert (scores > calibration.threshold).mean() == pytest.approx(flagged, abs=2e-4)


@pytest.mark.parametrize("name", NORMAL)
def test_a_component_by_itself_flags_the_same_share_at_the_same_value(name: str) -> None:
    calibration = calibrate(NORMAL, "full", 0.02)
    units = calibration.term(name, NORMAL[name]) / calibration.weight[name]
    assert np.median(units) == pytest.approx(0, abs=1e-9)
    cap = calibration.cap[name]
    assert (units > cap * np.tanh(2.0537 / cap)).mean() == pytest.approx(0.02, abs=2e-4)


def test_of_normal_values_the_spread_is_the_standard_deviation() -> None:
    calibration = calibrate(NORMAL, "full")
    assert calibration.location["error"] == pytest.approx(-2, abs=0.02)
    assert calibration.spread["error"] == pytest.approx(0.5, rel=0.03)
    assert calibration.spread["distance"] == pytest.approx(1.5, rel=0.03)


def test_a_few_wild_beats_move_it_little() -> None:
    wild = {name: np.append(values, [50.0] * 100) for name, values in NORMAL.items()}
    before, after = calibrate(NORMAL, "full"), calibrate(wild, "full")
    for name in NORMAL:
        assert after.spread[name] == pytest.approx(before.spread[name], rel=0.2)


def test_beat_mode_sees_the_error_alone() -> None:
    assert set(calibrate(NORMAL, "full").weight) == {"error", "distance", "prematurity"}
    assert calibrate(NORMAL, "beat").weight == {"error": 1}


def test_what_is_not_known_of_a_beat_does_not_calibrate() -> None:
    distance = np.where(np.arange(20_000) % 100, NORMAL["distance"], np.nan)
    calibration = calibrate({**NORMAL, "distance": distance}, "full")
    assert calibration.location["distance"] == pytest.approx(-4, abs=0.05)
    assert np.isfinite(calibration.threshold)


def test_a_component_that_never_varies_is_harmless() -> None:
    constant = {**NORMAL, "prematurity": np.zeros(20_000)}
    assert np.isfinite(calibrate(constant, "full").combine(constant)).all()


@pytest.mark.parametrize(("flagged", "count"), [(0.0, 1000), (0.5, 1000), (-1, 1000), (0.02, 40)])
def test_what_cannot_be_estimated(flagged: float, count: int) -> None:
    few = {name: values[:count] for name, values in NORMAL.items()}
    with pytest.raises(UsageError, match=f"cannot estimate .* of {count} normal beats"):
        calibrate(few, "full", flagged)


def test_the_beat_mode_is_what_the_published_method_sees() -> None:
    spec = spec_of("beat")
    assert spec.scale == "beat"
    assert spec.scored == slice(0, 320)
    assert spec_of("full").scale == "patient"


def test_what_is_calibrated_on_is_what_is_scored(toy_data: Path) -> None:
    torch.manual_seed(0)
    spec, network = spec_of("full"), Student(amplitude=10.0).eval()
    beats = load(toy_data, ["101", "106"], spec, COEFFICIENTS)
    beats = beats.take(beats.usable)
    calibration = calibrate(components(network_of(network), beats, spec), "full")
    wanted = calibration.combine(components(network_of(network), beats, spec))
    scores = Model(spec, networks_of(network), calibration).score(
        [beats.beat(i) for i in range(len(beats))]
    )
    assert [score.value for score in scores] == wanted.tolist()
