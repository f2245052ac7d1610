"""Where a daemon is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Daemon:
    """Where one daemon is: what it publishes, and where it is asked, if it is to be.

    ``name``: a shard's, of several. ``ingest``: where it takes ECG; ``tap``: where it gives it
    back; ``http``: HOST:PORT.
    """

    publish: str
    control: str | None = None
    name: str = ""
    ingest: str | None = None
    tap: str | None = None
    http: str | None = None

    @property
    def title(self) -> str:
        """What people read."""
        return self.name or self.publish


class Daemons(Protocol):
    """Those that are to be listened to now, by name."""

    @property
    def daemons(self) -> Mapping[str, Daemon]:
        """Where each is; another where it started again."""

    @property
    def absent(self) -> Mapping[str, str]:
        """Of which daemons nothing can be shown, and why, in a sentence about the patients."""

    @property
    def share_streams(self) -> bool:
        """Whether a stream is one patient's whichever daemon tells of it; else each has its own."""


class FixedDaemons:
    """`Daemons` that are named once and for all."""

    share_streams = False

    def __init__(self, daemons: Sequence[Daemon]) -> None:
        """One alone has the name ""."""
        names = [""] if len(daemons) == 1 else [str(number) for number in range(len(daemons))]
        self.daemons = dict(zip(names, daemons, strict=True))
        self.absent: Mapping[str, str] = {}
