"""What a shard may be called: its name is that of a directory, and a label in Prometheus."""

import re

from beatgan.errors import UsageError

PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
TAKEN = ("map", "draining", "handover")  # in the directory that shards share


def shard_name(text: str) -> str:
    """``text``, if a shard may be called so; raises UsageError."""
    if not re.fullmatch(PATTERN, text):
        raise UsageError(f"shard {text!r}: expected letters, digits, _ and -, at most 63")
    if text in TAKEN:
        raise UsageError(f"shard {text!r}: the directory of shards has something of that name")
    return text
