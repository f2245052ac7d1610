"""Fixtures of the pipeline's tests."""

import numpy as np
import pytest

from beatgan.types import Floats

FS = 360.0


@pytest.fixture(scope="module")
def troubled(patient: Floats) -> Floats:
    """Chaos, lost signal, a flat line and a standstill in a minute."""
    samples = patient.copy()
    wave = np.arange(3000) / FS
    samples[3000:6000, 0] = np.sin(2 * np.pi * (5 + 0.4 * np.sin(wave)) * wave)
    samples[9000:9360] = np.nan
    samples[12_000:13_500] = 0.25
    samples[16_000:18_500, 0] = np.random.default_rng(0).normal(scale=0.01, size=2500)
    return samples
