from typing import Any

import pytest

from beatgan.errors import ArtifactError
from beatgan.spec import FORMER_NAMES, PreprocessSpec

FORMER = {new: old for old, new in FORMER_NAMES.items()}


def test_it_survives_a_round_trip() -> None:
    spec = PreprocessSpec(highpass_hz=0.67, scale="beat")
    assert PreprocessSpec.from_dict(spec.to_dict()) == spec


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ArtifactError, match=r"'highpas_hz'.*'highpass_hz'"):
        PreprocessSpec.from_dict(PreprocessSpec().to_dict() | {"highpas_hz": 1.0})


def test_the_field_names_of_format_2_are_read() -> None:
    values = PreprocessSpec(template_beats=20, template_bound=0.4).to_dict()
    old = {FORMER.get(key, key): value for key, value in values.items()}
    assert set(old) - set(values) == {"reference_beats", "reference_bound"}
    assert PreprocessSpec.from_dict(old) == PreprocessSpec(template_beats=20, template_bound=0.4)
    with pytest.raises(ArtifactError, match="reference_beats"):
        PreprocessSpec.from_dict(values | {"reference_beats": 20})


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
        {"template_beats": 0},
        {"scale": "record"},
        {"rate": "fast"},
    ],
)
def test_impossible_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="spec"):
        PreprocessSpec.from_dict(PreprocessSpec().to_dict() | change)
