"""The bridge's two ways through a real mosquitto, which is killed and comes back."""

import gc
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from beatgan.errors import UsageError
from beatgan.protocol.frame_decoder import decode_frame
from beatgan.protocol.frames import encode_frame
from beatgan.protocol.messages import encode_json
from beatgan.types import Chunk
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.frame_body import frame_body
from beatgan_daemon.bridges.mqtt.alerts_out import NO_DAEMON, OFFLINE, ONLINE, AlertsOut, StateOut
from beatgan_daemon.bridges.mqtt.broker import Address, Broker, Will
from beatgan_daemon.bridges.mqtt.credentials import Credentials, read_credentials
from beatgan_daemon.bridges.mqtt.ecg_in import EcgIn
from beatgan_daemon.bridges.mqtt.topics import Topics
from beatgan_daemon.bridges.peer_address import tls_context
from beatgan_daemon.bridges.position_file import PositionFile
from beatgan_daemon.bridges.signal_in import SignalIn
from beatgan_daemon.clients.client import Client as DaemonClient
from beatgan_daemon.exit_codes import StartError
from benchmarks.robustness.bridges.mosquitto import PROGRAM, Mosquitto
from tests.support.alerting_daemon import AlertingDaemon, alerts
from tests.support.frame_outputs import KeptFrames

PATIENCE_S = 20.0
TOPICS = Topics()


class Peer:
    """Somebody else at the broker: keeps what it hears, publishes what it is told."""

    def __init__(self, port: int, *topics: str, name: str = "peer") -> None:
        self.heard: list[MQTTMessage] = []
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 600
        self._client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = lambda _, __, message: self.heard.append(message)
        self._topics = topics
        self._client.on_connect = self._subscribe
        self._client.connect("127.0.0.1", port, 5, clean_start=False, properties=session)
        self._client.loop_start()
        self._wait_until(self._client.is_connected)

    def _subscribe(self, client: Client, *_: Any) -> None:
        for topic in self._topics:
            client.subscribe(topic, 1)

    @staticmethod
    def _wait_until(done: Callable[[], bool]) -> None:
        end = monotonic() + PATIENCE_S
        while not done() and monotonic() < end:
            pass

    def publish(self, topic: str, body: bytes | str, *, retain: bool = False) -> None:
        self._wait_until(self._client.is_connected)
        self._client.publish(topic, body, 1, retain).wait_for_publish(PATIENCE_S)

    def bodies(self, topic: str) -> list[bytes]:
        return [bytes(each.payload) for each in tuple(self.heard) if each.topic == topic]

    def close(self) -> None:
        self._client.loop_stop()


@contextmanager
def peer(broker: Mosquitto, *topics: str) -> Iterator[Peer]:
    made = Peer(broker.port, *topics)
    try:
        yield made
    finally:
        made.close()


def until(done: Callable[[], Any], *turns: Callable[[], Any]) -> None:
    """Turn until it is done; fails after PATIENCE_S."""
    end = monotonic() + PATIENCE_S
    while not done():
        assert monotonic() < end
        for turn in turns:
            turn()


def address(broker: Mosquitto, name: str = "bridge", **more: Any) -> Address:
    return Address("127.0.0.1", broker.port, name, **more)


def chunk(first: int) -> Chunk:
    samples = np.linspace(0, 1, 50, dtype=np.float32)[:, None]
    return Chunk("gateway", 5, 0, first, 10**18, 250.0, ("II",), samples)


# --- in -----------------------------------------------------------------------------------------


@contextmanager
def ecg_in(broker: Mosquitto) -> Iterator[tuple[Broker, SignalIn, KeptFrames]]:
    signal = SignalIn(kept := KeptFrames())
    bridge = Broker(
        address(broker), subscribe=(TOPICS.all("ecg"),), message=EcgIn(signal, TOPICS).take
    )
    until(lambda: bridge.connected, lambda: bridge.turn(0.05))
    for _ in range(5):
        bridge.turn(0.05)  # subscribes
    try:
        yield bridge, signal, kept
    finally:
        bridge.close()


