"""The alarms of one recording as episodes, in seconds of it, from a daemon's alert messages.

The moment at which an alarm was raised is the time of the last sample that it needed: what a live
daemon adds (the rest of the frame, the way out) is not in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from beatgan.alarms.codes import PRESENT, AlarmCode
from beatgan.ec57.episodes import Span
from beatgan.protocol.messages import Delay

RUN, VF, ASYSTOLE = (
    AlarmCode.VENTRICULAR_RUN,
    AlarmCode.VENTRICULAR_FIBRILLATION,
    AlarmCode.ASYSTOLE,
)
TACHYCARDIA, BRADYCARDIA = AlarmCode.TACHYCARDIA, AlarmCode.BRADYCARDIA
PAUSE, AF = AlarmCode.PAUSE, AlarmCode.ATRIAL_FIBRILLATION
PRIORITIES = ("low", "medium", "high")
PHYSIOLOGICAL = "physiological"


class AlertLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of an alert message; any release's has it."""

    stream: str
    id: str
    kind: str
    code: str
    priority: str
    onset_sample: int
    onset_ns: int
    end_sample: int | None
    sample: int
    suspended: bool
    suppressed: int = 0
    raised_ns: int
    delay_ms: Delay


@dataclass(frozen=True, slots=True)
class AlarmEpisode:
    """One alarm from its first message to its last; times in seconds of its record.

    ``priority`` is the highest that one of its messages had. ``silent``: where it said that beats
    could not be scored. ``suppressed``: how many episodes of its code it says were held back.
    """

    record: str
    code: str
    kind: str
    priority: str
    raised: float
    onset: float
    end: float
    silent: tuple[Span, ...] = ()
    suppressed: int = 0

    @property
    def span(self) -> Span:
        """What it says was the matter: from its onset to its end."""
        return Span(self.onset, max(self.onset, self.end))

    @property
    def shown(self) -> Span:
        """While it stood on a screen: from its first message to its end."""
        return Span(self.raised, max(self.raised, self.end))


def episodes(
    messages: Iterable[AlertLine], record: str, fs: float, seconds: float
) -> list[AlarmEpisode]:
    """The alarms of ``messages`` in the order raised; ``seconds``: the record's length."""
    by_id: dict[str, list[AlertLine]] = {}
    for message in messages:
        by_id.setdefault(message.id, []).append(message)
    return sorted(
        (_episode(each, record, fs, seconds) for each in by_id.values()),
        key=lambda episode: (episode.raised, episode.code),
    )


def _episode(messages: Sequence[AlertLine], record: str, fs: float, seconds: float) -> AlarmEpisode:
    first = messages[0]
    ends = [m.end_sample / fs for m in messages if m.end_sample is not None]
    end = ends[0] if ends else seconds
    places = [m.sample / fs for m in messages[1:]] + [end]
    silent = [
        Span(m.sample / fs, until)
        for m, until in zip(messages, places, strict=True)
        if m.suspended and until > m.sample / fs
    ]
    return AlarmEpisode(
        record,
        PRESENT.get(first.code, first.code),
        first.kind,
        max((m.priority for m in messages), key=PRIORITIES.index),
        raised(first, fs),
        first.onset_sample / fs,
        end,
        tuple(silent),
        sum(m.suppressed for m in messages),
    )


def raised(message: AlertLine, fs: float) -> float:
    """When ``message`` could be known, in seconds of its record."""
    since_onset = (message.raised_ns - message.onset_ns) / 1e9
    return message.onset_sample / fs + since_onset - message.delay_ms.signal / 1000


def of(alarms: Iterable[AlarmEpisode], *codes: str) -> list[AlarmEpisode]:
    """Those of these codes."""
    return [alarm for alarm in alarms if alarm.code in codes]


def of_patient(alarms: Iterable[AlarmEpisode]) -> list[AlarmEpisode]:
    """Those that are about the patient, not about equipment."""
    return [alarm for alarm in alarms if alarm.kind == PHYSIOLOGICAL]
