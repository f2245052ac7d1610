"""A real daemon process over loopback: what it makes of ECG, good and bad."""

import json
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import zmq

from beatgan.protocol.frames import encode_frame
from beatgan.records import SAMPLE, read_recording
from beatgan.types import Chunk
from beatgan_daemon.playback.replay import Plan, ReplaySocket, replay

RECEIVED = "beatgan_samples_received_total"
LOST = "beatgan_samples_lost_total"
REPEATED = "beatgan_samples_repeated_total"
REJECTED = "beatgan_frames_rejected_total"
ODD = (1, 7, 360, 123, 5, 2000, 36, 89, 720)  # samples in each frame, in turn


@pytest.fixture(scope="module")
def daemon(start: Any) -> Iterator[Any]:
    with start("--set", "log.level=debug") as running:
        yield running


def frame(
    stream: str, first: int, count: int = 360, epoch: int = 1, fs: float = 360.0
) -> list[bytes]:
    samples = np.zeros((count, 1), np.float32)
    return encode_frame(Chunk(stream, epoch, 0, first, first, fs, ("II",), samples))


def send(daemon: Any, frames: Iterable[Sequence[bytes]]) -> None:
    with (
        zmq.Context[zmq.Socket[bytes]]() as context,
        ReplaySocket(context, connect=daemon.ingest) as publisher,
    ):
        publisher.await_subscriber(10)
        for parts in frames:
            publisher.send(parts)


class Subscriber:
    """Everything the daemon publishes."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], daemon: Any) -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.subscribe("")
        self.socket.connect(daemon.publish)
        self._await(daemon.ingest)

    def _await(self, ingest: str) -> None:
        """Have the daemon tell of new streams until its words reach us."""
        with (
            zmq.Context[zmq.Socket[bytes]]() as context,
            ReplaySocket(context, connect=ingest) as publisher,
        ):
            publisher.await_subscriber(10)
            for epoch in range(100):
                publisher.send(frame("probe", 0, epoch=epoch))
                if self.socket.poll(100):
                    return
        pytest.fail("the daemon publishes nothing")

    def messages(self, stream: str, beats: int, seconds: float = 60.0) -> list[dict[str, Any]]:
        """A stream's messages until so many beats have come."""
        found: list[dict[str, Any]] = []
        end = monotonic() + seconds
        while sum(message["type"] == "beat" for message in found) < beats:
            assert self.socket.poll(max(0, round(1000 * (end - monotonic())))), f"{len(found)} came"
            message = json.loads(self.socket.recv_multipart()[1])
            found += [message] if message["stream"] == stream else []
        return found


