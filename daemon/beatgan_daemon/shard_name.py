"""What a shard may be called: its name is that of a directory, and a label in Prometheus."""

import re

from beatgan.errors import UsageError

PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"


def shard_name(text: str) -> str:
    """``text``, if a shard may be called so; raises UsageError."""
    if not re.fullmatch(PATTERN, text):
        raise UsageError(f"shard {text!r}: expected letters, digits, _ and -, at most 63")
    return text
