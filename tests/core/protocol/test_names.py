"""Topics and the names of streams."""

import pytest

from beatgan.protocol.names import (
    MAX_NAME,
    MAX_RECORD_NAME,
    stream_of_record,
    stream_of_topic,
    topic_of,
)


def test_a_records_name_as_a_streams() -> None:
    assert stream_of_record("night 1.b") == "night_1_b"
    assert stream_of_record("") == "_"
    assert len(stream_of_record("x" * 99)) == MAX_RECORD_NAME == 56


@pytest.mark.parametrize("stream", ["b", "Bed_7:2-x", "x" * MAX_NAME])
def test_a_topic_gives_its_stream_back(stream: str) -> None:
    assert topic_of("ecg", stream) == b"ecg." + stream.encode()
    assert stream_of_topic(topic_of("ecg", stream)) == stream


@pytest.mark.parametrize(
    "topic",
    [b"", b"ecg", b"ecg.", b"ecg.a b", b"ecg.a.b", b"beat.a", b"ecg.a\n", b"ecg." + b"x" * 65],
)
def test_what_is_no_streams_topic(topic: bytes) -> None:
    assert stream_of_topic(topic) is None
