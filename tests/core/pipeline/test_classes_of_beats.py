"""The class of a beat, from the scorer to the messages, live and offline."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from beatgan.alarms.limits import AlarmLimits
from beatgan.beat_classes import CLASSES
from beatgan.model.scorer import Scorer
from beatgan.pipeline.engine import Engine
from beatgan.playback.chunks import cut
from beatgan.playback.offline import score_recordings
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, encode_json
from beatgan.records import Recording
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats
from beatgan_train.training.coefficients import coefficients_of

NewScorer = Callable[[], Scorer]
NewEngine = Callable[..., tuple[Engine, Any]]
LIMITS = AlarmLimits(anomalous_beats=2, among_beats=12)


@pytest.fixture(scope="module")
def troubled(patient: Floats) -> Floats:
    """The patient, with a lost second."""
    samples = patient.copy()
    samples[9000:9360] = np.nan
    return samples


def offline(samples: Floats, scorer: Scorer) -> list[Message]:
    source = [Recording("bed", 360.0, ("II",), samples)]
    coefficients = coefficients_of("full")
    return list(score_recordings(source, PreprocessSpec(), coefficients, scorer, LIMITS))


def live(samples: Floats, engine: Engine) -> list[Message]:
    """Through the wire, in odd frames."""
    source = Recording("bed", 360.0, ("II",), samples)
    messages: list[Message] = []
    for i, chunk in enumerate(cut(source, "bed", (1, 700, 33), epoch=0, start_ns=0)):
        engine.receive(decode_frame(encode_frame(chunk)), float(i))
        messages += engine.poll(float(i)).messages
    return messages + engine.drain(1e6).messages


def beats(messages: Sequence[Message]) -> list[BeatMessage]:
    return [message for message in messages if isinstance(message, BeatMessage)]


def on_the_wire(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [json.loads(encode_json(message)) for message in messages]


def test_every_scored_beat_has_its_class_and_probabilities(
    troubled: Floats, new_classifying_scorer: NewScorer
) -> None:
    found = on_the_wire(beats(offline(troubled, new_classifying_scorer())))
    scored = [each for each in found if each["score"] is not None]
    assert 0 < len(scored) < len(found)
    for each in found:
        assert ("class" in each) == ("probabilities" in each) == (each["score"] is not None)
        assert "revised" not in each
    for each in scored:
        probabilities = each["probabilities"]
        assert list(probabilities) == list(CLASSES)
        assert sum(probabilities.values()) == pytest.approx(1, abs=5e-4)
        assert all(round(value, 4) == value for value in probabilities.values())
        assert probabilities[each["class"]] == max(probabilities.values())
    counts = Counter(each["class"] for each in scored)
    assert counts["N"] > 30
    assert counts["V"] >= 5


def test_live_equals_offline(
    troubled: Floats, new_engine: NewEngine, new_classifying_scorer: NewScorer
) -> None:
    engine, _ = new_engine(batch_size=3, scorer=new_classifying_scorer())
    expected = [encode_json(beat) for beat in beats(offline(troubled, new_classifying_scorer()))]
    assert [encode_json(beat) for beat in beats(live(troubled, engine))] == expected


def test_an_alert_has_the_class_of_the_beat_that_its_score_is_of(
    troubled: Floats, new_classifying_scorer: NewScorer
) -> None:
    messages = offline(troubled, new_classifying_scorer())
    class_of = {(beat.sample, beat.score): beat.beat_class for beat in beats(messages)}
    told = []
    for alert in on_the_wire([m for m in messages if isinstance(m, AlertMessage)]):
        assert ("class" in alert) == (alert["score"] is not None)
        if alert["score"] is not None:
            (worst,) = {(sample, alert["score"]) for sample in alert["beats"]} & set(class_of)
            assert alert["class"] == class_of[worst]
            told.append(alert["class"])
    assert "V" in told


def test_a_model_without_classes_says_nothing_of_them(
    troubled: Floats, new_scorer: NewScorer
) -> None:
    for message in on_the_wire(offline(troubled, new_scorer())):
        assert not {"class", "probabilities", "revised"} & set(message)
