"""Alarms `signal.gap`, `.flat`, `.saturated` and `.noise`, each lead by itself.

Knows changes of the signal only. A pure fold.
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct, field

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import TECHNICAL, AlarmEvent, AlarmInput, DetectorWithState
from beatgan.types import Condition, Phase, Priority, SignalChange


class State(Struct):
    """What it remembers: the onset of each condition that holds, by condition and lead."""

    since: dict[tuple[Condition, str], int] = field(default_factory=dict)
    suspended: bool = False


class TechnicalDetector(DetectorWithState[State]):
    """An episode for each condition of each lead; all are medium while no lead is usable."""

    __slots__ = ()
    bit: ClassVar[int] = TECHNICAL
    nothing: ClassVar[type[State]] = State

    def tell(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """The change itself; then updates of all others, where it decides if scoring goes on."""
        if not isinstance(event, SignalChange):
            return ()
        state, key = self._state, (event.condition, event.lead)
        others = dict(state.since) if event.suspended != state.suspended else {}
        state.suspended = event.suspended
        events: list[AlarmEvent] = []
        known = event.begins and key in state.since  # after a restart: the episode goes on
        if not known:
            others.pop(key, None)
        if event.begins and not known:
            state.since[key] = event.sample
            events.append(self._event(key, event.sample, Phase.START, event.sample, event.known_at))
        elif not known and (onset := state.since.pop(key, None)) is not None:
            events.append(self._event(key, onset, Phase.END, event.sample, event.known_at))
        events += [
            self._event(other, onset, Phase.UPDATE, event.sample, event.known_at)
            for other, onset in others.items()
        ]
        return events

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        since, self._state.since = self._state.since, {}
        return [self._event(key, onset, Phase.END, sample, sample) for key, onset in since.items()]

    def _event(
        self, key: tuple[Condition, str], onset: int, phase: Phase, at: int, known_at: int
    ) -> AlarmEvent:
        """An event of a lead's condition, true from ``at`` on."""
        condition, lead = key
        code = AlarmCode(f"signal.{condition}")
        return AlarmEvent(
            code=code,
            phase=phase,
            priority=Priority.MEDIUM if self._state.suspended else code.priority,
            onset=onset,
            at=at,
            known_at=known_at,
            end=at if phase is Phase.END else None,
            lead=lead,
        )
