"""librdkafka's mock broker, taken down and up again; two devices and a taker of alerts.

The devices' producer keeps what it cannot send, as Kafka's do, so nothing is missing at the end.
"""

from pathlib import Path
from threading import Event, Thread
from time import time_ns

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk, Floats
from beatgan_daemon.bridges.frame_body import frame_body
from beatgan_daemon.bridges.kafka.topics import PREFIX, topics
from benchmarks.robustness.bridges.counterpart import FS, LEAD
from benchmarks.robustness.bridges.kafka_brokers import KafkaBrokers

TOPICS = topics(PREFIX)
PARTITIONS = 3
END_S = 5.0


class Peer:
    """See `counterpart.Counterpart`."""

    streams = ("bed-1", "bed-2")
    cuts_bridge_out = False

    def __init__(self, _: Path) -> None:
        self._brokers = KafkaBrokers(TOPICS.ecg, TOPICS.alert, partitions=PARTITIONS)
        where = ("--brokers", self._brokers.address)
        self.bridge_in = ("kafka", "in", *where, "--from-beginning")
        self.bridge_out = ("kafka", "out", *where)
        common = {"bootstrap.servers": self._brokers.address, "log_level": 0}
        self._producer = Producer({**common, "message.timeout.ms": 0, "enable.idempotence": True})
        self._consumer = Consumer({**common, "group.id": "taker", "enable.auto.commit": False})
        self._epoch, self._over = time_ns(), Event()
        self._found: list[tuple[int, bytes]] = []
        self._taker = Thread(target=self._take, daemon=True)

    def start(self) -> None:
        """See `counterpart.Counterpart`."""
        partitions = range(PARTITIONS)
        self._consumer.assign(
            [TopicPartition(TOPICS.alert, p, OFFSET_BEGINNING) for p in partitions]
        )
        self._taker.start()

    def _take(self) -> None:
        while not self._over.is_set():
            message = self._consumer.poll(0.2)
            if message is not None and message.error() is None:
                headers = dict(message.headers() or [])
                self._found.append((int(headers["n"] or b""), bytes(message.value() or b"")))

    def send(self, stream: str, first: int, samples: Floats) -> None:
        """See `counterpart.Counterpart`."""
        time = self._epoch + round(first / FS * 1e9)
        chunk = Chunk("_", self._epoch, 0, first, time, FS, (LEAD,), samples[:, None])
        self._producer.produce(TOPICS.ecg, frame_body(encode_frame(chunk)), stream.encode())
        self._producer.poll(0)

    def cut(self) -> None:
        """See `counterpart.Counterpart`."""
        self._brokers.cut_off()

    def back(self) -> None:
        """See `counterpart.Counterpart`."""
        self._brokers.back()

    def alerts(self) -> list[bytes]:
        """See `counterpart.Counterpart`: by their number, as partitions have no common order."""
        return [body for _, body in sorted(self._found, key=lambda each: each[0])]

    def form(self, alert: bytes) -> bytes:
        """See `counterpart.Counterpart`."""
        return alert

    def close(self) -> None:
        """See `counterpart.Counterpart`."""
        self._over.set()
        self._taker.join()
        self._consumer.close()
        self._producer.flush(END_S)
        self._brokers.__exit__()
