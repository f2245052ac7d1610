"""A place among the alerts of several journals, the next number of each: ``a:12,b:7``."""

import re
from collections.abc import Mapping

from beatgan.errors import UsageError
from beatgan_daemon.shard_name import PATTERN

_PART = re.compile(rf"({PATTERN}):(\d{{1,18}})")


def parse_position(text: str) -> dict[str, int]:
    """The numbers by shard; "0" or nothing: the beginning of all. Raises UsageError."""
    found: dict[str, int] = {}
    for part in text.split(",") if text not in ("", "0") else ():
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"--since {text}: expected SHARD:NUMBER,SHARD:NUMBER...")
        if match[1] in found:
            raise UsageError(f"--since {text}: {match[1]} stands there twice")
        found[match[1]] = int(match[2])
    return found


def position_text(position: Mapping[str, int]) -> str:
    """What `parse_position` reads."""
    return ",".join(f"{shard}:{n}" for shard, n in sorted(position.items()))
