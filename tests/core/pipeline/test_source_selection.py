"""Which source is watched: twins, restarts under one epoch, stray frames, frames of old epochs."""

import gc
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from beatgan.errors import StreamError
from beatgan.pipeline.engine import Engine
from beatgan.pipeline.reorder import MAX_FRAMES
from beatgan.pipeline.source_selection import MAX_TOTAL, NEAR_S
from beatgan.protocol.messages import AlertMessage, BeatMessage, Message, StatusMessage
from beatgan.types import Chunk, Floats
from tests.support.chunks import make_chunk

FS = 360
NewEngine = Callable[..., tuple[Engine, Counter[str]]]
chunk = partial(make_chunk, leads=("II",))


class Bed:
    """An engine with a clock of 0.5 s frames; refusals are counted as the daemon counts them."""

    def __init__(self, new_engine: NewEngine, **settings: Any) -> None:
        self.engine, self.counts = new_engine(**settings)
        self.now, self.messages = 0.0, list[Message]()

    def receive(self, *frames: Chunk) -> None:
        for each in frames:
            try:
                self.engine.receive(each, self.now)
            except StreamError as error:
                self.counts[f"refused[{error.reason}]"] += 1
                self.counts["refused samples"] += len(each.samples)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.messages += self.engine.poll(self.now).messages

    def send(self, samples: Floats, first: int = 0, pace: float = 1.0, **header: Any) -> None:
        """Frames of half a second from ``first`` on, as fast as life times ``pace``."""
        for at in range(0, len(samples), FS // 2):
            self.receive(chunk(samples[at : at + FS // 2], first + at, **header))
            self.wait(0.5 / pace)

    def states(self) -> list[str]:
        return [m.state for m in self.messages if isinstance(m, StatusMessage)]

    def alerts(self) -> list[tuple[str, str]]:
        """The technical ones."""
        found = [m for m in self.messages if isinstance(m, AlertMessage)]
        return [(m.code, m.phase) for m in found if m.kind == "technical"]

    def beats(self, epoch: int) -> list[tuple[Any, ...]]:
        return [
            (b.n, b.sample, b.score)
            for b in self.messages
            if isinstance(b, BeatMessage) and b.epoch == epoch
        ]


@pytest.fixture
def bed(new_engine: NewEngine) -> Bed:
    return Bed(new_engine)


def alone(new_engine: NewEngine, samples: Floats, epoch: int = 1) -> list[tuple[Any, ...]]:
    bed = Bed(new_engine)
    bed.send(samples, epoch=epoch)
    return bed.beats(epoch)


def test_of_two_sources_the_one_that_was_there_is_watched_whole(
    bed: Bed, new_engine: NewEngine, patient: Floats
) -> None:
    bed.send(patient[: 10 * FS])
    for second in range(10, 50):
        for half in (0, FS // 2):
            at = second * FS + half
            bed.receive(chunk(patient[at : at + FS // 2], at))
            bed.wait(0.2)
            bed.receive(chunk(patient[at : at + FS // 2], at - 10 * FS, epoch=5))
            bed.wait(0.3)
    assert bed.states() == ["started"]
    assert bed.beats(1) == alone(new_engine, patient[: 50 * FS])
    assert bed.beats(5) == []
    assert bed.counts["refused[epoch]"] >= 78
    conflicts = [m for m in bed.messages if isinstance(m, AlertMessage) and "conflict" in m.code]
    assert [m.phase for m in conflicts] == ["start"]
    assert "epoch 1 is watched, epoch 5" in str(conflicts[0].text)
    assert (conflicts[0].priority, conflicts[0].kind) == ("medium", "technical")


def test_the_second_source_is_watched_when_the_first_falls_silent(
    bed: Bed, patient: Floats
) -> None:
    for at in range(0, 10 * FS, FS // 2):
        bed.receive(chunk(patient[at : at + FS // 2], at))
        bed.wait(0.2)
        bed.receive(chunk(patient[at : at + FS // 2], at, epoch=5))
        bed.wait(0.3)
    bed.send(patient[10 * FS :], 10 * FS, epoch=5)
    assert bed.states() == ["started", "restarted"]
    assert bed.alerts()[:4] == [
        ("signal.source-conflict", "start"),
        ("signal.no-data", "start"),
        ("signal.source-conflict", "end"),
        ("signal.no-data", "end"),
    ]
    assert len(bed.beats(5)) > 30


def test_the_conflict_ends_with_the_frames_of_the_second_source(bed: Bed, patient: Floats) -> None:
    for at in range(0, 5 * FS, FS // 2):
        bed.receive(chunk(patient[at : at + FS // 2], at))
        bed.wait(0.2)
        bed.receive(chunk(patient[at : at + FS // 2], at, epoch=5))
        bed.wait(0.3)
    bed.send(patient[5 * FS : 20 * FS], 5 * FS)
    assert bed.alerts() == [("signal.source-conflict", "start"), ("signal.source-conflict", "end")]


def test_epochs_without_end_restart_nothing(bed: Bed, patient: Floats) -> None:
    for number, at in enumerate(range(0, 30 * FS, FS // 2)):
        bed.receive(chunk(patient[at : at + FS // 2], at))
        bed.receive(chunk(patient[at : at + FS // 2], 0, epoch=100 + number))
        bed.wait(0.5)
    assert bed.states() == ["started"]
    assert bed.alerts()[0] == ("signal.source-conflict", "start")


def test_a_restart_loses_nothing(bed: Bed, new_engine: NewEngine, patient: Floats) -> None:
    bed.send(patient[: 20 * FS])
    bed.send(patient, epoch=2)
    assert bed.states() == ["started", "restarted"]
    assert bed.beats(2) == alone(new_engine, patient, epoch=2)
    assert bed.alerts() == []


def test_a_late_frame_of_the_epoch_before_does_not_keep_the_restart_back(
    bed: Bed, patient: Floats
) -> None:
    bed.send(patient[: 5 * FS])
    bed.receive(chunk(patient[:180], 0, epoch=2))
    bed.wait(0.1)
    bed.receive(chunk(patient[5 * FS : 5 * FS + 180], 5 * FS))
    bed.wait(0.4)
    bed.send(patient[180 : 10 * FS], 180, epoch=2)
    assert bed.states() == ["started", "restarted"]
    assert bed.counts["refused samples"] == 0


def test_a_frame_of_the_epoch_before_is_refused_unless_the_next_confirms_it(
    bed: Bed, patient: Floats
) -> None:
    bed.send(patient[: 5 * FS])
    bed.send(patient[: 5 * FS], epoch=2)
    bed.receive(chunk(patient[:180], 5 * FS))
    bed.send(patient[5 * FS : 8 * FS], 5 * FS, epoch=2)
    assert bed.counts["refused[epoch]"] == 1
    bed.wait(6.0)
    bed.receive(chunk(patient[:180], 6 * FS))
    bed.wait(0.5)
    assert bed.states() == ["started", "restarted"]
    bed.receive(chunk(patient[:180], 6 * FS + 180))
    bed.wait(0.5)
    assert bed.states() == ["started", "restarted", "restarted"]


def conflict(bed: Bed, patient: Floats) -> int:
    """Two sources under one name: what is not the first one's is refused. Its samples so far."""
    half = FS // 2
    for at in range(0, 4 * FS, half):
        bed.receive(chunk(patient[at : at + half], at))
        bed.wait(0.2)
        bed.receive(chunk(patient[at : at + half], at, epoch=5))
        bed.wait(0.3)
    assert ("signal.source-conflict", "start") in bed.alerts()
    return 4 * FS


def test_a_frame_that_is_refused_after_it_waited_is_counted_and_ends_nothing(
    new_engine: NewEngine, patient: Floats
) -> None:
    """It found the sources in conflict only when its time to wait was over."""
    bed = Bed(new_engine, reorder=0.2)
    expected = conflict(bed, patient)
    refused = bed.counts["refused[jump]"]
    bed.receive(chunk(patient[:36], 200_000))
    bed.wait(0.5)
    assert bed.counts["refused[jump]"] == refused + 1
    bed.receive(chunk(patient[expected : expected + FS], expected))
    assert bed.engine.state("bed").stream.expected == expected + FS  # type: ignore[union-attr]


def test_nothing_of_a_refused_frame_is_kept(new_engine: NewEngine, patient: Floats) -> None:
    """Not even until garbage is collected, which a daemon does seldom."""
    bed = Bed(new_engine, reorder=0.0)
    conflict(bed, patient)
    refused = chunk(patient[:36].copy(), 200_000)
    samples = weakref.ref(refused.samples)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(StreamError, match="another source"):
            bed.engine.receive(refused, bed.now)
        del refused
        assert samples() is None
    finally:
        gc.enable()


def test_frames_that_are_refused_once_there_is_no_room_are_counted_each(
    new_engine: NewEngine, patient: Floats
) -> None:
    """Two that follow one another go when one more comes: it is not refused in their place."""
    bed = Bed(new_engine, reorder=60.0)
    conflict(bed, patient)
    refused = bed.counts["refused[jump]"]
    for first in (200_000, 200_010, *range(200_100, 200_100 + 20 * (MAX_FRAMES - 2), 20)):
        bed.receive(chunk(patient[:10], first))
    assert bed.counts["refused[jump]"] == refused
    samples = bed.counts["refused samples"]
    bed.receive(chunk(patient[:36], 300_000))
    assert bed.counts["refused[jump]"] == refused + 2
    assert bed.counts["refused samples"] == samples + 20


@pytest.mark.parametrize("ahead_s", [3, 60, 3000, 10**6, 2**43])
@pytest.mark.parametrize("reorder", [0.0, 0.2])
def test_one_stray_frame_stops_nothing(
    ahead_s: int, reorder: float, new_engine: NewEngine, patient: Floats
) -> None:
    bed = Bed(new_engine, reorder=reorder)
    bed.send(patient[: 10 * FS])
    bed.receive(chunk(patient[:180], (10 + ahead_s) * FS, t_ns=0))
    bed.send(patient[10 * FS :], 10 * FS)
    assert bed.states() == ["started"]
    assert bed.beats(1) == alone(new_engine, patient)
    assert bed.counts["refused[jump]"] == 1
    assert (bed.counts["lost"], bed.counts["received"]) == (0, len(patient))


def test_a_stray_frame_is_not_believed_at_the_end_either(bed: Bed, patient: Floats) -> None:
    bed.send(patient[: 10 * FS])
    bed.receive(chunk(patient[:180], 3000 * FS))
    bed.engine.drain(bed.now)
    assert (bed.counts["lost"], bed.counts["refused[jump]"]) == (0, 1)


def test_a_confirmed_jump_is_a_hole_of_its_true_length(bed: Bed, patient: Floats) -> None:
    bed.send(patient[: 10 * FS])
    bed.send(patient[: 10 * FS], 3000 * FS)
    assert bed.states() == ["started", "gap"]
    assert (bed.counts["lost"], bed.counts["received"]) == (2990 * FS, 20 * FS)


def test_a_gap_as_long_as_the_silence_needs_no_confirmation(bed: Bed, patient: Floats) -> None:
    bed.send(patient[: 5 * FS])
    bed.wait(30.0)
    bed.receive(chunk(patient[:180], 35 * FS))
    assert bed.counts["lost"] == 30 * FS


def test_a_count_that_begins_anew_under_its_epoch_is_a_restart(
    bed: Bed, new_engine: NewEngine, patient: Floats
) -> None:
    """A device without a clock: epoch 1 for ever, and the same time stamps again."""
    bed.send(patient)
    before = len(bed.beats(1))
    bed.wait(2.0)
    bed.send(patient)
    assert bed.states() == ["started", "restarted"]
    assert bed.beats(1)[before:] == alone(new_engine, patient)
    status = [m for m in bed.messages if isinstance(m, StatusMessage)][-1]
    assert "counts anew from sample 0" in status.text
    assert bed.counts["repeated"] == 0
    ids = [m.id for m in bed.messages if isinstance(m, AlertMessage) and m.phase == "start"]
    assert len(set(ids)) == len(ids) > 2


def test_time_stamps_of_now_make_a_restart_sure_at_once(bed: Bed, patient: Floats) -> None:
    bed.send(patient)
    for at in range(0, 2 * FS, 180):
        later = make_chunk(patient, 70 * FS + at).t_ns
        bed.receive(chunk(patient[at : at + 180], at, t_ns=later))
        bed.wait(0.5)
    assert bed.states() == ["started", "restarted"]


@pytest.mark.parametrize("pace", [10.0, 0.2])
def test_old_frames_sent_again_are_no_restart(pace: float, bed: Bed, patient: Floats) -> None:
    """A gateway that sends its history again, faster than life; or stray ones, now and then."""
    bed.send(patient[: 40 * FS])
    bed.send(patient[: 20 * FS], pace=pace)
    bed.wait(6.0)
    assert bed.states() == ["started"]
    assert bed.counts["repeated"] == 20 * FS


def test_old_frames_beside_new_ones_are_no_restart(bed: Bed, patient: Floats) -> None:
    bed.send(patient[: 30 * FS])
    for at in range(30 * FS, 60 * FS, 180):
        bed.receive(chunk(patient[at : at + 180], at))
        bed.wait(0.2)
        bed.receive(chunk(patient[at - 30 * FS : at - 30 * FS + 180], at - 30 * FS))
        bed.wait(0.3)
    bed.receive(chunk(patient[:180], 60 * FS))
    assert bed.states() == ["started"]
    assert bed.alerts() == []
    assert bed.counts["repeated"] == 30 * FS


def test_what_is_held_is_bounded(new_engine: NewEngine, patient: Floats) -> None:
    """Of one stream by its own bound, of all streams by another."""
    engine, counts = new_engine(max_streams=1000)
    for k in range(300):
        engine.receive(chunk(patient[:180], 0, f"bed-{k}"), 0.0)
    for turn in range(200):
        for k in range(300):
            engine.receive(chunk(patient[:2000], 2000 * turn, f"bed-{k}", epoch=2), 0.1)
    assert engine._selector._held <= MAX_TOTAL
    held = 300 * 200 * 2000 + 300 * 180 - counts["received"] - counts["refused samples"]
    assert held <= MAX_TOTAL
    assert NEAR_S * FS < 2000
