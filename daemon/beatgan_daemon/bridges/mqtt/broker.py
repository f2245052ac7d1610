"""The connection to a broker: made, kept, made again. One thread, which is the bridge's own.

Knows MQTT and nothing of ECG or alerts.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from beatgan_daemon import log
from beatgan_daemon.bridges.backoff import Backoff
from beatgan_daemon.bridges.mqtt.bodies import MAX_BODY
from beatgan_daemon.bridges.mqtt.credentials import Credentials
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.extras import needing

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.properties import Properties

KEEPALIVE_S: Final = 10
SESSION_S: Final = 3_600  # for which the broker keeps what is subscribed to while we are away
CONNECT_S: Final = 5.0
# Starting again unchanged cannot help: MQTT 5, 3.2.2.2.
_REFUSED: Final = {0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95}
STEADY_S: Final = 10.0  # a connection that lasts so long was a good one
ENVELOPE: Final = 64  # bytes that a packet may have besides topic and body
NO_SUBSCRIBER: Final = 0x10  # taken, and nobody is there to hear it


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and as whom."""

    host: str
    port: int
    client_id: str
    credentials: Credentials | None = None
    tls: ssl.SSLContext | None = None


class Will(NamedTuple):
    """What the broker says, retained, when the connection is gone; and what we say when it is."""

    topic: str
    gone: bytes
    here: bytes


class Broker:
    """A client of a broker that goes away and comes back."""

    def __init__(
        self,
        address: Address,
        *,
        subscribe: tuple[str, ...] = (),
        message: Callable[["MQTTMessage"], None] | None = None,
        will: Will | None = None,
    ) -> None:
        """``subscribe``, at QoS 1, whenever there is a connection; ``message``: what to do with
        each. Nobody need be there yet. Raises UsageError where the library lacks."""
        with needing("mqtt"):
            from paho.mqtt import client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion
        self.connected = False
        self.connections = 0  # made so far
        self._address, self._subscribe, self._will = address, subscribe, will
        self._backoff, self._try_at = Backoff(), 0.0
        self._connected_at = 0.0
        self._largest: int | None = None  # packet that the broker takes, as far as it said
        self._fault: Exception | None = None
        self._reasons: dict[int, int | None] = {}  # of each message to be acknowledged
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, address.client_id, protocol=mqtt.MQTTv5
        )
        client.connect_timeout = CONNECT_S
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_subscribe = self._on_publish, self._on_subscribe
        if message is not None:
            client.on_message = lambda _, __, each: message(each)
        if address.credentials is not None:
            client.username_pw_set(*address.credentials)
        if address.tls is not None:
            client.tls_set_context(address.tls)
        if will is not None:
            client.will_set(will.topic, will.gone, qos=1, retain=True)
        client.connect_async(
            address.host,
            address.port,
            KEEPALIVE_S,
            clean_start=False,
            properties=_connect_properties(),
        )

    @property
    def reconnects(self) -> int:
        """After the first connection."""
        return max(0, self.connections - 1)

    def turn(self, seconds: float) -> None:
        """Talk to the broker for at most so long, or try to reach it.

        Raises StartError where it refuses, and what ``message`` raises.
        """
        if self._client.socket() is None:
            self._reach(seconds)
        else:
            self._client.loop(seconds)
        if self._fault is not None:
            raise self._fault

    def _reach(self, seconds: float) -> None:
        wait = self._try_at - monotonic()
        if wait > 0:
            sleep(min(wait, seconds))
            return
        self._try_at = monotonic() + self._backoff.failed()
        try:
            self._client.reconnect()
        except (OSError, ValueError) as error:  # of the socket, of TLS, of the name
            log.get().warning("the broker cannot be reached", why=str(error))

    def _on_connect(self, client: "Client", _: Any, __: Any, reason: Any, said: Any) -> None:
        if reason.is_failure:
            if reason.value in _REFUSED:
                self._fault = StartError(
                    f"the broker {self._address.host}:{self._address.port} refuses us: {reason}"
                )
            log.get().warning("the broker refuses us", why=str(reason))
            return
        self.connected = True
        self.connections += 1
        self._connected_at = monotonic()
        self._largest = getattr(said, "MaximumPacketSize", None)
        log.get().info("connected to the broker", host=self._address.host)
        for topic in self._subscribe:
            client.subscribe(topic, qos=1)
        if self._will is not None:
            client.publish(self._will.topic, self._will.here, qos=1, retain=True)

    def _on_disconnect(self, _: "Client", __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if self.connected:
            log.get().warning("the broker is away", why=str(reason))
            if monotonic() - self._connected_at > STEADY_S:
                self._backoff.succeeded()
        self.connected = False

    def _on_subscribe(self, _: "Client", __: Any, ___: int, reasons: Any, ____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._fault = StartError(
                f"the broker does not let us subscribe to {', '.join(self._subscribe)}: "
                f"{', '.join(sorted({str(reason) for reason in reasons if reason.is_failure}))}"
            )

    def _on_publish(self, _: "Client", __: Any, mid: int, reason: Any, ___: Any) -> None:
        if mid in self._reasons:
            self._reasons[mid] = reason.value
        elif reason.is_failure:
            log.get().warning("the broker did not take a message", why=str(reason))

    def retain(self, topic: str, body: bytes) -> None:
        """At QoS 1, for who subscribes later, too; b"" for there to be none."""
        self._client.publish(topic, body, qos=1, retain=True)

    def takes(self, topic: str, body: bytes) -> bool:
        """Whether the message is not larger than the broker said that it takes."""
        size = len(topic.encode()) + len(body) + ENVELOPE
        return self._largest is None or size <= self._largest

    def deliver(self, topic: str, body: bytes) -> int:
        """At QoS 1: sent again after a cut until the broker has it; what to ask `reason` for."""
        number = self._client.publish(topic, body, qos=1).mid
        self._reasons[number] = None
        return number

    def reason(self, number: int) -> int | None:
        """The broker's word on a message that was to be delivered, told once; None: none yet."""
        reason = self._reasons[number]
        if reason is not None:
            del self._reasons[number]
        return reason

    def publish_once(self, topic: str, body: bytes) -> bool:
        """At QoS 0; whether there is a connection to send it over."""
        if self.connected:
            self._client.publish(topic, body, qos=0)
        return self.connected

    def close(self) -> None:
        """Say goodbye: the will is ours to tell."""
        if self.connected:
            if self._will is not None:
                self._client.publish(self._will.topic, self._will.gone, qos=1, retain=True)
                end = monotonic() + 1.0
                while self._client.want_write() and monotonic() < end:
                    self._client.loop(0.1)
            self.connected = False
            self._client.disconnect()
            self._client.loop(0.1)


def _connect_properties() -> "Properties":
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_S
    properties.MaximumPacketSize = MAX_BODY
    return properties
