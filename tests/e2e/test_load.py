"""benchmarks/performance/load: which frame a beat waits for, and what is missing.

No figure is judged here: how fast the daemon is, is for the benchmark itself to say.
"""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from beatgan.errors import BeatganError
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Beat
from benchmarks.performance.load import schedule
from benchmarks.performance.load.__main__ import Load, recordings
from benchmarks.performance.load.generator import SPACING, Senders
from benchmarks.performance.load.measure import run_daemon
from benchmarks.performance.load.overload import Probe, capacity, overload_plan
from benchmarks.performance.load.results import (
    FloorFigures,
    Measured,
    beats_published,
    beside,
    broken_promises,
    figures,
    latency,
    missing,
)
from benchmarks.performance.load.schedule import SCALE, Schedule
from benchmarks.performance.load.subscriber import Received
from benchmarks.performance.load.tap_subscriber import TapReport, tapped, topics


def plan(streams: int = 3, frame: int = 90, leads: int = 1, intervals: int = 20) -> Schedule:
    return Schedule(
        frame, 360.0, schedule.lead_names(leads), 1, [0] * streams, [intervals] * streams
    )


TWO_CORES = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a load run needs two cores"
)


@pytest.fixture(scope="module")
def load(model_file: Path) -> Load:
    return Load(model_file, 10, 1, 1, 1.0, 3.0, recordings(None, 1))


