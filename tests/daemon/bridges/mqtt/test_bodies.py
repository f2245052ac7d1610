"""Bodies of messages: frames in binary and makers' JSON, to the byte, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatgan.errors import StreamError, UsageError
from beatgan.protocol.frame_decoder import decode_frame
from beatgan_daemon.bridges.frame_body import frame_body, frame_parts
from beatgan_daemon.bridges.mqtt.bodies import is_binary, json_ecg
from beatgan_daemon.bridges.mqtt.makers import Makers
from beatgan_daemon.bridges.mqtt.topics import Topics

GOLDEN = json.loads((Path(__file__).parents[3] / "golden/mqtt.json").read_text())
MAKER = {"fs": 130, "unit": "uV", "first": 0, "samples": [100, -50, None]}
NOW_NS = 1_700_000_000_000_000_000


def test_a_frame_in_binary_to_the_byte() -> None:
    vector = GOLDEN["binary"]
    body = bytes.fromhex(vector["body"])
    assert is_binary(body)
    parts = frame_parts("bed-7", body)
    assert [part.hex() for part in parts] == vector["frame"]
    assert frame_body(parts) == body
    assert decode_frame(parts).stream == "bed-7"


@pytest.mark.parametrize("vector", GOLDEN["json"], ids=lambda vector: vector["name"])
def test_makers_json_to_the_sample(vector: dict[str, Any]) -> None:
    body = vector["body"].encode()
    assert not is_binary(body)
    chunk = Makers().chunk("bed-7", json_ecg(body), NOW_NS)
    assert (chunk.first, chunk.fs, list(chunk.leads)) == (
        vector["first"],
        vector["fs"],
        vector["leads"],
    )
    assert (chunk.epoch, chunk.t_ns) == (vector["epoch"], vector["t_ns"])
    wanted = np.array(vector["millivolt"], np.float32)  # None becomes NaN
    np.testing.assert_array_equal(chunk.samples, wanted)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": None}, "give unit, such as uV or mV, or scale"),
        ({"scale": 0.1}, "one of them"),
        ({"unit": "kg"}, "'kg' is no voltage"),
        ({"unit": None, "scale": 0.0}, "scale must be finite and not 0"),
        ({"fs": None}, "missing required field `fs`"),
        ({"first": None}, "missing required field `first`"),
        ({"fs": 10}, r"`float` >= 50\.0 - at `\$\.fs`"),
        ({"first": -1}, r"`int` >= 0 - at `\$\.first`"),
        ({"samples": []}, "length >= 1"),
        ({"samples": ["1"]}, r"at `\$\.samples\[0\]`"),
        ({"samples": [[1, 2]]}, "need their names: leads"),
        ({"leads": ["I", "II"]}, r"each instant has 2 value\(s\)"),
        ({"leads": []}, "1-16 leads"),
        ({"leads": ["I"], "samples": [[1], [1, 2]]}, r"each instant has 1 value\(s\)"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str) -> None:
    body = {key: each for key, each in (MAKER | changes).items() if each is not None}
    with pytest.raises(StreamError, match=words):
        json_ecg(json.dumps(body).encode()).millivolt()


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"[1]", b"\xff\xfe", b'{"fs":1e999}', b"[" * 100_000, b"\0", b"\0\0\0\5"],
)
def test_any_bytes_are_ecg_or_refused(body: bytes) -> None:
    with pytest.raises(StreamError):
        decode_frame(frame_parts("bed", body)) if is_binary(body) else json_ecg(body)


def test_what_is_no_voltage_is_lost() -> None:
    body = json.dumps(MAKER | {"samples": [1e300], "unit": "V"}).encode()
    assert np.isinf(json_ecg(body).millivolt()).all()


# --- devices that know neither when they began nor what time it is --------------------------------


def sent(makers: Makers, first: int, at_s: float = 0.0, **more: Any) -> Any:
    body = json.dumps(MAKER | {"first": first} | more).encode()
    return makers.chunk("bed", json_ecg(body), NOW_NS + round(1e9 * at_s))


def test_times_run_with_the_count_whatever_the_network_does() -> None:
    """The arrival is off by 50 ms each time; the times differ by less than a frame's tolerance."""
    makers = Makers()
    chunks = [sent(makers, 13 * n, 0.1 * n + (0.05 if n % 2 else 0.0)) for n in range(50)]
    steps = np.diff([chunk.t_ns for chunk in chunks]) / 1e6
    assert np.abs(steps - 100.0).max() < 2.0
    assert {chunk.epoch for chunk in chunks} == {NOW_NS}
    assert [chunk.seq for chunk in chunks] == list(range(50))


def test_a_count_that_falls_back_far_began_anew() -> None:
    makers = Makers()
    old = sent(makers, 10_000)
    assert sent(makers, 9_000, 1.0).epoch == old.epoch  # sent again
    assert sent(makers, 0, 2.0).epoch == NOW_NS + 2 * 10**9


def test_another_rate_began_anew_and_so_did_other_leads() -> None:
    makers = Makers()
    epochs = {
        sent(makers, 0).epoch,
        sent(makers, 3, 1.0, fs=250).epoch,
        sent(makers, 6, 2.0, fs=250, leads=["II"]).epoch,
    }
    assert len(epochs) == 3


def test_an_epoch_of_its_own_decides() -> None:
    makers = Makers()
    assert [sent(makers, first, epoch=7).epoch for first in (0, 5000, 0)] == [7, 7, 7]
    assert sent(makers, 0, epoch=8).epoch == 8
    with pytest.raises(StreamError, match="fs was 130 in this epoch, not 250"):
        sent(makers, 3, epoch=8, fs=250)


# --- topics -------------------------------------------------------------------------------------


def test_topics_are_what_they_are() -> None:
    topics = Topics()
    assert [
        topics.of("ecg", "bed-7"),
        topics.of("alert", "bed-7"),
        topics.of("active", "bed-7"),
    ] == [
        "beatgan/v1/ecg/bed-7",
        "beatgan/v1/alert/bed-7",
        "beatgan/v1/active/bed-7",
    ]
    assert (topics.status, topics.all("ecg")) == ("beatgan/v1/status", "beatgan/v1/ecg/+")
    assert topics.stream("ecg", "beatgan/v1/ecg/bed-7") == "bed-7"
    for other in ("beatgan/v1/ecg/bed.7", "beatgan/v1/ecg/", "beatgan/v1/ecg/a/b", "x"):
        assert topics.stream("ecg", other) is None


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a/+/b", "#", "$SYS"])
def test_a_prefix_that_cannot_be_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="--topic"):
        Topics(prefix)
