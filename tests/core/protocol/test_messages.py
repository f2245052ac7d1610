"""The messages' bytes: fields, order, topics."""

import json

import pytest

from beatgan.protocol import messages
from beatgan.protocol.messages import encode_message

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


def test_an_alerts_inner_objects_have_the_protocols_fields() -> None:
    fields = json.loads(encode_message(ALERT)[1])
    assert fields["beats"] == [77, 80]
    assert fields["delay_ms"] == {"condition": 12.5, "signal": 0.5}
    assert list(fields["explanation"]) == ["sample", "fs", "window", "expected", "error"]
