"""An alarm's strip as a FHIR Observation: valid, and with the samples as they were."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fhir.resources.observation import Observation as ObservationR5
from fhir.resources.R4B.observation import Observation as ObservationR4
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from msgspec.structs import replace

from beatgan.explain.strip import EcgStrip
from beatgan.protocol.messages import decode_alert
from beatgan_daemon.bridges.bed_map import Bed
from beatgan_daemon.bridges.fhir.observation import Release, observation
from tests.support.messages import alert_message

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "observation.json"
VALIDATORS: dict[Release, Any] = {Release.R4: ObservationR4, Release.R5: ObservationR5}
RELEASES = [*Release]


def strip_of(vector: dict[str, Any]) -> EcgStrip:
    millivolt = np.array(vector["millivolt"], np.float64)
    return EcgStrip(vector["first"], vector["fs"], tuple(vector["leads"]), millivolt)


@pytest.mark.parametrize("release", RELEASES)
def test_the_golden_vectors(release: Release) -> None:
    vector = json.loads(GOLDEN.read_text(encoding="utf-8"))
    alert = decode_alert(msgspec.json.encode(vector["alert"]))
    made = observation(alert, strip_of(vector["strip"]), Bed(**vector["bed"]), release)
    assert made == vector[release]
    VALIDATORS[release].model_validate(made)


def test_without_a_map_there_is_no_subject() -> None:
    strip = EcgStrip(0, 250.0, ("II",), np.zeros((5, 1)))
    made = observation(alert_message(0), strip, Bed(bed="bed"), Release.R4)
    assert "subject" not in made


SAMPLES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.integers(1, 3)),
    elements=st.floats(-200, 200, width=32) | st.just(float("nan")),
)


@pytest.mark.parametrize("release", RELEASES)
@given(millivolt=SAMPLES, fs=st.floats(50, 2_000), onset=st.integers(0, 10**6))
def test_any_strip_is_valid_and_read_back(
    release: Release, millivolt: Any, fs: float, onset: int
) -> None:
    leads = ("II", "MLII", "x" * 64)[: millivolt.shape[1]]
    alert = replace(alert_message(0), onset_sample=onset, onset_ns=1_700_000_000 * 10**9, text="é")
    made = observation(alert, EcgStrip(7, fs, leads, millivolt), Bed(), release)
    VALIDATORS[release].model_validate(made)
    json.dumps(made, allow_nan=False)
    for column, component in enumerate(made["component"]):
        data = component["valueSampledData"]
        words = data["data"].split(" ")
        read = [np.nan if word == "E" else int(word) * data["factor"] for word in words]
        known = np.abs(millivolt[:, column][~np.isnan(millivolt[:, column])])
        step = max(0.001, known.max(initial=0.0) / 32_000)
        np.testing.assert_allclose(read, millivolt[:, column], atol=0.501 * step)
        assert component["code"]["text"] == leads[column]
