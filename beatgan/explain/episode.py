"""One episode out of many alerts: what its messages say together, for whoever is to look at it.

Knows the wire alone: alerts come from a daemon's control socket or from a file of JSON Lines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from beatgan.errors import UsageError
from beatgan.explain.strip import EcgStrip, read_strip
from beatgan.protocol.messages import AlertMessage, Explanation, RhythmStrip, decode_alert

NO_DATE_S = 365 * 86_400  # times of recordings without a date begin with 0
COMPONENTS: Mapping[str, str] = {
    "distance": "unlike the patient's own beat",
    "prematurity": "early",
    "rr_surprisal": "unexpectedly early",
    "log_odds": "seems S, V or F",
    "error": "unlike what the network expects",
}


@dataclass(frozen=True, slots=True)
class Beat:
    """The most anomalous beat that the episode's messages tell of."""

    score: float
    threshold: float
    explanation: Explanation
    beat_class: str | None
    probabilities: Mapping[str, float]  # by class, the most probable first
    components: Mapping[str, float]  # by name, the largest first


@dataclass(frozen=True, slots=True)
class Episode:
    """``latest``: its last message; ``begun``: its first one, None where that is not known."""

    latest: AlertMessage
    begun: AlertMessage | None
    worst: Beat | None
    strip: EcgStrip | None
    beats: tuple[int, ...]  # R peaks of all its beats

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        return self.latest.text or self.latest.code

    @property
    def circumstances(self) -> str:
        """Whose alarm it is, how urgent, when it began and how soon that was said."""
        latest, delay = self.latest, self.delay_s
        words = [latest.priority.upper(), latest.code, latest.stream, _began(latest.onset_ns)]
        words += [] if delay is None else [f"told after {delay:.1f} s"]
        return "  ".join(words)

    @property
    def delay_s(self) -> float | None:
        """From its onset to its first message."""
        if self.begun is None:
            return None
        return (self.begun.delay_ms.condition + self.begun.delay_ms.signal) / 1000


def episode(bodies: Iterable[bytes], wanted: str, source: str) -> Episode:
    """The episode with the id ``wanted`` among alerts as JSON, in their order.

    Other messages may be among them. Raises UsageError, naming ``source``, where there is none, or
    where one cannot be read.
    """
    mark = msgspec.json.encode(wanted)
    messages: list[AlertMessage] = []
    for number, body in enumerate(bodies, 1):
        if mark not in body:
            continue
        try:
            message = decode_alert(body)
        except msgspec.MsgspecError as error:
            raise UsageError(f"{source}: message {number} is no alert: {error}") from None
        if message.id == wanted:
            if fault := _fault(message):
                raise UsageError(f"{source}: message {number}: {fault}")
            messages.append(message)
    if not messages:
        raise UsageError(f"{source}: no alert has the id {wanted}")
    begun = next((message for message in messages if message.phase == "start"), None)
    strips = [m.strip for m in messages if isinstance(m.strip, RhythmStrip)]
    worst = [beat for beat in map(explained_beat, messages) if beat is not None]
    beats = tuple(sorted({beat for message in messages for beat in message.beats}))
    strip = read_strip(strips[0]) if strips else None
    return Episode(messages[-1], begun, worst[-1] if worst else None, strip, beats)


def _fault(message: AlertMessage) -> str | None:
    """What is wrong with the curves of a message that no daemon sent; None if nothing is."""
    strip, beat = message.strip, message.explanation
    if isinstance(strip, RhythmStrip) and not (strip.fs > 0 and strip.samples):
        return f"strip: expected samples at fs above 0, got {len(strip.samples)} bytes, {strip.fs}"
    if beat is None:
        return None
    curves = [beat.window, beat.expected, beat.error]
    curves += [each for each in (beat.spread, beat.reference) if each is not UNSET]
    sizes = [len(curve) for curve in curves]
    if not beat.fs > 0 or len(set(sizes)) > 1 or sizes[0] < 2:
        return f"explanation: expected curves of one length at fs above 0, got {sizes}, {beat.fs}"
    return None


def _began(onset_ns: int) -> str:
    """Local wall time, or the time in a recording that bears no date."""
    seconds = onset_ns // 10**9
    if 0 <= seconds < NO_DATE_S:
        return f"began at {timedelta(seconds=seconds)} of the recording"
    return f"began {datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def explained_beat(message: AlertMessage) -> Beat | None:
    """The beat that the alert explains; None where it explains none."""
    explanation, score, threshold = message.explanation, message.score, message.threshold
    if explanation is None or score is None or threshold is None:
        return None
    shares = {} if message.probabilities is UNSET else msgspec.structs.asdict(message.probabilities)
    parts = {} if message.components is UNSET else message.components
    return Beat(
        score,
        threshold,
        explanation,
        None if message.beat_class is UNSET else message.beat_class,
        dict(sorted(shares.items(), key=lambda item: -item[1])),
        dict(sorted(parts.items(), key=lambda item: -item[1])),
    )
