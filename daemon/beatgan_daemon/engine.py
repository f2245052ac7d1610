"""Chunks in, messages out: many streams, one scorer, beats scored in batches across streams.

Law: a stream's messages depend on its samples alone, not on how they were cut, on other streams
or on the batches; only ``n``, ``raised_ns`` and ``delay_ms.signal`` of alerts tell of the moment.
No socket and no clock of its own: the time (monotonic seconds) comes in as an argument.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from beatgan.errors import StreamError
from beatgan.policy import AlarmLimits
from beatgan.scoring import Scorer
from beatgan.spec import PreprocessSpec
from beatgan.types import Alert, Beat, Chunk, Kind, Phase, Priority, Score, SignalChange
from beatgan_daemon.compose import alert_message, beat_message, status_message
from beatgan_daemon.messages import Message
from beatgan_daemon.observer import Observer
from beatgan_daemon.streams import Closed, Notice, Step, Stream

NO_DATA = "signal.no-data"
FORGET_S = 3600.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step not yet told, and when the samples it needs arrived."""

    step: Step
    arrived: float


@dataclass(frozen=True, slots=True)
class Silence:
    """A stream of which nothing new was heard since ``heard``; its alert is under way."""

    heard: float
    alert: Alert


class Engine:
    """All streams of one daemon, or of one offline run."""

    def __init__(
        self,
        spec: PreprocessSpec,
        scorer: Scorer,
        limits: AlarmLimits,
        *,
        batch_size: int,
        batch_age: float,
        silence: float,
        max_streams: int,
        observer: Observer,
        forget: float = FORGET_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Beats are scored as soon as ``batch_size`` wait or one has waited ``batch_age`` seconds.

        A stream without a new sample for ``silence`` seconds raises `signal.no-data`, and is
        forgotten after ``forget`` seconds. ``clock`` is asked for the time again after scoring, so
        that delays include it; without one, delays end at the time given to `poll`.
        """
        self._spec, self._scorer, self._limits = spec, scorer, limits
        self._batch_size, self._batch_age = batch_size, batch_age
        self._silence, self._forget = silence, max(forget, silence)
        self._max_streams, self._observer, self._clock = max_streams, observer, clock
        self._streams: dict[str, Stream] = {}
        self._heard: OrderedDict[str, float] = OrderedDict()  # longest without news first
        self._silent: OrderedDict[str, Silence] = OrderedDict()  # likewise
        self._waiting: list[Waiting] = []
        self._beats = 0  # among those waiting
        self._alerts = 0  # handed out since the beginning

    def receive(self, chunk: Chunk, now: float) -> None:
        """Take in one chunk that arrived at ``now``.

        Raises StreamError, which the caller counts: ``streams`` (too many), or what `Stream.push`
        refuses. A refused chunk changes no count and no state.
        """
        stream = self._streams.get(chunk.stream)
        if stream is None:
            self._admit(chunk, now)
            return
        before = stream.position
        resumed = self._resumed(chunk, stream)
        steps = stream.push(chunk)
        if stream.position == before:
            return  # nothing new: repeated samples do not end a silence
        if resumed is not None:
            del self._silent[chunk.stream]
            self._wait([resumed], now)
        self._wait(steps, now)
        self._heard[chunk.stream] = now
        self._heard.move_to_end(chunk.stream)

    def poll(self, now: float, caught_up: bool = True) -> list[Message]:
        """The messages that are due at ``now``, each stream's in the order of its life.

        Unless ``caught_up``, frames are known to wait: then no stream can be told to be silent.
        """
        fell_silent = caught_up and self._look_for_silence(now)
        full = self._beats >= self._batch_size
        old = any(now >= each.arrived + self._batch_age for each in self._waiting[:1])
        return self.drain(now) if fell_silent or full or old else []

    def deadline(self) -> float | None:
        """When `poll` next has something to do, if no chunk arrives; None if never."""
        times = [each.arrived + self._batch_age for each in self._waiting[:1]]
        times += [heard + self._silence for heard in islice(self._heard.values(), 1)]
        times += [each.heard + self._forget for each in islice(self._silent.values(), 1)]
        return min(times, default=None)

    def drain(self, now: float) -> list[Message]:
        """All that waits, scored and told now. Streams and their episodes stay as they are."""
        waiting, self._waiting, self._beats = self._waiting, [], 0
        beats = [each.step.what for each in waiting if isinstance(each.step.what, Beat)]
        scores = iter(self._score(beats))
        if self._clock is not None:
            now = self._clock()
        return [message for each in waiting for message in self._tell(each, scores, now)]

    def end(self, stream: str, now: float) -> None:
        """Forget ``stream``, because its recording is over: its open episodes end there."""
        self._leave(stream, "the recording is over", now)

    # --- streams come, fall silent, return and go ---------------------------------------------

    def _admit(self, chunk: Chunk, now: float) -> None:
        if len(self._streams) >= self._max_streams:
            raise StreamError("streams", f"at most {self._max_streams} streams are served at once")
        stream = Stream(chunk, self._spec, self._limits, self._observer)
        self._streams[chunk.stream] = stream
        self._heard[chunk.stream] = now
        self._wait([stream.notice("started", "first frame seen"), *stream.push(chunk)], now)
        self._observer.streams(len(self._streams))

    def _look_for_silence(self, now: float) -> bool:
        """Whether a stream fell silent or was forgotten by ``now``."""
        found = False
        while self._heard and now >= next(iter(self._heard.values())) + self._silence:
            name, heard = self._heard.popitem(last=False)
            alert = self._no_data(self._streams[name])
            self._silent[name] = Silence(heard, alert)
            self._wait([self._streams[name].alert(alert)], heard + self._silence)
            found = True
        while self._silent and now >= next(iter(self._silent.values())).heard + self._forget:
            name = next(iter(self._silent))
            self._leave(name, f"nothing new for {self._forget:g} s", now)
            found = True
        return found

    def _no_data(self, stream: Stream) -> Alert:
        return Alert(
            episode=stream.expected,  # the next silence begins at a later sample
            kind=Kind.TECHNICAL,
            code=NO_DATA,
            priority=Priority.MEDIUM,
            phase=Phase.START,
            onset=stream.expected,
            end=None,
            beats=(),
            worst=None,
            condition_ms=1000 * self._silence,
        )

    def _resumed(self, chunk: Chunk, stream: Stream) -> Step | None:
        """The end of the stream's silence if ``chunk`` brings something new."""
        silence = self._silent.get(chunk.stream)
        if silence is None:
            return None
        known = chunk.epoch == stream.segment.epoch
        end = max(chunk.first, stream.expected) if known else stream.expected
        return stream.alert(_ended(silence.alert, end))

    def _leave(self, name: str, why: str, now: float) -> None:
        stream = self._streams.pop(name)
        self._heard.pop(name, None)
        silence = self._silent.pop(name, None)
        if silence is not None:
            self._wait([stream.alert(_ended(silence.alert, stream.expected))], now)
        self._wait(stream.end(why), now)
        self._observer.streams(len(self._streams))

    # --- from steps to messages ---------------------------------------------------------------

    def _wait(self, steps: Sequence[Step], arrived: float) -> None:
        self._waiting += [Waiting(step, arrived) for step in steps]
        self._beats += sum(isinstance(step.what, Beat) for step in steps)

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
                    self._spec.rate,
                )
            )
            self._alerts += 1
        return messages


def _ended(alert: Alert, sample: int) -> Alert:
    return replace(alert, phase=Phase.END, end=sample, condition_ms=0.0)
