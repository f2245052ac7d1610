"""What stands before every page and every WebSocket, as ASGI: Host, Origin, headers, the cookie."""

from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from beatgan_daemon.web.addresses import Addresses
from beatgan_daemon.web.sessions import Sessions

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

    def __init__(
        self, app: ASGIApp, addresses: Addresses, sessions: Sessions, cookie: str, login: bool
    ) -> None:
        """``cookie``: its name; ``login``: whether there is a page to log in."""
        self._app, self._addresses, self._sessions = app, addresses, sessions
        self._cookie, self._login = cookie, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refusal(scope, receive, send)  # of a WebSocket: its handshake is answered so

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in self._addresses.hosts:
            return PlainTextResponse("this page is not served under that name", 421)
        origin = headers.get("origin")
        needed = scope["type"] == "websocket" or scope["method"] not in SAFE
        if (needed or origin is not None) and origin not in self._addresses.origins:
            return PlainTextResponse("this request comes from another page", 403)
        scope["cookie"] = _cookie(headers.get("cookie", ""), self._cookie)
        scope["person"] = self._sessions.person(scope["cookie"])
        path = scope["path"]
        if scope["person"] is not None or (scope["type"] == "http" and path.startswith(PUBLIC)):
            return None
        if scope["type"] == "http" and b"token=" in scope["query_string"]:
            return None  # the page looks at it
        if self._login and scope["type"] == "http" and not path.startswith("/api/"):
            return RedirectResponse("/login", 303)
        return PlainTextResponse(
            "not allowed: open the address that beatgan-daemon web has printed"
            if not self._login
            else "not allowed: log in",
            401,
        )


def _cookie(header: str, name: str) -> str | None:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return with_headers
