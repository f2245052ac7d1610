"""Which of several alarms comes first, and the signs of their priorities."""

from collections.abc import Mapping

from beatgan.protocol.messages import AlertMessage

RANKS: Mapping[str, int] = {"low": 1, "medium": 2, "high": 3}
SIGNS: Mapping[str, str] = {"high": "***", "medium": "**", "low": "*"}
STYLES: Mapping[str, str] = {"high": "bold white on red", "medium": "bold yellow", "low": "cyan"}


def rank(alert: AlertMessage) -> int:
    """1 low, 2 medium, 3 high; 0 a priority that this version does not know."""
    return RANKS.get(alert.priority, 0)


def urgency(alert: AlertMessage) -> tuple[bool, int, int]:
    """Greater: to be shown first. What nobody has seen, then by priority, then the latest."""
    return not alert.acknowledged, rank(alert), alert.raised_ns
