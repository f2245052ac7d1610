"""Stream events become messages: beats wait for their batch and are scored across streams.

Knows no chunk, and of a stream only what an event carries. No clock of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from beatgan.model.revision import revisable_until, revisions
from beatgan.model.scorer import Scorer
from beatgan.pipeline.active_alarms import ActiveAlarms
from beatgan.pipeline.message_builder import (
    alert_message,
    beat_message,
    place_of,
    status_message,
)
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.outgoing import Outgoing
from beatgan.pipeline.segment import Segment
from beatgan.pipeline.stream import SegmentEnd, StatusChange, StreamEvent
from beatgan.protocol.messages import AlertMessage, Message
from beatgan.protocol.subscriptions import WantedBeats
from beatgan.types import Alert, Beat, Score


class ScoredBeat(NamedTuple):
    """A beat's score; and what is said now of the beat ``before`` it, if that is revised."""

    score: Score
    before: Score | None


class BeatBatcher:
    """The events of all streams that wait for their batch, in the order they became known."""

    def __init__(
        self,
        scorer: Scorer,
        rate: float,
        active_alarms: ActiveAlarms,
        batch_size: int,
        batch_age: float,
        revise_within: float,
        observer: Observer,
        clock: Callable[[], float] | None,
        wanted: Callable[[], WantedBeats],
    ) -> None:
        """``rate`` is that of the windows, in Hz; for the others see `Engine`."""
        self.scorer, self._rate, self._active_alarms = scorer, rate, active_alarms
        self.batch_size, self.batch_age = batch_size, batch_age
        self.revise_within = revise_within
        self._observer, self._clock, self._wanted = observer, clock, wanted
        self._waiting: list[tuple[StreamEvent, float]] = []  # and when its samples had arrived
        self._beats = 0  # among those waiting
        self.batches = 0  # that were drained so far
        self._wanted_now = wanted()  # as of the batch that is being drained
        self._arrivals: list[float] = []  # and when what its messages needed had arrived

    def add(self, events: Sequence[StreamEvent], arrived: float) -> None:
        """Events whose samples had ``arrived`` by then."""
        for event in events:
            self._waiting.append((event, arrived))
            self._beats += isinstance(event.what, Beat)

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    def due(self, now: float) -> bool:
        """Whether a batch is full, or its first event old enough."""
        if self._beats >= self.batch_size:
            return True
        return bool(self._waiting) and now >= self._waiting[0][1] + self.batch_age

    def deadline(self) -> float | None:
        """When the first event that waits is old enough; None if none waits."""
        return self._waiting[0][1] + self.batch_age if self._waiting else None

    def drain_batch(self, now: float) -> Outgoing:
        """The messages of all events that wait; of beats those that somebody is subscribed to."""
        waiting, self._waiting, self._beats = self._waiting, [], 0
        self.batches += 1
        beats = [(e.segment, e.what) for e, _ in waiting if isinstance(e.what, Beat)]
        scores = self._score([beat for _, beat in beats])
        revised = self._revise([segment for segment, _ in beats], scores)
        scored = map(ScoredBeat, scores, revised)
        if self._clock is not None:
            now = self._clock()
        self._wanted_now, self._arrivals = self._wanted(), []
        messages: list[Message] = []
        for event, arrived in waiting:
            messages += self._messages(event, arrived, scored, now)
        return Outgoing(messages, self._arrivals)

    def _score(self, beats: list[Beat]) -> list[Score]:
        scores: list[Score] = []
        for start in range(0, len(beats), self.batch_size):
            scores += self.scorer.score(beats[start : start + self.batch_size])
        scored = sum(score.value is not None for score in scores)
        self._observer.scored(scored)
        for quality, count in Counter(score.beat.quality.value for score in scores).items():
            self._observer.graded(quality, count)
        for score in scores:
            if score.value is None:
                self._observer.unscored(score.beat.quality.value)
        return scores

    def _revise(self, segments: Sequence[Segment], scores: Sequence[Score]) -> list[Score | None]:
        """For each beat's score, that of the beat before it in its segment, if it is revised."""
        if not self.scorer.revises:
            return [None] * len(scores)
        latest: dict[Segment, Score | None] = {}
        before: list[Score | None] = []
        for segment, score in zip(segments, scores, strict=True):
            before.append(latest.get(segment, segment.policy.awaiting))
            latest[segment] = score
        following = [score.beat for score in scores]
        return revisions(self.scorer, before, following, self.revise_within, self.batch_size)

    def _messages(
        self, event: StreamEvent, arrived: float, scored: Iterator[ScoredBeat], now: float
    ) -> list[Message]:
        """The messages of one event; ``scored`` are the beats, in order."""
        what, segment = event.what, event.segment
        if isinstance(what, StatusChange):
            segment.policy.detach()
            return [status_message(segment, event.times, what)]
        if isinstance(what, Alert):
            lasted = round(what.condition_ms * segment.fs / 1000)
            recognised = what.onset + lasted if what.end is None else what.end
            return self._alert_messages(event, arrived, [what], recognised, now)
        if isinstance(what, SegmentEnd):
            alerts = segment.policy.close(what.sample)
            ended = self._alert_messages(event, arrived, alerts, what.sample, now)
            if what.over:
                ended += self._counted(self._active_alarms.release(segment.stream), arrived)
            return ended
        if isinstance(what, Beat):
            return self._beat_messages(event, arrived, next(scored), now)
        alerts = self._count_suppressed(segment, segment.policy.push(what))
        return self._alert_messages(event, arrived, alerts, what.known_at, now)

    def _beat_messages(
        self, event: StreamEvent, arrived: float, scored: ScoredBeat, now: float
    ) -> list[Message]:
        """The revision of the beat before, its alerts, the beat's own message, and its alerts."""
        segment, (score, before) = event.segment, scored
        policy, known_at = segment.policy, score.known_at
        messages: list[Message] = []
        wanted = self._wanted_now.of_stream(segment.stream)
        if before is not None and segment.latest_beat is not None:
            self._arrivals.append(arrived)
            if wanted:
                messages.append(beat_message(segment, segment.latest_beat, before, revised=True))
            self._observer.revised(1)
            alerts = self._count_suppressed(segment, policy.settle(before, known_at))
            messages += self._alert_messages(event, arrived, alerts, known_at, now)
        segment.latest_beat = place = place_of(segment, event.times, score.beat)
        self._arrivals.append(arrived)
        if wanted:
            messages.append(beat_message(segment, place, score))
        until = revisable_until(self.scorer, score, segment.fs, self.revise_within)
        alerts = self._count_suppressed(segment, policy.push(score, until))
        return messages + self._alert_messages(event, arrived, alerts, known_at, now)

    def _count_suppressed(self, segment: Segment, alerts: list[Alert]) -> list[Alert]:
        """The alerts, once those are counted that will never be."""
        for code in segment.policy.drain_suppressed():
            self._observer.suppressed(code)
        return alerts

    def _alert_messages(
        self,
        event: StreamEvent,
        arrived: float,
        alerts: list[Alert],
        recognised: int,
        now: float,
    ) -> list[Message]:
        """The messages of alerts. ``recognised``: the sample with which they could be known."""
        if not alerts:
            return []
        segment = event.segment
        signal_s = max(0, event.until - recognised) / segment.fs + now - arrived
        messages: list[Message] = []
        for alert in alerts:
            message = alert_message(segment, event.times, alert, recognised, signal_s, self._rate)
            messages += self._counted(self._active_alarms.take(message), arrived)
        return messages

    def _counted(self, messages: list[AlertMessage], arrived: float) -> list[AlertMessage]:
        for message in messages:
            self._observer.alerted(message.code, message.priority)
            self._arrivals.append(arrived)
        return messages
