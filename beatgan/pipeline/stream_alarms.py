"""Technical alarms about a stream that do not come from its samples: how they begin and end.

Knows no signal and no clock. One episode of a code at a time, of each stream.
"""

from typing import NamedTuple

from msgspec.structs import replace

from beatgan.alarms.codes import AlarmCode
from beatgan.pipeline.segment import Segment
from beatgan.pipeline.stream import Stream, StreamEvent
from beatgan.types import Alert, Phase


def start_alert(
    code: AlarmCode, onset: int, at: int, text: str, condition_ms: float, suspended: bool
) -> Alert:
    """The beginning of an episode of ``code``, numbered by the sample where it began."""
    return Alert(
        episode=onset,
        kind=code.kind,
        code=code,
        priority=code.priority,
        phase=Phase.START,
        onset=onset,
        end=None,
        at=at,
        lead=None,
        suspended=suspended,
        beats=(),
        worst=None,
        explains=False,
        condition_ms=condition_ms,
        text=text,
    )


def end_alert(alert: Alert, sample: int) -> Alert:
    """The end, at ``sample``, of the episode that ``alert`` began."""
    return replace(alert, phase=Phase.END, end=sample, at=sample, suspended=False, condition_ms=0.0)


class _Begun(NamedTuple):
    segment: Segment  # under whose id it goes on, whatever segment follows
    alert: Alert

    def segment_event(self, alert: Alert, until: int) -> StreamEvent:
        return StreamEvent(self.segment, alert, until, self.segment.source_clock.times)


class StreamAlarms:
    """The episodes under way, of all streams."""

    def __init__(self) -> None:
        self._active: dict[str, dict[AlarmCode, _Begun]] = {}

    def begin(self, stream: Stream, code: AlarmCode, onset: int, text: str) -> list[StreamEvent]:
        """The events with which an episode begins that was not under way."""
        active = self._active.setdefault(stream.segment.stream, {})
        if code in active:
            return []
        condition_ms = 1000 * (stream.expected - onset) / stream.segment.fs
        alert = start_alert(code, onset, onset, text, condition_ms, suspended=False)
        active[code] = _Begun(stream.segment, alert)
        return [stream.alert(alert)]

    def end(self, stream: Stream, code: AlarmCode) -> list[StreamEvent]:
        """The events with which the episode of ``code`` ends, if there is one."""
        name = stream.segment.stream
        begun = self._active.get(name, {}).pop(code, None)
        if begun is None:
            return []
        if not self._active[name]:
            del self._active[name]
        sample = max(stream.expected, begun.alert.onset)
        return [begun.segment_event(end_alert(begun.alert, sample), sample)]

    def end_all(self, stream: Stream) -> list[StreamEvent]:
        """The events with which all the stream's episodes end."""
        codes = tuple(self._active.get(stream.segment.stream, ()))
        return [event for code in codes for event in self.end(stream, code)]

    def episodes(self) -> set[str]:
        """The ids of all episodes under way."""
        return {
            begun.segment.episode_id(code, begun.alert.episode)
            for active in self._active.values()
            for code, begun in active.items()
        }
