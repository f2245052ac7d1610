"""The ward on a terminal, as it stands: a subscriber like any other, which knows only the wire."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import msgspec
import zmq
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from zmq.utils.monitor import recv_monitor_message

from beatgan.errors import UsageError
from beatgan.protocol.messages import decode_alert
from beatgan.protocol.names import ALERTS, BEAT_BATCH, STATUS
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.clients import keyboard, ward_table
from beatgan_daemon.clients.address import Daemon
from beatgan_daemon.clients.client import END_S, Client
from beatgan_daemon.clients.ward_state import BeatSeen, Bed, Ward
from beatgan_daemon.security.curve import ConfigureSocket

POLL_MS = 100  # how soon a key or a signal to stop is seen
DRAW_S = 0.25
ANSWER_S = 2.0
FEW = 500  # messages taken before the screen is drawn again
SILENT_S = 10.0  # without a word of a daemon whose streams have beats: it may hang
FILTERS = ("all beds", "with an alarm", "medium and high", "high")
HELP = "up/down bed   a acknowledge   f filter   / find   q quit      not a medical device"

_beats = msgspec.json.Decoder(BeatSeen)


class _Status(msgspec.Struct):
    stream: str
    state: str


_status = msgspec.json.Decoder(_Status)


class _Link:
    """The connection to one daemon."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        resources: ExitStack,
        daemon: Daemon,
        configure: ConfigureSocket | None,
    ) -> None:
        self.daemon = daemon
        self.socket = resources.enter_context(context.socket(zmq.SUB))
        self.socket.linger = 0
        zmq_endpoints.keep_alive(self.socket)
        if configure is not None:
            configure(self.socket)
        self.client: Client | None = None
        if daemon.control is not None:
            self.client = resources.enter_context(
                Client(daemon.control, configure=configure, timeout=ANSWER_S)
            )
        self._asker = resources.enter_context(ThreadPoolExecutor(1))  # an answer may take long
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self.monitor = resources.enter_context(self.socket.get_monitor_socket(events))
        self.lost: float | None = time.time()  # since when there is no connection
        self.heard = time.monotonic()
        self.next: int | None = None  # the next alert's number, once one is known
        for topic in (ALERTS, BEAT_BATCH, STATUS):
            self.socket.subscribe(topic)
        zmq_endpoints.connect(self.socket, daemon.publish, "watch")

    def acknowledge(self, stream: str) -> Future[int]:
        """How many of the stream's alarms nobody had seen; UsageError where it is refused, or
        cannot be asked."""
        if self.client is None:
            raise UsageError("cannot acknowledge: no --control was given")
        return self._asker.submit(self.client.acknowledge_all, stream)

    def ask_again(self) -> None:
        """Who subscribes late is told of every alarm under way: subscribe late."""
        self.socket.unsubscribe(ALERTS)
        self.socket.subscribe(ALERTS)


