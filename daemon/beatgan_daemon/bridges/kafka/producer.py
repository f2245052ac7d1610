"""Messages to Kafka topics, each acknowledged by the brokers.

One thread. Knows Kafka, and nothing of alerts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from beatgan.errors import UsageError
from beatgan_daemon.bridges.kafka.connection import Connection
from beatgan_daemon.bridges.kafka.library_log import library_log
from beatgan_daemon.extras import needing

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

END_S: Final = 2.0  # for what is under way at the end


class Delivery:
    """One message under way: ``over`` once the brokers have it or, says ``error``, refuse it."""

    def __init__(self) -> None:
        self.over = False
        self.error: KafkaError | None = None


class KafkaProducer:
    """Each message is delivered once and in order, as long as this process lives."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises UsageError where a setting is none of the library's."""
        with needing("kafka"):
            from confluent_kafka import KafkaException, Producer
        self._failure = KafkaException
        self.connection = Connection()
        try:
            self._producer = Producer(
                {**settings, **self.connection.settings()}, logger=library_log()
            )
        except KafkaException as error:
            raise UsageError(f"kafka: {error.args[0].str()}") from None

    def send(self, topic: str, key: str, body: bytes, headers: Mapping[str, str]) -> Delivery:
        """Begin to deliver a message. Raises BufferError where too many are under way."""
        delivery = Delivery()

        def told(error: "KafkaError | None", _: "Message") -> None:
            delivery.over, delivery.error = True, error
            if error is None:
                self.connection.found()

        pairs: list[tuple[str, str | bytes | None]] = [*headers.items()]
        try:
            self._producer.produce(topic, body, key.encode(), on_delivery=told, headers=pairs)
        except self._failure as error:  # larger than the library sends
            delivery.over, delivery.error = True, error.args[0]
        return delivery

    def wait(self, seconds: float) -> None:
        """Hear what became of messages, for at most so long."""
        self._producer.poll(seconds)

    def close(self) -> None:
        """Wait a little for what is under way."""
        self._producer.flush(END_S)


def is_refusal(error: "KafkaError") -> bool:
    """Whether the message will never be taken, whatever is tried."""
    from confluent_kafka import KafkaError

    never = KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE
    return error.code() in (*never, KafkaError.INVALID_RECORD)
