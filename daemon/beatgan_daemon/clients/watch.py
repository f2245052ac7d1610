"""Alerts on the terminal, one line each. A subscriber like any other: it knows only the wire."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from math import inf
from threading import Event
from time import monotonic, sleep
from typing import Protocol

import msgspec
import zmq
from rich.console import Console
from rich.text import Text
from zmq.utils.monitor import recv_monitor_message

from beatgan.errors import UsageError
from beatgan.protocol.fences import Fences
from beatgan.protocol.messages import AlertMessage, decode_alert
from beatgan.protocol.names import ALERTS
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.clients import alarm_order
from beatgan_daemon.clients.address import Daemon, Daemons
from beatgan_daemon.clients.client import END_S, LATEST, Client, Page
from beatgan_daemon.clients.shards import Silences
from beatgan_daemon.security.curve import ConfigureSocket

POLL_MS = 200  # how soon a signal to stop is seen
ANSWER_S = 2.0  # for alerts that were missed
MARKS = {"start": "●", "update": "·", "end": "○", "repeat": "↻"}
ASCII_MARKS = {"start": "*", "update": ".", "end": "o", "repeat": "@"}  # for other terminals
CHECKS_S = (2.0, 10.0)  # after a connection, then each time: whether something was missed
RETRY_S = (2.0, 5.0, 15.0, 30.0)  # where nobody answered that
MOST = 256  # daemons at once: a thread for each
REMEMBERED = 10_000  # alerts shown lately, which are not shown again
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
    name: str = "",
    fences: Fences | None = None,
) -> None:
    """Print every alert of the daemon at ``endpoint`` until ``stopping`` says so.

    Each line begins with ``name``, where several daemons are watched; ``fences`` as of `Listener`.

    First come the episodes under way. With ``control``, the daemon's control endpoint, alerts
    that were missed are fetched. ``configure`` is called with each socket before it connects. A
    daemon that is not there yet is waited for. Raises UsageError on an impossible endpoint.
    """
    with ExitStack() as resources:
        context = zmq.Context[zmq.Socket[bytes]]()
        resources.callback(zmq_endpoints.terminate, context, END_S)
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
        listener = Listener(client, marks_for(console.encoding), fences)
        for line in _lines(socket, monitor, listener, stopping):
            console.print(Text(name).append(line), soft_wrap=True, highlight=False)


def watch_all(
    daemons: Daemons,
    console: Console,
    stopping: Callable[[], bool],
    *,
    configure: ConfigureSocket | None = None,
) -> None:
    """`watch` for each of the ``daemons``, all at once; where there are several, each line names
    the one that it is of. Of whom nothing can be shown is said."""
    watched: dict[str, tuple[Daemon, Event, Future[None]]] = {}
    fences = Fences() if daemons.share_streams else None
    silences = Silences(lambda text: console.print(Text(text, style="red"), soft_wrap=True))
    several = daemons.share_streams or len(daemons.daemons) > 1

    def one(daemon: Daemon, over: Event) -> None:
        watch(
            daemon.publish,
            console,
            over.is_set,
            control=daemon.control,
            configure=configure,
            name=f"{daemon.title}  " if several else "",
            fences=fences,
        )

    def end() -> None:
        for _, over, _ in watched.values():
            over.set()

    with ThreadPoolExecutor(MOST) as pool, ExitStack() as ending:
        ending.callback(end)
        while not stopping():
            for name, (daemon, over, task) in [*watched.items()]:
                if task.done():
                    task.result()
                if daemons.daemons.get(name) != daemon:
                    over.set()
                    del watched[name]
            for name in daemons.daemons.keys() - watched.keys():
                daemon, over = daemons.daemons[name], Event()
                watched[name] = daemon, over, pool.submit(one, daemon, over)
            silences.now(daemons.absent)
            sleep(POLL_MS / 1000)
    for _, _, task in watched.values():
        task.result()


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
    schedule = _Schedule()
    while not stopping():
        ready = dict(poller.poll(POLL_MS))
        if monitor in ready:
            event = recv_monitor_message(monitor)
            text = f"{CONNECTION[event['event']]} {event['endpoint'].decode()}"
            yield Text(text, style="dim")
            if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                schedule.connected()
        if socket in ready:
            yield from listener.receive(socket.recv_multipart()[-1])
        if schedule.due():
            yield from listener.check()
            schedule.checked(listener.answered)


class _Schedule:
    """When to ask whether something was missed: a subscription takes effect some time after its
    connection, and the control socket may connect later than the other."""

    def __init__(self) -> None:
        self._next = inf
        self._after: Sequence[float] = CHECKS_S
        self._retry: Sequence[float] = RETRY_S

    def connected(self) -> None:
        self._next, self._after, self._retry = monotonic(), CHECKS_S, RETRY_S

    def due(self) -> bool:
        return monotonic() >= self._next

    def checked(self, answered: bool) -> None:
        if answered:
            wait, self._after, self._retry = self._after[0], self._after[-1:], RETRY_S
        else:
            wait, self._retry = self._retry[0], self._retry[1:] or RETRY_S[-1:]
        self._next = monotonic() + wait


class AlertSource(Protocol):
    """Who can be asked for alerts; a client.Client."""

    def alerts(self, since: int) -> Page:
        """Alerts from number ``since`` on. Raises UsageError where nobody answers."""


class Listener:
    """What is said of each message: that it is there, was missed, or is known already."""

    def __init__(
        self,
        client: AlertSource | None,
        marks: Mapping[str, str] = MARKS,
        fences: Fences | None = None,
    ) -> None:
        """``client``: where to ask for what was missed; ``marks``: see `describe`; ``fences``: of
        all shards, where there are several."""
        self.answered = True  # whether the latest `check` was
        self._client, self._marks, self._fences = client, marks, fences or Fences()
        self._expected: int | None = None  # the next alert's number, once one is known
        self._hole: int | None = None  # from here on some were missed and not fetched yet
        self._last_shown: dict[str, int] = {}  # of the episodes under way, the last number said
        self._shown: OrderedDict[tuple[int, str, str], None] = OrderedDict()  # lately

    def check(self) -> Iterator[Text]:
        """What was said while nobody listened, or that the daemon counts anew.

        Of the first connection, only what comes after it is of interest.
        """
        if self._client is None:
            return
        self.answered = False
        try:
            following = self._client.alerts(LATEST).header.next
            if self._expected is None:
                self._expected = following
            elif following < self._expected:
                yield self._count_restarted()
                self._expected = 0
            yield from self._fetch(following)
        except UsageError:
            return  # asked again soon
        self.answered = True

    def receive(self, body: bytes) -> Iterator[Text]:
        """The lines for one message."""
        alert = _decoded(body)
        if isinstance(alert, Text):
            yield alert
            return
        if not self._fences.accepts(alert):
            self._expected = max(self._expected or 0, 0 if alert.repeat else alert.n + 1)
            yield Text(f"ignored an alert under an old fence: {alert.id}", style="dim")
            return
        if alert.repeat:
            if alert.n == self._expected:  # told anew by a shard that goes on with it
                self._expected += 1
            yield from self._again(alert)
            return
        if self._expected is not None and alert.n > self._expected:
            yield from self._missed(alert.n)
        if self._expected is not None and alert.n < self._expected and self._client is None:
            yield self._count_restarted()
        yield from self._show(alert)

    def _show(self, alert: AlertMessage) -> Iterator[Text]:
        """One that has not been shown lately, be it live or fetched."""
        self._expected = max(self._expected or 0, alert.n + 1)
        known = alert.n, alert.id, alert.phase
        if known in self._shown:
            return
        self._shown[known] = None
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        self._last_shown.pop(alert.id, None)
        if alert.phase != "end":
            self._last_shown[alert.id] = alert.n
        yield describe(alert, self._marks)

    def _again(self, alert: AlertMessage) -> Iterator[Text]:
        """An episode under way, repeated to whoever joined late: perhaps to us."""
        if self._last_shown.get(alert.id, -1) < alert.n:
            self._last_shown[alert.id] = alert.n
            yield describe(alert, self._marks)

    def _count_restarted(self) -> Text:
        self._expected = self._hole = None
        self._last_shown.clear()
        self._shown.clear()
        return Text("the daemon counts its alerts anew", style="red")

    def _missed(self, until: int) -> Iterator[Text]:
        """The alerts before number ``until`` that were missed, as far as the journal has them."""
        assert self._expected is not None
        why = ""
        try:
            yield from self._fetch(until)
        except UsageError as error:
            why = f" ({error})"
            self._hole = self._expected if self._hole is None else self._hole
        if self._expected < until:
            lost = until - self._expected
            yield Text(f"{lost} alert message(s) lost on the way{why}", style="red")
            self._expected = until

    def _fetch(self, until: int) -> Iterator[Text]:
        """Those before number ``until`` that were not received. Raises UsageError."""
        since = self._expected if self._hole is None else self._hole
        while self._client is not None and since is not None and since < until:
            header, bodies = self._client.alerts(since)
            for body in bodies:
                alert = _decoded(body)
                if isinstance(alert, Text):
                    yield alert
                    continue
                if alert.n >= until:
                    break
                if alert.n > since:
                    text = f"{alert.n - since} alert message(s) are no longer in the journal"
                    yield Text(text, style="red")
                since = alert.n + 1
                yield from self._show(alert)
            if not header.more:
                break
            since = max(since, header.next)
        self._hole = None


def _decoded(body: bytes) -> AlertMessage | Text:
    """The alert, or that it is none."""
    try:
        return decode_alert(body)
    except msgspec.MsgspecError as error:
        return Text(f"not an alert that this version can read: {error}", style="red")


def marks_for(encoding: str) -> Mapping[str, str]:
    """The marks that a terminal of this encoding can show."""
    try:
        "".join(MARKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII_MARKS
    return MARKS


def describe(alert: AlertMessage, marks: Mapping[str, str] = MARKS) -> Text:
    """One line: when said, of which stream, how urgent, what in a sentence, how sure, since when,
    how late, and its id. ``marks``: for each phase, and for a repeat."""
    mark = marks["repeat"] if alert.repeat else marks.get(alert.phase, "?")
    line = Text(f"{mark} {_clock(alert.raised_ns)}  ")
    line.append(f"{alert.stream:<10}  ")
    line.append(f"{alert.priority.upper():<6}", style=alarm_order.STYLES.get(alert.priority, ""))
    line.append(f"  {alert.code:<21} {alert.phase:<6}", style="bold")
    for word in _what(alert):
        line.append(f"  {word}")
    for word in _standing(alert):
        line.append(f"  {word}", style="bold")
    delay = alert.delay_ms.condition + alert.delay_ms.signal
    line.append(f"  began {_clock(alert.onset_ns)}, delay {delay:.0f} ms", style="dim")
    line.append(f"  {alert.id}", style="dim")
    return line


def _what(alert: AlertMessage) -> Iterator[str]:
    """What the alarm is: in a sentence, which an earlier daemon does not say, and by its score."""
    if alert.text:
        yield alert.text
    elif alert.lead is not None:
        yield alert.lead
    if alert.score is not None and alert.threshold is not None:
        sign = ">" if alert.score > alert.threshold else "<="
        yield f"score {alert.score:.3f} {sign} {alert.threshold:.3f}"
    if alert.beat_class and not alert.text:
        yield f"class {alert.beat_class}"
    if alert.beats and not alert.text:
        yield f"{len(alert.beats)} beat{'s' if len(alert.beats) > 1 else ''}"


def _standing(alert: AlertMessage) -> Iterator[str]:
    """How the episode stands with those who watch."""
    if alert.suspended:
        yield "suspended"
    if alert.latched:
        yield "over, not acknowledged"
    by = f" by {alert.by}" if alert.by else ""
    if alert.discharged_ns:
        yield f"discharged{by}"
    elif alert.acknowledged:
        yield f"acknowledged{by}"
    if alert.suppressed:
        yield f"{alert.suppressed} more held back"


def _clock(ns: int) -> str:
    """Local wall time to the millisecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"
