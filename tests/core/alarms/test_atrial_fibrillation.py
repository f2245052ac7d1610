"""Atrial fibrillation is suspected by intervals without a pattern, and by nothing else."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import cycle, islice

import msgspec
import numpy as np
import pytest

from beatgan.alarms import irregularity
from beatgan.alarms.atrial_fibrillation import AtrialFibrillationDetector, State
from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent
from beatgan.alarms.irregularity import Features, Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.watch import Watch
from beatgan.coefficients import AtrialFibrillationCoefficients
from beatgan.errors import ArtifactError
from beatgan.spec import PreprocessSpec
from beatgan.types import EMPTY, Beat, Floats, PerClass, Phase, Priority, Quality, Score

FS = 250.0
SPEC = PreprocessSpec()
COEFFICIENTS = AtrialFibrillationCoefficients(
    sample_entropy=4.0,
    scatter=0.5,
    trend=-0.7,
    recurrence=-1.0,
    rr=-4.4,
    normal_share=-2.0,
    p_wave=-1.2,
    offset=-8.2,
)
N: PerClass = (0.9, 0.05, 0.03, 0.01, 0.01)
V: PerClass = (0.05, 0.02, 0.9, 0.02, 0.01)
S: PerClass = (0.2, 0.75, 0.03, 0.01, 0.01)


def template(p_wave: float) -> Floats:
    """A QRS of height 1 with a P wave."""
    at = np.arange(SPEC.length) - SPEC.before
    waves = np.exp(-((at / 5) ** 2)) + p_wave * np.exp(-(((at + 60) / 8) ** 2))
    return waves.astype(np.float32)


WITH_P, WITHOUT_P = template(0.15), template(0.01)


class Heart:
    """A detector, and beats for it one after another."""

    def __init__(self, p_wave: bool = False) -> None:
        self.detector = AtrialFibrillationDetector(
            Watch(AlarmLimits(), FS), Irregularity(SPEC, COEFFICIENTS)
        )
        self.at, self.template = 0, WITH_P if p_wave else WITHOUT_P

    def beat(
        self, rr_s: float, probabilities: PerClass | None = N, quality: Quality = Quality.GOOD
    ) -> list[AlarmEvent]:
        self.at += round(rr_s * FS)
        found = Beat(
            0, self.at, self.at + 130, "II", 1000 * rr_s, quality, self.template, self.template,
            -2.0, 0.0,
        )  # fmt: skip
        score = Score(found, 0.0, 1.0, EMPTY, EMPTY, probabilities)
        return list(self.detector.push(score))

    def beats(self, intervals: Iterable[float]) -> list[AlarmEvent]:
        return [event for rr_s in intervals for event in self.beat(rr_s)]


def irregular(count: int, seed: int = 0) -> list[float]:
    found: list[float] = np.random.default_rng(seed).uniform(0.4, 0.95, count).tolist()
    return found


def regular(count: int, rr_s: float = 0.8) -> list[float]:
    """With a little variation."""
    found: list[float] = (rr_s + 0.015 * np.random.default_rng(1).normal(size=count)).tolist()
    return found


def test_intervals_without_a_pattern_are_suspected_within_a_minute_and_dated_back() -> None:
    heart = Heart()
    assert heart.beats(regular(100)) == []
    onset = heart.at
    (start,) = heart.beats(irregular(80))
    assert (start.code, start.phase, start.priority) == (
        AlarmCode.ATRIAL_FIBRILLATION,
        Phase.START,
        Priority.LOW,
    )
    assert start.at == start.onset
    assert onset - 20 * FS < start.onset < onset + 20 * FS
    assert 10 * FS < start.known_at - onset < 60 * FS
    (end,) = heart.beats(regular(60))
    assert (end.phase, end.onset) == (Phase.END, start.onset)


def test_a_sinus_rhythm_that_goes_with_the_breath_says_nothing() -> None:
    breath = 0.85 + 0.15 * np.sin(np.arange(400) * 2 * np.pi / 5.3)
    assert Heart(p_wave=True).beats(breath.tolist()) == []


@pytest.mark.parametrize("pattern", [(0.5, 1.0), (0.8, 0.5, 1.1), (0.8, 0.8, 0.8, 0.5, 1.1)])
def test_premature_beats_that_come_regularly_say_nothing(pattern: Sequence[float]) -> None:
    heart = Heart(p_wave=True)
    jitter = 0.01 * np.random.default_rng(2).normal(size=400)
    intervals = [a + b for a, b in zip(islice(cycle(pattern), 400), jitter, strict=True)]
    assert [e for rr in intervals for e in heart.beat(rr, S if rr < 0.6 else N)] == []


def test_ventricular_beats_at_random_say_nothing() -> None:
    heart, rng = Heart(p_wave=True), np.random.default_rng(3)
    events, after = [], False
    for rr_s in regular(500):
        if not after and rng.random() < 0.25:
            events += heart.beat(rr_s * rng.uniform(0.5, 0.8), V)
            after = True
        else:
            events += heart.beat(rr_s * (rng.uniform(1.1, 1.5) if after else 1.0))
            after = False
    assert events == []


def test_noise_begins_nothing() -> None:
    heart = Heart()
    noisy = [e for rr in irregular(300) for e in heart.beat(rr, N, Quality.POOR)]
    lost = [e for rr in irregular(300) for e in heart.beat(rr, None, Quality.UNUSABLE)]
    assert noisy + lost == []


def test_a_model_that_tells_no_classes_and_none_at_all_raise_none() -> None:
    assert [e for rr in irregular(300) for e in Heart().beat(rr, None)] == []
    heart = Heart()
    heart.detector = AtrialFibrillationDetector(Watch(AlarmLimits(), FS), None)
    assert heart.beats(irregular(300)) == []


def test_a_stream_is_not_suspected_in_its_first_half_minute() -> None:
    heart = Heart()
    fast = [rr_s / 2 for rr_s in irregular(400)]  # 48 beats last a quarter of a minute
    (start,) = heart.beats(fast)
    assert 30 * FS <= start.known_at <= 45 * FS


def test_an_episode_ends_when_the_rhythm_is_not_known_any_more() -> None:
    heart = Heart()
    heart.beats(irregular(200))
    last = heart.at
    heart.at += round(40 * FS)
    (end,) = heart.beat(0.8)
    assert (end.phase, end.end) == (Phase.END, last)
    assert heart.detector.state.onset is None
    assert len(heart.detector.state.rhythm.rr_ms) == 1


def test_the_end_of_the_stream_ends_it() -> None:
    heart = Heart()
    heart.beats(irregular(200))
    (end,) = heart.detector.close(heart.at + 500)
    assert (end.phase, end.end, end.known_at) == (Phase.END, heart.at, heart.at + 500)


def test_a_state_that_was_saved_goes_on_alike() -> None:
    heart, other = Heart(), Heart()
    heart.beats(irregular(43))
    other.at = heart.at
    saved = msgspec.msgpack.encode(heart.detector.state)
    other.detector.state = msgspec.msgpack.decode(saved, type=State)
    later = irregular(100, seed=4)
    one, two = heart.beats(later), other.beats(later)
    assert [(e.phase, e.onset, e.known_at) for e in one] == [
        (e.phase, e.onset, e.known_at) for e in two
    ]
    assert one


def features(intervals: Sequence[float], p_wave: bool = False) -> Features:
    """The latest row."""
    heart = Heart(p_wave)
    rows: list[Features] = []
    rhythm, memory = Irregularity(SPEC, COEFFICIENTS), irregularity.nothing()
    for rr_s in intervals:
        heart.at += round(rr_s * FS)
        found = Beat(
            0, heart.at, heart.at, "II", 1000 * rr_s, Quality.GOOD, heart.template,
            heart.template, -2.0, 0.0,
        )  # fmt: skip
        row = rhythm.push(memory, Score(found, 0.0, 1.0, EMPTY, EMPTY, N))
        rows += [] if row is None else [row]
    return rows[-1]


def test_features_are_what_they_are_called() -> None:
    even, uneven = features(regular(64)), features(irregular(64))
    assert even.sample_entropy < 0.3 < 1 < uneven.sample_entropy
    assert even.scatter < uneven.scatter
    assert even.recurrence < uneven.recurrence
    assert even.rr == pytest.approx(np.log(0.8), abs=0.02)
    assert even.normal_share == pytest.approx(0.9)
    assert features(regular(64), p_wave=True).p_wave > even.p_wave + 1
    assert features([0.5, 1.0] * 40).trend == pytest.approx(-1, abs=0.01)
    slow = 0.8 + 0.2 * np.sin(np.arange(64) / 6)
    assert features(slow.tolist()).trend > 0.5


def test_a_window_too_short_for_the_p_wave_is_refused() -> None:
    with pytest.raises(ArtifactError, match="atrial fibrillation is recognised by 90 samples"):
        Irregularity(replace(SPEC, before=80, score_before=60), COEFFICIENTS)
