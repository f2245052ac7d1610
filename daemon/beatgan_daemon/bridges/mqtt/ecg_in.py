"""ECG from a broker to a daemon."""

from time import monotonic, time_ns
from typing import TYPE_CHECKING

from beatgan.errors import StreamError
from beatgan_daemon.bridges.frame_body import frame_parts
from beatgan_daemon.bridges.mqtt.bodies import is_binary, json_ecg
from beatgan_daemon.bridges.mqtt.broker import Address, Broker
from beatgan_daemon.bridges.mqtt.makers import Makers
from beatgan_daemon.bridges.mqtt.topics import Topics
from beatgan_daemon.bridges.process import TURN_S, running
from beatgan_daemon.bridges.signal_in import SignalIn

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage


class EcgIn:
    """Takes the broker's messages, one at a time."""

    def __init__(self, signal: SignalIn, topics: Topics) -> None:
        self._signal, self._topics, self._makers = signal, topics, Makers()

    def take(self, message: "MQTTMessage") -> None:
        """Send on what is ECG, count what is not."""
        try:
            self._forward(message.topic, bytes(message.payload), retained=message.retain)
        except StreamError as error:
            told = StreamError(error.reason, f"{message.topic[:160]}: {error}")
            self._signal.refuse(told, monotonic())

    def _forward(self, topic: str, body: bytes, *, retained: bool) -> None:
        stream = self._topics.stream("ecg", topic)
        if stream is None:
            raise StreamError("topic", "its last level is no stream's name: A-Z a-z 0-9 _ - :")
        if retained:
            raise StreamError("retained", "ECG of the past: publish it without retain")
        if is_binary(body):
            self._signal.pass_on(frame_parts(stream, body))
        else:
            self._signal.forward(self._makers.chunk(stream, json_ecg(body), time_ns()))


def run(address: Address, topics: Topics, signal: SignalIn) -> None:
    """Until a signal to stop. Raises StartError where the broker refuses us."""
    taker = EcgIn(signal, topics)
    broker = Broker(address, subscribe=(topics.all("ecg"),), message=taker.take)

    def close() -> None:
        broker.close()
        signal.close()

    with running("mqtt in", signal.count, close) as bridge:
        bridge.ready("waiting for the broker")
        while not bridge.stopping():
            broker.turn(TURN_S)
            signal.count.source_reconnects = broker.reconnects
            where = "connected" if broker.connected else "the broker is away"
            bridge.turn(f"{where}, {signal.count.streams} stream(s)")
