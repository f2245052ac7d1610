"""`--dry-run` of a bridge's way out: its messages on stdout, as its peer would get them."""

import sys
from collections.abc import Callable

from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.process import TURN_S, running


def print_alerts(name: str, feed: AlertFeed, form: Callable[[bytes], str]) -> None:
    """A line for each alert, made by ``form`` of its JSON, until a signal to stop."""
    with running(name, feed.count, feed.close) as bridge:
        bridge.ready("printing")
        while not bridge.stopping():
            alert = feed.wait(TURN_S)
            if alert is not None:
                sys.stdout.write(form(alert.body) + "\n")
                sys.stdout.flush()
                feed.done()
            bridge.turn("printing")
