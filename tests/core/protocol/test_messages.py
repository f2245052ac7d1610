"""The messages' bytes: fields, order, topics."""

import json

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from beatgan.beat_classes import CLASSES
from beatgan.protocol import messages
from beatgan.protocol.messages import decode_alert, decode_line, encode_message

BEAT = messages.BeatMessage(
    stream="bed-1",
    epoch=5,
    n=0,
    sample=77,
    time_ns=123,
    lead="II",
    rr_ms=None,
    score=0.5,
    threshold=1.0,
    anomalous=False,
    quality="good",
)
ALERT = messages.AlertMessage(
    id="bed-1/5/0/beat.anomalous/0",
    n=3,
    stream="bed-1",
    epoch=5,
    kind="physiological",
    code="beat.anomalous",
    priority="medium",
    phase="start",
    onset_sample=77,
    onset_ns=123,
    end_sample=None,
    sample=77,
    lead="II",
    suspended=False,
    raised_ns=456,
    score=2.5,
    threshold=1.0,
    beats=(77, 80),
    delay_ms=messages.Delay(12.5, 0.5),
    explanation=messages.Explanation(77, 360.0, [0.5], [0.25], [0.0625]),
)
KEYS = {
    "beat": "v type stream epoch n sample time_ns lead rr_ms score threshold anomalous quality",
    "alert": "v type id n stream epoch kind code priority phase onset_sample onset_ns end_sample "
    "sample lead suspended latched acknowledged suppressed raised_ns score threshold "
    "beats delay_ms explanation",
}


@pytest.mark.parametrize("message", [BEAT, ALERT])
def test_messages_have_the_protocols_fields_in_its_order(
    message: messages.BeatMessage | messages.AlertMessage,
) -> None:
    topic, body = encode_message(message)
    fields = json.loads(body)
    assert topic == f"{message.type}.bed-1".encode()
    assert list(fields) == KEYS[message.type].split()
    assert (fields["v"], fields["type"]) == (1, message.type)


def test_what_is_known_of_a_beats_class_comes_behind_the_keys_that_were_there_before() -> None:
    beat = replace(
        BEAT,
        beat_class="V",
        probabilities=messages.Probabilities(0.1, 0.0, 0.85, 0.04, 0.01),
        revised=True,
    )
    fields = json.loads(encode_message(beat)[1])
    assert list(fields) == [*KEYS["beat"].split(), "class", "probabilities", "revised"]
    assert fields["class"] == "V"
    assert fields["probabilities"] == {"N": 0.1, "S": 0.0, "V": 0.85, "F": 0.04, "Q": 0.01}
    assert list(fields["probabilities"]) == list(CLASSES)
    fields = json.loads(encode_message(replace(ALERT, beat_class="F"))[1])
    assert list(fields) == [*KEYS["alert"].split(), "class"]
    assert fields["class"] == "F"


def test_messages_of_before_there_were_classes_are_read() -> None:
    body = encode_message(ALERT)[1]
    assert b"class" not in body
    assert decode_alert(body) == ALERT
    assert decode_alert(body).beat_class is UNSET
    line = decode_line(encode_message(BEAT)[1])
    assert isinstance(line, messages.BeatLine)
    assert not line.revised


def test_an_alert_survives_the_journal_with_its_class() -> None:
    alert = replace(ALERT, beat_class="V")
    assert decode_alert(encode_message(alert)[1]) == alert


def test_an_alerts_inner_objects_have_the_protocols_fields() -> None:
    fields = json.loads(encode_message(ALERT)[1])
    assert fields["beats"] == [77, 80]
    assert fields["delay_ms"] == {"condition": 12.5, "signal": 0.5}
    assert list(fields["explanation"]) == ["sample", "fs", "window", "expected", "error"]
