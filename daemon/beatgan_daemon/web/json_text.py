"""JSON for a browser, whose numbers are exact up to 2^53: larger ones become strings."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def for_browser(value: Any) -> Any:
    """``value`` with every `epoch` and `*_ns` as a string."""
    if isinstance(value, dict):
        return {
            key: str(each) if isinstance(each, int) and _is_long(key) else for_browser(each)
            for key, each in value.items()
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):  # curves are long
        return [*map(for_browser, value)]
    return value


def _is_long(key: str) -> bool:
    return key == "epoch" or key.endswith("_ns")


def text(value: Any) -> str:
    """As JSON on one line."""
    return _encode(value).decode()
