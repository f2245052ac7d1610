"""The ward on a terminal, as it stands: a subscriber like any other, which knows only the wire."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import msgspec
import zmq
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from zmq.utils.monitor import recv_monitor_message

from beatgan.errors import UsageError
from beatgan.protocol.fences import Fences
from beatgan.protocol.messages import decode_alert
from beatgan.protocol.names import ALERTS, BEAT_BATCH, STATUS
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.clients import keyboard, ward_table
from beatgan_daemon.clients.address import Daemon, Daemons
from beatgan_daemon.clients.client import END_S, Client
from beatgan_daemon.clients.ward_state import BeatSeen, Bed, Ward
from beatgan_daemon.security.curve import ConfigureSocket

POLL_MS = 100  # how soon a key or a signal to stop is seen
DRAW_S = 0.25
ANSWER_S = 2.0
FEW = 500  # messages taken before the screen is drawn again
SILENT_S = 10.0  # without a word of a daemon whose streams have beats: it may hang
FILTERS = ("all beds", "with an alarm", "medium and high", "high")
WRONG = "bold white on red"
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
        daemon: Daemon,
        configure: ConfigureSocket | None,
    ) -> None:
        """Raises UsageError on an impossible endpoint."""
        self.daemon = daemon
        with ExitStack() as resources:
            self._open(context, resources, configure)
            self._resources = resources.pop_all()

    def _open(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        resources: ExitStack,
        configure: ConfigureSocket | None,
    ) -> None:
        daemon = self.daemon
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

    def close(self) -> None:
        """End the connection."""
        self._resources.close()

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

    def __init__(
        self, links: Mapping[str, _Link], heading: str = "", *, share_streams: bool = False
    ) -> None:
        """``links``: by the daemon's name; they may change. ``heading``: a line of its own above
        all, if there is something to say. ``share_streams``: see `Ward`."""
        self.ward = Ward(share_streams=share_streams)
        self._links, self._heading = links, heading
        self._share_streams, self._fences = share_streams, Fences()
        self.absent: Mapping[str, str] = {}  # of whom nothing can be shown, in sentences
        self.quit = False
        self._selected: Bed | None = None
        self._filter, self._find, self._typing, self._said = 0, "", False, ""
        self._asked: tuple[str, Future[int]] | None = None  # of which stream, and the answer

    def message(self, name: str, topic: bytes, body: bytes) -> None:
        """One message of a daemon; one that this version cannot read is said."""
        link = self._links[name]
        link.heard = time.monotonic()
        try:
            if topic == BEAT_BATCH:
                for beat in _beats.decode_lines(body):
                    self.ward.bed(name, beat.stream).beat(beat, link.heard)
            elif topic.startswith(STATUS):
                status = _status.decode(body)
                if status.state == "ended":
                    self.ward.ended(name, status.stream)
                else:
                    self.ward.bed(name, status.stream)
            else:
                self._alert(name, body)
        except msgspec.MsgspecError as error:
            self._said = f"not a message that this version can read: {error}"

    def _alert(self, name: str, body: bytes) -> None:
        alert, link = decode_alert(body), self._links[name]
        if not alert.repeat:
            if link.next is not None and alert.n != link.next:  # some were missed
                self.ward.forget_alarms(name)
                link.ask_again()
            link.next = alert.n + 1
        elif alert.n == link.next:  # told anew by a shard that goes on with it
            link.next += 1
        if self._fences.accepts(alert):
            self.ward.bed(name, alert.stream).alert(alert)

    def connected(self, name: str) -> None:
        """Alarms may have ended unheard: they are told anew."""
        self._links[name].lost, self._links[name].heard = None, time.monotonic()
        self._links[name].next = None
        self.ward.forget_alarms(name)

    def disconnected(self, name: str) -> None:
        """What is shown of its beds stands still from now on."""
        if self._links[name].lost is None:
            self._links[name].lost = time.time()

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
            if bed.daemon not in self._links:
                raise UsageError(f"{bed.stream}: {bed.daemon} is not there")
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
        states = [*self._states()]
        room = max(1, height - 4 - len(states) - bool(self._heading))
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
            *states,
            Text(title, style="bold"),
            table,
            Text(self._said, style="yellow"),
            Text(HELP, style="dim", no_wrap=True, overflow="ellipsis"),
        )

    def _states(self) -> Iterator[Text]:
        """A line for each daemon; shards that are well have one together."""
        for text in self.absent.values():
            yield Text(text, style=WRONG)
        speaking = {bed.daemon for bed in self.ward.beds.values()}
        well = 0
        for name, link in self._links.items():
            quiet = self._share_streams and name not in speaking
            if self._share_streams and link.lost is None and (quiet or not _is_silent(link)):
                well += 1
            else:
                yield self._state(link)
        if well:
            text = f"{well} shard{'s' if well > 1 else ''}  {time.strftime('%H:%M:%S')}"
            yield Text(text, style="green")

    def _state(self, link: _Link) -> Text:
        if link.lost is not None:
            since = time.strftime("%H:%M:%S", time.localtime(link.lost))
            text = f"NO CONNECTION to {link.daemon.title} since {since}: what is shown is old"
            return Text(text, style=WRONG)
        silent = time.monotonic() - link.heard
        text = f"{link.daemon.title}  {time.strftime('%H:%M:%S')}  last word {silent:.0f} s ago"
        return Text(text, style=WRONG if _is_silent(link) else "green")


def _is_silent(link: _Link) -> bool:
    return time.monotonic() - link.heard > SILENT_S


class _Links(Mapping[str, _Link]):
    """The connections, as daemons come, go, and start again elsewhere."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], configure: ConfigureSocket | None
    ) -> None:
        self._context, self._configure = context, configure
        self._links: dict[str, _Link] = {}
        self.poller = zmq.Poller()

    def keep(self, daemons: Mapping[str, Daemon]) -> None:
        """These and no others. Raises UsageError on an impossible endpoint."""
        for name, link in [*self._links.items()]:
            if daemons.get(name) != link.daemon:
                self.poller.unregister(link.socket)
                self.poller.unregister(link.monitor)
                del self._links[name]
                link.close()
        for name in daemons.keys() - self._links.keys():
            link = self._links[name] = _Link(self._context, daemons[name], self._configure)
            self.poller.register(link.socket, zmq.POLLIN)
            self.poller.register(link.monitor, zmq.POLLIN)

    def __getitem__(self, name: str) -> _Link:
        return self._links[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._links))

    def __len__(self) -> int:
        return len(self._links)

    def close(self) -> None:
        """End them all."""
        self.keep({})


