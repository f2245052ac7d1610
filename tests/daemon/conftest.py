"""Stand-ins for a model and for metrics, and a synthetic patient, for tests of the daemon."""

import io
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import structlog
from msgspec.structs import replace

from beatgan.alarms.limits import AlarmLimits
from beatgan.model.scorer import Scorer
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.spec import PreprocessSpec
from beatgan.types import Beat, Floats, Quality, Score
from beatgan_daemon import log
from beatgan_daemon.pipeline.engine import Engine, EngineSettings
from beatgan_daemon.pipeline.observer import Observer
from beatgan_train.training.coefficients import coefficients_of
from tests.support.scorers import SaysAllAtOnce

COEFFICIENTS = coefficients_of("full")

FS = 360.0


class DistanceScorer(SaysAllAtOnce):
    """Scores a beat by its distance to the patient's own reference: no network, no torch."""

    threshold = -1.5

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, beats: Sequence[Beat]) -> list[Score]:
        self.batches.append(len(beats))
        return [self._score(beat) for beat in beats]

    def _score(self, beat: Beat) -> Score:
        apart = -4.0 if beat.distance is None else beat.distance
        value = None if beat.quality is Quality.UNUSABLE else apart + 0.1 * beat.prematurity
        error = (beat.window - beat.template) ** 2
        terms = np.array([np.nan, apart, 0.1 * beat.prematurity, np.nan], np.float32)
        score = Score(beat, value, self.threshold, beat.template, error)
        return score if value is None else replace(score, terms=terms)


class ClassifyingScorer(DistanceScorer):
    """The same, and the beat's class: S where it comes early, V where it is far from the usual."""

    def _score(self, beat: Beat) -> Score:
        score = super()._score(beat)
        if score.value is None:
            return score
        odds = np.exp([0.0, 3 * beat.prematurity - 3, 4 * (score.value + 1), -4.0, -6.0])
        n, s, v, f, q = (odds / odds.sum()).tolist()
        return replace(score, probabilities=(n, s, v, f, q))


class RevisingScorer(ClassifyingScorer):
    """The same, and by the interval to the next beat: higher the longer that is.

    A pause behind it makes a beat that was normal anomalous; one on time makes it normal again.
    """

    revises = True

    def __init__(self) -> None:
        super().__init__()
        self.revisions: list[int] = []

    def revise(self, scores: Sequence[Score], next_rr_ms: Sequence[float]) -> list[Score]:
        self.revisions.append(len(scores))
        return [
            replace(score, value=None if score.value is None else score.value + (rr - 850) / 100)
            for score, rr in zip(scores, next_rr_ms, strict=True)
        ]


class CountingObserver(Observer):
    """Every count under its metric's word, with labels in brackets."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def received(self, samples: int) -> None:
        self._counts["received"] += samples

    def lost(self, samples: int) -> None:
        self._counts["lost"] += samples

    def repeated(self, samples: int) -> None:
        self._counts["repeated"] += samples

    def reordered(self) -> None:
        self._counts["reordered"] += 1

    def clock_stepped(self) -> None:
        self._counts["clock_steps"] += 1

    def frame_refused(self, reason: str, samples: int) -> None:
        self._counts[f"refused[{reason}]"] += 1
        self._counts["refused samples"] += samples

    def scored(self, beats: int) -> None:
        self._counts["scored"] += beats

    def revised(self, beats: int) -> None:
        self._counts["revised"] += beats

    def unscored(self, reason: str) -> None:
        self._counts[f"unscored[{reason}]"] += 1

    def graded(self, quality: str, beats: int) -> None:
        self._counts[f"graded[{quality}]"] += beats

    def alerted(self, code: str, priority: str) -> None:
        self._counts[f"alerted[{code}]"] += 1

    def suppressed(self, code: str) -> None:
        self._counts[f"suppressed[{code}]"] += 1

    def restored(self, streams: int) -> None:
        self._counts["restored"] += streams

    def streams(self, active: int) -> None:
        self._counts["streams"] = active


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """The command `run` leaves them ignored: its process ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged since the test began, at every level."""
    out = io.StringIO()
    log.configure("debug", "json", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    structlog.reset_defaults()
