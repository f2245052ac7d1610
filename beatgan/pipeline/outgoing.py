"""What the engine hands out: messages, and since when they have been due."""

from dataclasses import dataclass, field
from typing import Self

from beatgan.protocol.messages import Message


@dataclass(slots=True)
class Outgoing:
    """Messages in their order, and when the last samples that they needed arrived.

    ``arrivals``, in monotonic s and no order: one for each beat's and alert's message that comes of
    samples. A beat's that nobody is subscribed to is no message, but arrived like any other.
    """

    messages: list[Message] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    def extend(self, later: Self) -> None:
        """All of that, too, behind what is here."""
        self.messages += later.messages
        self.arrivals += later.arrivals
