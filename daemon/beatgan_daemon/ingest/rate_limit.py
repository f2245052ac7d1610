"""Who sends absurdly much while others wait, and is held to a rate until that is over.

By topic, as it came: a flood need not be made of valid frames. Topics that are no stream's, the
malformed and the random ones, share one allowance. Knows no queue and no socket. No clock: the
time (monotonic seconds) comes in.
"""

from collections.abc import Collection, Mapping
from typing import Final

MOST_HELD = 1024  # topics at a time; of more, those that send most
BURST_S = 0.1  # of its rate, that may come at once
QUIET_S = 5.0  # without a frame too many: no longer held
FAST_S = 10.0  # a topic that sent much is expected to go on for so long
UNIT: Final = 4096  # bytes: a longer frame counts as several
UNKNOWN_TOPICS: Final = (
    b""  # stands for all topics that are no stream's; no frame's topic is so short
)


def load(parts: list[bytes]) -> int:
    """How much a frame is, in frames of usual size."""
    return 1 + sum(map(len, parts)) // UNIT


class TokenBucket:
    """A token bucket, empty at first: what waits already has waited too long.

    It may go into debt for one frame, so that a large one passes at all.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._most = rate, BURST_S * rate
        self._left, self._filled = 0.0, now
        self.exceeded = now  # when it last did not suffice

    def take(self, amount: int, now: float) -> bool:
        """Whether there is something left; then ``amount`` is taken."""
        passed = max(0.0, now - self._filled)  # what had waited came before it was held
        self._left = min(self._most, self._left + self._rate * passed)
        self._filled += passed
        if self._left <= 0:
            self.exceeded = max(self.exceeded, now)
            return False
        self._left -= amount
        return True


class StreamRateLimiter:
    """Topics that are held to ``rate`` frames a second each."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._known: Collection[bytes] = ()  # the topics of streams
        self._fast: dict[bytes, float] = {}  # topics that sent much, and until when that counts
        self.held: dict[bytes, TokenBucket] = {}

    def look(
        self, waiting: Mapping[bytes, int], seconds: float, known: Collection[bytes], now: float
    ) -> None:
        """Find out who is fast: what ``waiting`` holds, by topic, came within ``seconds``."""
        self._known = known
        loads = dict.fromkeys([UNKNOWN_TOPICS], 0)
        for topic, amount in waiting.items():
            who = self._who(topic)
            loads[who] = loads.get(who, 0) + amount
        self._fast = {who: until for who, until in self._fast.items() if until > now}
        for who, amount in sorted(loads.items(), key=lambda item: -item[1])[:MOST_HELD]:
            if amount > self.rate * seconds:
                self._fast[who] = now + FAST_S

    def fast(self, topic: bytes) -> bool:
        """Whether ``topic`` sends more than it may while others wait."""
        return self._who(topic) in self._fast

    def hold(self, now: float) -> list[bytes]:
        """Hold those to their rate who are fast; whom that is news to."""
        new = [who for who in self._fast if who not in self.held][: MOST_HELD - len(self.held)]
        self.held.update((who, TokenBucket(self.rate, now)) for who in new)
        return new

    def passes(self, parts: list[bytes], now: float) -> bool:
        """Whether a frame that came ``now`` is to be read."""
        allowance = self.held.get(self._who(parts[0]))
        return allowance is None or allowance.take(load(parts), now)

    def release(self, known: Collection[bytes], now: float) -> list[bytes]:
        """Let go of those who have been quiet; who that is. ``known`` as for `look`."""
        self._known = known
        quiet = [who for who, each in self.held.items() if now - each.exceeded >= QUIET_S]
        for who in quiet:
            del self.held[who]
        return quiet

    def _who(self, topic: bytes) -> bytes:
        return topic if topic in self._known else UNKNOWN_TOPICS
