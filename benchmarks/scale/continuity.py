"""What all shards said together, held to what one engine says of the same frames, offline.

Nothing twice, nothing lost that was not told as lost, no episode under two ids. No clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from beatgan.protocol.fences import Fences
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, StatusMessage
from beatgan.types import Doubles, Ints
from benchmarks.performance.load.schedule import Schedule, frame_of
from benchmarks.scale.listener import Heard

BEFORE_S, AFTER_S = 2.5, 4.0  # of a gap: beats whose windows, or whose detection, it may touch
SHIFT_S = 0.15  # by which a beat may lie elsewhere once a gap has cost a stream what it had learnt
SILENT_S = 10.0  # without a beat that is there
SHOWN = 4  # faults of one kind


class Gap(NamedTuple):
    """Samples of a stream that a shard told as lost; 0 where it says that it goes on from what
    another one, or a former life of its own, left."""

    first: int
    lost: int
    at: int  # when, monotonic ns


class Beat(NamedTuple):
    """A beat's first message."""

    sample: int
    at: int
    endpoint: int  # whose


class Said(NamedTuple):
    """What was heard, by stream. ``gone_on``: where it is said to go on, see `Gap`; ``again``:
    alerts told again by who took over or came back; ``ignored``: alerts of a shard that no longer
    had the bucket; ``shed``: streams that were not served for overload."""

    beats: dict[str, list[Beat]]
    revised: Counter[tuple[str, int]]
    alerts: list[AlertMessage]
    again: list[AlertMessage]
    gaps: dict[str, list[Gap]]
    gone_on: dict[str, list[Gap]]
    ignored: int
    shed: int

    @property
    def lost(self) -> int:
        """Samples, of all streams."""
        return sum(gap.lost for gaps in self.gaps.values() for gap in gaps)

    def beats_told_again(self, fs: float) -> int:
        """Beats that came a second time, where a stream went on from before them."""
        return sum(
            times - 1
            for stream, beats in self.beats.items()
            for sample, times in Counter(beat.sample for beat in beats).items()
            if _near(sample, self.gaps.get(stream, ()), fs)
        )


class _Kind(msgspec.Struct):
    type: str


_kind = msgspec.json.Decoder(_Kind).decode
_decoders: dict[str, msgspec.json.Decoder[Message]] = {
    "beat": msgspec.json.Decoder(BeatMessage),
    "alert": msgspec.json.Decoder(AlertMessage),
    "status": msgspec.json.Decoder(StatusMessage),
}


def said(heard: Iterable[Heard]) -> Said:
    """What a listener to all shards makes of it: of two that have one bucket one counts."""
    found = Said(defaultdict(list), Counter(), [], [], defaultdict(list), defaultdict(list), 0, 0)
    fences, shed = Fences(), 0
    for at, endpoint, body in heard:
        message = _decoders[_kind(body).type].decode(body)
        match message:
            case BeatMessage(revised=True):
                found.revised[message.stream, message.sample] += 1
            case BeatMessage():
                found.beats[message.stream].append(Beat(message.sample, at, endpoint))
            case StatusMessage(state="gap"):
                found.gaps[message.stream].append(Gap(message.sample, message.lost, at))
            case StatusMessage(state="restored"):
                found.gone_on[message.stream].append(Gap(message.sample, 0, at))
            case StatusMessage(state="shed"):
                shed += 1
            case AlertMessage() if fences.accepts(message):
                (found.alerts if message.repeat is UNSET else found.again).append(message)
    return found._replace(ignored=fences.ignored, shed=shed)


class Truth(NamedTuple):
    """What is expected: samples of each stream's beats, and its alerts."""

    beats: dict[str, set[int]]
    alerts: list[AlertMessage]


def truth(messages: Iterable[Message]) -> Truth:
    """Of what one engine says of all that was sent."""
    found = Truth(defaultdict(set), [])
    for message in messages:
        if isinstance(message, BeatMessage):
            found.beats[message.stream].add(message.sample)
        elif isinstance(message, AlertMessage):
            found.alerts.append(message)
    return found


