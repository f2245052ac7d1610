"""/metrics, /livez and /readyz in threads of their own. Knows nothing of ECG.

Whoever can reach it can read it; what a client can cost is bounded in number and in time. Where
there are too many, whoever has been connected for longest is cut off, so that no number of slow
clients keeps a probe from its answer.
"""

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from time import monotonic
from typing import Any, ClassVar

from prometheus_client import CONTENT_TYPE_LATEST

from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.settings_schema import Address

REQUEST_TIMEOUT_S = 5.0  # a client that is not served within this is cut off
MAX_CLIENTS = 64  # at a time, each with a thread; one more costs the oldest its place
BACKLOG = 128  # connections that may wait to be taken
CLOSE_S = 0.2  # how soon `close` is seen, and a client's time is over

Page = tuple[HTTPStatus, str, bytes]
Check = Callable[[], str | None]  # what is wrong, or None
Request = socket.socket | tuple[bytes, socket.socket]  # as socketserver has it: UDP's is a tuple


class _Listener(ThreadingTCPServer):
    # Not HTTPServer: that one asks the DNS for its own name when it starts.
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, address: Address, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._since: dict[socket.socket, float] = {}  # connections, the oldest first: made when
        super().__init__((address.host, address.port), handler)

    def process_request(self, request: Request, client_address: Any) -> None:
        """Serve it in a thread; make room for it first."""
        if isinstance(request, socket.socket):
            for oldest in tuple(self._since)[: len(self._since) + 1 - MAX_CLIENTS]:
                self._cut_off(oldest)
            self._since[request] = monotonic()
        super().process_request(request, client_address)

    def _cut_off(self, request: socket.socket) -> None:
        """Its thread finds the connection closed, and ends."""
        self._since.pop(request, None)
        with suppress(OSError):  # it may have ended by itself
            request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Request) -> None:
        """One client less, however it ended."""
        super().shutdown_request(request)
        if isinstance(request, socket.socket):
            self._since.pop(request, None)

    def service_actions(self) -> None:
        """Close connections that take too long, such as those that send a byte every second."""
        late = monotonic() - REQUEST_TIMEOUT_S
        for request, since in tuple(self._since.items()):
            if since < late:
                self._cut_off(request)

    def handle_error(self, *_: object) -> None:
        """A client that hung up is no news; anything else is a bug, and the log must have it."""
        if not isinstance(sys.exception(), OSError):
            log.get().exception("an HTTP request failed")


class HttpServer:
    """Serves from construction to `close`; raises StartError where it cannot listen."""

    def __init__(
        self, address: Address, metrics: Callable[[], bytes], alive: Check, ready: Check
    ) -> None:
        pages: dict[str, Callable[[], Page]] = {
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, metrics()),
            "/livez": lambda: _health(alive()),
            "/readyz": lambda: _health(ready()),
        }
        try:
            self._listener = _Listener(address, type("Handler", (_Handler,), {"pages": pages}))
        except OSError as error:
            why = error.strerror or error
            raise StartError(f"http.listen: cannot listen on {address}: {why}") from None
        host, port = self._listener.server_address[:2]
        self.address = Address(str(host), int(port))
        self._thread = Thread(
            target=self._listener.serve_forever, args=(CLOSE_S,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()


def _health(trouble: str | None) -> Page:
    status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "text/plain; charset=utf-8", f"{trouble or 'ok'}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Callable[[], Page]]] = {}
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer with the page asked for."""
        self.wfile.write(self._head())

    def do_HEAD(self) -> None:
        """Answer with the page's headers alone."""
        self._head()

    def _head(self) -> bytes:
        """Send the status and headers; the page's body is left to send."""
        page = self.pages.get(self.path.partition("?")[0])
        missing = (HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found\n")
        status, kind, body = page() if page else missing
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def version_string(self) -> str:
        """What the Server header says; nothing of Python's version."""
        return "beatgan"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape every few seconds is no event."""