@pytest.mark.parametrize("frame", [1, 36, 360])
def test_a_beat_is_known_with_the_frame_that_its_latency_counts_from(
    load: Load, frame: int
) -> None:
    samples = load.recordings[0][:7200].astype(np.float32) * SCALE
    frontend = load.frontend(("MLII",))
    came = [
        (event.sample, start // frame)
        for start in range(0, 7200, frame)
        for event in frontend.push(samples[start : start + frame])
        if isinstance(event, Beat)
    ]
    beats, frames = np.array(came).T
    assert len(beats) > 20
    assert frames.tolist() == schedule.frame_of(beats, load.needed(), plan(1, frame)).tolist()


def test_frames_follow_one_another_and_carry_the_recording_round_and_round() -> None:
    sent = schedule.as_sent(read_recording(SAMPLE).samples[:1000, 0], 2)
    sources = Senders(plan(leads=2), [sent], epoch=7)
    for stream in range(3):
        chunks = [decode_frame(sources.frame(stream, interval)) for interval in range(20)]
        assert [chunk.first for chunk in chunks] == list(range(0, 1800, 90))
        assert {chunk.stream for chunk in chunks} == {f"s{stream}"}
        values = np.concatenate([chunk.samples for chunk in chunks]) / SCALE
        expected = np.take(sent, np.arange(1800) + SPACING * stream, axis=0, mode="wrap")
        assert np.array_equal(np.rint(values), expected)


def test_beats_are_the_same_whether_they_come_one_by_one_or_many_in_one_message() -> None:
    beats = [
        {"stream": "s3", "n": n, "sample": 100 * n, "score": score, "revised": revised}
        for n, score, revised in ((0, None, False), (1, 2.5, False), (1, 2.0, True))
    ]
    bodies = [msgspec.json.encode(beat) for beat in beats]
    single, batched = Received(), Received()
    for body in bodies:
        single.add(b"beat.s3", body, 7)
    batched.add(b"batch.beat", b"".join(body + b"\n" for body in bodies), 7)
    assert single.rows.tolist() == batched.rows.tolist() == [3, 0, 0, 7, 0, 3, 1, 100, 7, 1]


@TWO_CORES
def test_a_void_round_counts_only_where_no_other_does(load: Load) -> None:
    run = figures(run_daemon(load.plan(2, 1.5), load.recordings, load.model, (0.5, 1.5)), 188)
    dear, cheap = (msgspec.structs.replace(run, cpu=cpu, failed=[], void=[]) for cpu in (9.0, 4.0))
    void = msgspec.structs.replace(run, cpu=1.0, failed=[], void=["others were at work"])
    floors = [FloorFigures(2.0, [])] * 3
    assert Measured("this", [void, cheap, dear], floors).costs == [4.0, 9.0]
    assert Measured("this", [void, cheap, dear], floors).ratio == 3.25
    assert Measured("this", [void, void], floors[:2]).costs == [1.0, 1.0]
    assert Measured("this", [cheap, dear], floors[:2]).sound
    assert not Measured("this", [void, dear], floors[:2]).sound
    assert not Measured("this", [msgspec.structs.replace(dear, failed=["x"])], floors[:1]).sound


@TWO_CORES
def test_one_daemon_is_set_beside_another_round_for_round(load: Load) -> None:
    run = figures(run_daemon(load.plan(2, 1.5), load.recordings, load.model, (0.5, 1.5)), 188)

    def rounds(*costs: float, void: int) -> Measured:
        runs = [
            msgspec.structs.replace(run, cpu=cost, void=["x"] * (number == void))
            for number, cost in enumerate(costs)
        ]
        return Measured("one", runs, [])

    ours, other = rounds(2.0, 9.0, 3.0, 5.0, void=1), rounds(1.0, 1.0, 2.0, 5.0, void=-1)
    assert beside(ours, other, lambda run: run.cpu) == (1.5, 1.0, 2.0)
    assert beside(rounds(4.0, void=0), rounds(1.0, void=-1), lambda run: run.cpu) == (4.0, 4.0, 4.0)


def test_who_looks_at_some_streams_gets_no_others() -> None:
    some = plan(streams=120)
    assert topics(some, 120) == topics(some, 500) == ["ecg."]
    wanted = {f"ecg.s{stream}" for stream in tapped(some, 64)}
    assert wanted == set(topics(some, 64))
    names = [f"ecg.s{stream}" for stream in range(120)]
    assert {name for name in names if name.startswith(tuple(wanted))} == wanted
    assert len(wanted) == 64


@TWO_CORES
def test_every_frame_of_the_streams_looked_at_comes_from_the_tap(load: Load) -> None:
    run = run_daemon(load.plan(6, 4.0), load.recordings, load.model, (2.0, 4.0), tap=2)
    assert run.tapped is not None
    assert run.tapped.frames == (run.sent_at[:, -2:] > 0).sum() > 0
    assert broken_promises(run) == []
    fewer = replace(run, tapped=TapReport(run.tapped.frames - 1, 0.0))
    assert any("from the tap" in fault for fault in broken_promises(fewer))


def test_streams_are_spread_over_the_interval_and_begin_one_by_one() -> None:
    assert plan(streams=4, frame=360).phases == [0, 250_000_000, 500_000_000, 750_000_000]
    starts = schedule.admitted(1000, 10)
    assert np.bincount(starts).tolist() == [100] * 10
    assert schedule.admitted(5, 0) == [0] * 5


def test_latency_counts_from_the_frame_that_completes_the_beat() -> None:
    sent_at = np.zeros((20, 3), np.int64)
    sent_at[4, 2] = 1_000_000
    beats = np.array([[2, 0, 360, 3_500_000, 1]])  # needs samples 360 to 449: frame 4
    waits = latency(plan(), sent_at, beats, needed=90)
    assert (waits.sent.tolist(), waits.ms.tolist()) == ([1_000_000], [2.5])
    assert latency(plan(), sent_at, beats, needed=91).sent.tolist() == [0]  # and now frame 5


def test_missing_beats_are_counted_whatever_order_they_came_in() -> None:
    def rows(*pairs: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        return np.array([(stream, n, 0, 0, 1) for stream, n in pairs])

    assert missing(rows((0, 1), (0, 0), (4, 0))) == 0
    assert missing(rows((0, 3), (0, 0), (4, 1), (4, 1))) == 3


@pytest.mark.parametrize(("cost", "first"), [(1e-4, 1000), (1e-4, 50_000), (2e-3, 1000)])
def test_the_capacity_is_found_from_too_few_and_from_too_many(cost: float, first: int) -> None:
    def probe(streams: int) -> Probe:
        used = 0.1 + cost * streams  # less for each of many
        return Probe(min(used, 1.0), used < 0.98)

    assert cost * capacity(probe, first) == pytest.approx(0.9, abs=0.06)


def test_where_others_keep_the_core_the_capacity_is_what_was_carried() -> None:
    def probe(streams: int) -> Probe:
        return Probe(min(streams / 10_000, 0.5), streams <= 5000)

    assert 4700 < capacity(probe, 1000) <= 5000


def test_a_capacity_that_is_never_reached_is_an_error() -> None:
    with pytest.raises(BeatganError, match="who else"):
        capacity(lambda streams: Probe(0.5, kept_up=True), 1000)


def test_an_overload_leaves_half_the_capacity_running_all_the_time() -> None:
    made, whole = overload_plan(100, 2.0, admitted_s=1.0, frames=1)
    always = np.array(whole.stops) > made.ends
    assert np.array_equal(always, made.always)
    assert always.sum() == 50
    assert max(np.array(whole.starts)[always]) < made.opens
    assert min(np.array(whole.starts)[~always]) >= int(made.begins)


@TWO_CORES
def test_a_run_of_the_real_daemon_accounts_for_every_sample_and_every_beat(load: Load) -> None:
    run = run_daemon(load.plan(6, 4.0), load.recordings, load.model, (2.0, 4.0))
    assert broken_promises(run) == []
    assert run.sent.frames == (run.sent_at > 0).sum()
    assert beats_published(run.metrics) == len(run.beats) > 6
    assert missing(run.beats) == 0
    waits = latency(run.plan, run.sent_at, run.beats, load.needed())
    assert (waits.sent > 0).all()
    assert (waits.ms > 0).all()
