"""Alerts of a daemon, each once and in order, across cuts on either side.

They are heard live and, where some are missing, read from the journal. An alert stays at the head
until it is `done`, which is then kept in the position file.
"""

from collections import deque
from time import monotonic
from typing import NamedTuple

import msgspec
import zmq

from beatgan.protocol.names import ALERTS
from beatgan_daemon import log, zmq_endpoints
from beatgan_daemon.bridges.counts import AlertCount
from beatgan_daemon.bridges.position_file import Position, PositionFile, digest_of
from beatgan_daemon.clients.client import (
    LATEST,
    AnswerUnavailableError,
    Client,
    NoAnswerError,
    Page,
)
from beatgan_daemon.clients.subscriber import Subscriber
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.curve import ConfigureSocket

ASK_S = 10.0  # between questions to the journal, where nothing says that something is missing
AGAIN_S = 1.0  # between questions to one that does not answer
TIMEOUT_S = 1.0  # for its answer
MAX_DUE = 1_000  # alerts in memory; more are left in the journal
END_S = 1.0
_REPEAT = b',"repeat":true}'


class Alert(NamedTuple):
    """One alert: its number in the journal, and its JSON as published."""

    n: int
    body: bytes


class _Stream(msgspec.Struct):
    stream: str


def stream_of(body: bytes) -> str:
    """Whose the published alert is; "" where it is about the daemon itself."""
    return _stream_decoder.decode(body).stream


_stream_decoder = msgspec.json.Decoder(_Stream)


class _Number(msgspec.Struct):
    n: int


class AlertFeed:
    """Used by one thread; where the daemon is away, it is waited for."""

    def __init__(
        self,
        publish: str,
        control: str,
        position: PositionFile,
        configure: ConfigureSocket | None = None,
        since: int | None = None,
    ) -> None:
        """``since``: the first alert, if the position file has none; None: the next to come.

        Raises UsageError on an impossible endpoint.
        """
        self.count = AlertCount()
        self._file, self._since = position, since
        self._unkept = log.Rejections(log.get(), event="position not kept")
        self._due: deque[Alert] = deque()
        self._next: int | None = None  # the alert behind those that are due; None: to be asked
        self._digest = ""  # of the one before
        if position.position is not None:
            self._next, self._digest = position.position.next, position.position.digest
        self._ask_at, self._connected, self._was_connected = monotonic(), False, False
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._client = Client(control, configure=configure, timeout=TIMEOUT_S)
        try:
            self._subscriber = Subscriber(self._context, publish, "publish", configure)
        except BaseException:
            self._client.close()
            self._context.term()
            raise
        self._subscriber.subscribe(ALERTS)

    @property
    def connected(self) -> bool:
        """Whether the daemon is there."""
        return self._connected

    def wait(self, seconds: float) -> Alert | None:
        """The alert at the head, waited for at most so long (and TIMEOUT_S for the journal).

        Raises UsageError where the daemon refuses to be asked.
        """
        if not self._due:
            self._subscriber.wait(min(seconds, max(0.0, self._ask_at - monotonic())))
        self._listen()
        if monotonic() >= self._ask_at and len(self._due) < MAX_DUE:
            self._ask()
        return self._due[0] if self._due else None

    def done(self, *, refused: bool = False) -> None:
        """The alert at the head is delivered, or ``refused`` for good: keep that, and go on to the
        next.

        Where the disk does not take that, it is logged, and alerts go on: a restart begins further
        back, and some come again.
        """
        alert = self._due.popleft()
        self.count.delivered += not refused
        self.count.refused += refused
        self.count.waiting = len(self._due)
        self._keep(Position(alert.n + 1, digest_of(alert.body)))

    def _keep(self, position: Position) -> None:
        try:
            self._file.write(position)
        except StartError as error:
            self._unkept.add("position", str(error), monotonic())

    def _listen(self) -> None:
        for _, body in self._subscriber.messages():
            self._hear(body)
        if self._subscriber.connected and not self._connected:
            self.count.daemon_reconnects += self._was_connected
            self._was_connected = True
            self._ask_at = monotonic()  # what was missed meanwhile
        self._connected = self._subscriber.connected

    def _hear(self, body: bytes) -> None:
        n = _decode_number(body).n
        again = body.endswith(_REPEAT)  # or told by another shard before: the journal knows which
        if n == self._next and len(self._due) < MAX_DUE and not again:
            self._add(Alert(n, body))
        elif self._next is None or n >= self._next or not again:
            self._ask_at = min(self._ask_at, monotonic())

    def _add(self, alert: Alert) -> None:
        self._due.append(alert)
        self._next, self._digest = alert.n + 1, digest_of(alert.body)
        self.count.journaled += 1
        self.count.waiting = len(self._due)

    def _ask(self) -> None:
        try:
            if self._next is None:
                self._next = self._begin()
            page = self._client.alerts(max(0, self._next - 1))
        except (NoAnswerError, AnswerUnavailableError):
            self._ask_at = monotonic() + AGAIN_S
            return
        self._ask_at = monotonic() + (0.0 if page.header.more else ASK_S)
        if self._is_other_journal(page, self._next):
            log.get().warning("the daemon's journal is another one; its alerts from the first")
            self._next, self._digest = 0, ""
            self.count.journals += 1
            self._ask_at = monotonic()
            return
        self._take(page, self._next)

    def _begin(self) -> int:
        """Where to begin, and keep it: what comes after is owed."""
        begin = self._client.alerts(LATEST).header.next if self._since is None else self._since
        self._keep(Position(begin))
        return begin

    def _is_other_journal(self, page: Page, following: int) -> bool:
        """Whether it has not the alert before the ``following`` one, as it was."""
        if page.header.next < following:
            return True
        if not page.bodies or not self._digest:
            return False
        first = page.bodies[0]
        return _decode_number(first).n == following - 1 and digest_of(first) != self._digest

    def _take(self, page: Page, following: int) -> None:
        self._pass_over(page.header.oldest)
        for body in page.bodies:
            n = _decode_number(body).n
            if n == following - 1 and not self._digest:
                self._digest = digest_of(body)
            if n >= following:
                self._pass_over(n)  # a journal that its disk failed has holes
                self._add(Alert(n, body))

    def _pass_over(self, until: int) -> None:
        """What is owed and in the journal no more, up to the alert ``until``, is missed."""
        assert self._next is not None
        missed = until - self._next
        if missed > 0:
            log.get().error(
                "alerts are not in the journal any more", first=self._next, alerts=missed
            )
            self.count.journaled += missed
            self.count.missed += missed
            self._next = until

    def close(self) -> None:
        """End the connections, and let go of the position file."""
        self._file.close()
        self._client.close()
        self._subscriber.close()
        zmq_endpoints.terminate(self._context, END_S)


def _decode_number(body: bytes) -> _Number:
    try:
        return _number_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise NoAnswerError(f"not an alert: {error}") from None


_number_decoder = msgspec.json.Decoder(_Number)
