"""What a restart goes on with: the same beats, scores and episodes as without it."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from beatgan.alarms import pause, ventricular_ectopy
from beatgan.alarms.limits import AlarmLimits
from beatgan.alarms.policy import DetectorStates
from beatgan.model.calibration import shares
from beatgan.model.scorer import Scorer
from beatgan.pipeline.observer import Observer
from beatgan.pipeline.snapshot import (
    HEAD,
    VERSION,
    Snapshot,
    SnapshotError,
    decode,
    encode,
    latest,
)
from beatgan.pipeline.stream import SegmentEnd, StatusChange, Stream, StreamEvent
from beatgan.spec import PreprocessSpec
from beatgan.types import Alert, Beat, Chunk, Floats, Phase, Score
from beatgan_train.training.coefficients import coefficients_of
from tests.support.chunks import make_chunk

COEFFICIENTS = coefficients_of("full")

FS = 360.0
chunk = partial(make_chunk, leads=("II",))
LIMITS = AlarmLimits(anomalous_beats=2, among_beats=12)

NewScorer = Callable[[], Scorer]


class Bed:
    """One stream whose steps are told at once, as the teller would."""

    def __init__(self, scorer: Scorer, start: Chunk | Snapshot) -> None:
        self._scorer = scorer
        self.emitted: list[object] = []
        self.alerts: list[Alert] = []
        spec, limits = PreprocessSpec(), LIMITS
        if isinstance(start, Snapshot):
            self.stream = Stream.restore(start, spec, COEFFICIENTS, limits, Observer())
        else:
            self.stream = Stream(start, spec, COEFFICIENTS, limits, Observer())
            self.send(start)

    def send(self, *chunks: Chunk) -> None:
        for each in chunks:
            self.process(self.stream.push(each))

    def process(self, steps: Iterable[StreamEvent]) -> None:
        for segment, what, *_ in steps:
            alerts: list[Alert] = []
            if isinstance(what, Beat):
                (score,) = self._scorer.score([what])
                self.emitted.append((segment.beats_before + what.n, what.sample, score.value))
                alerts = segment.policy.push(score)
            elif isinstance(what, SegmentEnd):
                alerts = segment.policy.close(what.sample)
            elif isinstance(what, StatusChange):
                self.emitted.append(what)
            elif not isinstance(what, Alert):
                alerts = segment.policy.push(what)
            self.alerts += alerts
            self.emitted += [
                (segment.episode_id(each.code, each.episode), each.phase, each.beats, each.onset)
                for each in alerts
            ]

    def save(self, checkpoint: bool = True) -> bytes:
        return encode(self.stream.save(silent=False, checkpoint=checkpoint))

    def open(self) -> Counter[str]:
        """How many episodes of each code are under way."""
        counts: Counter[str] = Counter()
        for alert in self.alerts:
            counts[alert.code] += {Phase.START: 1, Phase.UPDATE: 0, Phase.END: -1}[alert.phase]
        return +counts


@pytest.fixture(scope="module")
def troubled(patient: Floats) -> Floats:
    """The patient, with a lost second and a flat stretch."""
    samples = patient.copy()
    samples[9000:9360] = np.nan
    samples[12_000:13_500] = 0.25
    return samples


@settings(max_examples=25, deadline=None)
@given(at=st.integers(1, 21_000), size=st.integers(1, 2000))
def test_a_restart_without_a_hole_changes_nothing_to_the_bit(
    at: int, size: int, troubled: Floats, new_scorer: NewScorer
) -> None:
    whole = Bed(new_scorer(), chunk(troubled, 0))
    before = Bed(new_scorer(), chunk(troubled[:at], 0))
    after = Bed(new_scorer(), decode(before.save()))
    for first in range(at, len(troubled), size):
        after.send(chunk(troubled[first : first + size], first))
    assert before.emitted + after.emitted == whole.emitted


def test_counts_and_ids_go_on_over_a_hole(troubled: Floats, new_scorer: NewScorer) -> None:
    before = Bed(new_scorer(), chunk(troubled[:6000], 0))
    after = Bed(new_scorer(), decode(before.save()))
    after.send(chunk(troubled[7000:], 7000))
    gap = next(each for each in after.emitted if isinstance(each, StatusChange))
    assert (gap.state, gap.sample, gap.lost) == ("gap", 6000, 1000)
    assert gap.totals.received + gap.totals.lost == 7000
    live = Bed(new_scorer(), chunk(troubled[:6000], 0))
    live.send(chunk(troubled[7000:], 7000))
    assert before.emitted + after.emitted == live.emitted


def test_another_epoch_is_a_restart_of_the_source(patient: Floats, new_scorer: NewScorer) -> None:
    before = Bed(new_scorer(), chunk(patient[:15_000], 0))
    assert before.open()["beat.anomalous"] == 1
    after = Bed(new_scorer(), decode(before.save()))
    after.send(chunk(patient, 0, epoch=2))
    states = [each.state for each in after.emitted if isinstance(each, StatusChange)]
    assert states == ["restarted"]
    started = {alert.episode for alert in before.alerts if alert.phase is Phase.START}
    ended = {alert.episode for alert in after.alerts if alert.phase is Phase.END}
    assert started <= ended


def test_a_new_set_of_leads_may_come_first(patient: Floats, new_scorer: NewScorer) -> None:
    before = Bed(new_scorer(), chunk(patient[:8000], 0))
    after = Bed(new_scorer(), decode(before.save()))
    both = np.repeat(patient[8000:], 2, axis=1)
    after.send(chunk(both, 8000, leads=("V1", "II")))
    assert [each.state for each in after.emitted if isinstance(each, StatusChange)] == [
        "leads-changed"
    ]


# --- the alarm state is newer than the checkpoint ---------------------------------------------


def restarted(
    samples: Floats, checkpoint_at: int | None, killed_at: int, back_at: int, scorer: NewScorer
) -> tuple[Bed, Bed]:
    """A stream whose alarm state is of a later moment than its checkpoint, before and after."""
    cut = killed_at if checkpoint_at is None else checkpoint_at
    before = Bed(scorer(), chunk(samples[:cut], 0))
    checkpoint = before.save() if checkpoint_at is not None else None
    if cut < killed_at:
        before.send(chunk(samples[cut:killed_at], cut))
    alarms = before.save(checkpoint=False)
    found = latest(decode(checkpoint) if checkpoint is not None else None, decode(alarms))
    assert found is not None
    after = Bed(scorer(), found)
    for first in range(back_at, len(samples), 360):
        after.send(chunk(samples[first : first + 360], first))
    return before, after


@pytest.mark.parametrize("killed_at", [9200, 12_900, 14_900])
@pytest.mark.parametrize("checkpoint_at", [None, 100, 6000, 9199])
def test_episodes_go_on_under_their_ids_and_all_of_them_end(
    checkpoint_at: int | None, killed_at: int, troubled: Floats, new_scorer: NewScorer
) -> None:
    back_at = killed_at + 400
    before, after = restarted(troubled, checkpoint_at, killed_at, back_at, new_scorer)
    assert before.open()
    phases: dict[str, list[Phase]] = {}
    for each in [*before.emitted, *after.emitted, *closing(after)]:
        if isinstance(each, tuple) and isinstance(each[1], Phase):
            phases.setdefault(each[0], []).append(each[1])
    assert phases
    for reported in phases.values():
        assert reported.count(Phase.START) == reported.count(Phase.END) == 1, phases
        assert (reported[0], reported[-1]) == (Phase.START, Phase.END)


def closing(bed: Bed) -> list[object]:
    emitted = len(bed.emitted)
    bed.process(bed.stream.end("over"))
    return bed.emitted[emitted:]


@pytest.mark.parametrize("checkpoint_at", [None, 6000])
def test_beats_are_counted_on(
    checkpoint_at: int | None, troubled: Floats, new_scorer: NewScorer
) -> None:
    before, after = restarted(troubled, checkpoint_at, 9000, 9100, new_scorer)
    numbers = [n for n, *_ in beats(before) + beats(after)]
    assert numbers == list(range(len(numbers)))
    assert min(sample for _, sample, _ in beats(after)) >= 9000


def beats(bed: Bed) -> list[tuple[int, int, float | None]]:
    return [each for each in bed.emitted if isinstance(each, tuple) and isinstance(each[0], int)]


@pytest.mark.parametrize("back", [True, False])
def test_a_flat_line_that_the_checkpoint_does_not_know_of(
    back: bool, patient: Floats, new_scorer: NewScorer
) -> None:
    """It goes on under its id while it lasts, and is over when it was over meanwhile."""
    samples = patient.copy()
    samples[10_000 : 12_500 if back else 18_000] = 0.25
    before, after = restarted(samples, 9000, 12_000, 12_600, new_scorer)
    assert before.open()["signal.flat"] == 1
    reported = [
        (a.episode, a.phase) for a in before.alerts + after.alerts if a.code == "signal.flat"
    ]
    assert len({episode for episode, _ in reported}) == 1
    assert [phase for _, phase in reported if phase is not Phase.UPDATE] == [Phase.START, Phase.END]
    ended = next(a for a in after.alerts if a.code == "signal.flat" and a.phase is Phase.END)
    assert ended.at >= (12_600 if back else 18_000)


def test_what_is_not_settled_at_a_second_restart_is_settled_after_it(
    patient: Floats, new_scorer: NewScorer
) -> None:
    samples = patient.copy()
    samples[10_000:12_500] = 0.25
    before = Bed(new_scorer(), chunk(samples[:9000], 0))
    checkpoint = before.save()
    before.send(chunk(samples[9000:12_000], 9000))
    alarms = before.save(checkpoint=False)
    found = latest(decode(checkpoint), decode(alarms))
    assert found is not None
    second = Bed(new_scorer(), found)
    second.send(chunk(samples[12_600:13_600], 12_600))
    third = Bed(new_scorer(), decode(second.save()))
    third.send(*(chunk(samples[at : at + 360], at) for at in range(13_700, 21_600, 360)))
    phases = [alert.phase for alert in third.alerts if alert.code == "signal.flat"]
    assert phases[-1] is Phase.END
    assert set(phases[:-1]) <= {Phase.UPDATE}


def test_the_newer_of_two_snapshots_counts(patient: Floats, new_scorer: NewScorer) -> None:
    bed = Bed(new_scorer(), chunk(patient[:6000], 0))
    old, checkpoint = bed.save(checkpoint=False), bed.save()
    bed.send(chunk(patient[6000:7000], 6000))
    new = bed.save(checkpoint=False)
    assert latest(None, None) is None
    found = latest(decode(checkpoint), decode(old))
    assert found is not None
    assert (found.expected, found.frontend is not None) == (6000, True)
    found = latest(decode(checkpoint), decode(new))
    assert found is not None
    assert found.frontend is not None
    assert (found.expected, found.frontend.expected) == (7000, 6000)
    found = latest(decode(checkpoint), replace(decode(new), epoch=2))
    assert found is not None
    assert found.frontend is None


def test_only_what_has_gone_on_needs_a_new_checkpoint(
    patient: Floats, new_scorer: NewScorer
) -> None:
    bed = Bed(new_scorer(), chunk(patient[:6000], 0))
    assert bed.stream.changed
    bed.save()
    assert not bed.stream.changed
    bed.send(chunk(patient[:6000], 0))
    assert not bed.stream.changed
    bed.send(chunk(patient[6000:6001], 6000))
    assert bed.stream.changed


# --- bytes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(patient: Floats, new_scorer: NewScorer) -> bytes:
    return Bed(new_scorer(), chunk(patient[:15_000], 0)).save()


def scores_in(snapshot: Snapshot) -> list[Score]:
    """Those that the alarms remember: of beats that may begin an episode, or are its worst."""
    beats = snapshot.policy.detectors.anomalous_beats
    worst = None if beats.episode is None else beats.episode.worst
    kept = [*beats.recent, worst, *snapshot.policy.detectors.ventricular_run.row]
    return [score for score in kept if score is not None]


def test_what_is_remembered_of_an_episode_keeps_its_beats_classes(
    patient: Floats, new_classifying_scorer: NewScorer
) -> None:
    bed = Bed(new_classifying_scorer(), chunk(patient[:15_000], 0))
    snapshot = bed.stream.save(silent=False, checkpoint=False)
    remembered = [score.probabilities for score in scores_in(snapshot)]
    assert [score.probabilities for score in scores_in(decode(encode(snapshot)))] == remembered
    assert remembered
    assert None not in remembered


def test_a_snapshot_of_before_there_were_classes_is_read(saved: bytes) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key != "probabilities"}
        return [without(each) for each in value] if isinstance(value, list) else value

    body = saved[HEAD.size :]
    old = msgspec.msgpack.encode(without(msgspec.msgpack.decode(body)))
    assert len(old) < len(body)
    read = decode(HEAD.pack(saved[:4], VERSION, crc32(old)) + old)
    assert {score.probabilities for score in scores_in(read)} == {None}
    assert read.revision == decode(saved).revision


def test_a_snapshot_of_before_there_were_some_detectors_is_read(saved: bytes) -> None:
    plain = msgspec.msgpack.decode(saved[HEAD.size :])
    states = plain["policy"]["detectors"]
    assert len(states) == len(DetectorStates.__struct_fields__)
    del states[6:]  # as the first version with a snapshot had them
    old = msgspec.msgpack.encode(plain)
    read = decode(HEAD.pack(saved[:4], VERSION, crc32(old)) + old).policy.detectors
    whole = decode(saved).policy.detectors
    assert len(read.anomalous_beats.recent) == len(whole.anomalous_beats.recent)
    assert read.asystole == whole.asystole
    assert (read.pauses, read.ectopy) == (pause.State(), ventricular_ectopy.State())


def test_an_alarm_state_is_small(patient: Floats, new_scorer: NewScorer, saved: bytes) -> None:
    bed = Bed(new_scorer(), chunk(patient[:15_000], 0))
    assert bed.open()
    state = len(bed.save(checkpoint=False))
    assert state < 40_000  # the latest beats with their windows, as a run may begin with them
    assert state < len(saved) < 100_000


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (lambda b: b"", "no snapshot"),
        (lambda b: b[: HEAD.size - 1], "no snapshot"),
        (lambda b: b"xxxx" + b[4:], "mark"),
        (lambda b: b[:4] + b"\x63\x00" + b[6:], "version 99"),
        (lambda b: b[:-1], "checksum"),
        (lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], "checksum"),
    ],
)
def test_damaged_bytes_are_said_to_be(
    alter: Callable[[bytes], bytes], says: str, saved: bytes
) -> None:
    with pytest.raises(SnapshotError, match=says):
        decode(alter(saved))


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200) | st.just(b"\x80"))
def test_intact_bytes_of_something_else_are_no_snapshot(body: bytes) -> None:
    with pytest.raises(SnapshotError):
        decode(HEAD.pack(b"bgan", 1, crc32(body)) + body)


def test_what_explains_an_alarm_survives(patient: Floats, new_revising_scorer: NewScorer) -> None:
    bed = Bed(new_revising_scorer(), chunk(patient[:15_000], 0))
    assert all(len(score.terms) == 4 for score in scores_in(decode(bed.save())) if score.value)
    whole = Bed(new_revising_scorer(), chunk(patient, 0))
    after = Bed(new_revising_scorer(), decode(bed.save()))
    after.send(chunk(patient[15_000:], 15_000))
    assert list(map(explained, bed.alerts + after.alerts)) == list(map(explained, whole.alerts))


def explained(alert: Alert) -> tuple[object, ...]:
    parts = () if alert.worst is None else tuple(shares(alert.worst).items())
    return alert.text, alert.heart_rate, parts


def test_a_front_end_of_another_version_costs_the_patients_own_beat_alone(
    patient: Floats, new_scorer: NewScorer
) -> None:
    bed = Bed(new_scorer(), chunk(patient[:15_000], 0))
    snapshot = decode(bed.save())
    assert snapshot.frontend is not None
    other = replace(snapshot.frontend.state, layout="another")
    after = Bed(new_scorer(), replace(snapshot, frontend=replace(snapshot.frontend, state=other)))
    after.send(chunk(patient[15_000:], 15_000))
    assert beats(after)[0][0] == len(beats(bed))
    update = next(alert for alert in after.alerts if alert.code == "beat.anomalous")
    assert update.episode == bed.alerts[-1].episode
    assert update.phase is not Phase.START


LATER_FIELDS = {
    "rhythm",
    "second_window",
    "second_template",
    "lead_distances",
    "awaiting",
    "latest_beat",
    *("facts", "count", "rate", "intervals_ms", "terms"),
}


def as_before(value: Any) -> Any:
    """A snapshot's content without what it did not have at first."""
    if isinstance(value, dict):
        return {key: as_before(each) for key, each in value.items() if key not in LATER_FIELDS}
    return [as_before(each) for each in value] if isinstance(value, list) else value


def test_an_alarm_state_from_before_beats_had_a_rhythm_goes_on(
    patient: Floats, new_scorer: NewScorer
) -> None:
    bed = Bed(new_scorer(), chunk(patient[:15_000], 0))
    state = bed.save(checkpoint=False)
    content = as_before(msgspec.msgpack.decode(state[HEAD.size :]))
    body = msgspec.msgpack.encode(content)
    assert len(body) < len(state) - HEAD.size
    old = HEAD.pack(*HEAD.unpack_from(state)[:2], crc32(body)) + body
    now, then = Bed(new_scorer(), decode(state)), Bed(new_scorer(), decode(old))
    for after in (now, then):
        after.send(chunk(patient[15_000:], 15_000))
    assert then.emitted == now.emitted
