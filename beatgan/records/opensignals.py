"""OpenSignals' text: what BITalino and biosignalsplux record. Knows no table.

A comment holds JSON: rate, columns, sensors, and how many bits a sample has. The table holds counts
of the converter, which the data sheets of the ECG sensors turn into millivolt:
(count / 2^bits - 1/2) * supply / gain.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from beatgan.errors import RecordError
from beatgan.records.recording import nanoseconds
from beatgan.records.text_header import Facts

TITLE = "OpenSignals Text File Format"
SUPPLY_AND_GAIN = {"BITalino": (3.3, 1100.0), "biosignalsplux": (3.0, 1000.0)}  # V, 1
BITALINO_COLUMNS = ("I1", "O1")  # digital lines that no other device has


def facts(path: Path, comments: Sequence[str]) -> Facts | None:
    """What the comments say; None where they are not OpenSignals'. Raises RecordError otherwise."""
    if not any(comment.strip().startswith(TITLE) for comment in comments[:1]):
        return None
    found = [c.strip() for c in comments if c.strip().startswith("{")]
    try:
        devices = list(json.loads(found[0]).values())
        return _facts(path, devices)
    except (ArithmeticError, LookupError, AttributeError, RecursionError, TypeError, ValueError):
        raise RecordError(
            f"{path}: the header of OpenSignals is damaged; expected a line of JSON with "
            "'sampling rate', 'column', 'sensor' and 'resolution'"
        ) from None


def _facts(path: Path, devices: Sequence[dict[str, Any]]) -> Facts:
    rates = {float(device["sampling rate"]) for device in devices}
    if len(rates) != 1:
        raise RecordError(f"{path}: holds devices of several rates")
    columns = [column for device in devices for column in _columns(device)]
    if not any(name.startswith("ECG") for name, *_ in columns):
        sensors = ", ".join(str(s)[:20] for device in devices for s in device["sensor"])
        raise RecordError(f"{path}: no sensor is named ECG; found {sensors[:100]}")
    labels, zero, step, full_scale = zip(*columns, strict=True)
    kinds = ", ".join(dict.fromkeys(_kind(device) or "unknown device" for device in devices))
    return Facts(
        f"OpenSignals text ({kinds})",
        rates.pop(),
        _start(devices[0]),
        None,
        labels,
        zero,
        step,
        full_scale,
        notes=() if any(map(_kind, devices)) else ("the device's supply and gain are not known",),
    )


def _columns(device: dict[str, Any]) -> list[tuple[str, float, float, float]]:
    """Heading, zero, step and full scale of each column of a device."""
    names, sensors = list(device["column"]), list(device["sensor"])
    bits = list(device["resolution"])
    first = len(names) - len(sensors)  # of the analog ones
    known = SUPPLY_AND_GAIN.get(_kind(device) or "")
    found = []
    for index, name in enumerate(names):
        sensor = str(sensors[index - first]) if index >= first else ""
        if "ECG" not in sensor.upper():
            other = f"{sensor[:20]} {name} (counts)" if sensor else f"{name} (digital)"
            found.append((other, 0.0, 1.0, 0.0))
            continue
        size = 2.0 ** int(bits[index] if len(bits) == len(names) else bits[index - first])
        if known:
            found.append(("ECG (mV)", size / 2, 1000 * known[0] / known[1] / size, size))
        else:
            found.append(("ECG (adu)", 0.0, 1.0, size))
    return found


def _kind(device: dict[str, Any]) -> str | None:
    """Which family the device is of, as far as its ECG sensor is known."""
    named = str(device.get("device", "")).casefold()
    if "bitalino" in named or set(BITALINO_COLUMNS) <= set(device["column"]):
        return "BITalino"
    if named in ("biosignalsplux", "respiban", "plux"):
        return "biosignalsplux"
    return None


def _start(device: dict[str, Any]) -> int | None:
    """When it began, from "2026-1-31" and "12:0:0.0"; None where that is not said."""
    try:
        year, month, day = map(int, str(device["date"]).split("-"))
        hour, minute, second = str(device["time"]).split(":")
        whole = datetime(year, month, day, int(hour), int(minute))
        return nanoseconds(whole) + round(float(second) * 1e9)
    except (KeyError, ValueError):
        return None
