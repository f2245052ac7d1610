"""Values of the core as messages of the wire: times become UNIX times, arrays short lists.

Pure; knows no socket and no clock.
"""

import numpy as np
from msgspec import UNSET, UnsetType

from beatgan.alarms.codes import FORMER, AlarmCode
from beatgan.model.calibration import shares
from beatgan.pipeline.segment import Segment
from beatgan.pipeline.snapshot import BeatPlace
from beatgan.pipeline.source_clock import SourceTimes, representable
from beatgan.pipeline.stream import StatusChange
from beatgan.pipeline.strip import strip_of
from beatgan.protocol.messages import (
    AlertMessage,
    BeatMessage,
    Delay,
    Explanation,
    Probabilities,
    RhythmStrip,
    StatusMessage,
)
from beatgan.types import Alert, Beat, Floats, Kind, PerClass, Phase, Score

UNNUMBERED = -1  # until `ActiveAlarms` has numbered it
DECIMALS = 4  # of an explanation's values; amplitudes are around 1
STEPS = 10_000  # of a probability: four decimals
INTEGER = 2.0**52  # added to a smaller number and taken off again, it rounds half to even


def place_of(segment: Segment, times: SourceTimes, beat: Beat) -> BeatPlace:
    """Where a beat of the segment is; ``times`` are those known when it was found."""
    return BeatPlace(segment.beats_before + beat.n, times.at(beat.sample))


def beat_message(
    segment: Segment, place: BeatPlace, score: Score, *, revised: bool = False
) -> BeatMessage:
    """The message for one beat, scored or not, or ``revised``."""
    beat = score.beat
    return BeatMessage(
        stream=segment.stream,
        epoch=segment.epoch,
        n=place.n,
        sample=beat.sample,
        time_ns=place.time_ns,
        lead=beat.lead,
        rr_ms=beat.rr_ms,
        score=score.value,
        threshold=None if score.value is None else score.threshold,
        anomalous=score.anomalous,
        quality=beat.quality.value,
        beat_class=_class(score),
        probabilities=_probabilities(score),
        components=_components(score),
        revised=revised or UNSET,
    )


def _class(score: Score | None) -> str | UnsetType:
    beat_class = None if score is None else score.beat_class
    return UNSET if beat_class is None else beat_class.value


def _probabilities(score: Score | None) -> Probabilities | UnsetType:
    if score is None or score.probabilities is None:
        return UNSET
    return rounded(score.probabilities)


def _components(score: Score) -> dict[str, float] | UnsetType:
    """To four decimals, as an explanation's values."""
    parts = shares(score)
    return {name: round(part, DECIMALS) for name, part in parts.items()} if parts else UNSET


def rounded(probabilities: PerClass) -> Probabilities:
    """To four decimals: what round(p * 10_000) / 10_000 gives, in half the time."""
    n, s, v, f, q = probabilities
    return Probabilities(
        (n * STEPS + INTEGER - INTEGER) / STEPS,
        (s * STEPS + INTEGER - INTEGER) / STEPS,
        (v * STEPS + INTEGER - INTEGER) / STEPS,
        (f * STEPS + INTEGER - INTEGER) / STEPS,
        (q * STEPS + INTEGER - INTEGER) / STEPS,
    )


def alert_message(
    segment: Segment,
    times: SourceTimes,
    alert: Alert,
    recognised: int,
    signal_s: float,
    rate: float,
) -> AlertMessage:
    """The message for one phase of an episode, not yet numbered.

    Its condition was recognised with the source's sample ``recognised``, ``signal_s`` seconds
    before this message; ``rate`` is that of the explanation's samples, in Hz.
    """
    worst = alert.worst
    return AlertMessage(
        id=segment.episode_id(alert.code, alert.episode),
        n=UNNUMBERED,
        stream=segment.stream,
        epoch=segment.epoch,
        kind=alert.kind.value,
        code=alert.code,
        priority=alert.priority.value,
        phase=alert.phase.value,
        onset_sample=alert.onset,
        onset_ns=times.at(alert.onset),
        end_sample=alert.end,
        sample=alert.at,
        lead=alert.lead,
        suspended=alert.suspended,
        suppressed=alert.suppressed,
        raised_ns=representable(times.at(recognised) + round(signal_s * 1e9)),
        score=None if worst is None else worst.value,
        threshold=None if worst is None else worst.threshold,
        beats=alert.beats,
        delay_ms=Delay(round(alert.condition_ms, 3), round(1000 * signal_s, 3)),
        explanation=_explanation(worst, rate) if worst is not None and alert.explains else None,
        beat_class=_class(worst),
        probabilities=_probabilities(worst),
        components=UNSET if worst is None else shares(worst) or UNSET,
        heart_rate=UNSET if alert.heart_rate is None else round(alert.heart_rate, 1),
        strip=_strip(segment, alert, recognised) or UNSET,
        former_code=FORMER.get(alert.code, UNSET),
        text=alert.text or UNSET,
    )


def _strip(segment: Segment, alert: Alert, recognised: int) -> RhythmStrip | None:
    """Of the beginning of an episode of the patient's alone: what follows has that one's id."""
    begins = alert.phase is Phase.START and alert.kind is Kind.PHYSIOLOGICAL
    return strip_of(segment, recognised) if begins else None


def _explanation(score: Score, rate: float) -> Explanation:
    return Explanation(
        sample=score.beat.sample,
        fs=rate,
        window=_rounded(score.beat.window),
        expected=_rounded(score.reconstruction),
        error=_rounded(score.saliency),
        spread=_rounded(score.spread) if len(score.spread) else UNSET,
        reference=UNSET if score.beat.distance is None else _rounded(score.beat.template),
    )


def _rounded(values: Floats) -> list[float]:
    rounded: list[float] = np.round(values.astype(np.float64), DECIMALS).tolist()
    return rounded


def status_message(segment: Segment, times: SourceTimes, change: StatusChange) -> StatusMessage:
    """The message for a change of a stream's status."""
    return StatusMessage(
        stream=segment.stream,
        epoch=segment.epoch,
        state=change.state,
        sample=change.sample,
        time_ns=times.at(change.sample),
        fs=segment.fs,
        leads=segment.leads,
        lead=segment.frontend.lead,
        lost=change.lost,
        totals=change.totals,
        text=change.text,
    )


def own_alert(
    code: AlarmCode, stream: str, before: AlertMessage | None, now_ns: int, text: str = ""
) -> AlertMessage:
    """An alert that the daemon raises of itself, or of a ``stream`` that it does not watch.

    Its beginning, or its end if ``before`` was that; ``now_ns`` is UNIX time.
    """
    onset_ns = now_ns if before is None else before.onset_ns
    return AlertMessage(
        id=f"{stream}/{onset_ns}/0/{code}/0",
        n=UNNUMBERED,
        stream=stream,
        epoch=0,
        kind=code.kind.value,
        code=code,
        priority=code.priority.value,
        phase=(Phase.START if before is None else Phase.END).value,
        onset_sample=0,
        onset_ns=onset_ns,
        end_sample=None if before is None else 0,
        sample=0,
        lead=None,
        suspended=False,
        raised_ns=now_ns,
        score=None,
        threshold=None,
        beats=(),
        delay_ms=Delay(0.0, 0.0),
        explanation=None,
        text=text or UNSET,
    )


def journal_alert(before: AlertMessage | None, now_ns: int) -> AlertMessage:
    """The alert that alerts cannot be written to the disk: see `own_alert`."""
    return own_alert(AlarmCode.JOURNAL, "", before, now_ns)
