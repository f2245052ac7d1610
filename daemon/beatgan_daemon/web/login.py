"""Logging in and out, where people have names and passwords."""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from beatgan_daemon import log
from beatgan_daemon.web.guard import peer_of
from beatgan_daemon.web.login_attempts import BusyError, LoginAttempts
from beatgan_daemon.web.passwords import MOST
from beatgan_daemon.web.sessions import SESSION_S, UserSessions

FORM: Final = Path(__file__).with_name("page") / "login.html"
WHY: Final = "<!-- why -->"  # of the form: its place for a sentence
MOST_BYTES: Final = 4 * MOST  # of the form's answer


class Login:
    """Its routes."""

    def __init__(self, sessions: UserSessions) -> None:
        self._sessions, self._attempts = sessions, LoginAttempts()

    @property
    def routes(self) -> list[Route]:
        """The form and what it sends; and the way out."""
        return [
            Route("/login", self._form, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
        ]

    async def _form(self, _: Request) -> Response:
        return _form("")

    async def _log_in(self, request: Request) -> Response:
        fields = await _fields(request)
        if fields is None:
            return PlainTextResponse("not the form's answer", 400)
        name, password = fields
        peer = peer_of(request.scope)
        user = self._sessions.users.user(name)
        try:
            right = await self._attempts.fits(peer, user.password if user else None, password)
        except BusyError as busy:
            return _form(f"Not now: {busy}.", 429, {"Retry-After": str(busy.seconds)})
        if not right or user is None:
            # Somebody's password may stand in place of the name: only a name that is one is told.
            who = {} if user is None else {"user": user.name}
            log.get().warning("login failed", address=peer, failures=self._attempts.failures, **who)
            return _form("Name or password is not right.", 401)
        log.get().info("login", user=user.name, role=user.role, address=peer)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self._sessions.cookie_name,
            self._sessions.begin(user),
            max_age=round(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=True,
        )
        return answer

    async def _log_out(self, request: Request) -> Response:
        person = request.scope["person"]
        self._sessions.end(request.headers)
        log.get().info("logout", user=person.name)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            self._sessions.cookie_name, httponly=True, samesite="strict", secure=True
        )
        return answer


async def _fields(request: Request) -> tuple[str, str] | None:
    """Name and password; None where it is not what the form sends."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=2)
        (name,), (password,) = fields["name"], fields["password"]
    except (KeyError, ValueError):
        return None
    return (name.strip(), password) if len(password) <= MOST else None


def _form(why: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The form. ``why``: text of ours, never of a request."""
    answer = HTMLResponse(FORM.read_text().replace(WHY, why), status, headers)
    # A browser that may not tell where it comes from sends no Origin with a form.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer
