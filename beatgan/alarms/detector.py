"""What a judge of alarms is, stated once: a pure fold from evidence to turns.

One judge serves one stream and one family of alarms. policy.py numbers the episodes, holds some of
them back and makes alerts.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from beatgan.alarms.limits import AlarmLimits
from beatgan.types import Evidence, Phase, Priority, Turn


class Judge(Protocol):
    """Says when an episode begins, has more to tell and is over.

    Laws: the same evidence gives the same turns; ``state`` is all that it remembers, so that
    another judge given it goes on where this one was; ``limits`` may be replaced at any time.
    """

    state: Any  # a msgspec.Struct of each judge's own, which a checkpoint can encode
    limits: AlarmLimits

    def push(self, event: Evidence) -> Sequence[Turn]:
        """What is to be told after ``event``; events come in the order they became known."""

    def close(self, sample: int) -> Sequence[Turn]:
        """The stream ends at ``sample``: so does every episode under way."""


def turn(code: str, priority: Priority, phase: Phase, onset: int, at: int, known_at: int) -> Turn:
    """A word about an episode that no beats belong to."""
    end = at if phase is Phase.END else None
    return Turn(code, phase, priority, onset, at, known_at, end)
