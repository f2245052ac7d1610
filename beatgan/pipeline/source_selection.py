"""Which source is watched under a stream's name: the one that is, for as long as it lives.

A frame that does not go on with a stream's sample count may come from the watched source, which
began anew or lost much; it may be a stray one, or a second source's under the same name. Such
frames are held until that is known: used in order, or refused and counted. Knows sample counts
and times of arrival, no signal. No clock: the time (monotonic seconds) comes in.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from beatgan.errors import StreamError
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.reorder import Arrival
from beatgan.pipeline.stream import Stream
from beatgan.types import Chunk

NEAR_S = 2.0  # of signal: a gap so much longer than the stream was quiet needs a second frame
QUIET_S = 1.0  # at least, without a new sample of the watched source before another takes over
GRACE_S = 0.2  # a late frame of the source that ended says nothing of its life
CONFLICT_S = 1.0  # that two sources send, both alive, is known after this, ...
CONFLICT_FRAMES = 3  # ... and so many frames of the other one
RESTART_S = 5.0  # of old samples, at the pace of life and nothing new: counted from 0 again
PACE = 2.0  # at most so much faster or slower than life
CHECK_S = 0.1  # how often it is asked what is to become of what is held
MAX_FRAMES = 256  # held of one stream
MAX_VALUES = 131_072  # samples times leads held of one stream: 512 KiB
MAX_TOTAL = 16_777_216  # and of all streams: 64 MiB
FRAME_VALUES = 128  # what a frame takes besides its samples, in values

Difference = Literal["epoch", "jump", "repeat"]


class Conflict(NamedTuple):
    """A second source sends under the name ``stream`` from now on, or (``text`` None) no more."""

    stream: str
    text: str | None


class Takeover(NamedTuple):
    """The frames of ``stream`` with which another source, or another count, is watched.

    ``restart``: the count begins anew, though the epoch may be the same. ``in_order``: the frames
    have confirmed one another's place.
    """

    stream: str
    frames: list[Arrival]
    restart: bool
    in_order: bool


@dataclass(slots=True)
class _Candidate:
    """Frames that go on with one another, but not with the stream's count."""

    differs: Difference
    epoch: int
    began: float
    latest: float
    following: int  # sample after its latest frame
    gap_s: float = 0.0  # how far ahead of the count it begins
    newer: bool = False  # its time stamps lie behind the stream's last sample
    frames: int = 0
    seconds: float = 0.0  # of signal since its first frame
    held: list[Arrival] = field(default_factory=list)
    values: int = 0

    def goes_on_with(self, chunk: Chunk) -> bool:
        if chunk.epoch != self.epoch:
            return False
        if self.differs == "epoch":
            return True
        return 0 <= chunk.first - self.following <= max(NEAR_S, self.gap_s) * chunk.fs

    def paced(self) -> bool:
        """Whether its frames come as fast as life, and have for long enough."""
        span = self.latest - self.began
        return span >= RESTART_S and span / PACE <= self.seconds <= span * PACE


@dataclass(slots=True)
class _Contest:
    """What came under a stream's name beside the watched source."""

    began: float
    latest: float
    candidate: _Candidate
    frames: int = 0  # of other sources
    advances: int = 0  # of the watched source meanwhile
    conflict: bool = False


