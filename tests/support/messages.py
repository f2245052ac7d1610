"""Messages of a stream whose content does not matter."""

from typing import Any

from beatgan.protocol.messages import AlertMessage, BeatMessage, Delay, StatusMessage, Totals


def alert_message(
    n: int, episode: str = "a", phase: str = "start", stream: str = "bed"
) -> AlertMessage:
    place: dict[str, Any] = {"onset_sample": 0, "onset_ns": 0, "end_sample": None, "sample": 0}
    what: dict[str, Any] = {"kind": "technical", "code": "signal.flat", "priority": "low"}
    return AlertMessage(
        id=episode,
        n=n,
        stream=stream,
        epoch=0,
        phase=phase,
        lead="II",
        suspended=False,
        raised_ns=0,
        score=None,
        threshold=None,
        beats=(),
        delay_ms=Delay(0.0, 0.0),
        explanation=None,
        **place,
        **what,
    )


def beat_message(n: int) -> BeatMessage:
    values: dict[str, Any] = {"stream": "bed", "epoch": 1, "n": n, "sample": n, "time_ns": 0}
    scored: dict[str, Any] = {"score": 0.5, "threshold": 1.0, "anomalous": False}
    return BeatMessage(**values, **scored, lead="II", rr_ms=None, quality="good")


def status_message() -> StatusMessage:
    values: dict[str, Any] = {"stream": "bed", "epoch": 1, "sample": 0, "time_ns": 0, "lost": 0}
    more: dict[str, Any] = {"fs": 360.0, "leads": ("II",), "lead": "II", "text": "t"}
    return StatusMessage(**values, **more, state="started", totals=Totals(0, 0, 0))