def faults(
    live: Said, expected: Truth, fs: float, journaled: Sequence[AlertMessage] = ()
) -> list[str]:
    """What should not have been, in words. ``journaled``: what the shards' journals have at the
    end; an alert may be known by these alone where its shard died before it was sent."""
    told = [*live.alerts, *live.again, *journaled]
    return [
        *_of_beats(live, expected, fs),
        *_of_alerts(live.alerts, told, live.gaps, expected, fs),
        *(f"journals: {each}" for each in _of_alerts(journaled, told, live.gaps, expected, fs)),
        *_of_episodes(told),
    ]


def _near(sample: int, gaps: Sequence[Gap], fs: float) -> bool:
    """Whether a gap explains that what is at ``sample`` is missing, or is otherwise."""
    return any(
        gap.first - BEFORE_S * fs <= sample < gap.first + gap.lost + AFTER_S * fs for gap in gaps
    )


def _without(some: Ints, others: Ints, within: float) -> Ints:
    """Those of ``some`` that have no other ``within`` so many samples; both in their order."""
    if not len(others):
        return some
    place = np.searchsorted(others, some)
    before, after = others[np.maximum(place - 1, 0)], others[np.minimum(place, len(others) - 1)]
    return np.asarray(some[np.minimum(abs(some - before), abs(some - after)) > within])


def _silences(beats: Sequence[Beat], wanted: set[int], gaps: Sequence[Gap], fs: float) -> list[int]:
    """Where a stream's beats stop for SILENT_S though there are some, and no gap was told."""
    heard = sorted({beat.sample for beat in beats} | {gap.first + gap.lost for gap in gaps})
    ours, theirs = np.array(heard, np.int64), np.array(sorted(wanted), np.int64)
    if not len(ours):
        return [int(theirs[0])] if len(theirs) else []
    ends = np.append(ours[1:], theirs[-1] + 1 if len(theirs) else ours[-1])
    return [
        int(s)
        for s, end in zip(ours, ends, strict=True)
        if ((theirs > s + SILENT_S * fs) & (theirs < end)).any()
        and not any(g.first <= s + SILENT_S * fs and end <= g.first + g.lost for g in gaps)
    ]


class _Compared(NamedTuple):
    """Of a stream's beats those that came twice, are missing, or should not be; ``otherwise``: of
    the latter two those after its first gap, which are as they may be."""

    twice: list[int]
    missing: list[int]
    new: list[int]
    otherwise: int


def _compared(beats: Sequence[Beat], wanted: set[int], gaps: Sequence[Gap], fs: float) -> _Compared:
    counts = Counter(beat.sample for beat in beats)
    twice = [s for s, times in counts.items() if times > 1 and not _near(s, gaps, fs)]
    ours, theirs = np.array(sorted(counts)), np.array(sorted(wanted))
    within = SHIFT_S * fs if gaps else 0.0
    end = min((gap.first for gap in gaps), default=inf) - BEFORE_S * fs
    missing, new = _without(theirs, ours, within), _without(ours, theirs, within)
    later = [s for s in (*missing, *new) if s >= end and not _near(s, gaps, fs)]
    return _Compared(
        twice, [int(s) for s in missing if s < end], [int(s) for s in new if s < end], len(later)
    )


def otherwise(live: Said, expected: Truth, fs: float) -> int:
    """Beats, found or not, that are not those of an unbroken run, behind a gap and not near it:
    what a stream had learnt of its patient is older there."""
    return sum(
        _compared(live.beats[stream], wanted, live.gaps.get(stream, ()), fs).otherwise
        for stream, wanted in expected.beats.items()
    )


def _of_beats(live: Said, expected: Truth, fs: float) -> list[str]:
    """None twice; all of those before a stream's first gap, and no other."""
    twice, missing, new = list[str](), list[str](), list[str]()
    for stream, wanted in expected.beats.items():
        found = _compared(live.beats[stream], wanted, live.gaps.get(stream, ()), fs)
        twice += [f"{stream} {sample}" for sample in found.twice]
        missing += [f"{stream} {sample}" for sample in found.missing]
        new += [f"{stream} {sample}" for sample in found.new]
    twice += [
        f"{stream} {sample}, revised"
        for (stream, sample), times in live.revised.items()
        if times > 1 and not _near(sample, live.gaps.get(stream, ()), fs)
    ]
    stopped = [
        f"{stream} {sample}"
        for stream, wanted in expected.beats.items()
        for sample in _silences(live.beats[stream], wanted, live.gaps.get(stream, ()), fs)
    ]
    named = {"came twice": twice, "are missing unsaid": missing, "are none of its signal": new}
    named["stop, unsaid, behind"] = stopped
    return [_counted("beats", how, which) for how, which in named.items() if which]


