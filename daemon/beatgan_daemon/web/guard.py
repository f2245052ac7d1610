"""What stands before every page and every WebSocket, as ASGI: Host, Origin, headers, the cookie."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from beatgan_daemon.web.addresses import Addresses
from beatgan_daemon.web.sessions import Sessions, TokenSession

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PUBLIC: Final = ("/static/", "/login")  # nothing of a patient
SAFE: Final = ("GET", "HEAD")


class Guard:
    """Lets through what comes from the page itself and from somebody known."""

    def __init__(self, app: ASGIApp, addresses: Addresses, sessions: Sessions) -> None:
        self._app, self._addresses, self._sessions = app, addresses, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _with_headers(send)
        answer = self._answer(scope)
        if answer is None:
            await self._app(scope, receive, send)
        else:
            await answer(scope, receive, send)  # of a WebSocket: its handshake is answered so

    def _answer(self, scope: Scope) -> Response | None:
        """None: the application answers, and knows the ``person`` in its scope."""
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in self._addresses.hosts:
            return PlainTextResponse("this page is not served under that name", 421)
        origin = headers.get("origin")
        needed = scope["type"] == "websocket" or scope["method"] not in SAFE
        if (needed or origin is not None) and origin not in self._addresses.origins:
            return PlainTextResponse("this request comes from another page", 403)
        if isinstance(self._sessions, TokenSession) and scope["type"] == "http":
            token = QueryParams(scope["query_string"]).get("token")
            if token is not None:
                return self._sessions.enter(token, scope["path"])
        scope["person"] = self._sessions.person(headers, peer_of(scope))
        if scope["person"] is not None:
            return None
        if scope["type"] == "http":
            if scope["path"].startswith(PUBLIC):
                return None
            if self._sessions.login and not scope["path"].startswith("/api/"):
                return RedirectResponse("/login", 303)
        return PlainTextResponse(self._sessions.refusal, 401)


def peer_of(scope: Scope) -> str:
    """The address that a request comes from; empty where there is none."""
    return scope["client"][0] if scope.get("client") else ""


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return with_headers
