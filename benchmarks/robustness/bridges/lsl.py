"""LSL on both sides of the bridges: liblsl's outlet as a device, its inlet as who takes markers.

A cut closes the device's outlet, and ends `lsl out`, whose outlet is the other one. A stream of LSL
has no count: its stamps show what was lost.
"""

from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import msgspec
import numpy as np
import pylsl

from beatgan.types import Floats
from beatgan_daemon.bridges.lsl.markers import of_alert
from benchmarks.robustness.bridges.counterpart import FS, LEAD

STREAM, MARKERS = "lsl-bed", "lsl-markers"


class _Type(msgspec.Struct):
    type: str


class Peer:
    """See `counterpart.Counterpart`."""

    streams = (STREAM,)
    bridge_in = ("lsl", "in", "--name", STREAM)
    bridge_out = ("lsl", "out", "--name", MARKERS)
    cuts_bridge_out = True

    def __init__(self, _: Path) -> None:
        self._begin = 0.0
        self._outlet: Any = None
        self._lock, self._over = Lock(), Event()
        self._alerts: list[bytes] = []
        self._taker = Thread(target=self._take, daemon=True)

    def start(self) -> None:
        """See `counterpart.Counterpart`."""
        self._begin = pylsl.local_clock()
        self.back()
        self._taker.start()

    def send(self, _: str, first: int, samples: Floats) -> None:
        """See `counterpart.Counterpart`."""
        with self._lock:
            if self._outlet is not None:
                stamp = self._begin + (first + len(samples) - 1) / FS  # of the last, as LSL has it
                self._outlet.push_chunk(np.ascontiguousarray(samples[:, None]), stamp)

    def cut(self) -> None:
        """See `counterpart.Counterpart`."""
        with self._lock:
            self._outlet = None

    def back(self) -> None:
        """See `counterpart.Counterpart`."""
        info = pylsl.StreamInfo(STREAM, "ECG", 1, FS, pylsl.cf_float32, "beatgan-benchmark")
        channel = info.desc().append_child("channels").append_child("channel")
        channel.append_child_value("label", LEAD)
        channel.append_child_value("unit", "millivolts")
        with self._lock:
            self._outlet = pylsl.StreamOutlet(info)

    def _take(self) -> None:
        found: list[Any] = []
        while not found and not self._over.is_set():
            found = pylsl.resolve_byprop("name", MARKERS, 1, 1.0)
        if found:
            inlet = pylsl.StreamInlet(found[0], recover=True)
        while not self._over.is_set():
            sample, _ = inlet.pull_sample(0.2)
            if sample and msgspec.json.decode(sample[0], type=_Type).type == "alert":
                self._alerts.append(sample[0].encode())

    def alerts(self) -> list[bytes]:
        """See `counterpart.Counterpart`."""
        return list(self._alerts)

    def form(self, alert: bytes) -> bytes:
        """See `counterpart.Counterpart`."""
        return of_alert(alert).text.encode()

    def close(self) -> None:
        """See `counterpart.Counterpart`."""
        self.cut()
        self._over.set()
        self._taker.join()
