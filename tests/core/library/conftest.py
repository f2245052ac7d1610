"""The bundled sample, scored once."""

import pytest

import beatgan


@pytest.fixture(scope="session")
def sample() -> beatgan.Recording:
    return beatgan.sample()


@pytest.fixture(scope="session")
def result(sample: beatgan.Recording) -> beatgan.Result:
    ecg, fs = sample
    return beatgan.score(ecg, fs, "MLII", name="sample", device="cpu")
