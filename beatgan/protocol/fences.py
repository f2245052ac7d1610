"""Of two daemons that both believe to have a bucket, one counts: the one with the higher fence.

For who hears or reads several shards. Alerts without a fence are of a daemon that shares nothing.
"""

from msgspec import UNSET

from beatgan.protocol.buckets import bucket_of
from beatgan.protocol.messages import AlertMessage


def order(alert: AlertMessage) -> tuple[int, int]:
    """Greater: the later of two alerts of one episode. Numbers of one fence are of one journal."""
    return (0 if alert.fence is UNSET else alert.fence, alert.n)


class Fences:
    """The fences that alerts bore; ``ignored``: how many alerts were not accepted."""

    def __init__(self) -> None:
        self.ignored = 0
        self._highest: dict[int, int] = {}  # by bucket
        self._begun: dict[str, dict[int, int]] = {}  # by stream and fence: raised_ns, the earliest

    def accepts(self, alert: AlertMessage) -> bool:
        """Whether an alert that is heard as it is told counts: none of its bucket that came before
        bore a higher fence."""
        return alert.fence is UNSET or self.admits(alert.stream, alert.fence)

    def admits(self, stream: str, fence: int) -> bool:
        """`accepts` of what an alert that bears a fence says."""
        bucket = bucket_of(stream)
        if fence < self._highest.get(bucket, 0):
            self.ignored += 1
            return False
        self._highest[bucket] = fence
        return True

    def accepts_journaled(self, alert: AlertMessage) -> bool:
        """Whether one that is read of a journal counts, however late: it was raised before anything
        new was told of its stream under a higher fence, by the same source's clock."""
        if alert.fence is UNSET:
            return True
        begun = self._begun.setdefault(alert.stream, {})
        if any(fence > alert.fence and at <= alert.raised_ns for fence, at in begun.items()):
            self.ignored += 1
            return False
        if not alert.repeat:  # one that is told again was raised under another fence
            begun[alert.fence] = min(begun.get(alert.fence, alert.raised_ns), alert.raised_ns)
        return True
