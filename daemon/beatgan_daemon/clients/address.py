"""Where a daemon is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Daemon:
    """Where one daemon is: what it publishes, and where it is asked, if it is to be."""

    publish: str
    control: str | None = None
