"""From scores, signal changes and statuses to alerts: episodes, numbered and limited in number.

A pure fold; knows no clock and not how a detector finds an alarm condition. One object serves one
stream.
"""

from collections.abc import Mapping
from math import inf
from typing import get_args

from msgspec import Struct, field
from msgspec.structs import astuple, replace

from beatgan.alarms import (
    anomalous_beats,
    asystole,
    atrial_fibrillation,
    heart_rate,
    idioventricular,
    pause,
    technical,
    ventricular_ectopy,
    ventricular_fibrillation,
    ventricular_run,
)
from beatgan.alarms.codes import AlarmCode
from beatgan.alarms.detector import AlarmDetector, AlarmEvent, AlarmInput, FinalScore
from beatgan.alarms.irregularity import Irregularity
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.sentence import sentence
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.types import Alert, Condition, Kind, Phase, Priority, RhythmStatus, Score, SignalChange


class DetectorStates(Struct, array_like=True):
    """What the detectors remember, in this order. A new one comes last, with a default.

    So the state of an earlier version, which ends sooner, can be read.
    """

    anomalous_beats: anomalous_beats.State
    technical: technical.State
    asystole: asystole.State
    ventricular_fibrillation: ventricular_fibrillation.State
    ventricular_run: ventricular_run.State
    heart_rate: heart_rate.State
    pauses: pause.State = field(default_factory=pause.State)
    atrial: atrial_fibrillation.State = field(default_factory=atrial_fibrillation.State)
    ectopy: ventricular_ectopy.State = field(default_factory=ventricular_ectopy.State)
    slow_ventricular: idioventricular.State = field(default_factory=idioventricular.State)


# Alarms without a heart rate: there is none, or nobody can tell it.
WITHOUT_RATE = {AlarmCode.ASYSTOLE, AlarmCode.VENTRICULAR_FIBRILLATION}


class Budget(Struct):
    """How many more episodes of one code may begin: a token bucket."""

    left: float
    counted: int  # sample count up to which ``left`` has grown
    ended: int | None = None  # sample count at which the end of one was last reported
    suppressed: int = 0  # episodes not reported since the code's last alert


class Awaiting(Struct):
    """The latest beat's score, which may be revised when the next beat is known.

    No alarm waits for that beyond ``until`` samples, or when the signal is lost: the first score is
    ``used`` then.
    """

    score: Score  # its arrays are parts of a whole batch's, unless it is anomalous or overdue
    until: int
    used: bool = False

    def use(self) -> None:
        """Alarms go by the first score."""
        self.used = True
        self.detach()

    def detach(self) -> None:
        """Let go of the batch that the score was made in."""
        self.score = self.score.with_own_arrays()

    def overdue(self, event: AlarmInput) -> bool:
        """Whether ``event`` shows that alarms have waited for long enough."""
        lost = isinstance(event, SignalChange) and event.suspended
        return not self.used and (lost or event.known_at > self.until)


class PolicyState(Struct):
    """All that a policy remembers, for a checkpoint. Episodes are keyed by `AlarmEvent.episode`."""

    detectors: DetectorStates
    episodes: int = 0  # that were numbered so far
    suspended: bool = False
    active: dict[str, int] = field(default_factory=dict)  # numbers of those reported, under way
    held: dict[str, AlarmEvent] = field(default_factory=dict)  # under way, but held back
    budgets: dict[AlarmCode, Budget] = field(default_factory=dict)
    awaiting: Awaiting | None = None


