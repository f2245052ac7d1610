"""Beats and alerts of a daemon as an irregular LSL stream of markers.

LSL knows no acknowledgement: an alert is delivered when it is pushed while somebody is connected.
"""

from time import sleep, time
from typing import Any, Final

from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.beat_feed import BeatFeed
from beatgan_daemon.bridges.lsl.library import pylsl
from beatgan_daemon.bridges.lsl.markers import Marker, of_alert, of_beat
from beatgan_daemon.bridges.process import running

TYPE: Final = "Markers"
BUFFER: Final = 10  # hundreds of markers, for each who is connected and slow
WAIT_S: Final = 0.02
LAST_S: Final = 0.5  # at the end, for what was pushed to be sent


class MarkerOutlet:
    """The outlet, and the clock that its stamps are by."""

    def __init__(self, name: str, source_id: str) -> None:
        """``source_id``: by which who was connected finds it again after a restart."""
        self._lsl = pylsl()
        info = self._lsl.StreamInfo(
            name, TYPE, 1, self._lsl.IRREGULAR_RATE, self._lsl.cf_string, source_id
        )
        self._outlet: Any = self._lsl.StreamOutlet(info, 0, BUFFER)

    def heard(self) -> bool:
        """Whether somebody is connected."""
        return bool(self._outlet.have_consumers())

    def push(self, marker: Marker) -> None:
        """Send it to all who are connected."""
        stamp = marker.time_ns / 1e9 - (time() - self._lsl.local_clock())
        self._outlet.push_sample([marker.text], stamp)

    def close(self) -> None:
        """Let what was pushed be sent, and end."""
        if self.heard():
            sleep(LAST_S)
        self._outlet = None


def run(outlet: MarkerOutlet, feed: AlertFeed, beats: BeatFeed | None) -> None:
    """Until a signal to stop. Alerts wait, beats do not, until somebody is connected."""

    def close() -> None:
        outlet.close()
        feed.close()
        if beats is not None:
            beats.close()

    heard = False
    with running("lsl out", feed.count, close) as bridge:
        bridge.ready("nobody is connected")
        while not bridge.stopping():
            before, heard = heard, outlet.heard()
            feed.count.peer_reconnects += heard and not before
            if beats is not None:
                for beat in beats.wait(WAIT_S):
                    if heard:
                        outlet.push(of_beat(beat.body, beat.time_ns))
                    else:
                        feed.count.beats_missed += 1
            alert = feed.wait(0.0 if beats is not None else WAIT_S)
            if heard and alert is not None:
                outlet.push(of_alert(alert.body))
                feed.done()
            elif alert is not None and beats is None:
                sleep(WAIT_S)
            bridge.turn("connected" if heard else "nobody is connected")
