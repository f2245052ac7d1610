"""From scores, signal changes and statuses to alerts: episodes, numbered and limited in number.

A pure fold; knows no clock and not how a detector finds an alarm condition. One object serves one
stream.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

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
from beatgan.alarms.watch import Watch
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


NOTHING_REMEMBERED = DetectorStates(
    anomalous_beats.State(),
    technical.State(),
    asystole.State(),
    ventricular_fibrillation.State(),
    ventricular_run.State(),
    heart_rate.State(),
)


class EpisodePolicy:
    """Alerts of one stream. Push its inputs in the order they became known.

    An episode is held back that begins too soon after another of its code, is one too many, or is
    of a lead that can be spared: reported late if it lasts, else counted. Never one of high
    priority.
    """

    __slots__ = ("_detectors", "_heart_rate", "_state", "_suppressed", "_technical", "_watch")

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
        watch = self._watch = Watch(limits, fs)
        self._technical = technical.TechnicalDetector(watch)
        self._heart_rate = heart_rate.HeartRateDetector(watch)
        # In the order of their bits, and of `DetectorStates`.
        self._detectors: tuple[AlarmDetector[Any], ...] = (
            anomalous_beats.AnomalousBeatsDetector(watch),
            self._technical,
            asystole.AsystoleDetector(watch),
            ventricular_fibrillation.VentricularFibrillationDetector(watch),
            ventricular_run.VentricularRunDetector(watch, ventricular),
            self._heart_rate,
            pause.PauseDetector(watch),
            atrial_fibrillation.AtrialFibrillationDetector(watch, irregularity),
            ventricular_ectopy.VentricularEctopyDetector(watch),
            idioventricular.IdioventricularDetector(watch),
        )
        self._state = PolicyState(NOTHING_REMEMBERED)  # until it is saved
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
        awaiting, watch = self._state.awaiting, self._watch
        if awaiting is not None and awaiting.overdue(event):
            awaiting.use()
            alerts = self._tell_final(awaiting.score, event.known_at)
        if isinstance(event, RhythmStatus):
            found = watch.take_status(event)
        else:
            self._state.suspended = event.suspended
            found = watch.take_change(event)
        if found:
            alerts += self._ask(found, event)
        return alerts + self._release_due(event.known_at) if self._state.held else alerts

    def _push_score(self, score: Score, revisable_until: int | None) -> list[Alert]:
        """See `push`. An anomalous beat is kept by more than one: they share its arrays."""
        value, state = score.value, self._state
        if value is not None and value > score.threshold:
            score = score.with_own_arrays()
        known_at = score.beat.known_at
        alerts = [] if state.awaiting is None else self.settle(None, known_at)
        if revisable_until is None:
            if found := self._watch.take_final(score, known_at):
                alerts += self._ask(found, FinalScore(score, known_at))
        else:
            state.awaiting = Awaiting(score, revisable_until)
        if found := self._watch.take_beat(score):
            alerts += self._ask(found, score)
        return alerts + self._release_due(known_at) if state.held else alerts

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
        return self._tell_final(awaiting.score if revised is None else revised, known_at)

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
        self._watch.limits = limits

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
        self._state.detectors = DetectorStates(*(detector.state for detector in self._detectors))
        return self._state

    def restore(self, state: PolicyState) -> None:
        """Go on where the policy was that saved ``state``."""
        self._state = state
        for detector, remembered in zip(self._detectors, astuple(state.detectors), strict=True):
            detector.state = remembered

    def _tell_final(self, score: Score, known_at: int) -> list[Alert]:
        """The alerts that a beat's final score gives rise to."""
        found = self._watch.take_final(score, known_at)
        alerts = self._ask(found, FinalScore(score, known_at)) if found else []
        return alerts + self._release_due(known_at) if self._state.held else alerts

    def _ask(self, found: int, event: AlarmInput) -> list[Alert]:
        """The alerts of those detectors that may have something to tell, one bit for each."""
        alerts: list[Alert] = []
        while found:
            detector = self._detectors[(found & -found).bit_length() - 1]
            for each in detector.tell(event):
                alerts += self._admit(each)
            found &= found - 1
        return alerts

    # --- episodes are numbered, or held back --------------------------------------------------

    def _admit(self, event: AlarmEvent) -> list[Alert]:
        """A detector's event as an alert, unless its episode is held back."""
        held = self._state.held
        if event.phase is Phase.START:
            held[event.episode] = event
            return self._release(event.episode, event.known_at)
        if event.episode not in held:
            return [self._alert(event)]
        if event.phase is Phase.UPDATE:
            held[event.episode] = _merged(held[event.episode], event)
            return []
        del held[event.episode]
        self._budget(event).suppressed += 1
        self._suppressed.append(event.code)
        return []

    def _release_due(self, known_at: int) -> list[Alert]:
        """The starts of all those held back that may be reported at ``known_at``."""
        held = tuple(self._state.held)
        return [alert for episode in held for alert in self._release(episode, known_at)]

    def _release(self, episode: str, known_at: int) -> list[Alert]:
        """The start of one that is held back, if it may be reported at ``known_at``."""
        event = replace(self._state.held[episode], known_at=known_at)
        if not self._may_begin(event):
            return []
        del self._state.held[episode]
        self._state.active[episode] = self._state.episodes
        self._state.episodes += 1
        return [self._alert(event)]

    def _may_begin(self, event: AlarmEvent) -> bool:
        """Whether an episode may be reported, which takes one from its code's budget."""
        if Priority.HIGH in (event.priority, event.code.priority):
            return True
        if self._too_soon(event):
            return False
        limits, budget = self._watch.limits, self._budget(event)
        grown = (event.known_at - budget.counted) / self._watch.fs * limits.max_per_hour / 3600
        budget.left = min(budget.left + grown, limits.burst)
        budget.counted = event.known_at
        if budget.left < 1:
            return False
        budget.left -= 1
        return True

    def _too_soon(self, event: AlarmEvent) -> bool:
        """Whether an episode has to last, or to wait for the last one to be some time ago."""
        limits, budget = self._watch.limits, self._budget(event)
        if event.kind is Kind.TECHNICAL:
            lasts = event.known_at - event.onset
            return (
                event.priority is Priority.LOW and lasts < limits.technical_delay_s * self._watch.fs
            )
        ended = budget.ended
        return ended is not None and event.known_at - ended < limits.refractory_s * self._watch.fs

    def _budget(self, event: AlarmEvent) -> Budget:
        budgets = self._state.budgets
        if event.code not in budgets:
            budgets[event.code] = Budget(self._watch.limits.burst, event.known_at)
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
            condition_ms=1000 * (event.known_at - event.at) / self._watch.fs,
            suppressed=suppressed,
            text=sentence(event, rate, self._watch.fs, self._state.suspended),
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
