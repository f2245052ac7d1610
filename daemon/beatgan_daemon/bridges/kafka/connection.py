"""Whether a broker can be reached: a failure the library tells at once, success each second."""

from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from beatgan_daemon import log

if TYPE_CHECKING:
    from confluent_kafka import KafkaError


class _Broker(msgspec.Struct):
    state: str = ""


class _Statistics(msgspec.Struct):
    brokers: Mapping[str, _Broker] = {}


_decode = msgspec.json.Decoder(_Statistics).decode


class Connection:
    """To be told what the library tells; ``away``: no broker can be reached."""

    def __init__(self) -> None:
        self.away, self.reconnects = False, 0
        self._found = False  # a broker, at any time
        self._errors = log.Rejections(log.get(), event="kafka")

    def settings(self) -> dict[str, Any]:
        """For the library, so that it does."""
        return {
            "error_cb": self.failed,
            "stats_cb": self._told,
            "statistics.interval.ms": 1_000,
        }

    def failed(self, error: "KafkaError") -> None:
        """Log it. Raises KafkaException where the library cannot go on."""
        from confluent_kafka import KafkaError, KafkaException

        if error.fatal():
            raise KafkaException(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.away = True
        self._errors.add(error.name(), error.str(), monotonic())

    def _told(self, statistics: str) -> None:
        if any(broker.state == "UP" for broker in _decode(statistics).brokers.values()):
            self.found()

    def found(self) -> None:
        """A broker was reached."""
        self.reconnects += self._found and self.away
        self._found, self.away = True, False
