"""Which topics send far too much while others wait, and are held to a rate until that is over.

By topic as received: a flood need not be made of valid frames. All topics that are no stream's,
malformed or random ones, share one token bucket. Knows no queue and no socket. No clock: the
time (monotonic seconds) comes in.
"""

from collections.abc import Collection, Mapping
from typing import Final

MAX_LIMITED = 1024  # topics limited at a time: of more, those that send most
BURST_S = 0.1  # of the rate: a token bucket's size
RELEASE_S = 5.0  # without a frame too many: no longer limited
FAST_S = 10.0  # a topic that sent much is expected to go on for so long
LOAD_UNIT_BYTES: Final = 4096  # bytes: a longer frame counts as several
UNKNOWN_TOPICS: Final = b""  # stands for all that are no stream's; no real topic is empty


def load(parts: list[bytes]) -> int:
    """A frame's load, in frames of usual size."""
    return 1 + sum(map(len, parts)) // LOAD_UNIT_BYTES


class TokenBucket:
    """A token bucket, empty at first: the frames that wait already are too many.

    It may go into debt for one frame, so that a large one passes at all.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._most = rate, BURST_S * rate
        self._left, self._filled = 0.0, now
        self.exceeded = now  # when it was last empty

    def take(self, amount: int, now: float) -> bool:
        """Whether there is something left; then ``amount`` is taken."""
        passed = max(0.0, now - self._filled)  # frames may have arrived before the bucket was made
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
        self.limited: dict[bytes, TokenBucket] = {}

    def measure(
        self, waiting: Mapping[bytes, int], seconds: float, known: Collection[bytes], now: float
    ) -> None:
        """Find the fast topics: the load of ``waiting``, by topic, arrived within ``seconds``."""
        self._known = known
        loads = dict.fromkeys([UNKNOWN_TOPICS], 0)
        for topic, amount in waiting.items():
            who = self._who(topic)
            loads[who] = loads.get(who, 0) + amount
        self._fast = {who: until for who, until in self._fast.items() if until > now}
        for who, amount in sorted(loads.items(), key=lambda item: -item[1])[:MAX_LIMITED]:
            if amount > self.rate * seconds:
                self._fast[who] = now + FAST_S

    def sends_fast(self, topic: bytes) -> bool:
        """Whether ``topic`` sends more than it may while others wait."""
        return self._who(topic) in self._fast

    def limit_fast(self, now: float) -> list[bytes]:
        """Limit the fast topics; those that were not limited before."""
        new = [who for who in self._fast if who not in self.limited][
            : MAX_LIMITED - len(self.limited)
        ]
        self.limited.update((who, TokenBucket(self.rate, now)) for who in new)
        return new

    def admits(self, parts: list[bytes], now: float) -> bool:
        """Whether a frame that arrived ``now`` may be read."""
        bucket = self.limited.get(self._who(parts[0]))
        return bucket is None or bucket.take(load(parts), now)

    def release_slow(self, known: Collection[bytes], now: float) -> list[bytes]:
        """No longer limit topics that are slow by now; which ones. ``known``: see `measure`."""
        self._known = known
        slow = [who for who, each in self.limited.items() if now - each.exceeded >= RELEASE_S]
        for who in slow:
            del self.limited[who]
        return slow

    def _who(self, topic: bytes) -> bytes:
        return topic if topic in self._known else UNKNOWN_TOPICS