class EpisodePolicy:
    """Alerts of one stream. Push its inputs in the order they became known.

    An episode is held back that begins too soon after another of its code, is one too many, or is
    of a lead that can be spared: reported late if it lasts, else counted. Never one of high
    priority.
    """

    def __init__(
        self,
        limits: AlarmLimits,
        ventricular: VentricularClassifier,
        fs: float,
        irregularity: Irregularity | None = None,
    ) -> None:
        """For a stream of ``fs`` samples a second.

        Without ``irregularity`` atrial fibrillation is never suspected.
        """
        self._limits, self._fs = limits, fs
        self._technical = technical.TechnicalDetector(limits)
        self._heart_rate = heart_rate.HeartRateDetector(limits, fs)
        self._detectors: list[AlarmDetector] = [  # as in `DetectorStates`
            anomalous_beats.AnomalousBeatsDetector(limits, fs),
            self._technical,
            asystole.AsystoleDetector(limits, fs),
            ventricular_fibrillation.VentricularFibrillationDetector(limits, fs),
            ventricular_run.VentricularRunDetector(limits, ventricular, fs),
            self._heart_rate,
            pause.PauseDetector(limits, fs),
            atrial_fibrillation.AtrialFibrillationDetector(limits, irregularity, fs),
            ventricular_ectopy.VentricularEctopyDetector(limits, fs),
            idioventricular.IdioventricularDetector(limits, fs),
        ]
        self._takers = {
            kind: [detector.push for detector in self._detectors if kind in detector.takes]
            for kind in get_args(AlarmInput)
        }
        self._state = PolicyState(self._detector_states())
        self._suppressed: list[AlarmCode] = []

    def push(
        self, event: Score | SignalChange | RhythmStatus, revisable_until: int | None = None
    ) -> list[Alert]:
        """The alerts that this input gives rise to.

        A score is final, unless it may be revised until ``revisable_until`` samples are known: then
        `settle` says what is.
        """
        if isinstance(event, Score):
            return self._push_score(event, revisable_until)
        alerts: list[Alert] = []
        awaiting = self._state.awaiting
        if awaiting is not None and awaiting.overdue(event):
            awaiting.use()
            alerts += self._tell(FinalScore(awaiting.score, event.known_at))
        if isinstance(event, SignalChange):
            self._state.suspended = event.suspended
        return alerts + self._tell(event)

    def _push_score(self, score: Score, revisable_until: int | None) -> list[Alert]:
        """See `push`. An anomalous beat is kept by more than one: they share its arrays."""
        if score.anomalous:
            score = score.with_own_arrays()
        known_at, state = score.beat.known_at, self._state
        before = [] if state.awaiting is None else self.settle(None, known_at)
        if revisable_until is None:
            return before + self._tell(FinalScore(score, known_at), score)
        state.awaiting = Awaiting(score, revisable_until)
        alerts = self._tell(score)
        return before + alerts if before else alerts

    def detach(self) -> None:
        """Nothing is expected for now: hold no batch's arrays in memory for the sake of a beat."""
        if self._state.awaiting is not None:
            self._state.awaiting.detach()

    @property
    def awaiting(self) -> Score | None:
        """The score of the latest beat, if it may still be revised."""
        return None if self._state.awaiting is None else self._state.awaiting.score

    def settle(self, revised: Score | None, known_at: int) -> list[Alert]:
        """The alerts that the latest beat's final score gives rise to, if it may be revised.

        That is ``revised``, or where that is None its first score.
        """
        state = self._state
        awaiting, state.awaiting = state.awaiting, None
        if awaiting is None or awaiting.used:
            return []
        return self._tell(FinalScore(awaiting.score if revised is None else revised, known_at))

    def close(self, sample: int) -> list[Alert]:
        """The stream ends at ``sample``, and so does every episode under way."""
        return self.settle(None, sample) + [
            alert
            for detector in self._detectors
            for event in detector.close(sample)
            for alert in self._admit(event)
        ]

    def replace_limits(self, limits: AlarmLimits) -> None:
        """From now on, other limits; episodes under way go on."""
        self._limits = limits
        for detector in self._detectors:
            detector.limits = limits

    def drain_suppressed(self) -> list[AlarmCode]:
        """The codes of episodes that ended without having been reported, since the last call."""
        if not self._suppressed:
            return []
        suppressed, self._suppressed = self._suppressed, []
        return suppressed

    @property
    def active(self) -> Mapping[str, int]:
        """The numbers of the episodes reported and under way, by ``code`` or ``code/lead``."""
        return self._state.active

    @property
    def signal_conditions(self) -> set[tuple[Condition, str]]:
        """The conditions that hold, each with its lead, reported or not."""
        return set(self._technical.state.since)

    def save(self) -> PolicyState:
        """All that it remembers; to be encoded before the next input."""
        self._state.detectors = self._detector_states()
        return self._state

    def restore(self, state: PolicyState) -> None:
        """Go on where the policy was that saved ``state``."""
        self._state = state
        for detector, remembered in zip(self._detectors, astuple(state.detectors), strict=True):
            detector.state = remembered

    def _tell(self, *inputs: AlarmInput) -> list[Alert]:
        """The alerts that ``inputs`` give rise to which became known together."""
        alerts: list[Alert] = []
        for each in inputs:
            for push in self._takers[type(each)]:
                for event in push(each):
                    alerts += self._admit(event)
        if self._state.held:
            alerts += self._release(inputs[-1].known_at)
        return alerts

    def _detector_states(self) -> DetectorStates:
        return DetectorStates(*(detector.state for detector in self._detectors))

    # --- episodes are numbered, or held back --------------------------------------------------

    def _admit(self, event: AlarmEvent) -> list[Alert]:
        """A detector's event as an alert, unless its episode is held back."""
        held = self._state.held
        if event.phase is Phase.START:
            held[event.episode] = event
            return self._release(event.known_at, event.episode)
        if event.episode not in held:
            return [self._alert(event)]
        if event.phase is Phase.UPDATE:
            held[event.episode] = _merged(held[event.episode], event)
            return []
        del held[event.episode]
        self._budget(event).suppressed += 1
        self._suppressed.append(event.code)
        return []

    def _release(self, known_at: int, only: str | None = None) -> list[Alert]:
        """Report the start of those held back that may be reported at ``known_at``."""
        alerts: list[Alert] = []
        for episode in tuple(self._state.held) if only is None else (only,):
            event = replace(self._state.held[episode], known_at=known_at)
            if self._may_begin(event):
                del self._state.held[episode]
                self._state.active[episode] = self._state.episodes
                self._state.episodes += 1
                alerts.append(self._alert(event))
        return alerts

    def _may_begin(self, event: AlarmEvent) -> bool:
        """Whether an episode may be reported, which takes one from its code's budget."""
        if Priority.HIGH in (event.priority, event.code.priority):
            return True
        if self._too_soon(event):
            return False
        limits, budget = self._limits, self._budget(event)
        grown = (event.known_at - budget.counted) / self._fs * limits.max_per_hour / 3600
        budget.left = min(budget.left + grown, limits.burst)
        budget.counted = event.known_at
        if budget.left < 1:
            return False
        budget.left -= 1
        return True

    def _too_soon(self, event: AlarmEvent) -> bool:
        """Whether an episode has to last, or to wait for the last one to be some time ago."""
        limits, budget = self._limits, self._budget(event)
        if event.kind is Kind.TECHNICAL:
            lasts = event.known_at - event.onset
            return event.priority is Priority.LOW and lasts < limits.technical_delay_s * self._fs
        ended = budget.ended
        return ended is not None and event.known_at - ended < limits.refractory_s * self._fs

    def _budget(self, event: AlarmEvent) -> Budget:
        budgets = self._state.budgets
        if event.code not in budgets:
            budgets[event.code] = Budget(self._limits.burst, event.known_at)
        return budgets[event.code]

    def _alert(self, event: AlarmEvent) -> Alert:
        number = self._state.active[event.episode]
        budget = self._budget(event)
        suppressed, budget.suppressed = budget.suppressed, 0
        if event.phase is Phase.END:
            del self._state.active[event.episode]
            budget.ended = event.known_at
        rate = self._rate(event)
        return Alert(
            episode=number,
            kind=event.kind,
            code=event.code,
            priority=event.priority,
            phase=event.phase,
            onset=event.onset,
            end=event.end,
            at=event.at,
            lead=event.lead,
            suspended=self._state.suspended,
            beats=event.beats,
            worst=event.worst,
            explains=event.explains,
            condition_ms=1000 * (event.known_at - event.at) / self._fs,
            suppressed=suppressed,
            text=sentence(event, rate, self._fs, self._state.suspended),
            heart_rate=rate,
        )

    def _rate(self, event: AlarmEvent) -> float | None:
        """The heart rate in an event's alert: its own, or else the patient's at that moment."""
        own = event.facts.heart_rate
        if own is not None or event.kind is Kind.TECHNICAL or event.code in WITHOUT_RATE:
            return own
        return self._heart_rate.rate(event.known_at)


def _merged(start: AlarmEvent, update: AlarmEvent) -> AlarmEvent:
    """The start of an episode that is held back, with what has become known since."""
    worst = max(start.worst, update.worst, key=_value_or_neginf)
    at = update.at if start.kind is Kind.TECHNICAL else start.at  # since when scoring is suspended
    beats = start.beats + update.beats
    return replace(
        start, priority=update.priority, at=at, beats=beats, worst=worst, facts=update.facts
    )


def _value_or_neginf(score: Score | None) -> float:
    return -inf if score is None else score.value_or_neginf
