"""What a trial needs of the other side of a bridge: its devices, its servers, who takes alerts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from beatgan.types import Floats

FS = 360.0
LEAD = "II"


class Counterpart(Protocol):
    """Made with a folder for its files; nothing runs before `start`.

    Only what it can do: where a bridge has no way in, ``bridge_in`` is empty, and the trial sends
    the ``streams`` to the daemon itself.
    """

    streams: Sequence[str]  # that its devices send, as the daemon will call them
    bridge_in: Sequence[str]  # arguments of `beatgan-bridge`, but those of the daemon
    bridge_out: Sequence[str]  # "" for none
    cuts_bridge_out: bool  # a cut ends the bridge out as well, as by `systemctl stop`

    def __init__(self, folder: Path, /) -> None: ...

    def start(self) -> None:
        """Servers, devices, and who takes alerts."""

    def send(self, stream: str, first: int, samples: Floats, /) -> None:
        """A device's samples, (n,), mV, counted from ``first`` on: sent now, or lost where the
        device cannot; called as they come about, whatever was cut."""

    def cut(self) -> None:
        """Off, without a word."""

    def back(self) -> None:
        """On again."""

    def alerts(self) -> list[bytes]:
        """What whoever takes alerts has got so far, in order, each as `form` makes it."""

    def form(self, alert: bytes) -> bytes:
        """What becomes of an alert of the journal."""

    def close(self) -> None:
        """End everything."""
