"""librdkafka's mock cluster: one broker on a real TCP port that can go away and come back.

`test.mock.num.brokers` makes the same, but cannot take a broker down, so the library's own
functions are called.
"""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

PATIENCE_S = 15.0
WAIT_S = 3.0  # for one more message
_BROKER = 1


def _library() -> ctypes.CDLL:
    folder = Path(str(confluent_kafka.__file__)).parent.parent / "confluent_kafka.libs"
    (path,) = folder.glob("librdkafka-*.so*")
    library = ctypes.CDLL(str(path))
    pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: Mapping[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_new": (pointer, [integer, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_set_log_level": (None, [pointer, integer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, integer]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (integer, [pointer, text, integer, integer]),
        "rd_kafka_mock_broker_set_down": (integer, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (integer, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class KafkaBrokers:
    """Used as a context; ``address`` is for `--brokers`."""

    def __init__(self, *topics: str, partitions: int = 3) -> None:
        self._library = _library()
        why = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        self._handle = self._library.rd_kafka_new(0, settings, why, 512)
        assert self._handle, why.value
        self._library.rd_kafka_set_log_level(self._handle, 0)
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._handle, 1)
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 50)
        for topic in topics:
            name = topic.encode()
            assert not self._library.rd_kafka_mock_topic_create(self._cluster, name, partitions, 1)
        self.address = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def cut_off(self) -> None:
        """Close every connection, and take no new one."""
        assert not self._library.rd_kafka_mock_broker_set_down(self._cluster, _BROKER)

    def back(self) -> None:
        """Be there again, with all that was there before."""
        assert not self._library.rd_kafka_mock_broker_set_up(self._cluster, _BROKER)

    def put(self, topic: str, messages: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        """Put these keys and values there."""
        producer = Producer({"bootstrap.servers": self.address, "log_level": 0})
        for key, value in messages:
            producer.produce(topic, value, key)
        assert producer.flush(PATIENCE_S) == 0

    def read(self, topic: str, count: int) -> list[Any]:
        """So many messages of a topic from its beginning; fewer where there are no more."""
        settings = {"bootstrap.servers": self.address, "group.id": "reader", "log_level": 0}
        consumer = Consumer({**settings, "enable.auto.commit": False})
        partitions = consumer.list_topics(topic, PATIENCE_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
        found: list[Any] = []
        try:
            while len(found) < count:
                message = consumer.poll(WAIT_S)
                if message is None:
                    break
                if message.error() is None:
                    found.append(message)
            return found
        finally:
            consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)
