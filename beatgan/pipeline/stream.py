"""One stream's life by its sample count: what is new, missing, repeated, or begun anew.

Chunks become events: beats, signal changes and changes of status, in the order in which they
became known. Knows no model, no message and no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from beatgan.alarms.limits import AlarmLimits
from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import StreamError
from beatgan.frontend import Event
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.segment import Segment, empty_chunk
from beatgan.pipeline.snapshot import FrontendSnapshot, Snapshot
from beatgan.pipeline.source_clock import SourceTimes
from beatgan.protocol.messages import State, Totals
from beatgan.spec import PreprocessSpec
from beatgan.types import Alert, Beat, Chunk, Floats

MAX_COUNT = 2**63 - 1  # samples counted in a stream's life: thousands of holes of 2**53 add up
RECONCILE_S = 10.0  # of signal after a restart: by then what is still wrong was reported anew


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """The segment is over: what is under way ends at ``sample``.

    ``over``: and nobody is there to acknowledge what was, because it is a recording's end.
    """

    sample: int
    over: bool = False


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A change of the stream's status, for a status message."""

    state: State
    sample: int
    lost: int
    totals: Totals
    text: str


class StreamEvent(NamedTuple):
    """Something that became known of ``segment`` once ``until`` of its samples had arrived.

    ``times``: the source's, as they were known then.
    """

    segment: Segment
    what: Event | SegmentEnd | StatusChange | Alert
    until: int
    times: SourceTimes


