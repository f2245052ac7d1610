"""Writes wire.json: byte vectors of the protocol, made without a line of the daemon's code.

Run ``python tests/golden/make_wire.py`` after a deliberate change of the protocol. A test compares
the file with this script's output, with the daemon and with docs/protocol.md.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("wire.json")
EPOCH = 1_700_000_000_000_000_000
HEADER: dict[str, Any] = {
    "v": 1,
    "epoch": EPOCH,
    "seq": 2,
    "first": 720,
    "t_ns": EPOCH + 2_000_000_000,
    "fs": 360.0,
    "leads": ["MLII", "V5"],
    "dtype": "<i2",
    "scale": 0.005,
    "offset": 1024.0,
}
FLOATS: dict[str, Any] = {"leads": ["II"], "dtype": "<f4", "scale": 1.0, "offset": 0.0}
UNSIGNED = ((0xCC, ">B", 8), (0xCD, ">H", 16), (0xCE, ">I", 32), (0xCF, ">Q", 64))


def pack(value: object) -> bytes:
    """MessagePack, as far as a header needs it."""
    if value is None:
        return b"\xc0"
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, int):
        return _pack_int(value)
    if isinstance(value, str):
        raw = value.encode()
        return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)])) + raw
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    if isinstance(value, dict):
        items = b"".join(pack(key) + pack(each) for key, each in value.items())
        return bytes([0x80 | len(value)]) + items
    raise TypeError(type(value))


def _pack_int(value: int) -> bytes:
    if 0 <= value < 128:
        return bytes([value])
    if -32 <= value < 0:
        return struct.pack(">b", value)
    for code, form, bits in UNSIGNED:
        if 0 <= value < 2**bits:
            return bytes([code]) + struct.pack(form, value)
    return b"\xd3" + struct.pack(">q", value)


def shorts(*values: int) -> bytes:
    """Samples as ``<i2``."""
    return struct.pack(f"<{len(values)}h", *values)


def floats(*values: float) -> bytes:
    """Samples as ``<f4``."""
    return struct.pack(f"<{len(values)}f", *values)


def frame(payload: bytes, topic: bytes = b"ecg.bed-7", **header: object) -> list[str]:
    """A frame's three parts in hexadecimal."""
    return [part.hex() for part in (topic, pack(HEADER | header), payload)]


def frames() -> list[dict[str, Any]]:
    """Frames that decode, and what to. A lost sample is null."""
    short = shorts(1024, 1034, 1224, -32768, 1004, 824)
    common = {k: HEADER[k] for k in ("epoch", "seq", "first", "t_ns", "fs")} | {"stream": "bed-7"}
    one = common | {"leads": ["II"]}
    return [
        {
            "name": "int16, two leads, one sample lost on V5",
            "parts": frame(short),
            "chunk": common
            | {"leads": ["MLII", "V5"], "samples": [[0.0, 0.05], [1.0, None], [-0.1, -1.0]]},
        },
        {
            "name": "float32, one lead, one sample lost",
            "parts": frame(floats(0.25, float("nan"), -1.5), **FLOATS),
            "chunk": one | {"samples": [[0.25], [None], [-1.5]]},
        },
        {
            "name": "an unknown key is ignored",
            "parts": frame(floats(0.5), **FLOATS, ward=["3 West", None]),
            "chunk": one | {"samples": [[0.5]]},
        },
    ]


def refused() -> list[dict[str, Any]]:
    """Frames that are refused, one for each reason that a frame alone can earn."""
    one = floats(0.5)
    lacking = {key: value for key, value in HEADER.items() if key != "first"}
    cases: dict[str, list[str]] = {
        "parts": frame(one)[:2],
        "topic": frame(one, b"ecg.bed 7", **FLOATS),
        "header": [b"ecg.bed-7".hex(), b"{}".hex(), one.hex()],
        "version": frame(one, **FLOATS, v=2),
        "key": [b"ecg.bed-7".hex(), pack(lacking).hex(), one.hex()],
        "type": frame(one, **FLOATS, seq="2"),
        "range": frame(one, **FLOATS, fs=10.0),
        "dtype": frame(one, **FLOATS | {"dtype": ">f4"}),
        "leads": frame(one, **FLOATS | {"leads": []}),
        "payload": frame(one[:3], **FLOATS),
    }
    return [{"reason": reason, "parts": parts} for reason, parts in cases.items()]


