"""What an alert's explanation holds, by what its model says."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.alarms.limits import AlarmLimits
from beatgan.frontend import Frontend
from beatgan.model.calibration import Calibration
from beatgan.model.model import Model
from beatgan.model.torch_modules.context_networks import ContextAutoencoder
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.playback.offline import score_recordings
from beatgan.protocol.messages import AlertMessage, encode_json
from beatgan.records import Recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats
from beatgan_train.training.coefficients import coefficients_of

LIMITS = AlarmLimits(anomalous_beats=2, among_beats=12)
CALIBRATION = Calibration(
    location={"distance": -2.0}, spread={"distance": 1.0}, weight={"distance": 1.0},
    cap={"distance": 1e3}, threshold=1.0,
)  # fmt: skip


def alert(samples: Floats, network: Student | ContextAutoencoder) -> dict[str, Any]:
    """The first alert on anomalous beats, as published."""
    torch.manual_seed(0)
    model = Model(PreprocessSpec(), networks_of(network), CALIBRATION)
    source = [Recording("bed", 360.0, ("II",), samples)]
    found = score_recordings(source, PreprocessSpec(), coefficients_of("full"), model, LIMITS)
    alerts = (each for each in found if isinstance(each, AlertMessage))
    first = next(each for each in alerts if each.code == "beat.anomalous")
    told: dict[str, Any] = json.loads(encode_json(first))
    return told


def explanation(samples: Floats, network: Student | ContextAutoencoder) -> dict[str, Any]:
    told: dict[str, Any] = alert(samples, network)["explanation"]
    return told


def test_the_patients_own_beat_is_beside_the_anomalous_one(patient: Floats) -> None:
    told = explanation(patient, Student(amplitude=10.0))
    window, reference = np.array(told["window"]), np.array(told["reference"])
    assert len(reference) == len(window)
    assert np.abs(window - reference)[90:200].max() > 0.5  # where the QRS is: a ventricular beat
    steady = Frontend(PreprocessSpec(), coefficients_of("full"), 360.0, ["II"]).push(patient)
    usual = next(e for e in steady if isinstance(e, Beat) and e.sample == told["sample"])
    np.testing.assert_allclose(reference, usual.template, atol=5e-5)


def test_the_parts_of_the_score_are_told(patient: Floats) -> None:
    told = alert(patient, Student(amplitude=10.0))
    assert told["components"] == {"distance": pytest.approx(told["score"], abs=1e-6)}
    assert told["text"].startswith("2 anomalous beats, heart rate ")


def test_how_far_normal_beats_lie_from_what_is_expected_is_told(patient: Floats) -> None:
    network = ContextAutoencoder()
    with torch.no_grad():
        network.get_parameter("decoder.2.weight").zero_()
        network.get_parameter("decoder.2.bias")[320:] = 2 * np.log(0.25)
    told = explanation(patient, network)
    assert told["spread"] == [0.25] * 320


def test_the_key_is_absent_where_the_model_does_not_say(patient: Floats) -> None:
    assert "spread" not in explanation(patient, Student(amplitude=10.0))


@pytest.mark.parametrize("name", ["window", "expected", "error"])
def test_all_have_as_many_samples(patient: Floats, name: str) -> None:
    told = explanation(patient, ContextAutoencoder())
    assert len(told[name]) == len(told["spread"]) == 320