class Stream:
    """The state of one stream: the segment under way, what is expected next, what was counted."""

    def __init__(
        self,
        chunk: Chunk,
        spec: PreprocessSpec,
        coefficients: AlarmCoefficients,
        limits: AlarmLimits,
        observer: Observer,
    ) -> None:
        """A stream that begins with ``chunk``, whose samples are still to be pushed."""
        self._spec, self._coefficients = spec, coefficients
        self._limits, self._observer = limits, observer
        self.segment = Segment(chunk, spec, coefficients, limits)
        self.expected = chunk.first  # index of the next new sample
        self.watched_since = 0.0  # monotonic s: since when new samples have come without a silence
        self.sender: str | None = None  # of its latest frame: a key, or a called endpoint
        self._beats = 0  # of this epoch
        self.frame_s = 0.0  # length of the latest frame used
        self.previous_epoch: int | None = None
        self._received = self._lost = self._repeated = 0
        self._started_ns, self._revision = chunk.t_ns, 0  # of this life; of the latest snapshot
        self._checkpoint: tuple[Segment, int] | None = None  # where the latest was taken
        self._reconcile_in = (
            0  # samples until policy and front end, of different moments, must agree
        )

    def save(self, silent: bool, *, checkpoint: bool) -> Snapshot:
        """What a restart needs; with its front end if a ``checkpoint``. Encode it at once.

        Every event must have become a message: what is on its way to the policy is in no snapshot.
        """
        segment = self.segment
        self._revision += 1
        frontend = None
        if checkpoint:
            self._checkpoint = (segment, self.expected)
            beats = self._beats - segment.beats_before
            seen = self.expected if segment.behind is None else segment.behind
            frontend = FrontendSnapshot(seen, beats, segment.frontend.save())
        return Snapshot(
            stream=segment.stream,
            started_ns=self._started_ns,
            revision=self._revision,
            epoch=segment.epoch,
            restarts=segment.restarts,
            previous_epoch=self.previous_epoch,
            fs=segment.fs,
            leads=segment.leads,
            first=segment.first,
            expected=self.expected,
            beats=self._beats,
            beats_before=segment.beats_before,
            received=self._received,
            lost=self._lost,
            repeated=self._repeated,
            silent=silent,
            reconcile_in=self._reconcile_in,
            clock=segment.source_clock.save(),
            policy=segment.policy.save(),
            frontend=frontend,
            latest_beat=segment.latest_beat,
        )

    @property
    def received_s(self) -> float:
        """Seconds of signal received in all, at the present rate."""
        return self._received / self.segment.fs

    @property
    def changed(self) -> bool:
        """Whether it has gone on since the latest checkpoint."""
        return self._checkpoint != (self.segment, self.expected)

    @classmethod
    def restore(
        cls,
        snapshot: Snapshot,
        spec: PreprocessSpec,
        coefficients: AlarmCoefficients,
        limits: AlarmLimits,
        observer: Observer,
    ) -> Self:
        """A stream that goes on where ``snapshot``, which is used up, was taken.

        Without a front end, or with one that does not fit, the reference beat is learnt anew;
        episodes go on all the same.
        """
        stream = cls(empty_chunk(snapshot), spec, coefficients, limits, observer)
        stream._restore_from(snapshot)
        return stream

    def _restore_from(self, snapshot: Snapshot) -> None:
        self._beats, self.previous_epoch = snapshot.beats, snapshot.previous_epoch
        self._received, self._lost = _sum(snapshot.received, 0), _sum(snapshot.lost, 0)
        self._repeated = _sum(snapshot.repeated, 0)
        self._started_ns, self._revision = snapshot.started_ns, snapshot.revision
        same_moment = self.segment.restore(snapshot)
        self._reconcile_in = (
            snapshot.reconcile_in if same_moment else round(RECONCILE_S * snapshot.fs)
        )

    def push(self, chunk: Chunk) -> list[StreamEvent]:
        """The events that ``chunk`` makes known.

        Raises StreamError, with every count and state as before, on a frame that contradicts the
        stream: ``rate``.
        """
        self.validate(chunk)
        return self.use(chunk)

    @property
    def following(self) -> int:
        """The first sample of which it can still make something."""
        return self.expected if self.segment.behind is None else self.segment.behind

    def is_repeat_of_unseen(self, chunk: Chunk) -> bool:
        """Whether ``chunk`` was sent before a restart, and its front end has not seen all of it."""
        return self.segment.behind is not None and self.segment.is_repeat(chunk, self.expected)

    def has_new_samples(self, chunk: Chunk) -> bool:
        """Whether ``chunk`` has a sample that was neither received nor counted as lost."""
        end = chunk.first + len(chunk.samples)
        return end > self.expected or chunk.epoch != self.segment.epoch

    def use(self, chunk: Chunk, restart: bool = False) -> list[StreamEvent]:
        """The events that ``chunk``, which was validated when it came, makes known.

        ``restart``: the source counts anew from ``chunk`` on, though its epoch be the same.
        """
        if self.segment.behind is not None:
            self._rerun(chunk, restart)
        events: list[StreamEvent] = []
        if restart or chunk.epoch != self.segment.epoch:
            events += self._restart(chunk)
        elif chunk.first > self.expected:
            events += self._record_gap(chunk.first - self.expected)
        fresh = chunk.samples
        self.frame_s = len(fresh) / chunk.fs
        if chunk.first < self.expected:
            fresh = fresh[self.expected - chunk.first :]
            self.repeat(len(chunk.samples) - len(fresh))
        if not len(fresh):
            return events
        if chunk.leads != self.segment.leads:
            events += self._change_leads(chunk)
        return self._take(fresh, chunk, events)

    def _rerun(self, chunk: Chunk, restart: bool) -> None:
        """Let the front end see what ``chunk`` has of what it missed since the checkpoint."""
        segment = self.segment
        repeats = not restart and segment.is_repeat(chunk, self.expected)
        if not segment.rerun(chunk if repeats else None, self.expected):
            self._reconcile_in = round(RECONCILE_S * segment.fs)

    def replace_limits(self, limits: AlarmLimits) -> None:
        """From now on, other limits of alarms."""
        self._limits = limits
        self.segment.policy.replace_limits(limits)
        self.segment.set_strip(limits.strip_s, self.expected)

    def keep_ecg(self, chunk: Chunk, batch: int) -> None:
        """Keep what was used of ``chunk`` for strips, if alerts are to have some.

        ``batch``: how many batches of events had been drained when it came.
        """
        if self.segment.recent is not None:
            self.segment.recent.push(chunk, batch)

    def repeat(self, samples: int) -> None:
        """Count ``samples`` that came before, or too late, and are dropped."""
        self._repeated = _sum(self._repeated, samples)
        self._observer.repeated(samples)

    def status_event(
        self, state: State, text: str, sample: int | None = None, lost: int = 0
    ) -> StreamEvent:
        """An event that reports a change of the stream's status."""
        sample = self.expected if sample is None else sample
        totals = Totals(self._received, self._lost, self._repeated)
        return self._event(StatusChange(state, sample, lost, totals, text))

    def end(self, text: str, over: bool = False) -> list[StreamEvent]:
        """The stream is over. Beats whose windows are not complete are not reported."""
        return [self._event(SegmentEnd(self.expected, over)), self.status_event("ended", text)]

    def alert(self, alert: Alert) -> StreamEvent:
        """An event that carries an alert made outside the segment's own policy."""
        return self._event(alert)

    def validate(self, chunk: Chunk) -> None:
        """Raise StreamError if ``chunk`` contradicts the stream.

        Which source's frame it is, if there may be several, is for `SourceSelector` to say.
        """
        segment = self.segment
        if chunk.epoch == segment.epoch and chunk.fs != segment.fs:
            raise StreamError(
                "rate", f"fs may not change within an epoch: was {segment.fs:g}, got {chunk.fs:g}"
            )

    def goes_on_with(self, chunk: Chunk) -> bool:
        """Whether ``chunk`` begins where the samples used so far end."""
        return chunk.first == self.expected and chunk.epoch == self.segment.epoch

    def _restart(self, chunk: Chunk) -> list[StreamEvent]:
        segment = Segment(chunk, self._spec, self._coefficients, self._limits)
        before = self.segment
        text = f"the source began epoch {chunk.epoch}"
        if chunk.epoch == before.epoch:
            segment.restarts = before.restarts + 1
            text = (
                f"the source counts anew from sample {chunk.first}, having been at "
                f"{self.expected}, under the same epoch {chunk.epoch}"
            )
        events = self._close()
        self.previous_epoch, self.segment = before.epoch, segment
        self._reconcile_in = 0
        self.expected, self._beats = chunk.first, 0
        return [*events, self.status_event("restarted", text)]

    def _record_gap(self, gap: int) -> list[StreamEvent]:
        start = self.expected
        self._lost = _sum(self._lost, gap)
        self._observer.lost(gap)
        self.expected += gap
        text = f"{gap} samples ({gap / self.segment.fs:g} s) never arrived"
        return [
            self.status_event("gap", text, sample=start, lost=gap),
            *self._events(self.segment.frontend.skip(gap)),
        ]

    def _change_leads(self, chunk: Chunk) -> list[StreamEvent]:
        before = ", ".join(self.segment.leads)
        segment = Segment(chunk, self._spec, self._coefficients, self._limits)
        events = self._close()
        segment.beats_before, segment.restarts = self._beats, self.segment.restarts
        self.segment, self._reconcile_in = segment, 0
        text = f"leads changed from {before} to {', '.join(chunk.leads)}"
        return [*events, self.status_event("leads-changed", text)]

    def _close(self) -> list[StreamEvent]:
        """The segment is over but the stream goes on: pending beats come out as unusable."""
        pending = self._events(self.segment.frontend.close())
        return [*pending, self._event(SegmentEnd(self.expected))]

    def _take(self, fresh: Floats, chunk: Chunk, events: list[StreamEvent]) -> list[StreamEvent]:
        """``events``, and those that the ``fresh`` samples at the end of ``chunk`` make known."""
        jump = self.segment.source_clock.claim(chunk.first, chunk.t_ns)
        if jump:
            events.append(self._clock_jumped(jump))
        lost = _lost_rows(fresh)
        self._received = _sum(self._received, len(fresh) - lost)
        self._observer.received(len(fresh) - lost)
        if lost:
            self._lost = _sum(self._lost, lost)
            self._observer.lost(lost)
        self.expected += len(fresh)
        found = self.segment.frontend.push(fresh)
        if self._reconcile_in:
            found = [*found, *self._reconcile(len(fresh))]
        return events + self._events(found) if found else events

    def _reconcile(self, samples: int) -> list[Event]:
        """What policy and front end disagree on, once `RECONCILE_S` after a restart have passed."""
        self._reconcile_in = max(0, self._reconcile_in - samples)
        return [] if self._reconcile_in else self.segment.reconcile(self.expected)

    def _clock_jumped(self, by_ns: int) -> StreamEvent:
        self._observer.clock_stepped()
        text = f"the source's clock jumped by {by_ns / 1e9:+.3f} s against its samples"
        return self.status_event("clock", text)

    def _events(self, events: Iterable[Event]) -> list[StreamEvent]:
        known = [self._event(event) for event in events]
        for event in known:
            self._beats += isinstance(event.what, Beat)
        return known

    def _event(self, what: Event | SegmentEnd | StatusChange | Alert) -> StreamEvent:
        return StreamEvent(self.segment, what, self.expected, self.segment.source_clock.times)


def _sum(count: int, more: int) -> int:
    """The count as far as a message and a checkpoint can hold it."""
    return min(count + more, MAX_COUNT)


def _lost_rows(samples: Floats) -> int:
    """Rows with a value on no lead."""
    flat = samples.reshape(-1)
    largest: float = flat.item(flat.argmax())  # the cheapest way to see whether one is NaN
    if largest == largest:
        return 0
    return int(np.isnan(samples).all(axis=1).sum())
