from typing import Any

import pytest

from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec


def test_it_survives_a_round_trip() -> None:
    spec = PreprocessSpec(highpass_hz=0.67, scale="beat")
    assert PreprocessSpec.from_dict(spec.to_dict()) == spec


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ArtifactError, match=r"'highpas_hz'.*'highpass_hz'"):
        PreprocessSpec.from_dict(PreprocessSpec().to_dict() | {"highpas_hz": 1.0})


def test_a_missing_key_is_named() -> None:
    values = PreprocessSpec().to_dict()
    del values["align"]
    with pytest.raises(ArtifactError, match="align"):
        PreprocessSpec.from_dict(values)


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 250},
        {"highpass_hz": 50.0},
        {"lowpass_hz": 200.0},
        {"before": 10},
        {"align": 50},
        {"score_after": 500},
        {"reference_beats": 0},
        {"scale": "record"},
        {"rate": "fast"},
    ],
)
def test_impossible_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="spec"):
        PreprocessSpec.from_dict(PreprocessSpec().to_dict() | change)