@pytest.fixture(params=["bundled sample", "record 208"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A recording's path: the bundled sample, or the first five minutes of record 208 as CSV."""
    if request.param == "bundled sample":
        return SAMPLE
    record = read_recording(request.getfixturevalue("mitdb") / "208")
    rows = record.samples[: 300 * 360].tolist()
    lines = ["# fs=360", ",".join(record.leads), *(",".join(map(repr, row)) for row in rows)]
    (tmp_path / "208.csv").write_text("\n".join(lines))
    return str(tmp_path / "208.csv")


def test_live_equals_offline(
    daemon: Any, command: Any, model_file: Path, tmp_path: Path, recording: str
) -> None:
    scored = command("score", "--model", model_file, recording, "--out", tmp_path / "offline.jsonl")
    assert scored.returncode == 0, scored.stderr
    offline = [json.loads(line) for line in (tmp_path / "offline.jsonl").read_text().splitlines()]
    beats = [message for message in offline if message["type"] == "beat"]
    assert len(beats) > 400
    assert sum(beat["anomalous"] for beat in beats) > 10

    with zmq.Context[zmq.Socket[bytes]]() as context:
        subscriber = Subscriber(context, daemon)
        with closing(subscriber.socket):
            plan = Plan(speed=0, chunk_samples=ODD)
            replay([read_recording(recording)], plan, connect=daemon.ingest)
            live = subscriber.messages(beats[0]["stream"], len(beats))

    same = ["n", "sample", "lead", "rr_ms", "score", "threshold", "anomalous", "quality"]
    same += ["class", "probabilities", "revised"]
    heard = [message for message in live if message["type"] == "beat"]
    assert [[b.get(k) for k in same] for b in heard] == [[b.get(k) for k in same] for b in beats]
    assert sum("revised" in beat for beat in beats) > 400

    same = ["code", "phase", "priority", "onset_sample", "end_sample", "score", "class", "beats"]
    same += ["text", "heart_rate", "probabilities", "components", "explanation"]
    alerts = [[m.get(k) for k in same] for m in live if m["type"] == "alert"]
    expected = [[m.get(k) for k in same] for m in offline if m["type"] == "alert"]
    assert len(alerts) > 3
    assert alerts == expected[: len(alerts)]  # offline, the recording's end ends episodes too


def test_bad_frames_are_counted_and_the_daemon_goes_on(daemon: Any) -> None:
    before = daemon.metrics()
    good = frame("bed-9", 0)
    bad = [
        ([b"ecg.bed-9"], "parts"),
        ([b"ecg.b d", *good[1:]], "topic"),
        ([good[0], b"\xc1", good[2]], "header"),
        ([good[0], good[1], good[2][:-1]], "payload"),
        (frame("bed-9", 0, fs=9.0), "range"),
        (frame("bed-9", 360, fs=250.0), "rate"),
    ]
    send(daemon, [good, *(parts for parts, _ in bad), frame("bed-9", 360)])
    daemon.until(RECEIVED, before[RECEIVED] + 720)
    after = daemon.metrics()
    for _, reason in bad:
        name = f"{REJECTED}{{{reason}}}"
        assert after[name] == before[name] + 1
    rejections = [line for line in daemon.logged() if line["event"] == "frames rejected"]
    assert {reason for _, reason in bad} <= {line["reason"] for line in rejections}


def test_samples_sent_are_received_or_lost_or_repeated(daemon: Any) -> None:
    before = daemon.metrics()
    lost = np.full((100, 1), np.nan, np.float32)
    send(
        daemon,
        [
            frame("bed-10", 0),
            frame("bed-10", 360),
            frame("bed-10", 360),  # again: 360 repeated
            frame("bed-10", 180),  # late: 360 more
            frame("bed-10", 540),  # 180 known already, 180 new
            frame("bed-10", 4320),  # a hole of 9.5 s
            encode_frame(Chunk("bed-10", 1, 0, 4680, 0, 360.0, ("II",), lost)),
            frame("bed-10", 4780),
        ],
    )
    daemon.until(RECEIVED, before[RECEIVED] + 1620)
    after = daemon.metrics()
    assert after[RECEIVED] - before[RECEIVED] == 1620
    assert after[LOST] - before[LOST] == 3420 + 100
    assert after[REPEATED] - before[REPEATED] == 720 + 180


def test_it_is_alive_and_ready(daemon: Any) -> None:
    for page in ("livez", "readyz"):
        with urlopen(f"{daemon.http}/{page}", timeout=10) as answer:
            assert answer.read() == b"ok\n"


def test_replay_and_watch_are_commands_too(daemon: Any, command: Any, start_command: Any) -> None:
    with start_command("watch", "--connect", daemon.publish, PYTHONUNBUFFERED="1") as watcher:
        shown = ""
        while "connected to" not in shown:
            shown += watcher.stdout.readline()
            assert watcher.poll() is None, shown
        sent = command("replay", SAMPLE, "--connect", daemon.ingest, "--speed", "200")
        assert sent.returncode == 0, sent.stderr
        assert sent.stderr.startswith("sent 108000 samples in 1500 frames of 1 stream(s)")
        while not re.search(r"beat\.anomalous +end ", shown):
            shown += watcher.stdout.readline()
            assert watcher.poll() is None, shown
        watcher.send_signal(signal.SIGINT)
        watcher.communicate(timeout=15)
    assert watcher.returncode == 0
