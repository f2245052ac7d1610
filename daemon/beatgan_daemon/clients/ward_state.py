"""The state of every bed, as the messages of one or more daemons tell it. Knows no socket."""

import re
from collections import deque
from collections.abc import Iterator
from statistics import median

import msgspec

from beatgan.protocol.fences import order
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.clients import alarm_order

RATE_BEATS = 8  # good intervals that the rate is the median of
BEATS_SHOWN = 12
OLD_S = 8.0  # without a beat: what the rate is, nobody knows


class BeatSeen(msgspec.Struct, frozen=True):
    """What is shown of a beat."""

    stream: str
    n: int
    rr_ms: float | None
    anomalous: bool
    quality: str
    lead: str
    beat_class: str = msgspec.field(default="?", name="class")


class Bed:
    """One stream: its latest beats and the last alert of each episode under way.

    ``daemon``: the name of the one that spoke of it last.
    """

    def __init__(self, daemon: str, stream: str) -> None:
        self.daemon, self.stream = daemon, stream
        self.beats: deque[BeatSeen] = deque(maxlen=BEATS_SHOWN)
        self.alarms: dict[str, AlertMessage] = {}
        self._told_by: dict[str, str] = {}  # who told each alarm last
        self.last_beat = 0.0  # when, monotonic s

    def beat(self, beat: BeatSeen, now: float) -> None:
        """A beat, or its revision, in whose place it comes."""
        self.last_beat = now
        for at, known in enumerate(self.beats):
            if known.n == beat.n:
                self.beats[at] = beat
                return
        if self.beats and beat.n < self.beats[-1].n:  # the stream began anew
            self.beats.clear()
        self.beats.append(beat)

    def alert(self, alert: AlertMessage) -> None:
        """The episode as it stands now; gone where it ended."""
        known = self.alarms.get(alert.id)
        if known is not None and order(known) > order(alert):
            return
        self._told_by[alert.id] = self.daemon
        if alert.phase == "end":
            self._forget(alert.id)
        else:
            self.alarms[alert.id] = alert

    def forget_alarms(self, daemon: str) -> None:
        """Those that this daemon told."""
        for episode in [each for each, by in self._told_by.items() if by == daemon]:
            self._forget(episode)

    def _forget(self, episode: str) -> None:
        self.alarms.pop(episode, None)
        self._told_by.pop(episode, None)

    def rate(self, now: float) -> float | None:
        """Beats a minute: 60,000 over the median of the last good intervals; None: not known."""
        good = [b.rr_ms for b in self.beats if b.rr_ms and b.quality == "good"][-RATE_BEATS:]
        if not good or now - self.last_beat > OLD_S:
            return None
        return 60_000 / median(good)

    def poor(self) -> bool:
        """Whether the latest beat lay in too much noise to trust its rate."""
        return bool(self.beats) and self.beats[-1].quality != "good"

    def worst(self) -> AlertMessage | None:
        """The alarm that is shown: the most urgent that nobody has seen, else the most urgent."""
        return max(self.alarms.values(), key=alarm_order.urgency, default=None)


class Ward:
    """All beds, in an order that stays put."""

    def __init__(self, *, share_streams: bool = False) -> None:
        """``share_streams``: a stream has one bed, whichever daemon speaks of it."""
        self.beds: dict[tuple[str, str], Bed] = {}
        self._share_streams = share_streams

    def bed(self, daemon: str, stream: str) -> Bed:
        """The bed of this stream, of which ``daemon`` speaks; new where it was not known."""
        bed = self.beds.setdefault(self._key(daemon, stream), Bed(daemon, stream))
        bed.daemon = daemon
        return bed

    def _key(self, daemon: str, stream: str) -> tuple[str, str]:
        return ("" if self._share_streams else daemon, stream)

    def ended(self, daemon: str, stream: str) -> None:
        """The stream is watched no more; its alarms, if some stand, keep its bed."""
        bed = self.beds.get(self._key(daemon, stream))
        if bed is not None and not bed.alarms:
            del self.beds[self._key(daemon, stream)]

    def forget_alarms(self, daemon: str) -> None:
        """Before a daemon tells all its alarms anew."""
        for bed in self.beds.values():
            bed.forget_alarms(daemon)

    def shown(self, text: str = "", least: int = 0) -> Iterator[Bed]:
        """Beds whose names hold ``text`` and whose alarm has at least this rank; bed-2 before
        bed-10."""
        for key in sorted(self.beds, key=lambda key: (_natural(key[1]), key[0])):
            bed = self.beds[key]
            worst = bed.worst()
            rank = 0 if worst is None else alarm_order.rank(worst)
            if text.casefold() in bed.stream.casefold() and rank >= least:
                yield bed


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]
