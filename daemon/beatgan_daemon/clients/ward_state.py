"""The state of every bed, as the messages of one or more daemons tell it. Knows no socket."""

import re
from collections import deque
from collections.abc import Iterator
from statistics import median

import msgspec

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
    """One stream: its latest beats and the last alert of each episode under way."""

    def __init__(self, daemon: int, stream: str) -> None:
        self.daemon, self.stream = daemon, stream
        self.beats: deque[BeatSeen] = deque(maxlen=BEATS_SHOWN)
        self.alarms: dict[str, AlertMessage] = {}
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
        if known is not None and known.n > alert.n:
            return
        if alert.phase == "end":
            self.alarms.pop(alert.id, None)
        else:
            self.alarms[alert.id] = alert

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

    def __init__(self) -> None:
        self.beds: dict[tuple[int, str], Bed] = {}

    def bed(self, daemon: int, stream: str) -> Bed:
        """The bed of this stream, new where it was not known."""
        return self.beds.setdefault((daemon, stream), Bed(daemon, stream))

    def ended(self, daemon: int, stream: str) -> None:
        """The stream is watched no more; its alarms, if some stand, keep its bed."""
        bed = self.beds.get((daemon, stream))
        if bed is not None and not bed.alarms:
            del self.beds[daemon, stream]

    def forget_alarms(self, daemon: int) -> None:
        """Before a daemon tells all its alarms anew."""
        for bed in self.beds.values():
            if bed.daemon == daemon:
                bed.alarms.clear()

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