def test_frames_and_json_become_frames(mosquitto: Mosquitto) -> None:
    with ecg_in(mosquitto) as (bridge, signal, kept), peer(mosquitto) as device:
        parts = encode_frame(chunk(0))
        device.publish(TOPICS.of("ecg", "gateway"), frame_body(parts))
        device.publish(
            TOPICS.of("ecg", "maker"), '{"fs":130,"unit":"uV","first":0,"samples":[1000,null]}'
        )
        until(lambda: len(kept.frames) == 2, lambda: bridge.turn(0.05))
        assert list(kept.frames[0]) == parts
        made = decode_frame(kept.frames[1])
        assert (made.stream, made.samples[0, 0]) == ("maker", 1.0)
        assert signal.count.exact
        assert signal.count.sent == 52


def test_what_is_no_ecg_is_refused_and_the_rest_goes_on(mosquitto: Mosquitto) -> None:
    with ecg_in(mosquitto) as (bridge, signal, kept), peer(mosquitto) as device:
        for topic, body, retain in (
            (TOPICS.of("ecg", "x"), b"\0\0\0\1", False),
            (TOPICS.of("ecg", "x"), b"{}", False),
            (TOPICS.of("ecg", "a.b"), b"{}", False),
            (TOPICS.of("ecg", "x"), frame_body(encode_frame(chunk(0))), False),
        ):
            device.publish(topic, body, retain=retain)
        until(lambda: len(kept.frames) == 1, lambda: bridge.turn(0.05))
        assert signal.count.refused == 3


def test_ecg_of_the_past_is_refused(mosquitto: Mosquitto) -> None:
    with peer(mosquitto) as device:
        device.publish(TOPICS.of("ecg", "x"), frame_body(encode_frame(chunk(0))), retain=True)
        with ecg_in(mosquitto) as (bridge, signal, kept):
            until(lambda: signal.count.refused, lambda: bridge.turn(0.05))
            assert not kept.frames


def test_a_broker_that_is_killed_is_found_again(mosquitto: Mosquitto) -> None:
    with ecg_in(mosquitto) as (bridge, signal, kept), peer(mosquitto) as device:
        device.publish(TOPICS.of("ecg", "x"), frame_body(encode_frame(chunk(0))))
        until(lambda: len(kept.frames) == 1, lambda: bridge.turn(0.05))
        mosquitto.kill()
        until(lambda: not bridge.connected, lambda: bridge.turn(0.05))
        mosquitto.start()
        until(lambda: bridge.connected, lambda: bridge.turn(0.05))
        for _ in range(5):
            bridge.turn(0.05)
        device.publish(TOPICS.of("ecg", "x"), frame_body(encode_frame(chunk(150))))
        until(lambda: len(kept.frames) == 2, lambda: bridge.turn(0.05))
        assert bridge.reconnects == 1
        assert (signal.count.sent, signal.count.missing) == (100, 100)
        assert signal.count.exact


# --- out ----------------------------------------------------------------------------------------


@contextmanager
def alerts_out(broker: Mosquitto, daemon: AlertingDaemon) -> Iterator[tuple[Broker, AlertsOut]]:
    feed = AlertFeed(daemon.publish, daemon.control, PositionFile(None), since=0)
    will = Will(TOPICS.status, OFFLINE, ONLINE)
    bridge = Broker(address(broker), will=will)
    until(lambda: bridge.connected, lambda: bridge.turn(0.05))
    try:
        yield bridge, AlertsOut(feed, bridge, TOPICS)
    finally:
        bridge.close()
        feed.close()


