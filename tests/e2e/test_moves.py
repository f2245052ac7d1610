"""Buckets move between running daemons, and nothing is lost, told twice or changed by it."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import zmq

import beatgan
from beatgan.playback.offline import score_recordings
from beatgan.protocol.buckets import bucket_of
from beatgan.records import excerpt
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.playback.replay import Plan, replay
from beatgan_daemon.sharding.claims import read_claims
from beatgan_daemon.sharding.registry import read_records
from beatgan_daemon.sharding.shard_map import ShardMap, only_editor, read_map, write_map
from tests.e2e.conftest import Running

NAMES = [f"bed-{n}" for n in range(12)]
SECONDS, SPEED = 60, 5
LONGEST_S = 60.0
OPTIONS = ("--set", "ingest.plain_topics=false", "--set", "model.revise_within_s=0")

Start = Callable[..., Any]


def recordings() -> list[beatgan.Recording]:
    """A minute of an excerpt as each of NAMES, each from another second."""
    whole = excerpt.read("bigeminy").recording
    return [
        replace(whole, name=name, samples=whole.samples[360 * n : 360 * (n + SECONDS)])
        for n, name in enumerate(NAMES)
    ]


@dataclass
class Ward:
    """Shards that share a directory, and all that they say."""

    directory: Path
    start: Start
    shards: dict[str, Running] = field(default_factory=dict)
    heard: list[Any] = field(default_factory=list)

    def run(self, stack: ExitStack, shard: str) -> Running:
        flags = ("--set", f"shard.dir={self.directory}", "--set", f"shard.name={shard}", *OPTIONS)
        running: Running = stack.enter_context(self.start(*flags))
        self.shards[shard] = running
        client = stack.enter_context(beatgan.Client(running.publish, running.control))
        Thread(target=self._listen, args=(client,), daemon=True).start()
        return running

    def _listen(self, client: beatgan.Client) -> None:
        with suppress(zmq.ZMQError):  # closed at the end
            for message in client.subscribe("beat", "alert", "status", seconds=LONGEST_S):
                self.heard.append(message)

    def move(self, buckets: dict[int, str]) -> None:
        with only_editor(self.directory):
            write_map(self.directory, read_map(self.directory).moved(buckets))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LONGEST_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)

    def settled(self) -> bool:
        """Whether every bucket is claimed as the map says."""
        shard_map = read_map(self.directory)
        return all(
            read_claims(self.directory / name) == shard_map.fences_of(name) for name in self.shards
        )

    def beats(self) -> list[tuple[str, int, float | None]]:
        return [(m.stream, m.n, m.score) for m in self.heard if isinstance(m, beatgan.BeatMessage)]

    def alerts(self) -> list[tuple[Any, ...]]:
        """Those told for the first time, without what depends on the moment."""
        alerts = [m for m in self.heard if isinstance(m, beatgan.AlertMessage)]
        return [what_is_told(m) for m in alerts if m.repeat is not True]


def what_is_told(m: beatgan.AlertMessage) -> tuple[Any, ...]:
    stream, _, *rest = m.id.split("/")  # without the epoch, which is the replay's
    return (stream, *rest), m.phase, m.sample, m.end_sample, m.score, m.beats, m.latched


@pytest.fixture
def ward(start: Start, tmp_path: Path) -> Ward:
    return Ward(tmp_path, start)


@contextmanager
def replaying(ward: Ward) -> Iterator[Thread]:
    connect = [each.ingest for each in ward.shards.values()]
    thread = Thread(target=lambda: replay(recordings(), Plan(speed=SPEED), connect=connect))
    thread.start()
    yield thread
    thread.join()


def expected(model_file: Path) -> tuple[set[Any], set[Any]]:
    loaded = load_model(model_file, "cpu")
    said = [
        *score_recordings(
            recordings(),
            loaded.spec,
            loaded.coefficients,
            loaded.scorer,
            beatgan.AlarmLimits(),
            revise_within=0,
        )
    ]
    beats = {(m.stream, m.n, m.score) for m in said if isinstance(m, beatgan.BeatMessage)}
    return beats, {what_is_told(m) for m in said if isinstance(m, beatgan.AlertMessage)}


def test_buckets_that_move_under_load_lose_and_repeat_nothing(ward: Ward, model_file: Path) -> None:
    beats, alerts = expected(model_file)
    write_map(ward.directory, ShardMap.even(["a", "b", "c"]))
    mine = sorted({bucket_of(name) for name in NAMES})
    with ExitStack() as stack:
        for name in ("a", "b", "c"):
            ward.run(stack, name)
        ward.wait_until(ward.settled)
        with replaying(ward) as thread:
            for k in range(4):
                time.sleep(1.5)
                ward.move({bucket: "abc"[(n + k) % 3] for n, bucket in enumerate(mine)})
                ward.wait_until(ward.settled)
            thread.join()
            ward.wait_until(lambda: len(ward.beats()) >= len(beats))
            time.sleep(0.5)
        counts = [each.metrics() for each in ward.shards.values()]
        records, problems = read_records(ward.directory)
    assert Counter(ward.beats()) == Counter(beats)
    assert sum(each["beatgan_samples_received_total"] for each in counts) == 12 * SECONDS * 360
    assert sum(each["beatgan_samples_lost_total"] for each in counts) == 0
    assert sum(each["beatgan_bucket_moves_total{out}"] for each in counts) > len(mine)
    told = Counter(ward.alerts())
    assert set(told.values()) <= {1}
    assert {each for each in alerts if each[1] != "end"} <= set(told)
    fences = {m.fence for m in ward.heard if isinstance(m, beatgan.AlertMessage)}
    assert len(fences) > 1
    assert [each.shard for each in records] == ["a", "b", "c"]
    assert problems == []
    assert list((ward.directory / "handover").iterdir()) == []


def test_the_buckets_of_a_shard_that_was_killed_go_on_in_another(
    ward: Ward, model_file: Path
) -> None:
    write_map(ward.directory, ShardMap.even(["a", "b"]))
    with ExitStack() as stack:
        for name in ("a", "b"):
            ward.run(stack, name)
        ward.wait_until(ward.settled)
        with replaying(ward) as thread:
            time.sleep(6)
            dead = ward.shards.pop("a")
            os.kill(dead.process.pid, signal.SIGKILL)
            with only_editor(ward.directory):
                write_map(ward.directory, read_map(ward.directory).emptied("a", ["b"]))
            ward.wait_until(ward.settled)
            thread.join()
        time.sleep(1.0)
    beats = Counter((m.stream, m.sample) for m in ward.heard if isinstance(m, beatgan.BeatMessage))
    assert set(beats.values()) == {1}
    restored = [m for m in ward.heard if getattr(m, "state", None) == "restored"]
    gone = {name for name in NAMES if bucket_of(name) % 2 == 0}
    assert {m.stream for m in restored} == gone
    told = Counter((each[0], each[1], each[2]) for each in ward.alerts())
    assert set(told.values()) <= {1}
    gaps = [m for m in ward.heard if getattr(m, "state", None) == "gap"]
    assert {m.stream for m in gaps} <= gone
