"""Chunks in, messages out: many streams, one scorer, beats scored in batches across streams.

Law: a stream's messages depend on its samples alone, not on how they were cut, on other streams
or on the batches; only ``n``, ``raised_ns`` and ``delay_ms.signal`` of alerts depend on the moment.
No socket and no clock of its own: the time (monotonic seconds) comes in as an argument.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.limits import AlarmLimits
from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import StreamError
from beatgan.model.revision import REVISE_WITHIN_S
from beatgan.model.scorer import Scorer
from beatgan.pipeline.active_alarms import ActiveAlarms, discharged
from beatgan.pipeline.arrival_rate import ArrivalRate
from beatgan.pipeline.batcher import BeatBatcher
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.outgoing import Outgoing
from beatgan.pipeline.reorder import Arrival, ReorderBuffer
from beatgan.pipeline.snapshot import Snapshot
from beatgan.pipeline.source_selection import SourceSelector, Takeover
from beatgan.pipeline.stream import Stream
from beatgan.pipeline.stream_alarms import StreamAlarms, end_alert, start_alert
from beatgan.protocol.messages import AlertMessage, Message, State
from beatgan.protocol.subscriptions import EVERY_BEAT, WantedBeats
from beatgan.spec import PreprocessSpec
from beatgan.types import Alert, Chunk

FORGET_S = 3600.0
BRIEF_S = 60.0  # less signal than that: such a stream, once silent, gives its place up to a new one
REPLACED_S = 600.0  # so does any that has been silent for so long
ROOM_S = 0.1  # at least, between two searches for a place
OTHER_SENDER = "sender"  # reason of a frame that comes with another key than its stream's


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What may change while an engine runs; times in seconds.

    Beats are scored as soon as ``batch_size`` wait or one has waited ``batch_age``. A frame that
    comes too early waits ``reorder`` for those that belong before it. A stream without a new sample
    for ``silence`` raises `signal.no-data`. At most ``max_streams`` are served. A beat is revised
    whose next one follows within ``revise_within``; with 0 none is.
    """

    batch_size: int
    batch_age: float
    silence: float
    max_streams: int
    reorder: float = 0.0
    revise_within: float = REVISE_WITHIN_S


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing new has come of a stream since ``last_received``; its alert is under way."""

    last_received: float
    alert: Alert


class StreamState(NamedTuple):
    """How a stream stands; times in monotonic seconds.

    ``received``: when something new came last, None at the moment in which that changes; ``since``:
    from when on it has been ``silent``, or not.
    """

    stream: Stream
    silent: bool
    since: float
    received: float | None


class Engine:
    """All streams of one daemon, or of one offline run."""

    def __init__(
        self,
        spec: PreprocessSpec,
        coefficients: AlarmCoefficients,
        scorer: Scorer,
        limits: AlarmLimits,
        settings: EngineSettings,
        *,
        observer: Observer | None = None,
        active_alarms: ActiveAlarms | None = None,
        forget: float = FORGET_S,
        clock: Callable[[], float] | None = None,
        unix_ns: Callable[[], int] | None = None,
        wanted: Callable[[], WantedBeats] = lambda: EVERY_BEAT,
    ) -> None:
        """A silent stream is forgotten after ``forget`` seconds.

        ``clock`` is asked for the time again after scoring, so that delays include it; without one,
        delays end at the time given to `poll`. ``unix_ns``: UNIX time, by which samples are old;
        without it, none that arrive too fast are found. ``wanted``: no message is made of other
        beats.
        """
        observer = Observer() if observer is None else observer
        self._spec, self._coefficients, self._limits = spec, coefficients, limits
        self._settings, self._observer = settings, observer
        self._forget = max(forget, settings.silence)
        self._streams: dict[str, Stream] = {}
        self._last_received: OrderedDict[str, float] = (
            OrderedDict()
        )  # longest without new samples first
        self._silent: OrderedDict[str, Silence] = OrderedDict()  # likewise
        self._last_used: dict[str, float] = {}  # when each stream's latest new sample had arrived
        self._reorder = ReorderBuffer(settings.reorder, observer)
        self._selector = SourceSelector(settings.silence, observer)
        self._stream_alarms = StreamAlarms()
        self._rates: dict[str, ArrivalRate] = {}
        self._unix_ns = unix_ns
        self._room_sought = -ROOM_S  # when none was found
        self.active_alarms = ActiveAlarms(limits.latch) if active_alarms is None else active_alarms
        self._batcher = BeatBatcher(
            scorer,
            spec.rate,
            self.active_alarms,
            settings.batch_size,
            settings.batch_age,
            settings.revise_within,
            observer,
            clock,
            wanted,
        )

    def receive(self, chunk: Chunk, now: float, sender: str | None = None) -> None:
        """Take in one chunk that arrived at ``now`` from ``sender`` (None: unknown).

        Raises StreamError, which the caller counts: ``streams`` (too many), ``sender`` (see
        `has_other_sender`), or what `Stream.push` refuses. A refused chunk changes no count and no
        state.
        """
        stream = self._streams.get(chunk.stream)
        if stream is None:
            self._admit(chunk, now)
            self._streams[chunk.stream].sender = sender
            return
        if self.has_other_sender(chunk.stream, sender):
            raise StreamError("sender", "another key sends this stream, and its frames still come")
        stream.validate(chunk)
        stream.sender = sender
        if stream.goes_on_with(chunk) and not self._reorder.holds(chunk.stream):
            self._use(stream, chunk, now)
        elif stream.is_repeat_of_unseen(chunk):
            self._rerun(stream, chunk, now)
        elif self._selector.claims(stream, chunk):
            self._offer(stream, chunk, now)
        elif not stream.has_new_samples(chunk):
            stream.repeat(len(chunk.samples))  # repeated samples do not end a silence
        else:
            self._put_in_order(stream, chunk, now)

    def has_other_sender(self, stream: str, sender: str | None) -> bool:
        """Whether ``stream`` is known from somebody else than ``sender``, and is not silent."""
        known = self._streams.get(stream)
        if known is None or sender is None or known.sender in (None, sender):
            return False
        return stream not in self._silent

    def _put_in_order(self, stream: Stream, chunk: Chunk, now: float) -> None:
        """Use the frames that ``chunk`` puts in order; it may have to wait itself."""
        if self._reorder.repeats(chunk):
            stream.repeat(len(chunk.samples))
            return
        near = self._selector.plausible(stream, chunk, self._quiet(chunk.stream, now))
        refusal: StreamError | None = None  # of this frame: others' must not be lost with it
        for arrival in self._reorder.sort(chunk, stream.expected, now):
            if arrival.chunk is not chunk:
                self._place_late(arrival)
                continue
            try:
                self._place(stream, *arrival)
            except StreamError as error:
                refusal = error
        if refusal is not None:
            try:
                raise refusal
            finally:
                del refusal  # its traceback knows this call: a cycle would hold the frame
        if near and chunk.stream in self._last_received:  # a frame that waits is no silence
            self._record_arrival(chunk.stream, now)

    def _place(self, stream: Stream, chunk: Chunk, arrived: float) -> None:
        """Use a frame that waited, unless the gap before it must be confirmed."""
        if self._selector.plausible(stream, chunk, self._quiet(chunk.stream, arrived)):
            self._use(stream, chunk, arrived)
        else:
            self._offer(stream, chunk, arrived)

    def _use(self, stream: Stream, chunk: Chunk, arrived: float, restart: bool = False) -> None:
        if chunk.stream in self._silent:
            self._end_silence(stream, chunk, arrived)
        before = stream.segment
        if events := stream.use(chunk, restart):
            self._batcher.add(events, arrived)
        stream.keep_ecg(chunk, self._batcher.batches)
        self._record_arrival(chunk.stream, arrived)
        self._last_used[chunk.stream] = arrived
        if stream.segment is not before:
            self._rates.pop(chunk.stream, None)
        self._measure_rate(stream, chunk, arrived)
        if self._selector.holds():
            self._selector.advanced(stream, arrived)
            self._report_conflicts(arrived)

    def _rerun(self, stream: Stream, chunk: Chunk, now: float) -> None:
        """Use a frame that was sent before a restart, and again since: that is a sign of life."""
        if stream.has_new_samples(chunk):
            self._use(stream, chunk, now)
            return
        stream.use(chunk)
        stream.keep_ecg(chunk, self._batcher.batches)
        if chunk.stream not in self._silent:
            self._record_arrival(chunk.stream, now)
            self._last_used[chunk.stream] = now

    def _place_late(self, arrival: Arrival) -> None:
        """`_place` where nobody is left to hear that a frame is refused: it is counted here."""
        chunk = arrival.chunk
        try:
            self._place(self._streams[chunk.stream], *arrival)
        except StreamError as error:
            self._observer.frame_refused(error.reason, len(chunk.samples))

    def _quiet(self, name: str, now: float) -> float:
        """Seconds without a new sample of the stream."""
        return now - self._last_used[name]

    # --- which source is watched, and whether its rate is what it says ------------------------

    def _offer(self, stream: Stream, chunk: Chunk, now: float) -> None:
        """A frame that may be another source's: used at once, held, or refused (StreamError)."""
        quiet, silent = self._quiet(chunk.stream, now), chunk.stream in self._silent
        try:
            self._take_over(self._selector.offer(stream, chunk, now, quiet, silent), now)
        finally:
            self._report_conflicts(now)

    def _take_over(self, taken: Takeover | None, now: float) -> None:
        """Watch what was held: what is under way of the source before ends."""
        if taken is None:
            return
        stream = self._streams[taken.stream]
        self._report_conflicts(now)
        for chunk, arrived in self._reorder.release(taken.stream):
            if self._selector.plausible(stream, chunk, self._quiet(taken.stream, arrived)):
                self._use(stream, chunk, arrived)
            else:
                self._observer.frame_refused("jump", len(chunk.samples))
        self._batcher.add(self._stream_alarms.end_all(stream), now)
        (first, arrived), *others = taken.frames
        self._use(stream, first, arrived, taken.restart)
        for each in others:
            if taken.in_order:
                self._use(stream, *each)
            else:
                self._place_late(each)
        self._record_arrival(taken.stream, now)

    def _check_sources(self, now: float) -> None:
        """Take over what time alone has confirmed."""
        for name in self._selector.names():
            silent = name in self._silent
            quiet = self._quiet(name, now)
            self._take_over(self._selector.check(self._streams[name], now, quiet, silent), now)
        self._report_conflicts(now)

    def _report_conflicts(self, now: float) -> None:
        for name, text in self._selector.take_conflicts():
            stream = self._streams[name]
            if text is None:
                events = self._stream_alarms.end(stream, AlarmCode.SOURCE_CONFLICT)
            else:
                events = self._stream_alarms.begin(
                    stream, AlarmCode.SOURCE_CONFLICT, stream.expected, text
                )
            self._batcher.add(events, now)

    def _measure_rate(self, stream: Stream, chunk: Chunk, arrived: float) -> None:
        rate = self._rates.get(chunk.stream)
        if rate is None:
            rate = self._rates[chunk.stream] = ArrivalRate(chunk.fs)
            self._batcher.add(self._stream_alarms.end(stream, AlarmCode.RATE_MISMATCH), arrived)
        t_ns = chunk.t_ns + round(len(chunk.samples) * 1e9 / chunk.fs)
        if not rate.push(stream.expected, t_ns, arrived, self._unix_ns):
            return
        if rate.deviates:
            text = (
                f"{stream.segment.stream} says fs = {chunk.fs:g} Hz, but its samples arrive at "
                f"{rate.ratio * chunk.fs:.0f} Hz: heart rates and intervals are wrong"
            )
            events = self._stream_alarms.begin(stream, AlarmCode.RATE_MISMATCH, rate.onset, text)
        else:
            events = self._stream_alarms.end(stream, AlarmCode.RATE_MISMATCH)
        self._batcher.add(events, arrived)

    def _record_arrival(self, name: str, now: float) -> None:
        self._last_received[name] = now
        self._last_received.move_to_end(name)

    def poll(self, now: float, received_until: float | None = None) -> Outgoing:
        """The messages that are due at ``now``, each stream's in the order of its life.

        All frames that arrived until ``received_until`` (``now`` if None) have been received. Later
        ones may wait, so that since then no stream has been silent and no frame is too late.
        """
        until = now if received_until is None else received_until
        for arrival in self._reorder.due(until):
            self._place_late(arrival)
        if self._selector.due(until):
            self._check_sources(until)
        fell_silent = self._detect_silence(until)
        return (
            self._batcher.drain_batch(now) if fell_silent or self._batcher.due(now) else Outgoing()
        )

    def events(self) -> int:
        """How many events of streams, most of them beats, wait for `poll`."""
        return len(self._batcher)

    def deadline(self) -> float | None:
        """When `poll` next has something to do, if no chunk arrives; None if never."""
        known = (self._batcher.deadline(), self._reorder.deadline(), self._selector.deadline())
        times = [each for each in known if each is not None]
        if self._last_received:
            times.append(self._next_silence())
        if self._silent:
            times.append(next(iter(self._silent.values())).last_received + self._forget)
        return min(times, default=None)

    def drain(self, now: float) -> Outgoing:
        """All that waits, scored now. Streams and their episodes stay as they are."""
        for arrival in self._reorder.release_all():
            self._place_late(arrival)
        for name in self._selector.names():
            quiet = self._quiet(name, now)
            self._take_over(self._selector.conclude(self._streams[name], quiet), now)
        self._report_conflicts(now)
        return self._batcher.drain_batch(now)

    def end(self, stream: str, now: float) -> None:
        """Forget ``stream``, because its recording is over: its open episodes end there."""
        self._remove(stream, "the recording is over", now, over=True)

    def discharge(self, stream: str, by: str | None, at_ns: int, now: float) -> Outgoing:
        """Forget ``stream``, which is known, because ``by`` ended the watch over it.

        All messages that come of it: whatever was under way ends, and says by whom.
        """
        known = self._streams[stream]
        for arrival in self._reorder.release(stream):
            self._use(known, *arrival)
        outgoing = self._batcher.drain_batch(now)
        text = "discharged" if by is None else f"discharged by {by}"
        alert = start_alert(
            AlarmCode.DISCHARGED, known.expected, known.expected, text, 0.0, suspended=True
        )
        self._batcher.add([known.alert(alert), known.alert(end_alert(alert, known.expected))], now)
        self._remove(stream, text, now, over=True)
        ended = self._batcher.drain_batch(now)
        ended.messages = [_signed(message, by, at_ns) for message in ended.messages]
        outgoing.extend(ended)
        return outgoing

    def state(self, stream: str) -> StreamState | None:
        """How a stream stands, None if it is not known; any thread may ask."""
        known, silence = self._streams.get(stream), self._silent.get(stream)
        if known is None:
            return None
        if silence is not None:
            return StreamState(known, True, silence.last_received, silence.last_received)
        received = self._last_received.get(stream)
        return StreamState(known, False, known.watched_since, received)

    def adjust(self, scorer: Scorer, limits: AlarmLimits, settings: EngineSettings) -> None:
        """Go on with other settings: beats that wait are scored by ``scorer``, each one once."""
        self._batcher.scorer, self._limits, self.active_alarms.latch = scorer, limits, limits.latch
        self._batcher.batch_size = settings.batch_size
        self._batcher.batch_age = settings.batch_age
        self._batcher.revise_within = settings.revise_within
        self._forget = max(self._forget, settings.silence)
        self._settings, self._reorder.max_wait = settings, settings.reorder
        self._selector.silence = settings.silence
        for stream in self._streams.values():
            stream.replace_limits(limits)

    def knows(self, stream: str) -> bool:
        """Whether ``stream`` is one of `streams`."""
        return stream in self._streams

    def watches(self, stream: str) -> bool:
        """Whether new samples of ``stream`` come, so that it is known and not silent."""
        return stream in self._last_received

    def streams(self) -> tuple[str, ...]:
        """The streams that are known, in the order in which they came."""
        return tuple(self._streams)

    def report_status(self, stream: str, state: State, text: str, now: float) -> None:
        """Report a change of ``stream`` that lies outside its samples."""
        if stream in self._streams:
            self._batcher.add([self._streams[stream].status_event(state, text)], now)

    def clock_drift_ppm(self) -> float:
        """The largest drift of a source's clock against its samples; any thread may ask."""
        streams = tuple(self._streams.values())
        return max((abs(each.segment.source_clock.drift_ppm) for each in streams), default=0.0)

    # --- what survives a restart --------------------------------------------------------------

    def idle(self) -> bool:
        """Whether all that became known is in a message, so that `save` leaves nothing out."""
        return not len(self._batcher)

    def changed(self, stream: str) -> bool:
        """Whether ``stream`` is known, and has gone on since its latest checkpoint."""
        return stream in self._streams and self._streams[stream].changed

    def save(self, stream: str, *, checkpoint: bool) -> Snapshot:
        """What a restart needs of ``stream``, see `Stream.save`; only while `idle`."""
        return self._streams[stream].save(stream in self._silent, checkpoint=checkpoint)

    def restore(self, snapshot: Snapshot, now: float, why: str = "goes on after a restart") -> None:
        """Go on with the stream of ``snapshot``, as if its last sample had arrived at ``now``.

        ``why`` stands in the stream's status message.
        """
        stream = Stream.restore(
            snapshot, self._spec, self._coefficients, self._limits, self._observer
        )
        self._streams[snapshot.stream] = stream
        self._last_used[snapshot.stream] = now
        if snapshot.silent:
            self._silent[snapshot.stream] = Silence(now, self._no_data(stream))
        else:
            self._record_arrival(snapshot.stream, now)
        stream.watched_since = now
        self._batcher.add([stream.status_event("restored", why)], now)
        self._observer.restored(1)
        self._observer.streams(len(self._streams))

    def release(self, streams: Collection[str], now: float) -> tuple[Outgoing, list[Snapshot]]:
        """Let go of ``streams``, with which another engine goes on: what is under way stays so.

        The messages that are still due, of all streams, and a checkpoint of each that is known.
        Frames that wait here for earlier ones, or for others that confirm them, are let go: the
        other engine is to have them, and all that follow, too.
        """
        known = [name for name in streams if name in self._streams]
        for name in known:
            stream = self._streams[name]
            self._reorder.release(name)
            self._selector.forget(stream)
            self._report_conflicts(now)
            self._batcher.add(self._stream_alarms.end_all(stream), now)
        outgoing = self._batcher.drain_batch(now)
        snapshots = [self.save(name, checkpoint=True) for name in known]
        for name in known:
            self._drop(name)
        self._observer.streams(len(self._streams))
        return outgoing, snapshots

    def episodes(self) -> set[str]:
        """The ids of all episodes that somebody here will end."""
        ids = {each for stream in self._streams.values() for each in stream.segment.episodes()}
        for name, silence in self._silent.items():
            ids.add(
                self._streams[name].segment.episode_id(AlarmCode.NO_DATA, silence.alert.episode)
            )
        return ids | self._stream_alarms.episodes()

    # --- streams come, fall silent, return and go ---------------------------------------------

    def _admit(self, chunk: Chunk, now: float) -> None:
        if len(self._streams) >= (most := self._settings.max_streams) and not self._make_room(now):
            raise StreamError("streams", f"at most {most} streams are served at once")
        stream = Stream(chunk, self._spec, self._coefficients, self._limits, self._observer)
        self._streams[chunk.stream] = stream
        self._last_received[chunk.stream] = stream.watched_since = now
        self._last_used[chunk.stream] = now
        self._batcher.add(
            [stream.status_event("started", "first frame seen"), *stream.push(chunk)], now
        )
        stream.keep_ecg(chunk, self._batcher.batches)
        self._observer.streams(len(self._streams))

    def _make_room(self, now: float) -> bool:
        """Forget a silent stream for the sake of a new one, if one can be: never a watched one.

        A brief one before all others, then the longest silent. What is latched of it stays.
        """
        if now < self._room_sought + ROOM_S:
            return False
        brief = (name for name in self._silent if self._streams[name].received_s < BRIEF_S)
        long = (n for n, each in self._silent.items() if now >= each.last_received + REPLACED_S)
        for name in (next(brief, None), next(long, None)):
            if name is not None:
                self._remove(name, "silent, and its place was needed", now)
                return True
        self._room_sought = now
        return False

    def _detect_silence(self, now: float) -> bool:
        """Whether a stream fell silent or was forgotten by ``now``."""
        found = False
        if self._selector.holds() and self._last_received and self._next_silence() <= now:
            self._check_sources(now)  # what is held may end it
        while self._last_received and now >= self._next_silence():
            name, last_received = self._last_received.popitem(last=False)
            alert = self._no_data(self._streams[name])
            self._silent[name] = Silence(last_received, alert)
            if name in self._rates:
                self._rates[name].pause()
            self._batcher.add(
                [self._streams[name].alert(alert)], last_received + self._settings.silence
            )
            found = True
        while (
            self._silent and now >= next(iter(self._silent.values())).last_received + self._forget
        ):
            name = next(iter(self._silent))
            self._remove(name, f"nothing new for {self._forget:g} s", now)
            found = True
        return found

    def _next_silence(self) -> float:
        return next(iter(self._last_received.values())) + self._settings.silence

    def _no_data(self, stream: Stream) -> Alert:
        sample = stream.expected  # the next silence begins at a later one
        silent_ms = 1000 * self._settings.silence
        return start_alert(AlarmCode.NO_DATA, sample, sample, "", silent_ms, suspended=True)

    def _end_silence(self, stream: Stream, chunk: Chunk, arrived: float) -> None:
        """Because ``chunk``, still to be used, brings something new."""
        alert = self._silent.pop(chunk.stream).alert
        stream.watched_since = arrived
        known = chunk.epoch == stream.segment.epoch
        end = max(chunk.first, stream.expected) if known else stream.expected
        self._batcher.add([stream.alert(end_alert(alert, end))], arrived)

    def _remove(self, name: str, why: str, now: float, over: bool = False) -> None:
        stream = self._streams[name]
        for arrival in self._reorder.release(name):
            self._use(stream, *arrival)
        self._selector.forget(stream)
        self._report_conflicts(now)
        self._batcher.add(self._stream_alarms.end_all(stream), now)
        silence = self._drop(name)
        if silence is not None:
            self._batcher.add([stream.alert(end_alert(silence.alert, stream.expected))], now)
        self._batcher.add(stream.end(why, over), now)
        self._observer.streams(len(self._streams))

    def _drop(self, name: str) -> Silence | None:
        """Know the stream no more; the silence that was under way."""
        self._rates.pop(name, None)
        del self._streams[name]
        self._last_received.pop(name, None)
        del self._last_used[name]
        return self._silent.pop(name, None)


def _signed(message: Message, by: str | None, at_ns: int) -> Message:
    """A message that comes of a discharge; of alerts those say so that tell it, or end by it."""
    if isinstance(message, AlertMessage) and (
        message.phase == "end" or message.code == AlarmCode.DISCHARGED
    ):
        return discharged(message, by, at_ns)
    return message
