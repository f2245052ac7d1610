"""Asking a daemon for its alerts, and acknowledging them: the other end of control.py.

Knows the wire and nothing of the daemon.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import monotonic, sleep
from typing import Any, NamedTuple, Self

import msgspec
import zmq

from beatgan.errors import UsageError
from beatgan.protocol.control import (
    ReplyHeader,
    StreamEntry,
    decode_reply,
    decode_stream,
    encode_request,
)
from beatgan.protocol.messages import VERSION
from beatgan_daemon import zmq_endpoints
from beatgan_daemon.security.curve import ConfigureSocket

TIMEOUT_S = 5.0  # without an answer: nobody is there
FOLLOW_S = 0.5  # between questions for newer alerts
STEP_S = 0.1  # how soon a signal to stop is seen
PATIENCE_S = 30.0  # with a daemon that cannot read its journal now
END_S = 1.0  # for the connection to end: a name server may not answer
AGAIN_S = 0.5  # between questions to it
LATEST = 2**63 - 1  # no alert has this number: asked for, it tells the next one's
STRETCH = 500  # alerts looked through at once for an episode, the latest first


class NoAnswerError(UsageError):
    """Nobody answered, or not with what was asked for."""


class AnswerUnavailableError(UsageError):
    """The daemon cannot answer this now, and asks to be asked again."""


class Page(NamedTuple):
    """Alerts as JSON, and where they stand among all."""

    header: ReplyHeader
    bodies: list[bytes]


class Client:
    """A connection to a daemon's control socket; used by one thread."""

    def __init__(
        self, endpoint: str, *, configure: ConfigureSocket | None = None, timeout: float = TIMEOUT_S
    ) -> None:
        """``configure`` is called with the socket before it connects; ``timeout``: seconds that an
        answer may take. Nobody need be there yet. Raises UsageError on an impossible endpoint.

        Each question is asked once: raises NoAnswerError where nobody answers,
        AnswerUnavailableError where the daemon cannot now, and UsageError where it refuses."""
        self._endpoint, self._timeout_ms = endpoint, round(1000 * timeout)
        self._configure = configure
        self._context = zmq.Context[zmq.Socket[bytes]]()
        try:
            self._socket = self._connected()
        except BaseException:
            self._context.term()
            raise

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        zmq_endpoints.keep_alive(socket)
        try:
            if self._configure is not None:
                self._configure(socket)
            zmq_endpoints.connect(socket, self._endpoint, "control")
        except BaseException:
            socket.close()
            raise
        return socket

    def alerts(self, since: int) -> Page:
        """Alerts from number ``since`` on, as many as come in one answer."""
        return self._ask("alerts", {"since": since})

    def active(self, since: int = 0) -> Page:
        """Likewise, of the episodes under way the last alert of each."""
        return self._ask("active", {"since": since})

    def all_active(self) -> Iterator[bytes]:
        """Of every episode under way the last alert, in as many answers as it takes."""
        return _pages(self.active, 0)

    def acknowledge(self, episode: str, *, by: str | None = None) -> None:
        """Say that somebody, ``by`` name, has seen the episode. Raises UsageError if it is not
        under way."""
        self._ask("acknowledge", {"id": episode, **_named(by)})

    def acknowledge_all(self, stream: str | None = None, *, by: str | None = None) -> int:
        """Likewise all episodes under way, of one stream or of all; how many nobody had seen.

        Raises UsageError if none of that stream is under way.
        """
        which = {"all": True} if stream is None else {"stream": stream}
        return self._ask("acknowledge", {**which, **_named(by)}).header.count

    def streams(self) -> Iterator[StreamEntry]:
        """Every stream, in the order of their names."""
        after, more = "", True
        while more:
            header, bodies = self._ask("streams", {"after": after})
            yield from map(self._entry, bodies)
            after, more = header.after, header.more

    def discharge(self, stream: str) -> bool:
        """End the watch over a stream; whether its frames were still coming.

        Raises UsageError where it is not known.
        """
        return self._ask("discharge", {"stream": stream}).header.sending

    def _entry(self, body: bytes) -> StreamEntry:
        try:
            return decode_stream(body)
        except msgspec.MsgspecError as error:
            raise NoAnswerError(f"{self._endpoint}: not an answer: {error}") from None

    def _ask(self, kind: str, what: Mapping[str, Any]) -> Page:
        self._socket.send(encode_request(kind, **what), zmq.NOBLOCK)
        if not self._socket.poll(self._timeout_ms):
            self._socket.close()  # an answer that comes after all must not be taken for another's
            self._socket = self._connected()
            raise NoAnswerError(f"{self._endpoint}: no answer within {self._timeout_ms / 1000:g} s")
        first, *bodies = self._socket.recv_multipart()
        return Page(self._checked(first, kind), bodies)

    def _checked(self, first: bytes, kind: str) -> ReplyHeader:
        try:
            header = decode_reply(first)
        except msgspec.MsgspecError as error:
            raise NoAnswerError(f"{self._endpoint}: not an answer: {error}") from None
        if header.type == "error":
            text = f"{self._endpoint}: {header.error}: {header.text}"
            raise (
                AnswerUnavailableError(text) if header.error == "unavailable" else UsageError(text)
            )
        if header.v != VERSION or header.type != kind:
            text = f"expected {kind} of version {VERSION}, got {header.type} of {header.v}"
            raise NoAnswerError(f"{self._endpoint}: {text}")
        return header

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
        zmq_endpoints.terminate(self._context, END_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _named(by: str | None) -> dict[str, str]:
    return {} if by is None else {"by": by}


def fetch_alerts(
    endpoint: str,
    since: int = 0,
    *,
    configure: ConfigureSocket | None = None,
    timeout: float = TIMEOUT_S,
    patience: float = PATIENCE_S,
) -> Iterator[bytes]:
    """The JSON of every alert in the daemon's journal from number ``since`` on, in order.

    A daemon that cannot read its journal now, because its disk is slow, is asked again for
    ``patience`` seconds. Raises UsageError where it cannot then either, or nobody answers.
    """
    with Client(endpoint, configure=configure, timeout=timeout) as client:
        yield from fetched(client, since, patience)


def fetched(client: Client, since: int, patience: float = PATIENCE_S) -> Iterator[bytes]:
    """`fetch_alerts` by a connection that is there already."""
    return _pages(lambda n: _patiently(client.alerts, n, patience), since)


class _Key(msgspec.Struct):
    n: int
    id: str
    phase: str
    repeat: bool = False  # told anew, by a shard that went on with it


def fetch_episode(
    endpoint: str,
    episode: str,
    *,
    configure: ConfigureSocket | None = None,
    timeout: float = TIMEOUT_S,
    patience: float = PATIENCE_S,
) -> list[bytes]:
    """The JSON of the episode's alerts, in order, as far as the daemon's journal has them.

    The latest alerts are looked through first, back to the episode's start. Raises as
    `fetch_alerts` does.
    """
    found: list[bytes] = []
    with Client(endpoint, configure=configure, timeout=timeout) as client:
        ask = partial(_patiently, client.alerts, patience=patience)
        header = ask(LATEST).header
        end, begun = header.next, False
        while end > header.oldest and not begun:
            since = max(header.oldest, end - STRETCH)
            stretch: list[bytes] = []
            for body in _pages(ask, since):
                key = _key(body)
                if key.n >= end:
                    break
                if key.id == episode:
                    stretch.append(body)
                    begun = begun or key.phase == "start" or key.repeat
            found, end = stretch + found, since
    return found


def _key(body: bytes) -> _Key:
    try:
        return _key_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise NoAnswerError(f"not an alert: {error}") from None


_key_decoder = msgspec.json.Decoder(_Key)


def active(
    endpoint: str, *, configure: ConfigureSocket | None = None, timeout: float = TIMEOUT_S
) -> Iterator[bytes]:
    """The JSON of the last alert of every episode under way. Raises as `fetch_alerts` does."""
    with Client(endpoint, configure=configure, timeout=timeout) as client:
        yield from client.all_active()


def _patiently(ask: Callable[[int], Page], since: int, patience: float) -> Page:
    """The answer, asked for again while there is none yet, for so many seconds."""
    end = monotonic() + patience
    while True:
        try:
            return ask(since)
        except AnswerUnavailableError as error:
            if monotonic() >= end:
                raise AnswerUnavailableError(f"{error} (asked for {patience:g} s)") from None
        sleep(min(AGAIN_S, max(0.0, end - monotonic())))


def _pages(ask: Callable[[int], Page], since: int) -> Iterator[bytes]:
    more = True
    while more:
        header, bodies = ask(since)
        yield from bodies
        since, more = header.next, header.more


def follow_alerts(
    endpoint: str,
    since: int,
    stopping: Callable[[], bool],
    *,
    configure: ConfigureSocket | None = None,
    timeout: float = TIMEOUT_S,
    waiting: Callable[[UsageError | None], None] = lambda _: None,
) -> Iterator[bytes]:
    """As `fetch_alerts`, then those that come, until ``stopping`` says so.

    A daemon that is away, or cannot read its journal, is waited for; one that counts anew is
    followed from its beginning. ``waiting`` is called after each question: why there is no answer,
    None where there is one.
    """
    with Client(endpoint, configure=configure, timeout=timeout) as client:
        while not stopping():
            try:
                header, bodies = client.alerts(since)
            except (NoAnswerError, AnswerUnavailableError) as error:
                waiting(error)
                if isinstance(error, AnswerUnavailableError):
                    _rest(stopping)
                continue
            waiting(None)
            if header.next < since:
                since = 0
                continue
            yield from bodies
            since = header.next
            if not header.more:
                _rest(stopping)


def _rest(stopping: Callable[[], bool]) -> None:
    for _ in range(round(FOLLOW_S / STEP_S)):
        if not stopping():
            sleep(STEP_S)


def acknowledge(
    endpoint: str,
    episode: str,
    *,
    configure: ConfigureSocket | None = None,
    timeout: float = TIMEOUT_S,
) -> None:
    """Say that somebody has seen the episode. Raises UsageError if it is not under way, or where
    nobody answers."""
    with Client(endpoint, configure=configure, timeout=timeout) as client:
        client.acknowledge(episode)
