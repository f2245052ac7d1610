"""The episodes under way and what was said lately, of all journals together."""

from collections.abc import Callable
from math import inf
from typing import Any, Final

from beatgan.protocol.fences import Fences
from beatgan_daemon.web.json_text import for_browser, text
from beatgan_daemon.web.recent import Recent

RECENT: Final = 1_000  # alerts that a slow reader may be behind
HEAVY: Final = ("explanation", "strip", "components", "probabilities", "beats", "delay_ms")

Alert = dict[str, Any]


class AlarmBoard:
    """Alerts by episode. Each alert's shard, "" where nothing is shared, stands with its number.

    ``recent``: as JSON for the page; ``version`` counts changes of ``active``.
    """

    def __init__(self, told: Callable[[Alert], None] = lambda _: None) -> None:
        """``told`` is called with each new alert."""
        self._told, self._fences = told, Fences()
        self.recent: Recent[str] = Recent(RECENT)
        self.version = 0
        self._active: dict[str, Alert] = {}
        self._shards: dict[str, str] = {}  # who told of each episode last

    @property
    def active(self) -> list[Alert]:
        """The last alert of each episode under way, without its curves."""
        return [*self._active.values()]

    @property
    def ignored(self) -> int:
        """Alerts that were not taken for their fence."""
        return self._fences.ignored

    def say(self, shard: str, alert: Alert) -> None:
        """A new alert."""
        before = self._active.get(alert["id"], {})
        if not self.hold(shard, alert):
            return
        if not alert.get("repeat"):
            self._told(alert)
        self.recent.add(text({"t": "alert", **with_shard(for_browser(alert), shard)}))
        if alert.get("acknowledged") and not before.get("acknowledged"):
            word = {"t": "acknowledged", "id": alert["id"], "by": alert.get("by")}
            self.recent.add(text(word))

    def hold(self, shard: str, alert: Alert) -> bool:
        """The episode stands as this alert says, unless a later one is known; whether the alert
        counts by its fence."""
        if "fence" in alert and not self._fences.admits(alert["stream"], alert["fence"]):
            return False
        episode = alert["id"]
        if order(alert) < order(self._active.get(episode, {})):
            return True
        self.version += 1
        if alert["phase"] == "end":
            self._active.pop(episode, None)
            self._shards.pop(episode, None)
            return True
        light = {key: each for key, each in alert.items() if key not in HEAVY}
        self._active[episode] = with_shard(for_browser(light), shard)
        self._shards[episode] = shard
        return True

    def keep(self, shard: str, under_way: set[str], before: float = inf) -> None:
        """Of the episodes that this shard told of last, ``under_way`` are; others of a number less
        than ``before`` are over."""
        for episode in [each for each, by in self._shards.items() if by == shard]:
            if episode not in under_way and self._active[episode]["n"] < before:
                del self._active[episode], self._shards[episode]
        self.version += 1


def order(alert: Alert) -> tuple[int, int]:
    """See `fences.order`; less than any for no alert."""
    return alert.get("fence", 0), alert.get("n", -1)


def with_shard(alert: Alert, shard: str) -> Alert:
    """The alert with its shard's name, if there is one."""
    return {**alert, "shard": shard} if shard else alert
