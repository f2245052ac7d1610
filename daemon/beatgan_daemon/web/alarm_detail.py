"""One alarm for the page: what was told of it, why, and the ECG."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from beatgan.errors import UsageError
from beatgan.explain.strip import read_strip
from beatgan.protocol.messages import AlertMessage, RhythmStrip, decode_alert
from beatgan_daemon.web.json_text import for_browser, text
from beatgan_daemon.web.kept_strip import Beat, KeptStrip

DECIMALS: Final = 6  # of a sample in mV: a nanovolt


class AlarmDetail(NamedTuple):
    """``bodies``: the episode's alerts as JSON, in order, one at least."""

    bodies: Sequence[bytes]
    kept: KeptStrip | None
    why_no_strip: str


def with_strip_of_alert(bodies: Sequence[bytes], why: str) -> AlarmDetail:
    """The strip that the alerts carry themselves; without one, ``why`` there is no other."""
    messages = [decode_alert(body) for body in bodies]
    for message in messages:
        if isinstance(message.strip, RhythmStrip):
            try:
                strip = read_strip(message.strip)
            except UsageError as error:
                return AlarmDetail(bodies, None, str(error))
            note = "the alert's own: up to the moment at which the alarm was recognised"
            return AlarmDetail(bodies, KeptStrip(strip, _beats(messages), note), "")
    return AlarmDetail(bodies, None, why)


def _beats(messages: Sequence[AlertMessage]) -> list[Beat]:
    """The anomalous beats that the alerts name: no more is known of them."""
    unknown = {"rr_ms": None, "score": None, "threshold": None}
    return [
        {"sample": sample, **unknown, "quality": "good", "anomalous": True, "lead": message.lead}
        for message in messages
        for sample in message.beats
    ]


def detail_text(detail: AlarmDetail) -> str:
    """As JSON."""
    messages = [for_browser(msgspec.json.decode(body)) for body in detail.bodies]
    explanations = [each["explanation"] for each in messages if each["explanation"]]
    answer: dict[str, Any] = {
        "messages": messages,
        "explanation": explanations[-1] if explanations else None,
        "strip": None if detail.kept is None else _strip(detail.kept),
    }
    if detail.kept is None:
        answer["why_no_strip"] = detail.why_no_strip
    return text(answer)


def _strip(kept: KeptStrip) -> dict[str, Any]:
    strip = kept.strip
    return {
        "fs": strip.fs,
        "leads": strip.leads,
        "first": strip.first,
        "samples": [
            [None if value != value else value for value in lead]  # NaN
            for lead in np.round(strip.millivolt.T, DECIMALS).tolist()
        ],
        "beats": kept.beats,
        "note": kept.note,
    }