class SourceSelector:
    """For all streams: what is held, refused and believed. Each frame offered is one of these."""

    def __init__(self, silence: float, observer: Observer) -> None:
        """``silence``: seconds after which a source that sends nothing new is silent."""
        self.silence, self._observer = silence, observer
        self._contests: dict[str, _Contest] = {}
        self._held = 0  # values, of all streams
        self._next_check = 0.0
        self._conflicts: list[Conflict] = []

    def claims(self, stream: Stream, chunk: Chunk) -> bool:
        """Whether ``chunk`` may not be the watched source's: then it is to be offered."""
        if chunk.epoch != stream.segment.epoch:
            return True
        if chunk.first + len(chunk.samples) <= stream.expected - NEAR_S * chunk.fs:
            return True
        contest = self._contests.get(chunk.stream)
        return (
            contest is not None
            and contest.candidate.differs == "jump"
            and bool(contest.candidate.held)
            and chunk.first > stream.expected
            and contest.candidate.goes_on_with(chunk)
        )

    @staticmethod
    def plausible(stream: Stream, chunk: Chunk, quiet: float) -> bool:
        """Whether a gap before ``chunk`` may be as long as it says after ``quiet`` seconds."""
        return (chunk.first - stream.expected) / chunk.fs <= quiet + NEAR_S

    def offer(
        self, stream: Stream, chunk: Chunk, now: float, quiet: float, silent: bool
    ) -> Takeover | None:
        """Take in a frame that does not go on with ``stream``; the takeover if it brings one.

        ``quiet``: seconds since the stream's last new sample; ``silent``: that is declared.
        Raises StreamError, `epoch` or `jump`, on a frame of a source known to be a second one.
        """
        name = chunk.stream
        contest = self._contests.get(name)
        if contest is None or not contest.candidate.goes_on_with(chunk):
            contest = self._begin(stream, chunk, now, contest)
        candidate = contest.candidate
        if candidate.frames:
            candidate.seconds += len(chunk.samples) / chunk.fs
        candidate.frames += 1
        candidate.latest = now
        candidate.following = chunk.first + len(chunk.samples)
        if candidate.differs != "repeat" or candidate.newer:
            contest.latest = now
            contest.frames += 1
        if contest.conflict and not silent:
            self._refuse_now(stream, candidate, chunk)
            return None
        self._hold(stream, candidate, Arrival(chunk, now))
        self._find_conflict(stream, contest)
        return self._decide(stream, contest, quiet, silent)

    def advanced(self, stream: Stream, now: float) -> None:
        """The watched source has brought something new."""
        contest = self._contests.get(stream.segment.stream)
        if contest is None:
            return
        contest.advances += now > contest.began + GRACE_S
        candidate = contest.candidate
        if candidate.held and (candidate.differs == "repeat" or now > candidate.began + GRACE_S):
            self._flush(stream, candidate)
        self._find_conflict(stream, contest)

    def holds(self) -> bool:
        """Whether anything is held or remembered of any stream."""
        return bool(self._contests)

    def due(self, now: float) -> bool:
        """Whether it is time to `check` all streams again."""
        if not self._contests or now < self._next_check:
            return False
        self._next_check = now + CHECK_S
        return True

    def deadline(self) -> float | None:
        """When `due` next is true; None if nothing is held."""
        return self._next_check if self._held else None

    def names(self) -> tuple[str, ...]:
        """The streams of which something is held or remembered."""
        return tuple(self._contests)

    def check(self, stream: Stream, now: float, quiet: float, silent: bool) -> Takeover | None:
        """What time alone has decided for ``stream``: the takeover, if there is one."""
        contest = self._contests.get(stream.segment.stream)
        if contest is None:
            return None
        if contest.candidate.held and (taken := self._decide(stream, contest, quiet, silent)):
            return taken
        if now - max(contest.latest, contest.candidate.latest) > max(self.silence, RESTART_S):
            self.forget(stream)
        elif now - contest.latest > self.silence and contest.conflict:
            self._end_conflict(stream.segment.stream, contest)
        return None

    def conclude(self, stream: Stream, quiet: float) -> Takeover | None:
        """Nothing more can be waited for: the takeover if nothing speaks against what is held."""
        contest = self._contests.get(stream.segment.stream)
        taken: Takeover | None = None
        if contest is not None:
            candidate = contest.candidate
            unknown = candidate.differs == "epoch" and candidate.epoch != stream.previous_epoch
            confirmed = candidate.differs != "repeat" and (candidate.frames > 1 or unknown)
            believed = confirmed and not contest.conflict and not contest.advances
            if candidate.held and (believed or self._plausible_gap(candidate, quiet)):
                taken = self._take_over(stream, contest)
            else:
                self.forget(stream)
        return taken

    def forget(self, stream: Stream) -> None:
        """What is held of ``stream`` is refused, and it is as if nothing had come."""
        name = stream.segment.stream
        contest = self._contests.get(name)
        if contest is not None:
            self._flush(stream, contest.candidate)
            self._end_conflict(name, contest)
            del self._contests[name]

    def take_conflicts(self) -> list[Conflict]:
        """The conflicts that began or ended since the last call."""
        found, self._conflicts = self._conflicts, []
        return found

    # --- one candidate ------------------------------------------------------------------------

    def _begin(self, stream: Stream, chunk: Chunk, now: float, before: _Contest | None) -> _Contest:
        segment = stream.segment
        gap_s, newer = 0.0, False
        differs: Difference = "epoch"
        if chunk.epoch == segment.epoch:
            ahead = chunk.first - stream.expected
            differs = "jump" if ahead > 0 else "repeat"
            gap_s = max(0, ahead) / chunk.fs
            newer = ahead <= 0 and chunk.t_ns > segment.source_clock.times.reckoned(stream.expected)
        candidate = _Candidate(
            differs, chunk.epoch, now, now, chunk.first, gap_s=gap_s, newer=newer
        )
        if before is None:
            before = self._contests[chunk.stream] = _Contest(now, now, candidate)
        else:
            self._flush(stream, before.candidate)
            before.candidate = candidate
        return before

    def _hold(self, stream: Stream, candidate: _Candidate, arrival: Arrival) -> None:
        """Keep a frame, or the latest ones of those there are, within bounds."""
        size = arrival.chunk.samples.size + FRAME_VALUES
        if self._held + size > MAX_TOTAL:
            self._refuse(stream, candidate, [arrival])
            return
        candidate.held.append(arrival)
        candidate.values += size
        self._held += size
        while candidate.differs == "repeat" and len(candidate.held) > 1 and self._full(candidate):
            oldest = candidate.held.pop(0)
            size = oldest.chunk.samples.size + FRAME_VALUES
            candidate.values -= size
            self._held -= size
            self._refuse(stream, candidate, [oldest])

    def _take_held(self, candidate: _Candidate) -> list[Arrival]:
        """What is held, which is so no more."""
        held, candidate.held = candidate.held, []
        self._held -= candidate.values
        candidate.values = 0
        return held

    @staticmethod
    def _full(candidate: _Candidate) -> bool:
        return len(candidate.held) > MAX_FRAMES or candidate.values > MAX_VALUES

    def _flush(self, stream: Stream, candidate: _Candidate) -> None:
        """What is held is refused: the watched source lives."""
        self._refuse(stream, candidate, self._take_held(candidate))

    def _refuse(self, stream: Stream, candidate: _Candidate, frames: list[Arrival]) -> None:
        for chunk, _ in frames:
            if candidate.differs == "repeat":
                stream.repeat(len(chunk.samples))
            else:
                self._observer.frame_refused(candidate.differs, len(chunk.samples))

    def _refuse_now(self, stream: Stream, candidate: _Candidate, chunk: Chunk) -> None:
        """A frame of a second source, as is known: whoever handed it over hears of it."""
        if candidate.differs == "repeat":
            stream.repeat(len(chunk.samples))
            return
        why = (
            f"epoch {chunk.epoch}, sample {chunk.first}: another source is watched under this "
            f"name, epoch {stream.segment.epoch}, sample {stream.expected}"
        )
        if candidate.differs == "epoch":
            raise StreamError("epoch", why)
        raise StreamError("jump", why)

    # --- who is watched -----------------------------------------------------------------------

    def _decide(
        self, stream: Stream, contest: _Contest, quiet: float, silent: bool
    ) -> Takeover | None:
        candidate = contest.candidate
        if not candidate.held:
            return None
        if self._believed(stream, contest, quiet, silent):
            return self._take_over(stream, contest)
        if self._full(candidate):  # no room, and no sign that the watched source ended
            self._flush(stream, candidate)
        return None

    def _believed(self, stream: Stream, contest: _Contest, quiet: float, silent: bool) -> bool:
        """Whether what is held is to be watched from now on."""
        candidate = contest.candidate
        if candidate.differs == "epoch" and silent and candidate.epoch != stream.previous_epoch:
            return True
        if self._plausible_gap(candidate, quiet):
            return True
        if candidate.frames < 2 or (contest.conflict and not silent):
            return False
        waited = quiet >= min(self.silence, max(QUIET_S, 2 * stream.frame_s))
        if candidate.differs == "repeat":
            return waited and (candidate.newer or candidate.paced())
        return waited or (self._full(candidate) and contest.advances == 0)

    @staticmethod
    def _plausible_gap(candidate: _Candidate, quiet: float) -> bool:
        return candidate.differs == "jump" and candidate.gap_s <= quiet + NEAR_S

    def _take_over(self, stream: Stream, contest: _Contest) -> Takeover:
        name, candidate = stream.segment.stream, contest.candidate
        held = self._take_held(candidate)
        self._end_conflict(name, contest)
        del self._contests[name]
        differs = candidate.differs
        return Takeover(name, held, differs == "repeat", in_order=differs != "epoch")

    def _find_conflict(self, stream: Stream, contest: _Contest) -> None:
        """Whether both the watched source and another one go on sending."""
        if (
            contest.conflict
            or contest.advances < 2
            or contest.frames < CONFLICT_FRAMES
            or contest.latest - contest.began < CONFLICT_S
        ):
            return
        contest.conflict = True
        segment, candidate = stream.segment, contest.candidate
        other = f"epoch {candidate.epoch}" if candidate.differs == "epoch" else "another count"
        text = (
            f"two sources send as {segment.stream}: epoch {segment.epoch} is watched, "
            f"{other} (at sample {candidate.following}) is refused"
        )
        self._conflicts.append(Conflict(segment.stream, text))
        self._flush(stream, candidate)

    def _end_conflict(self, name: str, contest: _Contest) -> None:
        if contest.conflict:
            contest.conflict = False
            self._conflicts.append(Conflict(name, None))
