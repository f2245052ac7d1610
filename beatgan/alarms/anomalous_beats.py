"""Judges whether beats are anomalous often enough to tell: `beat.anomalous`, k beats of n.

Knows scores and their beats' quality, not why a beat is anomalous. A pure fold.
"""

from collections.abc import Sequence
from math import inf

from msgspec import Struct, field

from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Evidence, Phase, Priority, Quality, Score, Turn

CODE = "beat.anomalous"


class Spell(Struct):
    """An episode under way."""

    onset: int
    spoke_at: int  # sample count at which its last message was due
    last: int  # apex of its latest anomalous beat
    untold: list[Score]  # anomalous beats since its last message
    peak: float = -inf  # the highest score told so far
    normal: int = 0  # normal beats in a row


class State(Struct):
    """What it remembers: the latest scored beats, None for one that cannot begin an episode."""

    recent: list[Score | None] = field(default_factory=list)
    spell: Spell | None = None


class Anomalous:
    """The judge of anomalous beats."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: Evidence) -> Sequence[Turn]:
        """What is to be told after this event."""
        if not isinstance(event, Score) or event.value is None:
            return ()
        recent = self.state.recent
        recent.append(event.kept() if _certain(event) else None)
        del recent[: -self.limits.among_beats]
        if self.state.spell is None:
            return self._begin(event)
        return self._go_on(self.state.spell, event)

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``."""
        spell, self.state.spell = self.state.spell, None
        return () if spell is None else (self._tell(spell, Phase.END, sample),)

    def _begin(self, score: Score) -> Sequence[Turn]:
        if self.state.recent[-1] is None:
            return ()
        found = [recent for recent in self.state.recent if recent is not None]
        if len(found) < self.limits.anomalous_beats:
            return ()
        known_at = score.beat.known_at
        spell = Spell(found[0].beat.sample, known_at, score.beat.sample, found)
        self.state.spell = spell
        return (self._tell(spell, Phase.START, known_at),)

    def _go_on(self, spell: Spell, score: Score) -> Sequence[Turn]:
        if score.anomalous:
            spell.normal = 0
            spell.last = score.beat.sample
            spell.untold.append(score.kept())
        else:
            spell.normal += 1
        known_at = score.beat.known_at
        if spell.normal >= self.limits.clear_beats:
            self.state = State()
            return (self._tell(spell, Phase.END, known_at),)
        due = known_at - spell.spoke_at >= self.limits.update_s * self._fs
        return (self._tell(spell, Phase.UPDATE, known_at),) if due and spell.untold else ()

    def _tell(self, spell: Spell, phase: Phase, known_at: int) -> Turn:
        """What is new since the last message."""
        untold, spell.untold = spell.untold, []
        spell.spoke_at = known_at
        worst = max(untold, key=lambda score: score.height, default=None)
        explains = worst is not None and worst.height > spell.peak
        if worst is not None:
            spell.peak = max(spell.peak, worst.height)
        return Turn(
            code=CODE,
            phase=phase,
            priority=Priority.MEDIUM,
            onset=spell.onset,
            at=spell.onset if phase is Phase.START else spell.last,
            known_at=known_at,
            end=spell.last if phase is Phase.END else None,
            lead=None if worst is None else worst.beat.lead,
            beats=tuple(score.beat.sample for score in untold),
            worst=worst,
            explains=explains,
        )


def _certain(score: Score) -> bool:
    """Whether the beat may begin an episode: a poor signal's beats only prolong one."""
    return score.anomalous and score.beat.quality is Quality.GOOD
