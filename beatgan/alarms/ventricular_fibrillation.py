"""Judges whether the signal is chaotic for long: `rhythm.fibrillation`, ventricular.

Flutter of the ventricles counts as such. Knows strips only, no beat: a detector finds none in
fibrillation, or some, and neither means anything. A pure fold.
"""

from collections.abc import Sequence

from msgspec import Struct

from beatgan.alarms.detector import turn
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Evidence, Phase, Priority, RhythmStatus, Turn

CODE = "rhythm.fibrillation"
# Running log odds with which it is over. With which it begins was chosen on the odd records of cudb
# and DS1, clean and with nstdb's noises mixed in: see `beatgan-train coefficients`.
ENDS = 0.0
REACH_S = 3.0  # a strip is of this long, so the chaos began this much before it shows


class State(Struct):
    """What it remembers, in samples of the source."""

    since: int | None = None  # where the signal became chaotic
    told: bool = False


class Fibrillation:
    """The judge of fibrillation."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: Evidence) -> Sequence[Turn]:
        """What is to be told after this event."""
        if not isinstance(event, RhythmStatus):
            return ()
        if event.vf_log_odds <= ENDS:
            return self._calm(event.sample, event.known_at)
        state = self.state
        if state.since is None:
            state.since = max(0, event.sample - round(REACH_S * self._fs))
        if state.told or event.vf_log_odds < self.limits.fibrillation_odds:
            return ()
        state.told = True
        return (turn(CODE, Priority.HIGH, Phase.START, state.since, state.since, event.known_at),)

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``."""
        return self._calm(sample, sample)

    def _calm(self, at: int, known_at: int) -> Sequence[Turn]:
        """The signal is not chaotic, at ``at``."""
        before, self.state = self.state, State()
        if before.since is None or not before.told:
            return ()
        return (turn(CODE, Priority.HIGH, Phase.END, before.since, at, known_at),)
