"""From evidence to alerts: what the judges say, numbered, and not more often than bearable.

A pure fold; knows no clock and not how a judge comes to its verdict. One object serves one stream.
"""

from math import inf
from typing import cast

from msgspec import Struct, field
from msgspec.structs import replace

from beatgan.alarms import (
    anomalous_beats,
    asystole,
    heart_rate,
    technical,
    ventricular_fibrillation,
    ventricular_run,
)
from beatgan.alarms.detector import Judge
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.ventricular_beat import VentricularClassifier
from beatgan.types import Alert, Evidence, Kind, Phase, Priority, Score, SignalChange, Turn

JudgeStates = tuple[
    anomalous_beats.State,
    technical.State,
    asystole.State,
    ventricular_fibrillation.State,
    ventricular_run.State,
    heart_rate.State,
]


class Budget(Struct):
    """How many more episodes of one code may begin."""

    left: float
    counted: int  # sample count up to which ``left`` has grown
    ended: int | None = None  # sample count at which one was last told to be over
    suppressed: int = 0  # not told since the code's last message


class PolicyState(Struct):
    """All that a policy remembers, for a checkpoint."""

    judges: JudgeStates
    episodes: int = 0  # that were numbered so far
    suspended: bool = False
    told: dict[str, int] = field(default_factory=dict)  # numbers of those under way
    held: dict[str, Turn] = field(default_factory=dict)  # under way, but held back
    budgets: dict[str, Budget] = field(default_factory=dict)  # by code


class EpisodePolicy:
    """Alerts of one stream. Push its evidence in the order it became known.

    An episode that begins too soon after another of its code, is one too many, or is of a lead that
    can be spared, is held back: told late if it lasts, else counted. Never one of high priority.
    """

    def __init__(self, limits: AlarmLimits, ventricular: VentricularClassifier, fs: float) -> None:
        self._limits, self._fs = limits, fs
        self._judges: list[Judge] = [
            anomalous_beats.Anomalous(limits, fs),
            technical.Technical(limits),
            asystole.Standstill(limits, fs),
            ventricular_fibrillation.Fibrillation(limits, fs),
            ventricular_run.Runs(limits, ventricular, fs),
            heart_rate.Rate(limits, fs),
        ]
        self._state = PolicyState(self._judge_states())
        self.suppressed: list[str] = []  # codes of episodes never told; whoever counts them clears

    def push(self, event: Evidence) -> list[Alert]:
        """The alerts that this event gives rise to."""
        if isinstance(event, SignalChange):
            self._state.suspended = event.suspended
        alerts: list[Alert] = []
        for judge in self._judges:
            for turn in judge.push(event):
                alerts += self._weigh(turn)
        if self._state.held:
            alerts += self._release(event.known_at)
        return alerts

    def close(self, sample: int) -> list[Alert]:
        """The stream ends at ``sample``: so does every episode under way."""
        return [
            alert
            for judge in self._judges
            for turn in judge.close(sample)
            for alert in self._weigh(turn)
        ]

    def replace_limits(self, limits: AlarmLimits) -> None:
        """From now on, other limits; episodes under way go on."""
        self._limits = limits
        for judge in self._judges:
            judge.limits = limits

    def save(self) -> PolicyState:
        """All that it remembers; to be encoded before the next event."""
        self._state.judges = self._judge_states()
        return self._state

    def restore(self, state: PolicyState) -> None:
        """Go on where the policy was that saved ``state``."""
        self._state = state
        for judge, remembered in zip(self._judges, state.judges, strict=True):
            judge.state = remembered

    def _judge_states(self) -> JudgeStates:
        return cast(JudgeStates, tuple(judge.state for judge in self._judges))

    # --- episodes are numbered, or held back --------------------------------------------------

    def _weigh(self, turn: Turn) -> list[Alert]:
        """A judge's word as an alert, unless the episode is held back."""
        held = self._state.held
        if turn.phase is Phase.START:
            held[turn.episode] = turn
            return self._release(turn.known_at, turn.episode)
        if turn.episode not in held:
            return [self._alert(turn)]
        if turn.phase is Phase.UPDATE:
            held[turn.episode] = _merged(held[turn.episode], turn)
            return []
        del held[turn.episode]
        self._budget(turn).suppressed += 1
        self.suppressed.append(turn.code)
        return []

    def _release(self, known_at: int, only: str | None = None) -> list[Alert]:
        """Tell of the beginning of those that are held and may be told at ``known_at``."""
        alerts: list[Alert] = []
        for episode in tuple(self._state.held) if only is None else (only,):
            turn = replace(self._state.held[episode], known_at=known_at)
            if self._may_begin(turn):
                del self._state.held[episode]
                self._state.told[episode] = self._state.episodes
                self._state.episodes += 1
                alerts.append(self._alert(turn))
        return alerts

    def _may_begin(self, turn: Turn) -> bool:
        """Whether an episode may be told, which takes one from its code's budget."""
        if turn.priority is Priority.HIGH:
            return True
        if self._too_soon(turn):
            return False
        limits, budget = self._limits, self._budget(turn)
        grown = (turn.known_at - budget.counted) / self._fs * limits.most_per_hour / 3600
        budget.left = min(budget.left + grown, limits.burst)
        budget.counted = turn.known_at
        if budget.left < 1:
            return False
        budget.left -= 1
        return True

    def _too_soon(self, turn: Turn) -> bool:
        """Whether an episode has to last, or to wait for the last one to be some time ago."""
        limits, budget = self._limits, self._budget(turn)
        if turn.kind is Kind.TECHNICAL:
            lasts = turn.known_at - turn.onset
            return turn.priority is Priority.LOW and lasts < limits.patience_s * self._fs
        ended = budget.ended
        return ended is not None and turn.known_at - ended < limits.refractory_s * self._fs

    def _budget(self, turn: Turn) -> Budget:
        budgets = self._state.budgets
        if turn.code not in budgets:
            budgets[turn.code] = Budget(self._limits.burst, turn.known_at)
        return budgets[turn.code]

    def _alert(self, turn: Turn) -> Alert:
        number = self._state.told[turn.episode]
        budget = self._budget(turn)
        suppressed, budget.suppressed = budget.suppressed, 0
        if turn.phase is Phase.END:
            del self._state.told[turn.episode]
            budget.ended = turn.known_at
        return Alert(
            episode=number,
            kind=turn.kind,
            code=turn.code,
            priority=turn.priority,
            phase=turn.phase,
            onset=turn.onset,
            end=turn.end,
            at=turn.at,
            lead=turn.lead,
            suspended=self._state.suspended,
            beats=turn.beats,
            worst=turn.worst,
            explains=turn.explains,
            condition_ms=1000 * (turn.known_at - turn.at) / self._fs,
            suppressed=suppressed,
        )


def _merged(start: Turn, update: Turn) -> Turn:
    """The beginning of an episode that is held back, with what has become known since."""
    worst = max(start.worst, update.worst, key=_height)
    at = update.at if start.kind is Kind.TECHNICAL else start.at  # since when scoring is suspended
    beats = start.beats + update.beats
    return replace(start, priority=update.priority, at=at, beats=beats, worst=worst)


def _height(score: Score | None) -> float:
    return -inf if score is None else score.height
