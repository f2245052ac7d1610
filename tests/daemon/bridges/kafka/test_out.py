"""Alerts and beats of a daemon to a broker: each alert once and in order, whatever is cut."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from msgspec.structs import replace

from beatgan.protocol.messages import encode_json
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.kafka.alerts_out import AlertsOut, BeatsOut
from beatgan_daemon.bridges.kafka.client_settings import PRODUCER
from beatgan_daemon.bridges.kafka.producer import KafkaProducer
from beatgan_daemon.bridges.position_file import PositionFile
from benchmarks.robustness.bridges.kafka_brokers import KafkaBrokers
from tests.support.alerting_daemon import AlertingDaemon, alerts
from tests.support.messages import beat_message

ALERTS, BEATS = "beatgan.v1.alert", "beatgan.v1.beat"
PATIENCE_S = 20.0


class Bridge:
    """What the command's loop is made of."""

    def __init__(
        self, daemon: AlertingDaemon, brokers: KafkaBrokers, directory: Path | None, most: int
    ) -> None:
        self.feed = AlertFeed(daemon.publish, daemon.control, PositionFile(directory), since=0)
        known = {**PRODUCER, "bootstrap.servers": brokers.address, "message.max.bytes": most}
        self.producer = KafkaProducer(known)
        self.out = AlertsOut(self.feed, self.producer, ALERTS)
        self.beats = BeatsOut(
            BeatFeed(daemon.publish, self.feed.count), self.feed.count, self.producer, BEATS
        )

    def until(self, enough: Callable[[], bool]) -> bool:
        end = monotonic() + PATIENCE_S
        while not enough() and monotonic() < end:
            self.out.turn()
            self.beats.turn()
            self.producer.wait(0.01)
        return enough()

    def delivered(self, count: int) -> bool:
        return self.until(lambda: self.feed.count.delivered == count)


@contextmanager
def bridge(
    daemon: AlertingDaemon,
    brokers: KafkaBrokers,
    directory: Path | None = None,
    most: int = 1_000_000,
) -> Iterator[Bridge]:
    made = Bridge(daemon, brokers, directory, most)
    try:
        yield made
    finally:
        made.producer.close()
        made.beats.close()
        made.feed.close()


@contextmanager
def brokers(*, partitions: int = 1) -> Iterator[KafkaBrokers]:
    with KafkaBrokers(ALERTS, BEATS, partitions=partitions) as found:
        yield found


def values(messages: list[Any]) -> list[bytes]:
    return [message.value() for message in messages]


def test_the_journal_then_live() -> None:
    old, new = alerts(3), alerts(2, 3, "bed-8")
    with AlertingDaemon(old) as daemon, brokers() as kafka, bridge(daemon, kafka) as made:
        assert made.delivered(3)
        for message in new:
            daemon.alert(message)
        assert made.delivered(5)
        assert made.feed.count.exact
        found = kafka.read(ALERTS, 5)
    assert values(found) == [encode_json(each) for each in [*old, *new]]
    assert [each.key() for each in found] == [b"bed-7"] * 3 + [b"bed-8"] * 2
    assert found[3].headers() == [("n", b"3")]


def test_a_stream_stays_in_one_partition() -> None:
    streams = [f"bed-{number}" for number in range(8)]
    told = [alerts(1, n, streams[n % 8])[0] for n in range(32)]
    with AlertingDaemon(told) as daemon, brokers(partitions=3) as kafka:
        with bridge(daemon, kafka) as made:
            assert made.delivered(32)
        found = kafka.read(ALERTS, 32)
    places = {(each.key(), each.partition()) for each in found}
    assert len(places) == 8
    assert len({partition for _, partition in places}) > 1


def test_brokers_that_are_cut_off_twice() -> None:
    told = alerts(9)
    with AlertingDaemon() as daemon, brokers() as kafka, bridge(daemon, kafka) as made:
        for cut in (0, 1, 2):
            if cut:
                kafka.cut_off()
                assert made.until(lambda: made.producer.connection.away)
            for message in told[3 * cut : 3 * cut + 3]:
                daemon.alert(message)
            if cut:
                assert made.until(lambda: made.feed.count.waiting == 3)
                kafka.back()
            assert made.delivered(3 * cut + 3)
        assert made.producer.connection.reconnects == 2
        assert values(kafka.read(ALERTS, 9)) == [encode_json(each) for each in told]


def test_the_first_connection_is_no_reconnect() -> None:
    with AlertingDaemon(alerts(1)) as daemon, brokers() as kafka:
        kafka.cut_off()
        with bridge(daemon, kafka) as made:
            assert made.until(lambda: made.producer.connection.away)
            kafka.back()
            assert made.delivered(1)
            assert (made.producer.connection.away, made.producer.connection.reconnects) == (
                False,
                0,
            )


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    told = alerts(5)
    with AlertingDaemon(told) as daemon, brokers() as kafka:
        with bridge(daemon, kafka, tmp_path) as made:
            assert made.until(lambda: made.feed.count.delivered >= 2)
        with bridge(daemon, kafka, tmp_path) as again:
            left = 5 - made.feed.count.delivered
            assert again.delivered(left)
        assert values(kafka.read(ALERTS, 5)) == [encode_json(each) for each in told]


def test_an_alert_that_is_too_large_for_kafka_is_refused_and_holds_up_none() -> None:
    small, large = alerts(2), replace(alerts(1, 2)[0], text="x" * 20_000)
    with AlertingDaemon([*small, large, *alerts(1, 3)]) as daemon, brokers() as kafka:
        with bridge(daemon, kafka, most=2_000) as made:
            assert made.delivered(3)
            assert made.feed.count.refused == 1
            assert made.feed.count.exact
        assert len(kafka.read(ALERTS, 3)) == 3


def test_beats_go_out_as_they_come_and_holes_are_counted() -> None:
    lines = [encode_json(beat_message(n)) for n in (0, 1, 2, 5)]
    with AlertingDaemon() as daemon, brokers() as kafka, bridge(daemon, kafka) as made:

        def heard() -> bool:
            daemon.send("batch.beat", lines[0] + b"\n")
            return made.feed.count.beats > 0

        assert made.until(heard)
        daemon.send("batch.beat", b"\n".join(lines[1:]) + b"\n")
        assert made.until(lambda: made.feed.count.beats_missed == 2)
        found = kafka.read(BEATS, made.feed.count.beats)
        assert list(dict.fromkeys(values(found))) == lines
    assert found[0].headers() == [("n", b"0"), ("epoch", b"1")]


@pytest.mark.parametrize("direction", ["in", "out"])
def test_the_commands_themselves(direction: str, tmp_path: Path) -> None:
    with AlertingDaemon(alerts(3)) as daemon, brokers() as kafka:
        words = ["--brokers", kafka.address]
        if direction == "out":
            words += ["--publish", daemon.publish, "--control", daemon.control, "--since", "0"]
            words += ["--state", str(tmp_path)]
        process = subprocess.Popen(
            [sys.executable, "-m", "beatgan_daemon.bridges", "kafka", direction, *words],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert len(kafka.read(ALERTS, 3)) == (3 if direction == "out" else 0)
            sleep(0.5)
        finally:
            process.terminate()
            said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0
    count = "3 alerts = 3 delivered" if direction == "out" else "0 samples of 0 stream(s) = 0 sent"
    assert count in said
    assert "rdkafka" not in said
