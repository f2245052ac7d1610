"""Alerts on the terminal, one line each. A subscriber like any other: it knows only the wire."""

from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
import zmq
from rich.console import Console
from rich.text import Text
from zmq.utils.monitor import recv_monitor_message

from beatgan_daemon import endpoints
from beatgan_daemon.messages import AlertMessage

POLL_MS = 200  # how soon a signal to stop is seen
PRIORITY_STYLE = {"high": "bold white on red", "medium": "bold yellow", "low": "cyan"}
PHASE_MARK = {"start": "●", "update": "·", "end": "○"}
CONNECTION: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected to",
    zmq.EVENT_DISCONNECTED: "lost the connection to",
}


def watch(endpoint: str, console: Console, stopping: Callable[[], bool]) -> None:
    """Print every alert of the daemon at ``endpoint`` until ``stopping`` says so.

    A daemon that is not there yet is waited for. Raises UsageError on an impossible endpoint.
    """
    with zmq.Context[zmq.Socket[bytes]]() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        endpoints.keep_alive(socket)
        with socket.get_monitor_socket(sum(CONNECTION)) as monitor:
            socket.subscribe("alert.")
            endpoints.connect(socket, endpoint, "watch")
            for line in _lines(socket, monitor, stopping):
                console.print(line, soft_wrap=True, highlight=False)


def _lines(
    socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes], stopping: Callable[[], bool]
) -> Iterator[Text]:
    """What there is to say, as it happens."""
    poller = zmq.Poller()
    poller.register(monitor, zmq.POLLIN)
    poller.register(socket, zmq.POLLIN)
    expected: int | None = None
    while not stopping():
        ready = dict(poller.poll(POLL_MS))
        if monitor in ready:
            event = recv_monitor_message(monitor)
            text = f"{CONNECTION[event['event']]} {event['endpoint'].decode()}"
            yield Text(text, style="dim")
        if socket in ready:
            try:
                alert = msgspec.json.decode(socket.recv_multipart()[-1], type=AlertMessage)
            except msgspec.MsgspecError as error:
                yield Text(f"not an alert that this version can read: {error}", style="red")
                continue
            if expected is not None and alert.n > expected:
                yield Text(f"{alert.n - expected} alert message(s) lost on the way", style="red")
            expected = alert.n + 1
            yield describe(alert)


def describe(alert: AlertMessage) -> Text:
    """One line: when said, of which stream, how urgent, what, how sure, since when, how late."""
    line = Text(f"{PHASE_MARK.get(alert.phase, '?')} {_clock(alert.raised_ns)}  ")
    line.append(f"{alert.stream:<10}  ")
    line.append(f"{alert.priority.upper():<6}", style=PRIORITY_STYLE.get(alert.priority, ""))
    line.append(f"  {alert.code:<21} {alert.phase:<6}", style="bold")
    if alert.score is not None and alert.threshold is not None:
        line.append(f"  score {alert.score:.3f} > {alert.threshold:.3f}")
    if alert.beats:
        line.append(f"  {len(alert.beats)} beat{'s' if len(alert.beats) > 1 else ''}")
    delay = alert.delay_ms.condition + alert.delay_ms.signal
    line.append(f"  began {_clock(alert.onset_ns)}, delay {delay:.0f} ms", style="dim")
    return line


def _clock(ns: int) -> str:
    """Local wall time to the millisecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"
