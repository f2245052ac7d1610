"""What a real daemon makes of clocks that jump and of sources that stop, restart and change."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import zmq

from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.playback.replay import ReplaySocket

SECONDS = 24
HOUR_NS = 3600 * 10**9
NO_DATA = "signal.no-data"
LOST, RECEIVED = "beatgan_samples_lost_total", "beatgan_samples_received_total"
STEPS = "beatgan_clock_steps_total"
# Python runs this before anything else: a clock on the wall that somebody sets while it runs.
CLOCK = """
import os, time
true, true_ns, file = time.time, time.time_ns, os.environ["CLOCK_OFFSET"]
def offset():
    with open(file) as said:
        return int(said.read() or 0)
time.time = lambda: true() + offset()
time.time_ns = lambda: true_ns() + offset() * 10**9
"""

Message = dict[str, Any]


class Clock:
    """The wall clock of the daemon's machine."""

    def __init__(self, folder: Path) -> None:
        (folder / "sitecustomize.py").write_text(CLOCK)
        self._file = folder / "offset"
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {"PYTHONPATH": path, "CLOCK_OFFSET": str(self._file)}
        self.set(0)

    def set(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)


class Wire:
    """A source and a subscriber of one daemon."""

    def __init__(self, daemon: Any, source: ReplaySocket, messages: zmq.Socket[bytes]) -> None:
        self.daemon, self._source, self._messages = daemon, source, messages
        messages.linger = 0
        messages.subscribe("")
        messages.connect(daemon.publish)
        source.await_subscriber(10)
        for epoch in range(100):  # until its words reach us
            self.send([frame("probe", 0, np.zeros(360), epoch=epoch)])
            if self._messages.poll(100):
                return
        pytest.fail("the daemon publishes nothing")

    def send(self, frames: Sequence[list[bytes]]) -> None:
        for parts in frames:
            self._source.send(parts)

    def until(self, done: Callable[[list[Message]], bool], stream: str) -> list[Message]:
        """What is told of ``stream`` from now until it is enough."""
        found: list[Message] = []
        end = monotonic() + 60
        while not done(found):
            assert self._messages.poll(max(0, round(1000 * (end - monotonic())))), found[-3:]
            message = json.loads(self._messages.recv_multipart()[1])
            found += [message] if message["stream"] == stream else []
        return found


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def wire(start: Any, clock: Clock) -> Iterator[Wire]:
    with (
        start("--set", "streams.silence_s=2", **clock.environment) as daemon,
        zmq.Context[zmq.Socket[bytes]]() as context,
        ReplaySocket(context, connect=daemon.ingest) as source,
        context.socket(zmq.SUB) as messages,
    ):
        yield Wire(daemon, source, messages)


def frame(
    stream: str,
    first: int,
    signal: np.ndarray[Any, Any],
    t_ns: int = 0,
    epoch: int = 1,
    fs: float = 360.0,
    leads: tuple[str, ...] = ("II",),
) -> list[bytes]:
    samples = np.repeat(signal[:, None], len(leads), axis=1).astype(np.float32)
    return encode_frame(Chunk(stream, epoch, 0, first, t_ns, fs, leads, samples))


def seconds(
    stream: str, begin: int = 0, end: int = SECONDS, fs: int = 360, clock_ns: int = 0, **header: Any
) -> list[list[bytes]]:
    """One frame for each second of a patient's ECG, by a clock that is so much off."""
    ecg = synthetic_ecg(float(SECONDS), float(fs))
    return [
        frame(
            stream,
            k * fs,
            ecg[k * fs : (k + 1) * fs],
            k * 10**9 + clock_ns,
            fs=float(fs),
            **header,
        )
        for k in range(begin, end)
    ]


def beats(messages: list[Message]) -> list[Message]:
    """Each beat's first message."""
    return [m for m in messages if m["type"] == "beat" and "revised" not in m]


def states(messages: list[Message]) -> list[str]:
    return [message["state"] for message in messages if message["type"] == "status"]


def enough_beats(messages: list[Message]) -> bool:
    return len(beats(messages)) > 0 and beats(messages)[-1]["sample"] > 360 * (SECONDS - 3)


def judged(messages: list[Message]) -> list[tuple[Any, ...]]:
    return [(b["n"], b["sample"], b["rr_ms"], b["score"], b["quality"]) for b in beats(messages)]


def silent(messages: list[Message]) -> list[str]:
    return [m["phase"] for m in messages if m["type"] == "alert" and m["code"] == NO_DATA]


