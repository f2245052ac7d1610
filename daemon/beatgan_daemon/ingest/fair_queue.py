"""Frames that wait, a line for each stream: the next is of the line that has had the least time.

Start-time fair queueing (Goyal, Vin & Cheng 1996), by the time that frames took, not by their
number, so that shares are max-min fair: who needs less than a fair share of the time never waits
behind the frames of those who would need more, and what is left over goes to them. Up to TOLERATED
times the usual time counts as the usual: a fast heart is not held back for it. A sender of n
streams has the weight of sqrt(n) senders of one: neither many streams nor a large gateway's right
to its many crowds the others out. Where nobody took any time it is first come, first served.
Topics that are no stream's, malformed or new ones, share a line, which counts as a sender of as
many streams as topics wait in it, up to MOST_NEW. No clock: times (monotonic seconds) come in.

Turns cost something themselves, and are of no use where all that waits is soon taken: frames that
come while nobody waits are served as they came, and their lines only told what that took. If they
become more than AT_ONCE, or take longer than AT_ONCE_S, turns begin; until nobody waits once more.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from heapq import heapify, heappop, heappush
from math import exp, inf, sqrt
from statistics import median, median_low

import msgspec

MEMORY_S = 5.0  # over which the time that a topic took is forgotten
GREEDY = 4.0  # times the time that a stream usually takes: who takes more is greedy
TOLERATED = 2.0  # times that: who wants so much counts as wanting what is usual
USUAL_S = 1.0  # for which it is known how much that is
MOST_NEW = 100  # topics that are no stream's count: a crowd of junk must not crowd out streams
OTHERS = b""  # the line of topics that are no stream's; no real topic is empty
NOBODY = -1  # whose line that is; no connection has this number
MAX_LINES = 4096  # then empty ones are looked through
IDLE_S = 10 * MEMORY_S  # after which one is forgotten
AT_ONCE = 256  # frames that are taken as they came, ...
AT_ONCE_S = 0.02  # ... as long as all of them take no more than that


class Frame(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A frame's parts, when it arrived, and a time before which it had not (monotonic seconds).

    ``sender``: the key of who sent it, or the endpoint that was called; None without keys.
    ``connection``: a name for who sent it, keys or not.
    """

    parts: list[bytes]
    arrived: float
    since: float
    sender: str | None = None
    size: int = 0  # bytes
    connection: str | int | None = None


class _Line:
    """The frames of one stream, each with its number, and the time that it has had."""

    __slots__ = ("at", "frames", "sender", "spent", "start", "wanted")

    def __init__(self, start: float, now: float, sender: str | int | None) -> None:
        self.start = start  # virtual time, when its next frame may be taken
        self.sender = sender
        self.frames: deque[tuple[int, Frame]] = deque()
        self.spent, self.at = 0.0, now  # seconds that it took lately, as of then
        self.wanted = 0.0  # likewise, had all that waits been taken

    def waits(self, now: float) -> float:
        return now - self.frames[0][1].arrived if self.frames else 0.0

    def spent_lately(self, now: float) -> float:
        return self.spent * exp(min(0.0, self.at - now) / MEMORY_S)


