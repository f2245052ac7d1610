"""Alerts on the terminal, one line each. A subscriber like any other: it knows only the wire."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Protocol

import msgspec
import zmq
from rich.console import Console
from rich.text import Text
from zmq.utils.monitor import recv_monitor_message

from beatgan.errors import UsageError
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan.protocol.names import ALERTS
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.clients.client import Client, Page
from beatgan_daemon.security.curve import ConfigureSocket

POLL_MS = 200  # how soon a signal to stop is seen
ANSWER_S = 2.0  # for alerts that were missed
PRIORITY_STYLE = {"high": "bold white on red", "medium": "bold yellow", "low": "cyan"}
PHASE_MARK = {"start": "●", "update": "·", "end": "○"}
CONNECTION: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected to",
    zmq.EVENT_DISCONNECTED: "lost the connection to",
}


def watch(
    endpoint: str,
    console: Console,
    stopping: Callable[[], bool],
    *,
    control: str | None = None,
    configure: ConfigureSocket | None = None,
) -> None:
    """Print every alert of the daemon at ``endpoint`` until ``stopping`` says so.

    First come the episodes under way. With ``control``, the daemon's control endpoint, alerts
    that were missed are fetched. ``configure`` is called with each socket before it connects. A
    daemon that is not there yet is waited for. Raises UsageError on an impossible endpoint.
    """
    with ExitStack() as resources:
        context = resources.enter_context(zmq.Context[zmq.Socket[bytes]]())
        socket = resources.enter_context(context.socket(zmq.SUB))
        socket.linger = 0
        zmq_endpoints.keep_alive(socket)
        if configure is not None:
            configure(socket)
        client = None
        if control is not None:
            client = resources.enter_context(Client(control, configure=configure, timeout=ANSWER_S))
        monitor = resources.enter_context(socket.get_monitor_socket(sum(CONNECTION)))
        socket.subscribe(ALERTS)
        zmq_endpoints.connect(socket, endpoint, "watch")
        for line in _lines(socket, monitor, Listener(client), stopping):
            console.print(line, soft_wrap=True, highlight=False)


def _lines(
    socket: zmq.Socket[bytes],
    monitor: zmq.Socket[bytes],
    listener: "Listener",
    stopping: Callable[[], bool],
) -> Iterator[Text]:
    """What there is to say, as it happens."""
    poller = zmq.Poller()
    poller.register(monitor, zmq.POLLIN)
    poller.register(socket, zmq.POLLIN)
    while not stopping():
        ready = dict(poller.poll(POLL_MS))
        if monitor in ready:
            event = recv_monitor_message(monitor)
            text = f"{CONNECTION[event['event']]} {event['endpoint'].decode()}"
            yield Text(text, style="dim")
            if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                yield from listener.connected()
        if socket in ready:
            yield from listener.receive(socket.recv_multipart()[-1])


class AlertSource(Protocol):
    """Who can be asked for alerts; a client.Client."""

    def alerts(self, since: int) -> Page:
        """Alerts from number ``since`` on. Raises UsageError where nobody answers."""


class Listener:
    """What is said of each message: that it is there, was missed, or is known already."""

    def __init__(self, client: AlertSource | None) -> None:
        """``client``: where to ask for what was missed."""
        self._client = client
        self._expected: int | None = None  # the next alert's number, once one was received
        self._last_shown: dict[str, int] = {}  # of the episodes under way, the last number said

    def connected(self) -> Iterator[Text]:
        """There is a daemon, perhaps again: what was said meanwhile, or that it counts anew."""
        if self._client is None or self._expected is None:
            return
        try:
            following = self._client.alerts(self._expected).header.next
        except UsageError:
            return  # the next alert will show what is missing
        if following < self._expected:
            yield self._count_restarted()
        else:
            yield from self._missed(following)

    def receive(self, body: bytes) -> Iterator[Text]:
        """The lines for one message."""
        try:
            alert = decode_alert(body)
        except msgspec.MsgspecError as error:
            yield Text(f"not an alert that this version can read: {error}", style="red")
            return
        if alert.repeat:
            yield from self._again(alert)
            return
        if self._expected is not None and alert.n > self._expected:
            yield from self._missed(alert.n)
        if self._expected is not None and alert.n < self._expected:
            if self._client is not None:
                return  # fetched already
            yield self._count_restarted()
        yield self._show(alert)

    def _show(self, alert: AlertMessage) -> Text:
        self._expected = alert.n + 1
        self._last_shown.pop(alert.id, None)
        if alert.phase != "end":
            self._last_shown[alert.id] = alert.n
        return describe(alert)

    def _again(self, alert: AlertMessage) -> Iterator[Text]:
        """An episode under way, repeated to whoever joined late: perhaps to us."""
        if self._last_shown.get(alert.id, -1) < alert.n:
            self._last_shown[alert.id] = alert.n
            yield describe(alert)

    def _count_restarted(self) -> Text:
        self._expected = None
        self._last_shown.clear()
        return Text("the daemon counts its alerts anew", style="red")

    def _missed(self, until: int) -> Iterator[Text]:
        """The alerts before number ``until`` that were missed, as far as the journal has them."""
        why = ""
        try:
            yield from self._fetched(until)
        except UsageError as error:
            why = f" ({error})"
        assert self._expected is not None
        if self._expected < until:
            lost = until - self._expected
            yield Text(f"{lost} alert message(s) lost on the way{why}", style="red")
            self._expected = until

    def _fetched(self, until: int) -> Iterator[Text]:
        more = self._client is not None
        while more and self._client is not None and self._expected is not None:
            header, bodies = self._client.alerts(self._expected)
            for alert in (decode_alert(body) for body in bodies):
                if alert.n >= until:
                    return
                if alert.n > self._expected:
                    gap = alert.n - self._expected
                    yield Text(f"{gap} alert message(s) are no longer in the journal", style="red")
                yield self._show(alert)
            more = header.more


def describe(alert: AlertMessage) -> Text:
    """One line: when said, of which stream, how urgent, what, how sure, since when, how late."""
    mark = "↻" if alert.repeat else PHASE_MARK.get(alert.phase, "?")
    line = Text(f"{mark} {_clock(alert.raised_ns)}  ")
    line.append(f"{alert.stream:<10}  ")
    line.append(f"{alert.priority.upper():<6}", style=PRIORITY_STYLE.get(alert.priority, ""))
    line.append(f"  {alert.code:<21} {alert.phase:<6}", style="bold")
    if alert.score is not None and alert.threshold is not None:
        line.append(f"  score {alert.score:.3f} > {alert.threshold:.3f}")
    if alert.beats:
        line.append(f"  {len(alert.beats)} beat{'s' if len(alert.beats) > 1 else ''}")
    for word in _standing(alert):
        line.append(f"  {word}", style="bold")
    delay = alert.delay_ms.condition + alert.delay_ms.signal
    line.append(f"  began {_clock(alert.onset_ns)}, delay {delay:.0f} ms", style="dim")
    return line


def _standing(alert: AlertMessage) -> Iterator[str]:
    """How the episode stands with those who watch."""
    if alert.latched:
        yield "over, not acknowledged"
    if alert.acknowledged:
        yield "acknowledged"
    if alert.suppressed:
        yield f"{alert.suppressed} more held back"


def _clock(ns: int) -> str:
    """Local wall time to the millisecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"