@pytest.fixture(scope="module")
def baseline(wire: Wire) -> list[Message]:
    """What is told of the patient when nothing goes wrong."""
    wire.send(seconds("baseline"))
    published = wire.until(enough_beats, "baseline")
    assert len(beats(published)) > 15
    return published


def test_the_machines_clock_may_jump_both_ways(
    wire: Wire, clock: Clock, baseline: list[Message]
) -> None:
    before = wire.daemon.metrics()
    try:
        for begin, offset in ((0, 0), (8, 3600), (16, -3600)):
            clock.set(offset)
            wire.send(seconds("bed-1", begin, begin + 8))
        published = wire.until(enough_beats, "bed-1")
    finally:
        clock.set(0)
    assert judged(published) == judged(baseline)
    assert [b["time_ns"] for b in beats(published)] == [b["time_ns"] for b in beats(baseline)]
    assert silent(published) == []
    assert states(published) == ["started"]
    after = wire.daemon.metrics()
    assert after[LOST] == before[LOST]
    assert after[STEPS] == before[STEPS]


def test_a_sources_clock_may_jump_both_ways(wire: Wire, baseline: list[Message]) -> None:
    before = wire.daemon.metrics()[STEPS]
    for begin, jump in ((0, 0), (8, HOUR_NS), (16, -HOUR_NS)):
        wire.send(seconds("bed-2", begin, begin + 8, clock_ns=jump))
    published = wire.until(enough_beats, "bed-2")
    assert judged(published) == judged(baseline)
    assert states(published) == ["started", "clock", "clock"]
    assert wire.daemon.metrics()[STEPS] == before + 2
    off = [
        b["time_ns"] - c["time_ns"] for b, c in zip(beats(published), beats(baseline), strict=False)
    ]
    hours = [round(each / HOUR_NS) for each in off]
    assert sorted(set(hours)) == [-1, 0, 1]
    assert max(abs(each - HOUR_NS * hour) for each, hour in zip(off, hours, strict=True)) < 10**7


def test_a_silent_source_is_an_alarm_and_goes_on_where_it_was(
    wire: Wire, baseline: list[Message]
) -> None:
    lost = wire.daemon.metrics()[LOST]
    wire.send(seconds("bed-3", 0, 12))
    published = wire.until(lambda found: silent(found) == ["start"], "bed-3")
    wire.send(seconds("bed-3", 12))
    published += wire.until(enough_beats, "bed-3")
    assert silent(published) == ["start", "end"]
    assert judged(published) == judged(baseline)
    assert wire.daemon.metrics()[LOST] == lost


def test_a_source_that_restarts_is_a_new_epoch_of_the_same_patient(
    wire: Wire, baseline: list[Message]
) -> None:
    wire.send([*seconds("bed-4"), *seconds("bed-4", epoch=2)])
    published = wire.until(
        lambda found: enough_beats([m for m in found if m["epoch"] == 2]), "bed-4"
    )
    assert states(published) == ["started", "restarted"]
    known = [(b["n"], b["sample"]) for b in beats(baseline)]
    for epoch in (1, 2):  # everything is counted anew
        found = [(b["n"], b["sample"]) for b in beats(published) if b["epoch"] == epoch]
        assert len(found) >= len(known)
        assert found[: len(known)] == known


def test_a_source_may_come_back_with_another_rate(wire: Wire) -> None:
    wire.send(seconds("bed-5", 0, 8))
    wire.until(lambda found: len(beats(found)) > 3, "bed-5")
    wire.send(seconds("bed-5", fs=250, epoch=2))
    published = wire.until(lambda found: len(beats(found)) > 15, "bed-5")
    restarted = next(m for m in published if m["type"] == "status" and m["state"] == "restarted")
    assert restarted["fs"] == 250.0


def test_a_source_may_change_its_leads(wire: Wire) -> None:
    before = wire.daemon.metrics()
    wire.send(seconds("bed-6", 0, 8))
    wire.send(seconds("bed-6", 8, leads=("V1", "V5")))
    published = wire.until(enough_beats, "bed-6")
    assert states(published) == ["started", "leads-changed"]
    assert {b["lead"] for b in beats(published) if b["sample"] > 360 * 10} == {"V5"}
    after = wire.daemon.metrics()
    assert after[RECEIVED] - before[RECEIVED] == 360 * SECONDS
    assert after[LOST] == before[LOST]
