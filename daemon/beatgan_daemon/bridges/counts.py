"""What a bridge counts, and the line that says it at the end. Samples are instants, whatever the
number of leads."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol


class Count(Protocol):
    """Of one bridge."""

    def fields(self) -> dict[str, Any]:
        """Each number by its name, for a line of the log."""

    def line(self) -> str:
        """The same for people."""


@dataclass(slots=True)
class SignalCount:
    """ECG on its way to a daemon: ``counted`` = ``sent`` + ``missing`` + ``unsent``.

    ``counted``: what the sources counted, from the first sample heard to the last, repeated ones
    once. ``sent``: handed to the daemon's connection; what a cut of that loses, the daemon counts.
    ``missing``: never reached the bridge. ``unsent``: reached it, but no daemon was there, or it
    took nothing. ``repeated``: came again, and went on, but for what a shard said
    that it has. ``refused``: messages that were no ECG.
    """

    streams: int = 0
    frames: int = 0
    counted: int = 0
    sent: int = 0
    missing: int = 0
    unsent: int = 0
    repeated: int = 0
    refused: int = 0
    source_reconnects: int = 0
    daemon_reconnects: int = 0

    @property
    def exact(self) -> bool:
        """Whether nothing was lost without being counted."""
        return self.counted == self.sent + self.missing + self.unsent

    def fields(self) -> dict[str, Any]:
        """See `Count`."""
        return asdict(self)

    def line(self) -> str:
        """See `Count`."""
        return (
            f"{self.counted} samples of {self.streams} stream(s) {'=' if self.exact else 'IS NOT'} "
            f"{self.sent} sent + {self.missing} missing + {self.unsent} unsent; "
            f"{self.repeated} repeated, {self.refused} message(s) refused, "
            f"{self.source_reconnects} reconnect(s) of sources, {self.daemon_reconnects} of the "
            "daemon"
        )


@dataclass(slots=True)
class AlertCount:
    """Alerts and beats on their way from a daemon: ``journaled`` = ``delivered`` + ``refused`` +
    ``missed`` + ``waiting``.

    ``journaled``: the daemon's alerts by its own numbers, from the first to the last heard of;
    ``refused``: the peer will never take them; ``missed``: in its journal no more, or
    never. ``unheard``: of those delivered, where the peer says that nobody was there to hear.
    ``beats_missed``: by the numbers of the beats, which are in no journal.
    """

    journaled: int = 0
    delivered: int = 0
    refused: int = 0
    missed: int = 0
    waiting: int = 0
    unheard: int = 0
    journals: int = 0  # that were begun anew
    beats: int = 0
    beats_missed: int = 0
    daemon_reconnects: int = 0
    peer_reconnects: int = 0

    @property
    def exact(self) -> bool:
        """Whether nothing was lost without being counted."""
        told = self.delivered + self.refused + self.missed
        return self.journaled == told + self.waiting

    def fields(self) -> dict[str, Any]:
        """See `Count`."""
        return asdict(self)

    def line(self) -> str:
        """See `Count`."""
        return (
            f"{self.journaled} alerts {'=' if self.exact else 'IS NOT'} {self.delivered} delivered "
            f"+ {self.refused} refused + {self.missed} missed + {self.waiting} waiting; "
            f"{self.unheard} heard by nobody; {self.beats} beats, {self.beats_missed} missed; "
            f"{self.peer_reconnects} reconnect(s) of the peer, "
            f"{self.daemon_reconnects} of the daemon"
        )
