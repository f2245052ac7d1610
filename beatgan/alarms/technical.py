"""Judges a stream's signal: `signal.gap`, `.flat`, `.saturated` and `.noise`, each lead by itself.

Knows changes of the signal only. A pure fold.
"""

from collections.abc import Sequence

from msgspec import Struct, field

from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Condition, Evidence, Phase, Priority, SignalChange, Turn


class State(Struct):
    """What it remembers: the onset of each condition that holds, by condition and lead."""

    since: dict[tuple[Condition, str], int] = field(default_factory=dict)
    suspended: bool = False


class Technical:
    """The judge of the signal."""

    def __init__(self, limits: AlarmLimits) -> None:
        self.limits = limits
        self.state = State()

    def push(self, event: Evidence) -> Sequence[Turn]:
        """The change itself; then, where it decides whether scoring goes on, all that hold on."""
        if not isinstance(event, SignalChange):
            return ()
        state, which = self.state, (event.condition, event.lead)
        others = dict(state.since) if event.suspended != state.suspended else {}
        state.suspended = event.suspended
        turns: list[Turn] = []
        again = event.begins and which in state.since  # after a restart: the episode goes on
        if not again:
            others.pop(which, None)
        if event.begins and not again:
            state.since[which] = event.sample
            turns.append(self._turn(which, event.sample, Phase.START, event.sample, event.known_at))
        elif not again and (onset := state.since.pop(which, None)) is not None:
            turns.append(self._turn(which, onset, Phase.END, event.sample, event.known_at))
        turns += [
            self._turn(other, onset, Phase.UPDATE, event.sample, event.known_at)
            for other, onset in others.items()
        ]
        return turns

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``."""
        since, self.state.since = self.state.since, {}
        return [
            self._turn(which, onset, Phase.END, sample, sample) for which, onset in since.items()
        ]

    def _turn(
        self, which: tuple[Condition, str], onset: int, phase: Phase, at: int, known_at: int
    ) -> Turn:
        """A word about a lead's signal, whose state holds from ``at`` on."""
        condition, lead = which
        return Turn(
            code=f"signal.{condition}",
            phase=phase,
            priority=Priority.MEDIUM if self.state.suspended else Priority.LOW,
            onset=onset,
            at=at,
            known_at=known_at,
            end=at if phase is Phase.END else None,
            lead=lead,
        )
