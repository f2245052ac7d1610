"""mosquitto, killed and started again; two devices and a taker of alerts, by paho-mqtt.

The one device sends makers' JSON at QoS 0 and throws away what it cannot send; the other sends
frames at QoS 1, which it keeps. mosquitto keeps its sessions on the disk, as one does for whom an
alert matters.
"""

import json
from pathlib import Path
from time import time_ns
from typing import Any

import numpy as np
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk, Floats
from beatgan_daemon.bridges.frame_body import frame_body
from beatgan_daemon.bridges.mqtt.topics import Topics
from benchmarks.robustness.bridges.counterpart import FS, LEAD
from benchmarks.robustness.bridges.mosquitto import Mosquitto

MAKER, GATEWAY = "maker", "gateway"
TOPICS = Topics()


def _client(name: str) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
    client.reconnect_delay_set(1, 1)
    return client


class Peer:
    """See `counterpart.Counterpart`."""

    streams = (MAKER, GATEWAY)
    cuts_bridge_out = False

    def __init__(self, folder: Path) -> None:
        self._broker = Mosquitto(folder)
        self.bridge_in = ("mqtt", "in", "--broker", f"127.0.0.1:{self._broker.port}")
        self.bridge_out = ("mqtt", "out", "--broker", f"127.0.0.1:{self._broker.port}")
        self._maker, self._gateway, self._taker = map(_client, ("maker", "gateway", "taker"))
        self._epoch = time_ns()
        self._alerts: list[bytes] = []

    def start(self) -> None:
        """See `counterpart.Counterpart`."""
        self._broker.start()
        self._taker.on_message = lambda _, __, message: self._take(message)
        self._taker.on_connect = lambda client, *_: client.subscribe(TOPICS.all("alert"), qos=1)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3_600
        for client in (self._maker, self._gateway, self._taker):
            client.connect("127.0.0.1", self._broker.port, 5, clean_start=False, properties=session)
            client.loop_start()

    def _take(self, message: MQTTMessage) -> None:
        """What the broker says it sends again is passed over, as QoS 1 has it."""
        if not (message.dup and bytes(message.payload) in self._alerts):
            self._alerts.append(bytes(message.payload))

    def send(self, stream: str, first: int, samples: Floats) -> None:
        """See `counterpart.Counterpart`."""
        if stream == GATEWAY:
            time = self._epoch + round(first / FS * 1e9)
            chunk = Chunk("_", self._epoch, 0, first, time, FS, (LEAD,), samples[:, None])
            self._gateway.publish(TOPICS.of("ecg", stream), frame_body(encode_frame(chunk)), 1)
        elif self._maker.is_connected():
            body: dict[str, Any] = {"fs": FS, "unit": "mV", "leads": [LEAD], "first": first}
            body["samples"] = [None if np.isnan(each) else float(each) for each in samples]
            self._maker.publish(TOPICS.of("ecg", stream), json.dumps(body), 0)

    def cut(self) -> None:
        """See `counterpart.Counterpart`."""
        self._broker.kill()

    def back(self) -> None:
        """See `counterpart.Counterpart`."""
        self._broker.start()

    def alerts(self) -> list[bytes]:
        """See `counterpart.Counterpart`."""
        return list(self._alerts)

    def form(self, alert: bytes) -> bytes:
        """See `counterpart.Counterpart`."""
        return alert

    def close(self) -> None:
        """See `counterpart.Counterpart`."""
        for client in (self._maker, self._gateway, self._taker):
            client.loop_stop()
        self._broker.kill()
