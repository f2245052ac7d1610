"""Writes mqtt.json: what the bridge of MQTT takes from a broker, made without a line of its code.

Run ``python tests/golden/make_mqtt.py`` after a deliberate change of docs/bridges.md. A test
compares the file with the bridge.
"""

import json
import struct
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("mqtt.json")
WIRE = Path(__file__).with_name("wire.json")
NOW = 1_700_000_000_000_000_000  # when the JSON arrives


def binary() -> dict[str, Any]:
    """The first frame of wire.json as one body."""
    frame = json.loads(WIRE.read_text())["frames"][0]["parts"]
    _, header, payload = map(bytes.fromhex, frame)
    return {"frame": frame, "body": (struct.pack(">I", len(header)) + header + payload).hex()}


def maker(name: str, body: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    """One body, and the chunk that it is."""
    return {"name": name, "body": json.dumps(body, separators=(",", ":"))} | wanted


def vectors() -> dict[str, Any]:
    """All of them."""
    return {
        "binary": binary(),
        "json": [
            maker(
                "one lead, microvolts, one sample lost, no clock",
                {"fs": 125, "unit": "uV", "first": 250, "samples": [100, -50, None, 1500, 0]},
                first=250,
                fs=125.0,
                leads=["ECG"],
                epoch=NOW,
                t_ns=NOW - 40_000_000,
                millivolt=[[0.1], [-0.05], [None], [1.5], [0.0]],
            ),
            maker(
                "two leads, counts of a converter, its own epoch and time",
                {
                    "fs": 250,
                    "scale": 0.5,
                    "leads": ["I", "II"],
                    "first": 0,
                    "epoch": 17,
                    "t_ns": NOW - 5,
                    "samples": [[1, 2], [None, -4]],
                },
                first=0,
                fs=250.0,
                leads=["I", "II"],
                epoch=17,
                t_ns=NOW - 5,
                millivolt=[[0.5, 1.0], [None, -2.0]],
            ),
        ],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n")
