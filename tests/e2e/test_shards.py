"""Several daemons that share the streams by bucket say together what one says of all."""

import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import zmq

import beatgan
from beatgan.playback.offline import score_recordings
from beatgan.protocol.buckets import bucket_of
from beatgan.records import excerpt
from beatgan.types import Floats
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.playback.replay import Plan, replay

NAMES = [f"bed-{n}" for n in range(12)]
SECONDS = 30
LONGEST_S, SETTLE_S = 60.0, 0.5


def recordings() -> list[beatgan.Recording]:
    """A part of an excerpt as each of NAMES, each from another second."""
    whole = excerpt.read("bigeminy").recording

    def part(n: int) -> Floats:
        return whole.samples[360 * n : 360 * (n + SECONDS)]

    return [replace(whole, name=name, samples=part(n)) for n, name in enumerate(NAMES)]


def beats_of(heard: list[Any]) -> list[tuple[str, int, float | None]]:
    """What is compared of each beat."""
    return [(m.stream, m.n, m.score) for m in heard if isinstance(m, beatgan.BeatMessage)]


def until_subscribed(client: beatgan.Client, shard: int, heard: list[Any]) -> None:
    """What a client hears of streams that nobody compares tells that it is subscribed."""
    probes = (f"probe-{k}" for k in range(1000))
    mine = (name for name in probes if bucket_of(name) % 2 == shard)
    end = time.monotonic() + LONGEST_S
    for name in mine:
        client.publish(name, 360).push(np.full(36, np.nan))
        time.sleep(0.2)
        if any(bucket_of(m.stream) % 2 == shard for m in [*heard]):
            return
        assert time.monotonic() < end
    raise AssertionError("never heard")


@pytest.mark.parametrize("plain", ["true", "false"])
def test_two_shards_say_what_one_daemon_says(start: Any, model_file: Path, plain: str) -> None:
    loaded = load_model(model_file, "cpu")
    limits = beatgan.AlarmLimits()
    offline = score_recordings(
        recordings(), loaded.spec, loaded.coefficients, loaded.scorer, limits, revise_within=0
    )
    expected = {(m.stream, m.n, m.score) for m in offline if isinstance(m, beatgan.BeatMessage)}
    flags = ("--set", f"ingest.plain_topics={plain}", "--set", "model.revise_within_s=0")
    with ExitStack() as stack:
        shards = [stack.enter_context(start(f"--shard={n}/2", *flags)) for n in range(2)]
        clients = [
            stack.enter_context(beatgan.Client(each.publish, each.control, each.ingest))
            for each in shards
        ]
        heard: list[Any] = []

        def listen(client: beatgan.Client) -> None:
            with suppress(zmq.ZMQError):  # closed at the end
                heard.extend(client.subscribe("beat", "status", seconds=LONGEST_S))

        listeners = [Thread(target=listen, args=(each,), daemon=True) for each in clients]
        for listener in listeners:
            listener.start()
        for n, each in enumerate(clients):
            until_subscribed(each, n, heard)
        replay(recordings(), Plan(speed=10), connect=[each.ingest for each in shards])
        end = time.monotonic() + LONGEST_S
        while len(beats_of(heard)) < len(expected) and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(SETTLE_S)  # whatever is too much comes, too
        counts = [each.metrics() for each in shards]
    assert set(beats_of(heard)) == expected
    assert len(beats_of(heard)) == len(expected) > 12 * SECONDS
    for n, each in enumerate(counts):  # what goes to the other shard is not sent to this one
        mine = sum(bucket_of(name) % 2 == n for name in NAMES)
        assert each["beatgan_samples_received_total"] == mine * SECONDS * 360
