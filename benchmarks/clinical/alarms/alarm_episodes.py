"""The alarms that the daemon raises for a recording, as episodes in seconds.

Its own engine, without a socket. The moment at which an alarm was raised is the time of the last
sample that it needed: what a live daemon adds (the rest of the frame, the way out) is not in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beatgan.alarms import asystole, ventricular_fibrillation, ventricular_run
from beatgan.alarms.limits import AlarmLimits
from beatgan.protocol.messages import AlertMessage
from beatgan.records import Recording, read_recording
from beatgan_daemon.model_loading import Loaded
from beatgan_daemon.playback.offline import score_recordings
from beatgan_train.data.beat_set import locate
from beatgan_train.data.mitdb import DS1, DS2
from beatgan_train.ec57.episodes import RhythmReference, Span, read_rhythm

RUN, VF, ASYSTOLE = ventricular_run.CODE, ventricular_fibrillation.CODE, asystole.CODE
PRIORITIES = ("low", "medium", "high")


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
    messages: Iterable[AlertMessage], record: str, fs: float, seconds: float
) -> list[AlarmEpisode]:
    """The alarms of ``messages`` in the order raised; ``seconds``: the record's length."""
    by_id: dict[str, list[AlertMessage]] = {}
    for message in messages:
        by_id.setdefault(message.id, []).append(message)
    return sorted(
        (_episode(each, record, fs, seconds) for each in by_id.values()),
        key=lambda episode: (episode.raised, episode.code),
    )


def _episode(
    messages: Sequence[AlertMessage], record: str, fs: float, seconds: float
) -> AlarmEpisode:
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
        first.code,
        first.kind,
        max((m.priority for m in messages), key=PRIORITIES.index),
        raised(first, fs),
        first.onset_sample / fs,
        end,
        tuple(silent),
        sum(m.suppressed for m in messages),
    )


def raised(message: AlertMessage, fs: float) -> float:
    """When ``message`` could be known, in seconds of its record."""
    since_onset = (message.raised_ns - message.onset_ns) / 1e9
    return message.onset_sample / fs + since_onset - message.delay_ms.signal / 1000


@dataclass(slots=True)
class RecordSet:
    """Records, and the alarms that a daemon with ``limits`` raises for them.

    ``names`` are the records chosen on the command line, if any were. No record is streamed twice.
    """

    data: Path
    loaded: Loaded
    limits: AlarmLimits
    names: str | None = None
    _alarms: dict[str, list[AlarmEpisode]] = field(default_factory=dict)

    def records(self, default: str) -> list[str]:
        """The records chosen, or ``default``: DS1, DS2, mitdb (all 48) or names with commas."""
        chosen = self.names or default
        if chosen == "mitdb":
            folder = locate(self.data, "100").parent
            return [file.stem for file in sorted(folder.glob("*.atr"))]
        return list({"DS1": DS1, "DS2": DS2}.get(chosen, chosen.split(",")))

    def alarms(self, name: str) -> list[AlarmEpisode]:
        """The alarms of the record ``name``, all of its leads as the daemon takes them."""
        if name not in self._alarms:
            self._alarms[name] = self.stream(self.recording(name))
        return self._alarms[name]

    def stream(self, recording: Recording) -> list[AlarmEpisode]:
        """The alarms of any recording."""
        messages = score_recordings(
            [recording],
            self.loaded.spec,
            self.loaded.coefficients,
            self.loaded.scorer,
            self.limits,
        )
        alerts = [message for message in messages if isinstance(message, AlertMessage)]
        seconds = len(recording.samples) / recording.fs
        return episodes(alerts, recording.name, recording.fs, seconds)

    def recording(self, name: str) -> Recording:
        """The record itself."""
        return read_recording(locate(self.data, name))

    def reference(self, name: str) -> RhythmReference:
        """Its annotations."""
        return read_rhythm(locate(self.data, name))
