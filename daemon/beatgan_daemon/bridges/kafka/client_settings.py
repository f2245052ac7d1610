"""What the Kafka library is told: where the brokers are, and what a file adds, such as a login.

The file has librdkafka's own properties, `name=value` a line, as its users know them; secrets are
nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from beatgan.errors import UsageError
from beatgan_daemon.bridges.peer_address import host_and_port, is_local
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import read_text
from beatgan_daemon.security.private_file import refuse_readable

PORT: Final = 9092
# What this bridge's promises stand on is not the file's to say.
CONSUMER: Final[Mapping[str, Any]] = {
    "enable.auto.commit": True,  # of what was stored, which only happens when it was handed over
    "enable.auto.offset.store": False,
    "auto.commit.interval.ms": 1_000,
    "enable.partition.eof": False,
}
BESIDE_A_SHARD: Final[Mapping[str, Any]] = {
    "partition.assignment.strategy": "cooperative-sticky",  # only the partitions that move stop
}
UNLESS_GIVEN_BESIDE_A_SHARD: Final[Mapping[str, Any]] = {
    "session.timeout.ms": 10_000,  # the patients of a machine that dies wait for no longer
}
PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,  # once and in order, whatever the connection does
    "acks": "all",
    "message.timeout.ms": 0,  # never given up
    "linger.ms": 0,
    "partitioner": "murmur2_random",  # as Java's: a stream is in the partition that others expect
}
_OURS: Final = {
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "auto.offset.reset",
    "statistics.interval.ms",
    *CONSUMER,
    *BESIDE_A_SHARD,
    *PRODUCER,
}


def client_settings(brokers: str, file: Path | None, *, in_the_clear: bool) -> dict[str, Any]:
    """What both directions have in common.

    Raises StartError where others may read the file, and UsageError where a line is none, or where
    another machine would be spoken to unencrypted and that is not what is wanted.
    """
    settings: dict[str, Any] = {} if file is None else _read(file)
    hosts = [host_and_port("--brokers", each.strip(), PORT)[0] for each in brokers.split(",")]
    plain = str(settings.get("security.protocol", "plaintext")).lower() not in ("ssl", "sasl_ssl")
    if plain and not in_the_clear and not all(map(is_local, hosts)):
        raise UsageError(
            f"--brokers {brokers}: what is sent would go to another machine unencrypted; let "
            "--config say security.protocol=SSL, or SASL_SSL, or give --in-the-clear where that "
            "network is yours alone"
        )
    return {"reconnect.backoff.max.ms": 2_000, **settings, "bootstrap.servers": brokers}


def _read(path: Path) -> dict[str, Any]:
    refuse_readable(path)
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path}: it is no text in UTF-8") from None
    settings: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(f"{path}: line {number}: expected name=value")
        if name in _OURS:
            raise UsageError(f"{path}: line {number}: {name} is not the file's to say")
        settings[name] = value
    return settings
