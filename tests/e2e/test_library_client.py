"""`beatgan.Client` beside a real daemon: a signal sent, beats and alerts heard, acknowledged."""

import time
from collections.abc import Iterator
from threading import Thread
from typing import Any

import numpy as np
import pytest

import beatgan
from beatgan.records import excerpt

CHUNK = 360


@pytest.fixture
def client(start: Any) -> Iterator[beatgan.Client]:
    with (
        start("--set", "alarms.anomalous_beats=2") as daemon,
        beatgan.Client(daemon.publish, daemon.control, daemon.ingest) as client,
    ):
        yield client


def test_a_signal_comes_back_as_beats_and_alerts(client: beatgan.Client) -> None:
    recording = excerpt.read("bigeminy").recording
    ecg = recording.samples[: 60 * CHUNK, 0]
    heard: list[Any] = []
    listening = client.subscribe("beat", "alert", stream="bed-1", seconds=20)
    listener = Thread(target=lambda: heard.extend(listening))
    listener.start()
    time.sleep(1)  # until it is subscribed
    signal = client.publish("bed-1", recording.fs, "MLII")
    other = client.publish("bed-10", recording.fs, "MLII")  # whose topic begins alike
    for part in np.split(ecg, 60):
        signal.push(part)
        other.push(part)
    signal.skip(2 * CHUNK)
    for part in np.split(ecg[: 5 * CHUNK], 5):
        signal.push(part)
    listener.join()
    beats = [each for each in heard if isinstance(each, beatgan.BeatMessage)]
    assert len({beat.n for beat in beats}) > 60
    assert {each.stream for each in heard} == {"bed-1"}
    codes = {each.code for each in heard if isinstance(each, beatgan.AlertMessage)}
    assert {"beat.anomalous", "signal.gap"} <= codes
    kept = [each for each in client.alerts() if each.stream == "bed-1"]
    assert [each.n for each in kept] == [
        each.n for each in heard if isinstance(each, beatgan.AlertMessage) and not each.repeat
    ][: len(kept)]
    following = client.follow(kept[1].n)
    assert next(following) == next(client.alerts(kept[1].n))


def test_an_episode_under_way_is_acknowledged(client: beatgan.Client) -> None:
    signal = client.publish("bed-2", 250, ("II", "V5"))
    signal.push(np.zeros((2500, 2)))  # asystole, or nothing connected
    end = time.monotonic() + 20
    while not (active := client.active()):
        assert time.monotonic() < end
        time.sleep(0.2)
    client.acknowledge(active[0].id)
    while not any(alert.acknowledged for alert in client.alerts()):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_nobody_there_is_said() -> None:
    nowhere = "tcp://127.0.0.1:9"
    with beatgan.Client(nowhere, nowhere, nowhere) as client:
        assert list(client.subscribe(seconds=0.1)) == []
        with pytest.raises(beatgan.BeatganError, match="no answer within"):
            next(client.alerts())
        with pytest.raises(beatgan.BeatganError, match="expected letters, digits"):
            client.publish("bed 1", 250)
        with pytest.raises(beatgan.BeatganError, match="10 Hz"):
            client.publish("bed-1", 10)
