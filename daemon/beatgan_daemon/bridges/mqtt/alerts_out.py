"""Alerts, the alarms as they stand and, if asked for, beats: from a daemon to a broker."""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from beatgan_daemon import log
from beatgan_daemon.bridges.alert_feed import Alert, AlertFeed, stream_of
from beatgan_daemon.bridges.backoff import Backoff
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.mqtt import active, home_assistant
from beatgan_daemon.bridges.mqtt.broker import NO_SUBSCRIBER, Address, Broker, Will
from beatgan_daemon.bridges.mqtt.topics import Topics
from beatgan_daemon.bridges.process import BridgeProcess, running
from beatgan_daemon.clients.client import AnswerUnavailableError, Client, NoAnswerError
from beatgan_daemon.exit_codes import StartError

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"  # the bridge is gone: its last will
NO_DAEMON: Final = b"no-daemon"  # the bridge is there, the daemon is not
DAEMON: Final = "$daemon"  # in place of a stream, of an alert about the daemon itself
STATE_S: Final = 10.0  # between questions how the alarms stand, where no alert says more
SETTLE_S: Final = 1.0  # after a connection: for the broker to send what it has kept
WAIT_S: Final = 0.02
_NOT_ALLOWED: Final = 0x87
_NEVER: Final = {0x90: "topic name invalid", 0x95: "packet too large", 0x99: "payload invalid"}


class AlertsOut:
    """One alert at a time: the next when the broker has acknowledged it."""

    def __init__(self, feed: AlertFeed, broker: Broker, topics: Topics) -> None:
        self._feed, self._broker, self._topics = feed, broker, topics
        self._sent: int | None = None
        self._backoff, self._not_before = Backoff(), 0.0

    def turn(self) -> Alert | None:
        """One step; the alert that is delivered by it. Raises StartError where the broker does not
        let us publish."""
        alert = self._feed.wait(0.0)
        if alert is None:
            return None
        if self._sent is None:
            if not self._broker.connected or monotonic() < self._not_before:
                return None
            topic = self._topics.of("alert", _stream_of(alert.body))
            if not self._broker.takes(topic, alert.body):
                return self._refused(alert, f"{len(alert.body)} bytes are more than it takes")
            self._sent = self._broker.deliver(topic, alert.body)
        reason = self._broker.reason(self._sent)
        if reason is None:
            return None
        self._sent = None
        if reason == _NOT_ALLOWED:
            raise StartError("the broker does not let us publish alerts: not authorized")
        if reason in _NEVER:
            return self._refused(alert, _NEVER[reason])
        if reason >= 0x80:
            log.get().warning("the broker did not take an alert; sent again", reason=reason)
            self._not_before = monotonic() + self._backoff.failed()
            return None
        self._backoff.succeeded()
        self._feed.count.unheard += reason == NO_SUBSCRIBER
        self._feed.done()
        return alert

    def _refused(self, alert: Alert, why: str) -> Alert:
        """The broker will never take it: those behind it must not wait for that."""
        log.get().error("alert refused", n=alert.n, why=why)
        self._feed.done(refused=True)
        return alert


def _stream_of(body: bytes) -> str:
    return stream_of(body) or DAEMON


def line(topics: Topics, body: bytes) -> str:
    """Topic and alert, as a dry run prints them."""
    return f"{topics.of('alert', _stream_of(body))} {body.decode()}"


class StateOut:
    """Keeps what is retained at the broker as the daemon has it."""

    def __init__(
        self, client: Client, broker: Broker, topics: Topics, discovery: str | None
    ) -> None:
        """``discovery``: Home Assistant's prefix, if it is to find the streams."""
        self._client, self._broker, self._topics = client, broker, topics
        self._discovery, self._retained = discovery, active.Retained()
        self._connections, self._due = 0, 0.0
        self._status = ONLINE

    def seen(self, message: "MQTTMessage") -> None:
        """The broker has this retained; what others have there is left alone."""
        self._look_at_connection()
        body = bytes(message.payload)
        if message.retain and self._is_ours(message.topic, body):
            self._retained.seen(message.topic, body)

    def _is_ours(self, topic: str, body: bytes) -> bool:
        states = self._topics.of("active", "")
        return topic.startswith(states) or f'"state_topic":"{states}'.encode() in body

    def changed(self) -> None:
        """An alert came: ask at once."""
        self._due = 0.0

    def turn(self, *, daemon: bool) -> None:
        """Publish what is not as it should be, if it is time; ``daemon``: whether it is there."""
        if not self._broker.connected:
            return
        self._look_at_connection()
        status = ONLINE if daemon else NO_DAEMON
        if status != self._status:
            self._broker.retain(self._topics.status, status)
            self._status = status
        if daemon and monotonic() >= self._due:
            self._due = monotonic() + STATE_S
            self._update()

    def _look_at_connection(self) -> None:
        """After a new one nothing is known of what the broker has."""
        if self._broker.connections != self._connections:
            self._connections, self._status = self._broker.connections, ONLINE
            self._retained = active.Retained()
            self._due = monotonic() + SETTLE_S

    def _update(self) -> None:
        try:
            streams = [entry.stream for entry in self._client.streams()]
            alerts = list(self._client.all_active())
        except (NoAnswerError, AnswerUnavailableError):
            return
        states = active.states(streams, alerts)
        wanted = {self._topics.of("active", name): body for name, body in states.items()}
        if self._discovery is not None:
            wanted |= home_assistant.configurations(self._discovery, self._topics, states)
        for topic, body in self._retained.changes(wanted):
            self._broker.retain(topic, body)


def run(
    address: Address,
    topics: Topics,
    feed: AlertFeed,
    beats: BeatFeed | None,
    client: Client,
    discovery: str | None = None,
) -> None:
    """Until a signal to stop. ``beats``: to be published as well. Raises StartError where the
    broker refuses us."""
    seen: list[Callable[[MQTTMessage], None]] = []
    broker = Broker(
        address,
        subscribe=(topics.all("active"),) + ((f"{discovery}/+/+/+/config",) if discovery else ()),
        message=lambda message: seen[0](message),
        will=Will(topics.status, OFFLINE, ONLINE),
    )
    alerts = AlertsOut(feed, broker, topics)
    state = StateOut(client, broker, topics, discovery)
    seen.append(state.seen)

    def close() -> None:
        broker.close()
        client.close()
        feed.close()
        if beats is not None:
            beats.close()

    with running("mqtt out", feed.count, close) as bridge:
        bridge.ready("waiting for the broker")
        while not bridge.stopping():
            _turn(bridge, broker, feed, alerts, state, topics, beats)


def _turn(
    bridge: BridgeProcess,
    broker: Broker,
    feed: AlertFeed,
    alerts: AlertsOut,
    state: StateOut,
    topics: Topics,
    beats: BeatFeed | None,
) -> None:
    if beats is not None:
        for beat in beats.wait(0.0):
            if not broker.publish_once(topics.of("beat", beat.stream), beat.body):
                feed.count.beats_missed += 1
    broker.turn(WAIT_S)
    feed.count.peer_reconnects = broker.reconnects
    while alerts.turn() is not None:
        state.changed()
    state.turn(daemon=feed.connected)
    where = "connected" if broker.connected else "the broker is away"
    bridge.turn(f"{where}, {feed.count.delivered} alert(s) delivered")
