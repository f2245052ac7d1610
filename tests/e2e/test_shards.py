"""Several daemons that share the streams by bucket say together what one says of all."""

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import beatgan
from beatgan.playback.offline import score_recordings
from beatgan.protocol.buckets import bucket_of
from beatgan.records import excerpt
from beatgan.types import Floats
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.playback.replay import Plan, replay

NAMES = [f"bed-{n}" for n in range(12)]
SECONDS = 30
LISTEN_S = 12.0


def recordings() -> list[beatgan.Recording]:
    """A part of an excerpt as each of NAMES, each from another second."""
    whole = excerpt.read("bigeminy").recording

    def part(n: int) -> Floats:
        return whole.samples[360 * n : 360 * (n + SECONDS)]

    return [replace(whole, name=name, samples=part(n)) for n, name in enumerate(NAMES)]


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
        listeners = [
            Thread(target=lambda c=each: heard.extend(c.subscribe("beat", seconds=LISTEN_S)))
            for each in clients
        ]
        for listener in listeners:
            listener.start()
        time.sleep(1)  # until they are subscribed
        replay(recordings(), Plan(speed=0), connect=[each.ingest for each in shards])
        for listener in listeners:
            listener.join()
        counts = [each.metrics() for each in shards]
    assert {(m.stream, m.n, m.score) for m in heard} == expected
    assert len(heard) == len(expected) > 12 * SECONDS
    assert sum(each["beatgan_samples_received_total"] for each in counts) == 12 * SECONDS * 360
    for n, each in enumerate(counts):
        mine = [name for name in NAMES if bucket_of(name) % 2 == n]
        assert each["beatgan_samples_received_total"] == len(mine) * SECONDS * 360
        assert each["beatgan_samples_lost_total"] == 0
