"""Where a daemon is."""

from dataclasses import dataclass


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
