"""Topics at the brokers. They are an interface: a changed one breaks whoever reads it."""

import re
from typing import Final, NamedTuple

from beatgan.errors import UsageError

PREFIX: Final = "beatgan.v1"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


class Topics(NamedTuple):
    """The key of each message is its stream's name."""

    ecg: str
    alert: str
    beat: str


def topics(prefix: str) -> Topics:
    """Those below a prefix. Raises UsageError where Kafka has no such names."""
    if _NAME.fullmatch(prefix) is None:
        raise UsageError(f"--topic {prefix}: expected letters, digits, . _ -, such as {PREFIX}")
    return Topics(f"{prefix}.ecg", f"{prefix}.alert", f"{prefix}.beat")
