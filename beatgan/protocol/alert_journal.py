"""What control requests read the alerts from, whatever keeps them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class JournalEntry(NamedTuple):
    """One alert message: its number, episode, stream, phase, and its JSON as published."""

    n: int
    id: str
    stream: str
    phase: str
    body: bytes

    @property
    def ends_episode(self) -> bool:
        """Whether its episode ends with it."""
        return self.phase == "end"


class AlertJournal(Protocol):
    """Where the alerts are read from."""

    next_n: int

    @property
    def oldest(self) -> int:
        """The number of the oldest alert in it."""

    def since(self, n: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and JSON of at most ``limit`` alerts from number ``n`` on, in order.

        Raises JournalUnavailableError.
        """

    def active(self) -> Sequence[JournalEntry]:
        """The last alert of every episode under way, in order of ``n``."""

    def find(self, episode: str) -> JournalEntry | None:
        """The last alert of one episode under way."""


class JournalUnavailableError(Exception):
    """The journal cannot be read now; its text says why."""
