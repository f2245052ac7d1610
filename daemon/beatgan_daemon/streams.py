"""One stream's life by its sample count: what is new, missing, repeated, or begun anew.

Turns chunks into steps: beats, signal changes and turns in the stream's life, in the order in
which they became known. Knows no model, no message and no clock.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from beatgan.errors import StreamError
from beatgan.frontend import Event, Frontend
from beatgan.policy import AlarmLimits, EpisodePolicy
from beatgan.spec import PreprocessSpec
from beatgan.types import Alert, Beat, Chunk, Floats
from beatgan_daemon.messages import State, Totals
from beatgan_daemon.observer import Observer

LONGEST_HOLE_S = 3600.0  # a longer one is believed only when a second frame confirms it
CLOCK_TOLERANCE_NS = 2_000_000  # less than a sample at 360 Hz
ANCHORS = 16


class Timeline:
    """UNIX times of a stream's samples, from the times its frames claim.

    One anchor holds as long as the frames agree with it to 2 ms, so that times do not depend on
    how a signal was cut; a source whose clock drifts or jumps sets a new one, which holds for the
    samples from there on. The latest anchors are remembered for onsets that lie back.
    """

    def __init__(self, fs: float) -> None:
        self._fs = fs
        self._anchors: deque[tuple[int, int]] = deque(maxlen=ANCHORS)

    def claim(self, first: int, t_ns: int) -> None:
        """A frame says that sample ``first`` was taken at ``t_ns``."""
        if not self._anchors or abs(self.at(first) - t_ns) > CLOCK_TOLERANCE_NS:
            self._anchors.append((first, t_ns))

    def at(self, sample: int) -> int:
        """UNIX time of ``sample`` in ns."""
        latest_first = reversed(self._anchors)
        anchor = next((each for each in latest_first if each[0] <= sample), self._anchors[0])
        return anchor[1] + round((sample - anchor[0]) * 1e9 / self._fs)


class Segment:
    """An unbroken part of a stream: one epoch, one rate, one set of leads, one front end."""

    def __init__(self, chunk: Chunk, spec: PreprocessSpec, limits: AlarmLimits) -> None:
        self.stream, self.epoch = chunk.stream, chunk.epoch
        self.fs, self.leads = chunk.fs, chunk.leads
        self.first = chunk.first  # sample that it begins with
        self.frontend = Frontend(spec, chunk.fs, chunk.leads, chunk.first)
        self.policy = EpisodePolicy(limits, chunk.fs)
        self.timeline = Timeline(chunk.fs)
        self.timeline.claim(chunk.first, chunk.t_ns)
        self.beats_before = 0  # beats of this epoch in earlier segments


@dataclass(frozen=True, slots=True)
class Closed:
    """The segment is over: what is under way ends at ``sample``."""

    sample: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A turn in the stream's life, for a status message."""

    state: State
    sample: int
    lost: int
    totals: Totals
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that became known of ``segment`` once ``until`` of its samples had arrived."""

    segment: Segment
    what: Event | Closed | Notice | Alert
    until: int


class Stream:
    """The state of one stream: the segment under way, what is expected next, what was counted."""

    def __init__(
        self, chunk: Chunk, spec: PreprocessSpec, limits: AlarmLimits, observer: Observer
    ) -> None:
        """A stream first heard with ``chunk``, whose samples are still to be pushed."""
        self._spec, self._limits, self._observer = spec, limits, observer
        self.segment = Segment(chunk, spec, limits)
        self.expected = chunk.first  # index of the next new sample
        self._beats = 0  # of this epoch
        self._previous_epoch: int | None = None
        self._doubted: tuple[int, int] | None = None  # epoch, end of a frame not believed
        self._received = self._lost = self._repeated = 0

    @property
    def position(self) -> tuple[int, int]:
        """Epoch and next expected sample: moves exactly when new samples were used."""
        return self.segment.epoch, self.expected

    def push(self, chunk: Chunk) -> list[Step]:
        """The steps that ``chunk`` makes known.

        Raises StreamError, with every count and state as before, on a frame that contradicts the
        stream: ``rate``, ``jump`` or ``epoch``.
        """
        self._examine(chunk)
        steps: list[Step] = []
        if chunk.epoch != self.segment.epoch:
            steps += self._restart(chunk)
        elif chunk.first > self.expected:
            steps += self._lose(chunk.first - self.expected)
        fresh = chunk.samples[max(0, self.expected - chunk.first) :]
        self._repeat(len(chunk.samples) - len(fresh))
        if len(fresh) and chunk.leads != self.segment.leads:
            steps += self._change_leads(chunk)
        return steps + self._take(fresh, chunk)

    def notice(self, state: State, text: str, sample: int | None = None, lost: int = 0) -> Step:
        """A step that tells of a turn in the stream's life."""
        sample = self.expected if sample is None else sample
        totals = Totals(self._received, self._lost, self._repeated)
        return self._step(Notice(state, sample, lost, totals, text))

    def end(self, text: str) -> list[Step]:
        """The stream is over. Beats whose windows are not complete are not reported."""
        return [self._step(Closed(self.expected)), self.notice("ended", text)]

    def alert(self, alert: Alert) -> Step:
        """A step that carries an alert made outside the segment's own policy."""
        return self._step(alert)

    def _examine(self, chunk: Chunk) -> None:
        """Refuse what contradicts the stream.

        A frame that would throw away much (a hole of more than an hour, a return to the epoch
        before) is believed only if it continues one just refused for the same reason, as RTP does
        with its sequence numbers (RFC 3550, A.1): a stray frame costs nothing, a source that
        really jumped loses one frame.
        """
        segment = self.segment
        known = chunk.epoch == segment.epoch
        if known and chunk.fs != segment.fs:
            raise StreamError(
                "rate", f"fs may not change within an epoch: was {segment.fs:g}, got {chunk.fs:g}"
            )
        hole = chunk.first - self.expected if known else 0
        stale = chunk.epoch == self._previous_epoch
        end = (chunk.epoch, chunk.first + len(chunk.samples))
        confirmed = self._doubted == (chunk.epoch, chunk.first)
        if (stale or hole > LONGEST_HOLE_S * segment.fs) and not confirmed:
            self._doubted = end
            if stale:
                raise StreamError("epoch", f"epoch {chunk.epoch} is over; {segment.epoch} is on")
            raise StreamError(
                "jump",
                f"first jumps from {self.expected} to {chunk.first}, more than "
                f"{LONGEST_HOLE_S / 3600:g} h; believed only if the next frame continues there",
            )
        self._doubted = None

    def _restart(self, chunk: Chunk) -> list[Step]:
        segment = Segment(chunk, self._spec, self._limits)
        steps = self._close()
        self._previous_epoch, self.segment = self.segment.epoch, segment
        self.expected, self._beats = chunk.first, 0
        return [*steps, self.notice("restarted", f"the source began epoch {chunk.epoch}")]

    def _lose(self, hole: int) -> list[Step]:
        start = self.expected
        self._lost += hole
        self._observer.lost(hole)
        self.expected += hole
        text = f"{hole} samples ({hole / self.segment.fs:g} s) never arrived"
        return [
            self.notice("gap", text, sample=start, lost=hole),
            *self._steps(self.segment.frontend.skip(hole)),
        ]

    def _change_leads(self, chunk: Chunk) -> list[Step]:
        before = ", ".join(self.segment.leads)
        segment = Segment(chunk, self._spec, self._limits)
        steps = self._close()
        segment.beats_before = self._beats
        self.segment = segment
        text = f"leads changed from {before} to {', '.join(chunk.leads)}"
        return [*steps, self.notice("leads-changed", text)]

    def _close(self) -> list[Step]:
        """The segment is over but the stream goes on: pending beats come out as unusable."""
        pending = self._steps(self.segment.frontend.close())
        return [*pending, self._step(Closed(self.expected))]

    def _take(self, fresh: Floats, chunk: Chunk) -> list[Step]:
        if not len(fresh):
            return []
        lost = _lost_rows(fresh)
        self._received += len(fresh) - lost
        self._observer.received(len(fresh) - lost)
        if lost:
            self._lost += lost
            self._observer.lost(lost)
        self.segment.timeline.claim(chunk.first, chunk.t_ns)
        self.expected += len(fresh)
        return self._steps(self.segment.frontend.push(fresh))

    def _repeat(self, samples: int) -> None:
        if samples:
            self._repeated += samples
            self._observer.repeated(samples)

    def _steps(self, events: Iterable[Event]) -> list[Step]:
        steps = [self._step(event) for event in events]
        self._beats += sum(isinstance(step.what, Beat) for step in steps)
        return steps

    def _step(self, what: Event | Closed | Notice | Alert) -> Step:
        return Step(self.segment, what, self.expected)


def _lost_rows(samples: Floats) -> int:
    """Rows with a value on no lead."""
    if not np.isnan(samples.sum()):
        return 0
    return int(np.isnan(samples).all(axis=1).sum())
