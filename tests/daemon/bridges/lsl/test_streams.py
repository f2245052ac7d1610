"""The bridge's two ways through the real liblsl: outlets come, go and come back."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep, time_ns
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from beatgan.protocol.messages import encode_json
from beatgan_daemon.bridges.lsl.ecg_in import EcgIn
from beatgan_daemon.bridges.lsl.markers import of_alert, of_beat
from beatgan_daemon.bridges.lsl.markers_out import MarkerOutlet
from beatgan_daemon.bridges.signal_in import SignalIn
from tests.support.frame_outputs import KeptFrames
from tests.support.messages import alert_message, beat_message

pylsl: Any = pytest.importorskip("pylsl", reason="no pylsl")
PATIENCE_S = 20.0
FS = 250.0


class Device:
    """An outlet whose samples are their own index, in microvolt, at regular stamps."""

    def __init__(self, name: str, unit: str = "microvolts", fs: float = FS) -> None:
        self._name, self._unit, self._fs = name, unit, fs
        self._begin, self.sent = pylsl.local_clock(), 0
        self.open()

    def open(self) -> None:
        info = pylsl.StreamInfo(self._name, "ECG", 1, self._fs, "float32", self._name)
        channel = info.desc().append_child("channels").append_child("channel")
        channel.append_child_value("label", "II")
        channel.append_child_value("unit", self._unit)
        self._outlet: Any = pylsl.StreamOutlet(info)

    def close(self) -> None:
        self._outlet = None

    def run(self) -> None:
        """Send what is due by now, or lose it."""
        due = int((pylsl.local_clock() - self._begin) * FS)
        if due > self.sent and self._outlet is not None:
            values = np.arange(self.sent, due, dtype=np.float32)[:, None]
            self._outlet.push_chunk(values, self._begin + (due - 1) / FS)
        self.sent = due


@contextmanager
def ecg_in(name: str, **options: Any) -> Iterator[tuple[EcgIn, SignalIn, KeptFrames]]:
    signal = SignalIn(kept := KeptFrames())
    bridge = EcgIn(signal, name=name, **options)
    try:
        yield bridge, signal, kept
    finally:
        bridge.close()


def until(done: Callable[[], Any], *turns: Callable[[], Any]) -> None:
    end = monotonic() + PATIENCE_S
    while not done():
        assert monotonic() < end
        for turn in turns:
            turn()
        sleep(0.02)


@pytest.fixture
def name() -> str:
    """Other tests may be at the same network."""
    return f"beatgan-test-{uuid4().hex[:8]}"


def test_a_stream_comes_whole_and_one_that_comes_back_has_a_gap(name: str) -> None:
    device = Device(name)
    with ecg_in(name) as (bridge, signal, kept):
        until(lambda: signal.count.sent > 250, bridge.turn, device.run)
        device.close()
        lost_from = monotonic()
        until(lambda: monotonic() > lost_from + 1.5, bridge.turn, device.run)
        device.open()
        until(lambda: signal.count.missing, bridge.turn, device.run)
        until(lambda: signal.count.source_reconnects, bridge.turn, device.run)
        first = round(1000 * float(kept.chunks[0].samples[0, 0]))
        for chunk in kept.chunks:  # each sample is where the device had it
            index = np.arange(chunk.first, chunk.first + len(chunk.samples)) + first
            np.testing.assert_allclose(chunk.samples[:, 0], index / 1000, rtol=1e-6)
        assert signal.count.missing >= 1.5 * FS
        assert signal.count.exact
        (leads,) = {chunk.leads for chunk in kept.chunks}
        assert (leads, kept.chunks[0].fs, kept.chunks[0].stream) == (("II",), FS, name)
        now = time_ns()
        last = kept.chunks[-1]
        assert abs(last.t_ns + len(last.samples) / FS * 1e9 - now) < 2e9
        assert len({chunk.epoch for chunk in kept.chunks}) == 1
    device.close()


def test_a_stream_without_a_unit_is_refused_and_said(
    name: str, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    device = Device(name, unit="")
    with ecg_in(name) as (bridge, signal, kept):
        until(lambda: bridge.refused, bridge.turn, device.run)
        assert (signal.count.refused, kept.chunks) == (1, [])
    assert any("give --unit uV" in line.get("why", "") for line in logged())
    device.close()


# --- markers ------------------------------------------------------------------------------------


def test_markers_to_the_byte() -> None:
    beat = encode_json(beat_message(4))
    assert of_beat(beat, 123).text.encode() == beat
    alert = msgspec.structs.replace(alert_message(7), onset_ns=5, raised_ns=9, text="flat line")
    start = of_alert(encode_json(alert))
    assert start.time_ns == 5
    assert start.text == (
        '{"v":1,"type":"alert","id":"a","n":7,"stream":"bed","epoch":0,"kind":"technical",'
        '"code":"signal.flat","priority":"low","phase":"start","onset_sample":0,"onset_ns":5,'
        '"end_sample":null,"sample":0,"lead":"II","suspended":false,"latched":false,'
        '"acknowledged":false,"suppressed":0,"raised_ns":9,"score":null,"threshold":null,'
        '"text":"flat line"}'
    )
    assert of_alert(encode_json(msgspec.structs.replace(alert, phase="end"))).time_ns == 9


def test_markers_have_the_time_of_what_they_tell(name: str) -> None:
    outlet = MarkerOutlet(name, name)
    assert not outlet.heard()
    (info,) = pylsl.resolve_byprop("name", name, 1, PATIENCE_S)
    inlet = pylsl.StreamInlet(info)
    inlet.open_stream(PATIENCE_S)
    until(outlet.heard)
    now = time_ns()
    outlet.push(of_beat(encode_json(beat_message(4)), now - 2 * 10**9))
    sample, stamp = inlet.pull_sample(PATIENCE_S)
    assert json.loads(sample[0])["n"] == 4
    assert stamp == pytest.approx(pylsl.local_clock() - 2.0 - (time_ns() - now) / 1e9, abs=0.05)
    inlet.close_stream()
    outlet.close()