class Screen:
    """What is shown, and what each key and message does to it."""

    def __init__(self, links: Sequence[_Link], heading: str = "") -> None:
        """``heading``: a line of its own above all, if there is something to say."""
        self.ward, self._links, self._heading = Ward(), links, heading
        self.quit = False
        self._selected: Bed | None = None
        self._filter, self._find, self._typing, self._said = 0, "", False, ""
        self._asked: tuple[str, Future[int]] | None = None  # of which stream, and the answer

    def message(self, index: int, topic: bytes, body: bytes) -> None:
        """One message of a daemon; one that this version cannot read is said."""
        link = self._links[index]
        link.heard = time.monotonic()
        try:
            if topic == BEAT_BATCH:
                for beat in _beats.decode_lines(body):
                    self.ward.bed(index, beat.stream).beat(beat, link.heard)
            elif topic.startswith(STATUS):
                status = _status.decode(body)
                if status.state == "ended":
                    self.ward.ended(index, status.stream)
                else:
                    self.ward.bed(index, status.stream)
            else:
                self._alert(index, body)
        except msgspec.MsgspecError as error:
            self._said = f"not a message that this version can read: {error}"

    def _alert(self, index: int, body: bytes) -> None:
        alert, link = decode_alert(body), self._links[index]
        if not alert.repeat:
            if link.next is not None and alert.n != link.next:  # some were missed
                self.ward.forget_alarms(index)
                link.ask_again()
            link.next = alert.n + 1
        self.ward.bed(index, alert.stream).alert(alert)

    def connected(self, index: int) -> None:
        """Alarms may have ended unheard: they are told anew."""
        self._links[index].lost, self._links[index].heard = None, time.monotonic()
        self._links[index].next = None
        self.ward.forget_alarms(index)

    def disconnected(self, index: int) -> None:
        """What is shown of its beds stands still from now on."""
        if self._links[index].lost is None:
            self._links[index].lost = time.time()

    def key(self, key: str) -> None:
        """What a key does; while a name is typed it is part of it."""
        if self._typing:
            self._type(key)
        elif key in ("up", "k"):
            self._move(-1)
        elif key in ("down", "j"):
            self._move(1)
        elif key == "a":
            self._acknowledge()
        elif key == "f":
            self._filter = (self._filter + 1) % len(FILTERS)
        elif key == "/":
            self._typing, self._find = True, ""
        elif key == "escape":
            self._find = ""
        elif key == "q":
            self.quit = True

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self._typing = False
            self._find = self._find if key == "enter" else ""
        elif key == "erase":
            self._find = self._find[:-1]
        elif len(key) == 1:
            self._find += key

    def _shown(self) -> list[Bed]:
        return list(self.ward.shown(self._find, self._filter))

    def _move(self, by: int) -> None:
        beds = self._shown()
        if beds:
            at = beds.index(self._selected) + by if self._selected in beds else 0
            self._selected = beds[min(max(at, 0), len(beds) - 1)]

    def _acknowledge(self) -> None:
        """The selected bed's alarms; they are shown as seen when the daemon says so."""
        bed = self._selected
        if bed is None or bed not in self._shown():
            self._said = "no bed is selected: up, down"
            return
        try:
            answer = self._links[bed.daemon].acknowledge(bed.stream)
        except UsageError as error:
            self._said = str(error)
            return
        self._said, self._asked = f"{bed.stream}: acknowledging ...", (bed.stream, answer)

    def _answered(self) -> None:
        """What came of the latest question, if that is known by now."""
        if self._asked is None or not self._asked[1].done():
            return
        (stream, answer), self._asked = self._asked, None
        try:
            self._said = f"{stream}: {answer.result()} acknowledged"
        except UsageError as error:
            self._said = str(error)

    def draw(self, height: int) -> Group:
        """The screen, ``height`` lines high."""
        self._answered()
        beds = self._shown()
        room = max(1, height - 4 - len(self._links) - bool(self._heading))
        at = beds.index(self._selected) if self._selected in beds else 0
        top = max(0, min(at - room // 2, len(beds) - room))
        table = ward_table.table(
            beds[top : top + room], self._selected, time.monotonic(), time.time_ns()
        )
        find = (
            f"   /{self._find}{'_' if self._typing else ''}" if self._find or self._typing else ""
        )
        title = f"{len(beds)} of {len(self.ward.beds)} beds   {FILTERS[self._filter]}{find}"
        heading = [Text(self._heading, style="bold", no_wrap=True)] if self._heading else []
        return Group(
            *heading,
            *map(self._state, self._links),
            Text(title, style="bold"),
            table,
            Text(self._said, style="yellow"),
            Text(HELP, style="dim", no_wrap=True, overflow="ellipsis"),
        )

    def _state(self, link: _Link) -> Text:
        if link.lost is not None:
            since = time.strftime("%H:%M:%S", time.localtime(link.lost))
            text = f"NO CONNECTION to {link.daemon.publish} since {since}: what is shown is old"
            return Text(text, style="bold white on red")
        silent = time.monotonic() - link.heard
        text = f"{link.daemon.publish}  {time.strftime('%H:%M:%S')}  last word {silent:.0f} s ago"
        return Text(text, style="bold white on red" if silent > SILENT_S else "green")


def show(
    daemons: Sequence[Daemon],
    console: Console,
    stopping: Callable[[], bool],
    *,
    configure: ConfigureSocket | None = None,
    heading: str = "",
) -> None:
    """Show the ward of all ``daemons``, below ``heading``, until ``stopping`` says so, or the key
    ``q``.

    ``configure`` is called with each socket before it connects. A daemon that is
    not there yet is waited for. Raises UsageError on an impossible endpoint.
    """
    with ExitStack() as resources:
        context = zmq.Context[zmq.Socket[bytes]]()
        resources.callback(zmq_endpoints.terminate, context, END_S)
        links = [_Link(context, resources, daemon, configure) for daemon in daemons]
        screen, descriptor = Screen(links, heading), resources.enter_context(keyboard.keys())
        live = resources.enter_context(Live(console=console, screen=True, auto_refresh=False))
        poller = zmq.Poller()
        for link in links:
            poller.register(link.socket, zmq.POLLIN)
            poller.register(link.monitor, zmq.POLLIN)
        if descriptor is not None:
            poller.register(descriptor, zmq.POLLIN)
        drawn = 0.0
        while not (stopping() or screen.quit):
            ready = dict(poller.poll(POLL_MS))
            for index, link in enumerate(links):
                _hear(screen, index, link)
            if descriptor is not None and descriptor in ready:
                for key in keyboard.read(descriptor):
                    screen.key(key)
                drawn = 0.0
            if time.monotonic() - drawn >= DRAW_S:
                live.update(screen.draw(console.height), refresh=True)
                drawn = time.monotonic()


def _hear(screen: Screen, index: int, link: _Link) -> None:
    while link.monitor.poll(0):
        event = recv_monitor_message(link.monitor)["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            screen.connected(index)
        else:
            screen.disconnected(index)
    for _ in range(FEW):
        if not link.socket.poll(0):
            return
        topic, body = link.socket.recv_multipart()
        screen.message(index, topic, body)