def show(
    daemons: Daemons,
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
        links = _Links(context, configure)
        resources.callback(links.close)
        links.keep(daemons.daemons)
        screen = Screen(links, heading, share_streams=daemons.share_streams)
        descriptor = resources.enter_context(keyboard.keys())
        live = resources.enter_context(Live(console=console, screen=True, auto_refresh=False))
        if descriptor is not None:
            links.poller.register(descriptor, zmq.POLLIN)
        drawn = 0.0
        while not (stopping() or screen.quit):
            ready = dict(links.poller.poll(POLL_MS))
            for name, link in [*links.items()]:
                _hear(screen, name, link)
            if descriptor is not None and descriptor in ready:
                for key in keyboard.read(descriptor):
                    screen.key(key)
                drawn = 0.0
            if time.monotonic() - drawn >= DRAW_S:
                links.keep(daemons.daemons)
                screen.absent = daemons.absent
                live.update(screen.draw(console.height), refresh=True)
                drawn = time.monotonic()


def _hear(screen: Screen, name: str, link: _Link) -> None:
    while link.monitor.poll(0):
        event = recv_monitor_message(link.monitor)["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            screen.connected(name)
        else:
            screen.disconnected(name)
    for _ in range(FEW):
        if not link.socket.poll(0):
            return
        topic, body = link.socket.recv_multipart()
        screen.message(name, topic, body)
