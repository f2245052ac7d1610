"""Alerts and, if asked for, beats: from a daemon to Kafka topics, as the JSON that it publishes."""

from time import monotonic
from typing import Final

from beatgan_daemon import log
from beatgan_daemon.bridges.alert_feed import AlertFeed, stream_of
from beatgan_daemon.bridges.backoff import Backoff
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.counts import AlertCount
from beatgan_daemon.bridges.kafka.producer import Delivery, KafkaProducer, is_refusal
from beatgan_daemon.bridges.kafka.topics import Topics
from beatgan_daemon.bridges.process import running

WAIT_S: Final = 0.02  # between looks at what is new
MAX_UNDER_WAY: Final = 10_000  # beats that the brokers have not acknowledged


class AlertsOut:
    """One alert at a time: the next when the brokers have acknowledged it."""

    def __init__(self, feed: AlertFeed, producer: KafkaProducer, topic: str) -> None:
        self._feed, self._producer, self._topic = feed, producer, topic
        self._delivery: Delivery | None = None
        self._again_at, self._backoff = 0.0, Backoff()
        self._log = log.Rejections(log.get(), event="alert not taken")

    def turn(self) -> None:
        """One step."""
        alert = self._feed.wait(0.0)
        if alert is None or monotonic() < self._again_at:
            return
        if self._delivery is None:
            stream = stream_of(alert.body)
            headers = {"n": str(alert.n)}
            self._delivery = self._producer.send(self._topic, stream, alert.body, headers)
        if not self._delivery.over:
            return
        error, self._delivery = self._delivery.error, None
        if error is not None and not is_refusal(error):
            self._log.add(error.name(), error.str(), monotonic())
            self._again_at = monotonic() + self._backoff.failed()
            return
        if error is not None:
            log.get().error("alert refused", n=alert.n, why=error.str())
        self._backoff.succeeded()
        self._feed.done(refused=error is not None)


class BeatsOut:
    """Beats as they come; those that the brokers do not take count as missed."""

    def __init__(
        self, beats: BeatFeed, count: AlertCount, producer: KafkaProducer, topic: str
    ) -> None:
        self._beats, self._count = beats, count
        self._producer, self._topic = producer, topic
        self._under_way: list[Delivery] = []

    def turn(self) -> None:
        """One step. While too many are under way none is taken: the daemon drops what waits, and
        their numbers tell."""
        over = [each for each in self._under_way if each.over]
        self._count.beats_missed += sum(each.error is not None for each in over)
        self._under_way = [each for each in self._under_way if not each.over]
        if len(self._under_way) >= MAX_UNDER_WAY:
            return
        for beat in self._beats.wait(0.0):
            headers = {"n": str(beat.n), "epoch": str(beat.epoch)}
            try:
                self._under_way.append(
                    self._producer.send(self._topic, beat.stream, beat.body, headers)
                )
            except BufferError:
                self._count.beats_missed += 1

    def close(self) -> None:
        """End, and count what never arrived."""
        self._beats.close()
        self._count.beats_missed += sum(
            not each.over or each.error is not None for each in self._under_way
        )


def run(feed: AlertFeed, beats: BeatFeed | None, producer: KafkaProducer, topics: Topics) -> None:
    """Until a signal to stop."""
    alerts = AlertsOut(feed, producer, topics.alert)
    beats_out = None if beats is None else BeatsOut(beats, feed.count, producer, topics.beat)

    def close() -> None:
        producer.close()
        alerts.turn()  # one that has just been acknowledged
        if beats_out is not None:
            beats_out.close()
        feed.close()

    with running("kafka out", feed.count, close) as bridge:
        bridge.ready("waiting for the brokers")
        while not bridge.stopping():
            alerts.turn()
            if beats_out is not None:
                beats_out.turn()
            producer.wait(WAIT_S)
            feed.count.peer_reconnects = producer.connection.reconnects
            bridge.turn("the brokers are away" if producer.connection.away else "connected")
