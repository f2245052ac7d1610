"""Alerts put together: one value an episode, from its first message to its last."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from beatgan.protocol.messages import AlertMessage


@dataclass(frozen=True, slots=True)
class Episode:
    """What lasted from ``onset_s`` to ``end_s``, in seconds from the recording's first sample.

    ``end_s`` is None while it lasts. ``kind``: ``physiological`` or ``technical``; ``code``,
    ``priority``, ``lead``, ``text`` (a sentence) and ``heart_rate`` (a minute, or None) as in its
    latest alert. ``score`` of its worst beat, or None. ``beats``: the samples of their R peaks.
    """

    id: str
    kind: str
    code: str
    priority: str
    onset_s: float
    end_s: float | None
    onset_sample: int
    end_sample: int | None
    lead: str | None
    score: float | None
    heart_rate: float | None
    text: str
    beats: tuple[int, ...]


def episodes_of(messages: Iterable[Any], fs: float) -> tuple[Episode, ...]:
    """The episodes of all alerts among ``messages``, in order of their onset; ``fs`` in Hz."""
    alerts: dict[str, list[AlertMessage]] = {}
    for message in messages:
        if isinstance(message, AlertMessage):
            alerts.setdefault(message.id, []).append(message)
    found = (_episode(each, fs) for each in alerts.values())
    return tuple(sorted(found, key=lambda episode: episode.onset_sample))


def _episode(alerts: list[AlertMessage], fs: float) -> Episode:
    last = alerts[-1]
    text = next((a.text for a in reversed(alerts) if a.text is not UNSET), str(last.code))
    rate = next((a.heart_rate for a in reversed(alerts) if a.heart_rate is not UNSET), None)
    return Episode(
        id=last.id,
        kind=last.kind,
        code=str(last.code),
        priority=str(last.priority),
        onset_s=last.onset_sample / fs,
        end_s=None if last.end_sample is None else last.end_sample / fs,
        onset_sample=last.onset_sample,
        end_sample=last.end_sample,
        lead=last.lead,
        score=max((a.score for a in alerts if a.score is not None), default=None),
        heart_rate=rate,
        text=text,
        beats=tuple(sorted({beat for a in alerts for beat in a.beats})),
    )
