"""Steps become messages: beats wait for their batch, are scored across streams, and are told.

Knows no chunk, and of a stream only what a step carries. No clock of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from beatgan.scoring import Scorer
from beatgan.types import Alert, Beat, Score, SignalChange
from beatgan_daemon.compose import alert_message, beat_message, status_message
from beatgan_daemon.messages import Message
from beatgan_daemon.observer import Observer
from beatgan_daemon.streams import Closed, Notice, Step


class Waiting(NamedTuple):
    """A step not yet told, and when the samples it needs arrived."""

    step: Step
    arrived: float


class Teller:
    """The steps of all streams that wait to be told, in the order in which they became known."""

    def __init__(
        self,
        scorer: Scorer,
        rate: float,
        batch_size: int,
        batch_age: float,
        observer: Observer,
        clock: Callable[[], float] | None,
    ) -> None:
        """``rate`` is that of the windows, in Hz; for the others see `Engine`."""
        self._scorer, self._rate = scorer, rate
        self._batch_size, self._batch_age = batch_size, batch_age
        self._observer, self._clock = observer, clock
        self._waiting: list[Waiting] = []
        self._beats = 0  # among those waiting
        self._alerts = 0  # handed out since the beginning

    def wait(self, steps: Sequence[Step], arrived: float) -> None:
        """Steps whose samples had ``arrived`` by then."""
        for step in steps:
            self._waiting.append(Waiting(step, arrived))
            self._beats += isinstance(step.what, Beat)

    def due(self, now: float) -> bool:
        """Whether a batch is full, or its first step old enough."""
        if self._beats >= self._batch_size:
            return True
        return bool(self._waiting) and now >= self._waiting[0].arrived + self._batch_age

    def deadline(self) -> float | None:
        """When the first step that waits is old enough; None if none waits."""
        return self._waiting[0].arrived + self._batch_age if self._waiting else None

    def tell(self, now: float) -> list[Message]:
        """The messages of all steps that wait."""
        waiting, self._waiting, self._beats = self._waiting, [], 0
        beats = [each.step.what for each in waiting if isinstance(each.step.what, Beat)]
        scores = iter(self._score(beats))
        if self._clock is not None:
            now = self._clock()
        return [message for each in waiting for message in self._tell(each, scores, now)]

    def _score(self, beats: list[Beat]) -> list[Score]:
        scores: list[Score] = []
        for start in range(0, len(beats), self._batch_size):
            scores += self._scorer.score(beats[start : start + self._batch_size])
        scored = sum(score.value is not None for score in scores)
        self._observer.scored(scored)
        for score in scores:
            if score.value is None:
                self._observer.unscored(score.beat.quality.value)
        return scores

    def _tell(self, waiting: Waiting, scores: Iterator[Score], now: float) -> list[Message]:
        """The messages of one step; ``scores`` are those of the beats, in order."""
        what, segment = waiting.step.what, waiting.step.segment
        if isinstance(what, Notice):
            return [status_message(segment, what)]
        if isinstance(what, Beat):
            score = next(scores)
            self._observer.latency(now - waiting.arrived)
            alerts = self._alert(waiting, segment.policy.push(score), what.known_at, now)
            return [beat_message(segment, score), *alerts]
        if isinstance(what, SignalChange):
            return self._alert(waiting, segment.policy.push(what), what.known_at, now)
        if isinstance(what, Closed):
            return self._alert(waiting, segment.policy.close(what.sample), what.sample, now)
        lasted = round(what.condition_ms * segment.fs / 1000)
        recognised = what.onset + lasted if what.end is None else what.end
        return self._alert(waiting, [what], recognised, now)

    def _alert(
        self, waiting: Waiting, alerts: list[Alert], recognised: int, now: float
    ) -> list[Message]:
        """Number the alerts. ``recognised``: the sample with which they could be known."""
        segment = waiting.step.segment
        in_frame = max(0, waiting.step.until - recognised) / segment.fs
        messages: list[Message] = []
        for alert in alerts:
            self._observer.alerted(alert.code, alert.priority.value)
            self._observer.latency(now - waiting.arrived)
            messages.append(
                alert_message(
                    segment,
                    alert,
                    self._alerts,
                    recognised,
                    in_frame + now - waiting.arrived,
                    self._rate,
                )
            )
            self._alerts += 1
        return messages