def test_alerts_come_once_and_in_order_though_the_broker_is_killed(mosquitto: Mosquitto) -> None:
    messages = alerts(30)
    wanted = [encode_json(message) for message in messages]
    topic = TOPICS.of("alert", "bed-7")
    with (
        AlertingDaemon(messages[:20]) as daemon,
        peer(mosquitto, TOPICS.all("alert")) as taker,
        alerts_out(mosquitto, daemon) as (bridge, out),
    ):
        until(lambda: len(taker.bodies(topic)) >= 10, lambda: bridge.turn(0.01), out.turn)
        mosquitto.kill()
        for message in messages[20:]:
            daemon.alert(message)
        until(lambda: not bridge.connected, lambda: bridge.turn(0.01), out.turn)
        mosquitto.start()
        until(lambda: wanted[-1] in taker.bodies(topic), lambda: bridge.turn(0.01), out.turn)
        got = taker.bodies(topic)
        # At least once is what QoS 1 says: what was not acknowledged when the broker died may
        # come again, from us or from its disk.
        assert [body for n, body in enumerate(got) if body not in got[:n]] == wanted
        assert len(got) < 35


def test_an_alert_that_the_broker_never_takes_holds_up_no_other(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 2000")
    broker.start()
    journal = alerts(3)
    journal[1] = replace(journal[1], text="x" * 3000)
    try:
        with (
            peer(broker, TOPICS.all("alert")) as subscriber,
            AlertingDaemon(journal) as daemon,
            alerts_out(broker, daemon) as (bridge, out),
        ):

            def turn() -> None:
                bridge.turn(0.05)
                out.turn()

            count = out._feed.count
            until(lambda: len(subscriber.heard) == count.delivered == 2, turn)
            assert count.refused == 1
            assert bridge.reconnects == 0
    finally:
        broker.kill()


def test_whether_the_bridge_is_there_is_retained(mosquitto: Mosquitto) -> None:
    with AlertingDaemon() as daemon, peer(mosquitto, TOPICS.status) as other:
        with alerts_out(mosquitto, daemon) as (bridge, _):
            until(lambda: other.bodies(TOPICS.status)[-1:] == [ONLINE], lambda: bridge.turn(0.05))
        until(lambda: other.bodies(TOPICS.status)[-1:] == [OFFLINE])


def test_the_broker_tells_that_the_bridge_died(mosquitto: Mosquitto) -> None:
    with (
        AlertingDaemon() as daemon,
        peer(mosquitto, TOPICS.status) as other,
        alerts_out(mosquitto, daemon) as (bridge, _),
    ):
        until(lambda: other.bodies(TOPICS.status)[-1:] == [ONLINE], lambda: bridge.turn(0.05))
        socket = bridge._client.socket()
        assert socket is not None
        socket.close()  # as a kernel does for a process that was killed
        until(lambda: other.bodies(TOPICS.status)[-1:] == [OFFLINE])


def test_the_state_is_as_the_daemon_has_it_and_nothing_stale_stays(mosquitto: Mosquitto) -> None:
    active = TOPICS.of("active", "bed-7")
    with AlertingDaemon(alerts(1)) as daemon, peer(mosquitto, "#") as other:
        other.publish(TOPICS.of("active", "old-bed"), b'{"v":1}', retain=True)
        other.publish("homeassistant/sensor/lamp/x/config", b'{"of":"others"}', retain=True)
        seen: list[Callable[[MQTTMessage], None]] = []
        bridge = Broker(
            address(mosquitto),
            subscribe=(TOPICS.all("active"), "homeassistant/+/+/+/config"),
            message=lambda message: seen[0](message),
        )
        client = DaemonClient(daemon.control)
        state = StateOut(client, bridge, TOPICS, "homeassistant")
        seen.append(state.seen)
        until(
            lambda: other.bodies(TOPICS.of("active", "old-bed"))[-1:] == [b""],
            lambda: bridge.turn(0.02),
            lambda: state.turn(daemon=True),
        )
        until(
            lambda: any("/alarm/config" in each.topic for each in tuple(other.heard)),
            lambda: bridge.turn(0.02),
        )
        assert json.loads(other.bodies(active)[-1])["highest"] == "low"
        assert other.bodies("homeassistant/sensor/lamp/x/config") == [b'{"of":"others"}']
        state.turn(daemon=False)
        until(lambda: other.bodies(TOPICS.status) == [NO_DAEMON], lambda: bridge.turn(0.02))
        bridge.close()
        client.close()


def test_more_alarms_than_one_answer_holds_are_all_in_the_state(mosquitto: Mosquitto) -> None:
    many = [*alerts(1_000), *alerts(1, 1_000, stream="bed-8")]
    with AlertingDaemon(many) as daemon, peer(mosquitto, TOPICS.all("active")) as other:
        bridge, client = Broker(address(mosquitto)), DaemonClient(daemon.control)
        state, topic = StateOut(client, bridge, TOPICS, None), TOPICS.of("active", "bed-8")
        until(
            lambda: other.bodies(topic),
            lambda: bridge.turn(0.02),
            lambda: state.turn(daemon=True),
        )
        assert json.loads(other.bodies(topic)[-1])["highest"] == "low"
        bridge.close()
        client.close()


# --- who is let in --------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with TLS, which knows one user."""
    if PROGRAM is None:
        pytest.skip("no mosquitto")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
    command += ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    users = tmp_path / "users"
    users.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", users, "bed", "s3cret"], check=True)
    broker = Mosquitto(
        tmp_path,
        *(f"certfile {certificate}", f"keyfile {key}"),
        *("allow_anonymous false", f"password_file {users}"),
    )
    broker.start()
    yield broker
    broker.kill()


def test_with_tls_and_a_password_it_is_let_in(guarded: Mosquitto, tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text("bed\ns3cret\n")
    login.chmod(0o600)
    tls = tls_context(True, tmp_path / "cert.pem", None, None)
    bridge = Broker(address(guarded, credentials=read_credentials(login), tls=tls))
    until(lambda: bridge.connected, lambda: bridge.turn(0.05))
    bridge.close()


def test_with_a_wrong_password_it_ends(guarded: Mosquitto, tmp_path: Path) -> None:
    tls = tls_context(True, tmp_path / "cert.pem", None, None)
    bridge = Broker(address(guarded, credentials=Credentials("bed", "guess"), tls=tls))
    with pytest.raises(StartError, match=r"refuses us: (Not authorized|Bad user name)"):
        until(lambda: bridge.connected, lambda: bridge.turn(0.05))


def test_a_broker_that_does_not_let_it_publish_ends_it(tmp_path: Path) -> None:
    if PROGRAM is None:
        pytest.skip("no mosquitto")
    rights = tmp_path / "rights"
    rights.write_text("topic write beatgan/v1/status\n")
    rights.chmod(0o600)
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"acl_file {rights}")
    broker.start()
    with AlertingDaemon(alerts(1)) as daemon, alerts_out(broker, daemon) as (bridge, out):
        with pytest.raises(StartError, match="does not let us publish alerts"):
            until(lambda: False, lambda: bridge.turn(0.05), out.turn)
        assert out._feed.count.delivered == 0
    broker.kill()


def test_a_broker_that_does_not_let_it_subscribe_ends_it(mosquitto: Mosquitto) -> None:
    """mosquitto's own rights let everybody subscribe; other brokers say so."""
    bridge = Broker(address(mosquitto), subscribe=(TOPICS.all("ecg"),))
    reason = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    bridge._on_subscribe(bridge._client, None, 1, [reason], None)
    with pytest.raises(StartError, match=r"subscribe to beatgan/v1/ecg/\+: Not authorized"):
        bridge.turn(0.0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a socket that paho leaves
def test_a_broker_that_proves_nothing_is_not_spoken_to(
    guarded: Mosquitto, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    bridge = Broker(address(guarded, tls=tls_context(True, None, None, None)))
    until(
        lambda: any("CERTIFICATE" in line.get("why", "") for line in logged()),
        lambda: bridge.turn(0.05),
    )
    assert not bridge.connected
    gc.collect()


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("bed\n", 0o600, "expected two lines"),
        ("\nx\n", 0o600, "expected two lines"),
        ("bed\nx\n", 0o644, "chmod 600"),
    ],
)
def test_a_login_that_is_none_is_refused(tmp_path: Path, text: str, mode: int, words: str) -> None:
    login = tmp_path / "login"
    login.write_text(text)
    login.chmod(mode)
    with pytest.raises((UsageError, StartError), match=words):
        read_credentials(login)


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(Address("h", 1, "x", Credentials("bed", "s3cret")))
