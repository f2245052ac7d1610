"""An HL7 receiver, of the library `hl7`, that goes away in the middle of a message and comes back.

It knows a repeat by MSH-10, as receivers do. The ECG goes to the daemon by itself: the bridge has
no way in.
"""

from pathlib import Path

from beatgan.protocol.messages import decode_alert
from beatgan_daemon.bridges.bed_map import Beds
from beatgan_daemon.bridges.hl7.oru_r40 import oru_r40
from benchmarks.robustness.bridges.mllp_receiver import MllpReceiver

SENT = 6  # MSH-7 by the separators before it: when it was sent


class Peer:
    """See `counterpart.Counterpart`."""

    streams = ("bed-1", "bed-2")
    bridge_in = ()
    cuts_bridge_out = False

    def __init__(self, _: Path) -> None:
        self._receivers: list[MllpReceiver] = []

    @property
    def bridge_out(self) -> tuple[str, ...]:
        """See `counterpart.Counterpart`."""
        return ("hl7", "out", "--to", f"127.0.0.1:{self._receivers[0].port}", "--answer-s", "2")

    def start(self) -> None:
        """See `counterpart.Counterpart`."""
        self._listen(0)

    def _listen(self, port: int) -> None:
        receiver = MllpReceiver(port=port)
        receiver.__enter__()
        self._receivers.append(receiver)

    def cut(self) -> None:
        """See `counterpart.Counterpart`: the next message is taken, and its answer is lost."""
        self._receivers[-1].code = lambda _: None
        self._receivers[-1].wait_for_one_more()
        self._receivers[-1].stop()

    def back(self) -> None:
        """See `counterpart.Counterpart`."""
        self._listen(self._receivers[0].port)

    def alerts(self) -> list[bytes]:
        """See `counterpart.Counterpart`."""
        messages = [each for receiver in self._receivers for each in receiver.received]
        return [*dict.fromkeys(map(_without_time, messages))]

    def form(self, alert: bytes) -> bytes:
        """See `counterpart.Counterpart`."""
        return _without_time(oru_r40(decode_alert(alert), Beds(), 0))

    def close(self) -> None:
        """See `counterpart.Counterpart`."""
        for receiver in self._receivers:
            receiver.stop()


def _without_time(message: str) -> bytes:
    fields = message.split("|")
    fields[SENT] = ""
    return "|".join(fields).encode()
