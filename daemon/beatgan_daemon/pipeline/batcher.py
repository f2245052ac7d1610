"""Steps become messages: beats wait for their batch, are scored across streams, and are told.

Knows no chunk, and of a stream only what a step carries. No clock of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from beatgan.alarms.policy import EpisodePolicy
from beatgan.model.scorer import Scorer
from beatgan.protocol.messages import AlertMessage, Message
from beatgan.types import Alert, Beat, Score
from beatgan_daemon.pipeline.active_alarms import ActiveAlarms
from beatgan_daemon.pipeline.message_builder import alert_message, beat_message, status_message
from beatgan_daemon.pipeline.observer import Observer
from beatgan_daemon.pipeline.stream import SegmentEnd, StatusChange, StreamEvent


class Waiting(NamedTuple):
    """A step not yet told, and when the samples it needs arrived."""

    step: StreamEvent
    arrived: float


class BeatBatcher:
    """The steps of all streams that wait to be told, in the order in which they became known."""

    def __init__(
        self,
        scorer: Scorer,
        rate: float,
        active_alarms: ActiveAlarms,
        batch_size: int,
        batch_age: float,
        observer: Observer,
        clock: Callable[[], float] | None,
    ) -> None:
        """``rate`` is that of the windows, in Hz; for the others see `Engine`."""
        self.scorer, self._rate, self._active_alarms = scorer, rate, active_alarms
        self.batch_size, self.batch_age = batch_size, batch_age
        self._observer, self._clock = observer, clock
        self._waiting: list[Waiting] = []
        self._beats = 0  # among those waiting
        self.arrivals: list[float | None] = []  # of what each message told last needed, if samples

    def wait(self, steps: Sequence[StreamEvent], arrived: float) -> None:
        """Steps whose samples had ``arrived`` by then."""
        for step in steps:
            self._waiting.append(Waiting(step, arrived))
            self._beats += isinstance(step.what, Beat)

    def waits(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._waiting)

    def due(self, now: float) -> bool:
        """Whether a batch is full, or its first step old enough."""
        if self._beats >= self.batch_size:
            return True
        return bool(self._waiting) and now >= self._waiting[0].arrived + self.batch_age

    def deadline(self) -> float | None:
        """When the first step that waits is old enough; None if none waits."""
        return self._waiting[0].arrived + self.batch_age if self._waiting else None

    def tell(self, now: float) -> list[Message]:
        """The messages of all steps that wait."""
        waiting, self._waiting, self._beats = self._waiting, [], 0
        beats = [each.step.what for each in waiting if isinstance(each.step.what, Beat)]
        scores = iter(self._score(beats))
        if self._clock is not None:
            now = self._clock()
        messages: list[Message] = []
        self.arrivals = []
        for each in waiting:
            messages += self._tell(each, scores, now)
            arrived = None if isinstance(each.step.what, StatusChange) else each.arrived
            self.arrivals += [arrived] * (len(messages) - len(self.arrivals))
        return messages

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

    def _tell(self, waiting: Waiting, scores: Iterator[Score], now: float) -> list[Message]:
        """The messages of one step; ``scores`` are those of the beats, in order."""
        what, segment = waiting.step.what, waiting.step.segment
        if isinstance(what, StatusChange):
            return [status_message(segment, what)]
        if isinstance(what, Alert):
            lasted = round(what.condition_ms * segment.fs / 1000)
            recognised = what.onset + lasted if what.end is None else what.end
            return self._alert(waiting, [what], recognised, now)
        if isinstance(what, SegmentEnd):
            ended = self._alert(waiting, segment.policy.close(what.sample), what.sample, now)
            return (
                [*ended, *self._counted(self._active_alarms.release(segment.stream))]
                if what.over
                else ended
            )
        evidence = next(scores) if isinstance(what, Beat) else what
        alerts = segment.policy.push(evidence)
        if segment.policy.suppressed:
            self._count_suppressed(segment.policy)
        told = self._alert(waiting, alerts, what.known_at, now) if alerts else []
        return [beat_message(segment, evidence), *told] if isinstance(evidence, Score) else told

    def _count_suppressed(self, policy: EpisodePolicy) -> None:
        for code in policy.suppressed:
            self._observer.suppressed(code)
        policy.suppressed.clear()

    def _alert(
        self, waiting: Waiting, alerts: list[Alert], recognised: int, now: float
    ) -> list[Message]:
        """The messages of alerts. ``recognised``: the sample with which they could be known."""
        segment = waiting.step.segment
        signal_s = max(0, waiting.step.until - recognised) / segment.fs + now - waiting.arrived
        messages: list[Message] = []
        for alert in alerts:
            composed = alert_message(segment, alert, recognised, signal_s, self._rate)
            messages += self._counted(self._active_alarms.take(composed))
        return messages

    def _counted(self, messages: list[AlertMessage]) -> list[AlertMessage]:
        for message in messages:
            self._observer.alerted(message.code, message.priority)
        return messages
