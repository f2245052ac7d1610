"""Beats and alerts as LSL markers: text, each at the time of what it tells of."""

from typing import Any, Final

import msgspec

from beatgan.protocol.messages import decode_alert

BULKY: Final = ("explanation", "strip", "probabilities", "components", "delay_ms", "beats")


class Marker(msgspec.Struct, frozen=True):
    """``time_ns``: UNIX time by the source's clock; ``text``: JSON."""

    time_ns: int
    text: str


def of_beat(body: bytes, time_ns: int) -> Marker:
    """The beat's message as it is, at its R peak."""
    return Marker(time_ns, body.decode())


def of_alert(body: bytes) -> Marker:
    """The alert's message without what is bulky, at its onset where it starts, else when it was
    raised."""
    alert = decode_alert(body)
    fields: dict[str, Any] = msgspec.json.decode(body)
    text = msgspec.json.encode({key: each for key, each in fields.items() if key not in BULKY})
    time_ns = alert.onset_ns if alert.phase == "start" else alert.raised_ns
    return Marker(time_ns, text.decode())
