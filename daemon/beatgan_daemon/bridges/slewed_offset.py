"""The difference of two clocks, measured now and then, each time a little wrong.

It follows the measurements slowly, so that times made with it neither jump nor stand still; where a
clock was set, it jumps with it.
"""

SLEW = 0.001  # seconds a second: a hundred times the drift of a bad quartz
STEP_S = 0.5  # a difference beyond which a clock was set


class SlewedOffset:
    """All in seconds; ``now`` never goes back."""

    def __init__(self, offset: float, now: float) -> None:
        self.target = offset
        self._offset, self._at = offset, now

    def measure(self, offset: float, now: float) -> bool:
        """Follow a new measurement; whether it was a step."""
        self.at(now)
        self.target = offset
        stepped = abs(offset - self._offset) > STEP_S
        if stepped:
            self._offset = offset
        return stepped

    def at(self, now: float) -> float:
        """The offset to be used now."""
        most = SLEW * max(0.0, now - self._at)
        self._offset += min(most, max(-most, self.target - self._offset))
        self._at = max(now, self._at)
        return self._offset
