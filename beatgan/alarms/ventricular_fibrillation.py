"""Alarm `rhythm.ventricular-fibrillation`, which counts ventricular flutter too.

Knows rhythm statuses only, no beat: a QRS detector finds none in fibrillation, or some, and neither
means anything. A pure fold.
"""

from collections.abc import Sequence

from msgspec import Struct

from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmEvent, AlarmInput, episode_event
from beatgan.alarms.facts import Facts
from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Phase, RhythmStatus

CODE = AlarmCode.VENTRICULAR_FIBRILLATION
# Running log odds with which an episode ends. Those with which it begins, ``vf_log_odds_limit``,
# were chosen on the odd records of cudb and DS1, clean and with nstdb's noises mixed in: see
# `beatgan-train coefficients`.
ENDS = 0.0
WINDOW_S = 3.0  # a status is of so much signal: fibrillation began this long before it shows


class State(Struct):
    """What it remembers, in samples of the source."""

    onset: int | None = None  # where fibrillation became more likely than not
    reported: bool = False


class VentricularFibrillationDetector:
    """Begins when the log odds reach their limit, dated back to where they left `ENDS`."""

    def __init__(self, limits: AlarmLimits, fs: float) -> None:
        self.limits, self._fs = limits, fs
        self.state = State()

    def push(self, event: AlarmInput) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        if not isinstance(event, RhythmStatus):
            return ()
        if event.vf_log_odds <= ENDS:
            return self._end(event.sample, event.known_at)
        state = self.state
        if state.onset is None:
            state.onset = max(0, event.sample - round(WINDOW_S * self._fs))
        if state.reported or event.vf_log_odds < self.limits.vf_log_odds_limit:
            return ()
        state.reported = True
        onset = state.onset
        lasted = Facts(duration_s=(event.known_at - onset) / self._fs)
        return (episode_event(CODE, Phase.START, onset, onset, event.known_at, lasted),)

    def close(self, sample: int) -> Sequence[AlarmEvent]:
        """See `AlarmDetector`."""
        return self._end(sample, sample)

    def _end(self, at: int, known_at: int) -> Sequence[AlarmEvent]:
        """There is no fibrillation at ``at``."""
        before, self.state = self.state, State()
        if before.onset is None or not before.reported:
            return ()
        return (episode_event(CODE, Phase.END, before.onset, at, known_at),)
