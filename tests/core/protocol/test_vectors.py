"""The specification, its byte vectors and the code say the same."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from beatgan.errors import StreamError
from beatgan.protocol import frames, messages
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import Message, encode_lines, encode_message
from beatgan.protocol.names import BEAT_BATCH

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "golden"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads((GOLDEN / "wire.json").read_text())
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
TYPES: dict[str, type[Message]] = {
    "beat": messages.BeatMessage,
    "alert": messages.AlertMessage,
    "status": messages.StatusMessage,
}


def parts_of(vector: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(part) for part in vector["parts"]]


def blocks(language: str) -> list[str]:
    """The page's code blocks in ``language``."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """The page's text under a heading."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def test_the_file_is_what_its_script_makes() -> None:
    made = runpy.run_path(str(GOLDEN / "make_wire.py"))["vectors"]()
    assert made == VECTORS


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["name"])
def test_a_golden_frame_decodes_to_what_it_says(vector: dict[str, Any]) -> None:
    chunk, expected = decode_frame(parts_of(vector)), dict(vector["chunk"])
    samples = np.array(expected.pop("samples"), np.float64).astype(np.float32)
    np.testing.assert_array_equal(chunk.samples, samples)
    expected["leads"] = tuple(expected["leads"])
    assert {key: getattr(chunk, key) for key in expected} == expected


@pytest.mark.parametrize(("index", "coding"), [(0, ("<i2", 0.005, 1024.0)), (1, ("<f4", 1.0, 0.0))])
def test_golden_frames_are_what_replay_would_send(
    index: int, coding: tuple[str, float, float]
) -> None:
    parts = parts_of(VECTORS["frames"][index])
    assert encode_frame(decode_frame(parts), *coding) == parts


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["reason"])
def test_a_golden_fault_is_refused_with_its_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(StreamError) as caught:
        decode_frame(parts_of(vector))
    assert caught.value.reason == vector["reason"]


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["topic"])
def test_a_golden_message_is_encoded_byte_for_byte(vector: dict[str, Any]) -> None:
    kind = vector["topic"].partition(".")[0]
    message = msgspec.json.decode(vector["json"], type=TYPES[kind])
    assert encode_message(message) == [vector["topic"].encode(), vector["json"].encode()]


@pytest.mark.parametrize("vector", VECTORS["batches"], ids=lambda vector: vector["topic"])
def test_a_golden_batch_is_encoded_byte_for_byte(vector: dict[str, Any]) -> None:
    assert vector["topic"].encode() == BEAT_BATCH
    lines = vector["lines"].splitlines()
    beats = [msgspec.json.decode(line, type=messages.BeatMessage) for line in lines]
    assert encode_lines(beats) == vector["lines"].encode()
    assert f"```jsonl\n{vector['lines']}```" in PAGE


def test_the_page_shows_the_vectors() -> None:
    shown = [[part.replace("\n", "") for part in re.split(r"\n\s*\n", b)] for b in blocks("hex")]
    assert shown == [vector["parts"] for vector in VECTORS["frames"][:2]]
    (messages,) = blocks("json")
    assert messages.split() == "\n".join(v["json"] for v in VECTORS["messages"]).split()


def test_the_page_explains_every_key() -> None:
    for name in msgspec.structs.fields(frames.Header):
        assert f"\n| `{name.name}` |" in section("The frame")
    for title, kind in TYPES.items():
        text = section(title)
        first_column = "".join(re.findall(r"^\|([^|]*)\|", text, re.MULTILINE))
        for field in msgspec.structs.fields(kind):
            assert f"`{field.encode_name}`" in first_column, (title, field.name)
    for field in msgspec.structs.fields(messages.Probabilities):
        assert f'"{field.encode_name}"' in section("beat")
    for inner in (messages.Explanation, messages.Delay, messages.Totals):
        for field in msgspec.structs.fields(inner):
            assert re.search(rf'[`"]{field.name}[`"]', section("alert") + section("status"))