def _of_alerts(
    once: Sequence[AlertMessage],
    told: Sequence[AlertMessage],
    gaps: Mapping[str, Sequence[Gap]],
    expected: Truth,
    fs: float,
) -> list[str]:
    """Each phase ``once``, and ids as expected; of streams without a gap all are ``told``, of
    others those before it."""
    counts, wanted = (Counter(map(_phase, each)) for each in (once, expected.alerts))
    begun = Counter((a.stream, a.code, a.onset_sample, a.lead) for a in once if a.phase == "start")
    ended = Counter(a.id for a in once if a.phase == "end")
    first = {stream: min(gap.first for gap in of) for stream, of in gaps.items() if of}

    def untouched(alert: AlertMessage) -> bool:
        known = alert.sample + alert.delay_ms.condition * fs / 1000
        return known < first.get(alert.stream, inf) - BEFORE_S * fs

    known = {*map(_phase, told)}
    missing = {_phase(a) for a in expected.alerts if untouched(a)} - known
    new = [
        each
        for each in counts.keys() - wanted.keys()
        if each.stream not in first and "/signal.no-data/" not in each.id
    ]
    twice = [each for each, times in counts.items() if times > max(1, wanted[each])]
    named = {
        "came twice": [f"{each.id} {each.phase}" for each in twice],
        "are one episode under two ids": [f"{k[0]} {k[1]}" for k, n in begun.items() if n > 1],
        "ended twice": [each for each, times in ended.items() if times > 1],
        "are missing unsaid": [f"{each.id} {each.phase}" for each in missing],
        "are none of its signal": [f"{each.id} {each.phase}" for each in new],
    }
    return [_counted("alerts", how, which) for how, which in named.items() if which]


def _of_episodes(told: Sequence[AlertMessage]) -> list[str]:
    """Of one stream, code and lead one episode is open at a time."""
    onsets: dict[tuple[str, str, str | None], dict[str, int]] = defaultdict(dict)
    ended = {alert.id for alert in told if alert.phase == "end"}
    for alert in told:
        if alert.phase == "start":
            onsets[alert.stream, alert.code, alert.lead][alert.id] = alert.onset_sample
    open_left = [
        each
        for episodes in onsets.values()
        for each in sorted(episodes, key=episodes.__getitem__)[:-1]
        if each not in ended
    ]
    return [_counted("episodes", "were left open by a later one", open_left)] if open_left else []


class _Phase(NamedTuple):
    stream: str
    id: str
    phase: str
    sample: int
    end_sample: int | None
    latched: bool


def _phase(alert: AlertMessage) -> _Phase:
    return _Phase(
        *(alert.stream, alert.id, alert.phase, alert.sample, alert.end_sample, alert.latched)
    )


def _counted(what: str, how: str, which: Sequence[str]) -> str:
    return f"{len(which)} {what} {how}: {', '.join(sorted(which)[:SHOWN])}"


class Delays(NamedTuple):
    """Of each beat: its stream's number, when the frame that completes it was sent, in monotonic
    ns, ms until its message came, and from which endpoint."""

    stream: Ints
    sent: Ints
    ms: Doubles
    endpoint: Ints


def delays(live: Said, plan: Schedule, sent_at: Ints, needed: int) -> Delays:
    """Of all beats whose frame is known to have been sent."""
    numbers = {name: number for number, name in enumerate(plan.names)}
    rows = np.array(
        [
            (numbers[stream], *beat)
            for stream, beats in live.beats.items()
            if stream in numbers
            for beat in beats
        ],
        np.int64,
    ).reshape(-1, 4)
    stream, sample, at, endpoint = rows.T
    interval = np.array(plan.starts)[stream] + frame_of(sample, needed, plan)
    known = interval < len(sent_at)
    sent = np.where(known, sent_at[np.minimum(interval, len(sent_at) - 1), stream], 0)
    kept = sent > 0
    return Delays(stream[kept], sent[kept], (at - sent)[kept] / 1e6, endpoint[kept])


def lost_s(gaps: Iterable[Gap], fs: float, since: int, until: int) -> float:
    """Seconds of signal that were told as lost between two moments."""
    return sum(gap.lost for gap in gaps if since <= gap.at < until) / fs
