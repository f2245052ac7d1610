"""Real shards as if they were one daemon: by the library and the commands, through a move and a
death."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import zmq

import beatgan
from beatgan.protocol.buckets import bucket_of
from beatgan.records import excerpt

CHUNK_S, LONGEST_S = 0.5, 60.0
BEDS = [  # one of each shard at first
    next(f"bed-{k}" for k in range(99) if bucket_of(f"bed-{k}") % 2 == shard) for shard in range(2)
]


class Beds:
    """Beds that send in real time what the recording has, and what is heard of them."""

    def __init__(self, client: beatgan.Client) -> None:
        recording = excerpt.read("bigeminy").recording
        self._samples, self._fs = recording.samples, recording.fs
        self._signals = [client.publish(bed, recording.fs, recording.leads) for bed in BEDS]
        self._sent = 0
        self.heard: list[Any] = []
        Thread(target=self._listen, args=(client,), daemon=True).start()

    def _listen(self, client: beatgan.Client) -> None:
        with suppress(zmq.ZMQError):  # closed at the end
            for message in client.subscribe("beat", "alert", "status", seconds=LONGEST_S):
                self.heard.append(message)

    def send_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LONGEST_S
        step = round(CHUNK_S * self._fs)
        while not condition():
            assert time.monotonic() < end
            begin = self._sent * step % (len(self._samples) - step)
            for signal in self._signals:
                signal.push(self._samples[begin : begin + step])
            self._sent += 1
            time.sleep(CHUNK_S)

    def beats_of(self, bed: str) -> list[int]:
        return [m.n for m in self.heard if isinstance(m, beatgan.BeatMessage) and m.stream == bed]


@pytest.fixture
def stack() -> Any:
    with ExitStack() as stack:
        yield stack


def test_shards_are_one_daemon_through_a_move_and_a_death(
    start: Any, command: Any, stack: ExitStack, tmp_path: Path
) -> None:
    where, shards = ("--dir", str(tmp_path)), {}
    assert command("shards", "init", "a", "b", *where).returncode == 0
    for name in ("a", "b"):
        flags = ("--set", f"shard.dir={tmp_path}", "--set", f"shard.name={name}")
        shards[name] = stack.enter_context(
            start(*flags, "--set", "model.revise_within_s=0", "--set", "alarms.anomalous_beats=2")
        )
    client = stack.enter_context(beatgan.Client.of_shards(tmp_path))
    beds = Beds(client)
    beds.send_until(lambda: all(len(beds.beats_of(bed)) > 12 for bed in BEDS))
    beds.send_until(lambda: bool(client.active()))
    assert client.silent == {}

    moved = command("shards", "move", f"{bucket_of(BEDS[0]):02x}", "--to", "b", *where)
    assert moved.stdout.splitlines()[-1] == "all are there"
    before = len(beds.beats_of(BEDS[0]))
    beds.send_until(lambda: len(beds.beats_of(BEDS[0])) > before + 6)
    for bed in BEDS:  # each once, none missing
        assert beds.beats_of(bed) == [*range(beds.beats_of(bed)[0], beds.beats_of(bed)[-1] + 1)]
    assert not [m for m in beds.heard if getattr(m, "code", "") == "signal.gap"]

    told = command("alerts", "--shards", tmp_path)
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert {line["shard"] for line in lines} == {"a", "b"}
    assert len({(line["shard"], line["n"]) for line in lines}) == len(lines)
    assert "go on with --since a:" in told.stderr
    listed = command("streams", "--shards", tmp_path)
    assert [row.split()[-1] for row in listed.stdout.splitlines()[1:]] == ["b", "b"]
    seen = command("acknowledge", "--all", "--by", "Ann", "--shards", tmp_path)
    assert seen.stdout.startswith("acknowledged ")

    shards["b"].process.kill()
    shards["b"].process.wait()
    for words in (("streams",), ("alerts", "--active"), ("acknowledge", "--all")):
        done = command(*words, "--shards", tmp_path)
        assert done.returncode == 2
        assert (
            "missing are the patients of b (129 of 256 buckets): it is not running" in done.stderr
        )
    shown = command("shards", "show", *where)
    assert shown.returncode == 2
    assert "nobody watches the patients of b" in shown.stderr
    assert command("shards", "drain", "b", *where).stdout.splitlines()[-1] == "all are there"
    before = len(beds.beats_of(BEDS[1]))
    beds.send_until(lambda: len(beds.beats_of(BEDS[1])) > before + 3)
    listed = command("streams", "--shards", tmp_path)
    assert [row.split()[-1] for row in listed.stdout.splitlines()[1:]] == ["a", "a"]
    assert listed.returncode == 0
    assert client.silent == {}