class FairQueue:
    """What waits, and who has had how much time. Lines go by topic."""

    def __init__(self, known: Callable[[bytes], bool]) -> None:
        """``known``: whether a topic is a stream's."""
        self._known = known
        self._others = _Line(0.0, 0.0, NOBODY)
        self._lines = {OTHERS: self._others}
        self._at_once: deque[Frame] = deque()  # as they came; none while `_turns`
        self._at_once_s = 0.0  # that such frames took since none waited
        self._turns = False
        self._among_others: Counter[bytes] = Counter()  # that wait, by topic
        self._streams_of: Counter[str | int | None] = Counter()  # how many lines a sender has
        self._heap: list[tuple[float, int, _Line]] = []  # of lines in which frames wait
        self._arrivals: deque[tuple[int, _Line, float, float]] = deque()  # some are taken already
        self._number = 0
        self._in_line = 0  # frames
        self._virtual, self._latest = 0.0, 0.0  # time, and the latest that a line has reached
        self._usual = 0.0  # seconds that a line wants
        self._usual_until = -inf  # when it is to be found anew
        self._served: _Line | None = None  # whose frame was taken last: not in the heap
        self._look_through = MAX_LINES

    def __len__(self) -> int:
        """How many frames wait."""
        return self._in_line + len(self._at_once)

    def __iter__(self) -> Iterator[Frame]:
        """All that wait, in no order."""
        self._begin_turns()
        return (frame for line in self._lines.values() for _, frame in line.frames)

    def append(self, frame: Frame) -> None:
        """``frame`` waits from now on, behind the others of its line."""
        if self._turns:
            self._line_up(frame)
            return
        self._at_once.append(frame)
        if len(self._at_once) > AT_ONCE:
            self._begin_turns()

    def take(self) -> Frame | None:
        """The next frame; None if none waits."""
        if self._at_once:
            frame = self._at_once.popleft()
            self._served = self._line_of(frame)
            return frame
        taken = self._take_in_turn() if self._turns else None
        if taken is None:
            self._turns, self._at_once_s, self._served = False, 0.0, None
        return taken

    def charge(self, seconds: float, now: float) -> None:
        """The frame that was taken last took so many seconds of work."""
        line = self._served
        if line is None:
            return
        line.wanted = line.spent = line.spent_lately(now) + seconds
        line.at = now
        if not self._turns:
            self._at_once_s += seconds
            if self._at_once_s <= AT_ONCE_S or not self._at_once:
                return
            self._begin_turns()
        self._charge_in_turn(line, seconds, now)

    # --- turns --------------------------------------------------------------------------------

    def _begin_turns(self) -> None:
        """All that waits lines up, and nobody is ahead of anybody."""
        if self._turns:
            return
        self._turns = True
        self._virtual = self._latest
        if self._served is not None:
            self._served.start = max(self._served.start, self._virtual)
        came, self._at_once = self._at_once, deque()
        for each in came:
            self._line_up(each)

    def _line_up(self, frame: Frame) -> None:
        line = self._line_of(frame)
        if line is self._others:
            self._among_others[frame.parts[0]] += 1
        self._number += 1
        if not line.frames and line is not self._served:
            line.start = max(line.start, self._virtual)
            heappush(self._heap, (line.start, self._number, line))
        line.frames.append((self._number, frame))
        self._arrivals.append((self._number, line, frame.arrived, frame.since))
        self._in_line += 1

    def _take_in_turn(self) -> Frame | None:
        if (before := self._served) is not None and before.frames:
            heappush(self._heap, (before.start, before.frames[0][0], before))
        if not self._heap:
            return None
        self._virtual, _, line = heappop(self._heap)
        self._served = line
        self._in_line -= 1
        frame = line.frames.popleft()[1]
        if line is self._others:
            self._leaves_others(frame.parts[0])
        return frame

    def _charge_in_turn(self, line: _Line, seconds: float, now: float) -> None:
        if now >= self._usual_until:
            self._find_usual(now)
        line.wanted += seconds * len(line.frames)
        line.start += seconds * self._counts(line)
        self._latest = max(self._latest, line.start)

    def _counts(self, line: _Line) -> float:
        """What a second of ``line`` counts for."""
        if line is self._others:
            return 1 / sqrt(min(max(len(self._among_others), 1), MOST_NEW))
        tolerated = min(line.wanted / self._usual, TOLERATED) if self._usual else 1.0
        return sqrt(self._streams_of[line.sender]) / max(tolerated, 1.0)

    def _find_usual(self, now: float) -> None:
        wanted = [each.wanted for each in self._lines.values() if now - each.at < MEMORY_S]
        self._usual = median_low(wanted) if wanted else 0.0
        self._usual_until = now + USUAL_S

    def oldest(self) -> tuple[float, float] | None:
        """``arrived`` and ``since`` of the frame that has waited longest."""
        if self._at_once:
            return self._at_once[0].arrived, self._at_once[0].since
        while self._arrivals:
            number, line, arrived, since = self._arrivals[0]
            if line.frames and line.frames[0][0] <= number:
                return arrived, since
            self._arrivals.popleft()
        return None

    def retain(self, keeps: Callable[[Frame], bool]) -> int:
        """Drop all that ``keeps`` does not want; how many frames."""
        self._begin_turns()
        for line in self._lines.values():
            if line.frames:
                line.frames = deque(each for each in line.frames if keeps(each[1]))
        return self._rearrange()

    def drop(self, lines: Callable[[bytes], bool]) -> int:
        """Drop what waits in ``lines``; how many frames."""
        self._begin_turns()
        for key, line in self._lines.items():
            if line.frames and lines(key):
                line.frames.clear()
        return self._rearrange()

    def active(self, now: float) -> list[bytes]:
        """The streams' lines that lately had time."""
        lines = self._lines.items()
        return [key for key, line in lines if key != OTHERS and now - line.at < MEMORY_S]

    def greedy(self, now: float, waited: float) -> frozenset[bytes]:
        """The lines in which frames have waited so long because they take far more time than
        others do."""
        self._begin_turns()
        late = [key for key, line in self._lines.items() if line.waits(now) > waited]
        usual = [self._lines[key].spent_lately(now) for key in self.active(now)]
        much = dict.fromkeys(late, GREEDY * median(usual) if usual else inf)
        if OTHERS in much:
            much[OTHERS] *= len(self._among_others)
        return frozenset(key for key in late if self._lines[key].spent_lately(now) > much[key])

    def senders(self) -> frozenset[str | int | None]:
        """Who sends streams."""
        self._begin_turns()
        return frozenset(self._streams_of)

    def late_senders(self, now: float, waited: float) -> frozenset[str | int | None]:
        """The senders of frames that have waited so long."""
        self._begin_turns()
        return frozenset(line.sender for line in self._lines.values() if line.waits(now) > waited)

    def lines_of(self, senders: Collection[str | int | None]) -> frozenset[bytes]:
        """The lines of these ``senders``."""
        self._begin_turns()
        return frozenset(key for key, line in self._lines.items() if line.sender in senders)

    def _rearrange(self) -> int:
        """Lines have lost frames: how many."""
        before = self._in_line
        lines = [each for each in self._lines.values() if each.frames and each is not self._served]
        self._heap = [(each.start, each.frames[0][0], each) for each in lines]
        heapify(self._heap)
        kept = sorted(
            (number, line, frame.arrived, frame.since)
            for line in self._lines.values()
            for number, frame in line.frames
        )
        self._arrivals = deque(kept)
        self._in_line = len(kept)
        others = self._others.frames
        self._among_others = Counter(frame.parts[0] for _, frame in others)
        return before - self._in_line

    def _line_of(self, frame: Frame) -> _Line:
        """Where a frame that waits, or is taken at once, belongs."""
        line = self._lines.get(frame.parts[0])
        if line is None:
            return self._find_line(frame)
        if line.sender != frame.connection and line is not self._others:
            self._moves(line, frame.connection)
        return line

    def _find_line(self, frame: Frame) -> _Line:
        """A line of its own for a frame of a stream, once none of its frames is among others'."""
        topic = frame.parts[0]
        if topic in self._among_others or not self._known(topic):
            return self._others
        if len(self._lines) >= self._look_through:
            self._forget_idle(frame.arrived)
        line = self._lines[topic] = _Line(self._virtual, frame.arrived, frame.connection)
        self._streams_of[line.sender] += 1
        return line

    def _moves(self, line: _Line, sender: str | int | None) -> None:
        """Another one sends the stream now."""
        self._loses(line.sender)
        line.sender = sender
        self._streams_of[sender] += 1

    def _loses(self, sender: str | int | None) -> None:
        self._streams_of[sender] -= 1
        if not self._streams_of[sender]:
            del self._streams_of[sender]

    def _leaves_others(self, topic: bytes) -> None:
        self._among_others[topic] -= 1
        if not self._among_others[topic]:
            del self._among_others[topic]

    def _forget_idle(self, now: float) -> None:
        for topic, line in tuple(self._lines.items()):
            in_use = line.frames or line is self._served or topic == OTHERS
            if not in_use and now - line.at > IDLE_S:
                self._loses(self._lines.pop(topic).sender)
        self._look_through = max(MAX_LINES, 2 * len(self._lines))