def messages() -> list[dict[str, str]]:
    """Messages out: topic and the exact JSON."""
    head = {"stream": "bed-7", "epoch": EPOCH}
    beat = {"v": 1, "type": "beat", **head, "n": 17, "sample": 5673, "time_ns": EPOCH + 15758333333}
    beat |= {"lead": "MLII", "rr_ms": 527.5, "score": 3.25, "threshold": 2.5, "anomalous": True}
    beat |= {"quality": "good"}
    chances = {"N": 0.0213, "S": 0.0102, "V": 0.9512, "F": 0.0169, "Q": 0.0004}
    parts = {"error": 1.5, "distance": 2.0, "prematurity": -0.25}
    classified = beat | {"class": "V", "probabilities": chances, "components": parts}
    revised = classified | {"score": 3.5, "revised": True}
    alert: dict[str, Any] = {"v": 1, "type": "alert", "id": f"bed-7/{EPOCH}/0/beat.anomalous/0"}
    alert |= {"n": 0, **head, "kind": "physiological", "code": "beat.anomalous"}
    alert |= {"priority": "medium", "phase": "start", "onset_sample": 5673}
    alert |= {"onset_ns": EPOCH + 15758333333, "end_sample": None, "sample": 5673, "lead": "II"}
    alert |= {"suspended": False, "latched": False, "acknowledged": False, "suppressed": 0}
    alert |= {"raised_ns": EPOCH + 18004000000, "score": 3.25, "threshold": 2.5}
    alert |= {"beats": [5673, 5855, 6250], "delay_ms": {"condition": 2125.0, "signal": 120.667}}
    ticks = {"window": [0.1, 2.05], "expected": [0.1, 1.05], "error": [0.0, 1.0]}
    alert |= {"explanation": {"sample": 5673, "fs": 360.0, **ticks}}
    spread = {"spread": [0.05, 0.3]}
    spreading = alert | {"explanation": {**alert["explanation"], **spread}}
    reference = {"reference": [0.12, 0.95]}
    strip = {"first": 4874, "fs": 360.0, "leads": ["MLII", "V5"], "dtype": "<i2", "scale": 0.001}
    strip |= {"offset": 0.0, "samples": base64.b64encode(shorts(5, -120, 1, -32768)).decode()}
    told = alert | {"explanation": {**alert["explanation"], **spread, **reference}, "class": "V"}
    told |= {"probabilities": chances, "components": parts}
    told |= {"heart_rate": 78.4, "strip": strip}
    told |= {"text": "3 anomalous beats, the worst ventricular (95%), heart rate 78/min"}
    worst = alert | {"phase": "update", "explanation": None, "class": "V"}
    status: dict[str, Any] = {"v": 1, "type": "status", **head, "state": "gap", "sample": 7200}
    status |= {"time_ns": EPOCH + 20000000000, "fs": 360.0, "leads": ["MLII", "V5"]}
    status |= {"lead": "MLII", "lost": 3600}
    status |= {"totals": {"received": 7200, "lost": 3600, "repeated": 0}}
    status |= {"text": "3600 samples (10 s) never arrived"}
    return [
        {"topic": f"{kind}.bed-7", "json": json.dumps(message, separators=(",", ":"))}
        for kind, message in (
            ("beat", beat),
            ("alert", alert),
            ("status", status),
            ("beat", classified),
            ("beat", revised),
            ("alert", worst),
            ("alert", spreading),
            ("alert", told),
        )
    ]


def batches() -> list[dict[str, str]]:
    """Beats in one message: a topic and the exact JSON Lines. Here a beat and its revision."""
    beats = [each["json"] for each in messages() if '"class":"V","probabilities"' in each["json"]]
    return [{"topic": "batch.beat", "lines": "".join(beat + "\n" for beat in beats[:2])}]


def vectors() -> dict[str, Any]:
    """Everything the file holds."""
    out = {"messages": messages(), "batches": batches()}
    return {"frames": frames(), "refused": refused(), **out}


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
