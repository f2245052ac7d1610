"""From scores and signal changes to alerts: episodes, not beats. A pure fold; knows no clock.

One object serves one stream. The same events in the same order give the same alerts.
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf

from msgspec.structs import replace

from beatgan.errors import UsageError
from beatgan.types import Alert, Condition, Kind, Phase, Priority, Quality, Score, SignalChange

ANOMALOUS = "beat.anomalous"


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """When an episode of anomalous beats begins, speaks again and ends."""

    anomalous_beats: int = 3  # this many anomalous beats of good signal ...
    among_beats: int = 10  # ... among this many scored beats in a row begin an episode
    clear_beats: int = 10  # this many normal beats in a row end it
    update_s: float = 10.0  # an episode speaks again, at most this often, while beats are added

    def __post_init__(self) -> None:
        if not 1 <= self.anomalous_beats <= self.among_beats:
            raise UsageError(
                "alarms: need 1 <= anomalous_beats <= among_beats, "
                f"got {self.anomalous_beats} and {self.among_beats}"
            )
        if self.clear_beats < 1 or self.update_s < 0:
            raise UsageError("alarms: need clear_beats >= 1 and update_s >= 0")


@dataclass(slots=True)
class Episode:
    """An episode under way."""

    number: int
    onset: int
    spoke_at: int  # sample count at which its last message was due
    last: int  # apex of its latest anomalous beat
    untold: list[Score] = field(default_factory=list)  # anomalous beats since its last message
    peak: float = -inf  # the highest score told so far
    normal: int = 0  # normal beats in a row


class EpisodePolicy:
    """Alerts of one stream. Push scores and signal changes in the order they became known."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self._limits, self._fs = limits, fs
        # None for a beat that cannot begin an episode: its arrays need not be kept.
        self._recent: deque[Score | None] = deque(maxlen=limits.among_beats)
        self._anomalous: Episode | None = None
        self._signal: dict[tuple[Condition, str], Episode] = {}  # by condition and lead
        self._suspended = False
        self._episodes = 0

    def push(self, event: Score | SignalChange) -> list[Alert]:
        """The alerts that this event gives rise to."""
        if isinstance(event, SignalChange):
            return self._push_change(event)
        return [] if event.value is None else self._push_score(event)

    def close(self, sample: int) -> list[Alert]:
        """The stream ends at ``sample``: so does every episode under way."""
        alerts = [
            self._technical(*which, episode, Phase.END, sample, sample)
            for which, episode in self._signal.items()
        ]
        if self._anomalous is not None:
            alerts.append(self._tell(self._anomalous, Phase.END, sample))
        self._signal.clear()
        self._anomalous = None
        return alerts

    def _open(self, onset: int, known_at: int) -> Episode:
        self._episodes += 1
        return Episode(self._episodes - 1, onset, known_at, onset)

    def _push_change(self, change: SignalChange) -> list[Alert]:
        """The change itself; then, where it decides whether scoring goes on, all that hold on."""
        which, at, known_at = (change.condition, change.lead), change.sample, change.known_at
        others = dict(self._signal) if change.suspended != self._suspended else {}
        self._suspended = change.suspended
        others.pop(which, None)
        alerts: list[Alert] = []
        if change.begins:
            episode = self._signal[which] = self._open(at, known_at)
            alerts.append(self._technical(*which, episode, Phase.START, at, known_at))
        elif (ended := self._signal.pop(which, None)) is not None:
            alerts.append(self._technical(*which, ended, Phase.END, at, known_at))
        return alerts + [
            self._technical(*other, episode, Phase.UPDATE, at, known_at)
            for other, episode in others.items()
        ]

    def _push_score(self, score: Score) -> list[Alert]:
        self._recent.append(_kept(score) if _certain(score) else None)
        if self._anomalous is None:
            return self._begin(score)
        return self._go_on(self._anomalous, score)

    def _begin(self, score: Score) -> list[Alert]:
        if self._recent[-1] is None:
            return []
        found = [recent for recent in self._recent if recent is not None]
        if len(found) < self._limits.anomalous_beats:
            return []
        episode = self._open(found[0].beat.sample, score.beat.known_at)
        episode.last = score.beat.sample
        episode.untold = found
        self._anomalous = episode
        return [self._tell(episode, Phase.START, score.beat.known_at)]

    def _go_on(self, episode: Episode, score: Score) -> list[Alert]:
        if score.anomalous:
            episode.normal = 0
            episode.last = score.beat.sample
            episode.untold.append(_kept(score))
        else:
            episode.normal += 1
        known_at = score.beat.known_at
        if episode.normal >= self._limits.clear_beats:
            self._anomalous = None
            self._recent.clear()
            return [self._tell(episode, Phase.END, known_at)]
        due = known_at - episode.spoke_at >= self._limits.update_s * self._fs
        return [self._tell(episode, Phase.UPDATE, known_at)] if due and episode.untold else []

    def _tell(self, episode: Episode, phase: Phase, known_at: int) -> Alert:
        """A message about an episode of anomalous beats, with what is new since the last one."""
        untold, episode.untold = episode.untold, []
        episode.spoke_at = known_at
        event = episode.onset if phase is Phase.START else episode.last
        worst = max(untold, key=_height, default=None)
        explains = worst is not None and _height(worst) > episode.peak
        if worst is not None:
            episode.peak = max(episode.peak, _height(worst))
        return Alert(
            episode=episode.number,
            kind=Kind.PHYSIOLOGICAL,
            code=ANOMALOUS,
            priority=Priority.MEDIUM,
            phase=phase,
            onset=episode.onset,
            end=episode.last if phase is Phase.END else None,
            at=event,
            lead=None if worst is None else worst.beat.lead,
            suspended=self._suspended,
            beats=tuple(score.beat.sample for score in untold),
            worst=worst,
            explains=explains,
            condition_ms=1000 * (known_at - event) / self._fs,
        )

    def _technical(
        self,
        condition: Condition,
        lead: str,
        episode: Episode,
        phase: Phase,
        at: int,
        known_at: int,
    ) -> Alert:
        """A message about a lead's signal, whose state holds from ``at`` on."""
        ends = phase is Phase.END
        return Alert(
            episode=episode.number,
            kind=Kind.TECHNICAL,
            code=f"signal.{condition}",
            priority=Priority.MEDIUM if self._suspended else Priority.LOW,
            phase=phase,
            onset=episode.onset,
            end=at if ends else None,
            at=at,
            lead=lead,
            suspended=self._suspended,
            beats=(),
            worst=None,
            explains=False,
            condition_ms=1000 * (known_at - at) / self._fs,
        )


def _height(score: Score) -> float:
    """The value of an anomalous beat's score."""
    return -inf if score.value is None else score.value


def _certain(score: Score) -> bool:
    """Whether the beat may begin an episode: a poor signal's beats only prolong one."""
    return score.anomalous and score.beat.quality is Quality.GOOD


def _kept(score: Score) -> Score:
    """The same with arrays of its own: as scored, they are parts of a whole batch's."""
    return replace(score, expected=score.expected.copy(), error=score.error.copy())
