"""Fixtures shared by all tests."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.scorer import Scorer
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.pipeline.engine import Engine, EngineSettings
from beatgan.pipeline.observer import Observer
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats
from beatgan_train.training.coefficients import coefficients_of
from tests.support.counting_observer import CountingObserver
from tests.support.scorers import ClassifyingScorer, DistanceScorer, RevisingScorer

COEFFICIENTS = coefficients_of("full")
FS = 360.0

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mitdb() -> Path:
    """The folder of the MIT-BIH Arrhythmia Database, or a skip that says where it was sought."""
    data = Path(os.environ.get("BEATGAN_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "mitdb" / "208.hea").exists():
        pytest.skip(
            f"no MIT-BIH database in {data}/mitdb; set BEATGAN_DATA to a folder that has it"
        )
    return data / "mitdb"


@pytest.fixture(scope="session")
def new_scorer() -> Callable[[], Scorer]:
    """A factory of scorers that need no network."""
    return DistanceScorer


@pytest.fixture(scope="session")
def new_classifying_scorer() -> Callable[[], Scorer]:
    """A factory of scorers that give classes, too, and need no network."""
    return ClassifyingScorer


@pytest.fixture(scope="session")
def new_revising_scorer() -> Callable[[], Scorer]:
    """A factory of scorers that give classes and revise, and need no network."""
    return RevisingScorer


@pytest.fixture(scope="session")
def new_observer() -> Callable[[Counter[str]], Observer]:
    """A factory of observers that count into the Counter given."""
    return CountingObserver


@pytest.fixture(scope="session")
def new_engine() -> Callable[..., tuple[Engine, Counter[str]]]:
    """A factory of engines, each with what its observer counts; keywords override."""

    def make(**overrides: Any) -> tuple[Engine, Counter[str]]:
        counts: Counter[str] = Counter()
        values: dict[str, Any] = {
            "spec": PreprocessSpec(),
            "coefficients": COEFFICIENTS,
            "scorer": DistanceScorer(),
            "limits": AlarmLimits(anomalous_beats=2, among_beats=12),
            "observer": CountingObserver(counts),
        }
        pace: dict[str, Any] = {
            "batch_size": 8,
            "batch_age": 0.01,
            "silence": 5.0,
            "max_streams": 100,
        }
        for name in {field.name for field in fields(EngineSettings)} & set(overrides):
            pace[name] = overrides.pop(name)
        return Engine(**(values | overrides), settings=EngineSettings(**pace)), counts

    return make


@pytest.fixture(scope="session")
def patient() -> Floats:
    """A minute of one lead at 360 Hz, shape (21600, 1), every ninth beat ventricular."""
    return synthetic_ecg(60.0, FS)[:, np.newaxis]
