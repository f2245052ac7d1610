"""Who a request comes from: by the token that was printed, by name and password, or by a proxy."""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from time import monotonic
from typing import Final, NamedTuple, Protocol

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from beatgan_daemon.web.users import User, Users

SESSION_S: Final = 12 * 3_600.0
MOST: Final = 1_000  # sessions; the oldest ends


@dataclass(frozen=True, slots=True)
class Person:
    """``name``: None where it is not known; the page asks for it then."""

    name: str | None
    may_acknowledge: bool


class Sessions(Protocol):
    """Knows people by what their browser or their proxy sends."""

    refusal: str  # what is told to somebody unknown
    login: bool  # whether there is a page to log in

    def person(self, headers: Headers, peer: str) -> Person | None:
        """Whose request it is; None: nobody's. ``peer``: the address that it comes from."""


class TokenSession:
    """On one machine: whoever has the token that was printed."""

    refusal = "not allowed: open the address that beatgan-daemon web has printed"
    login = False

    def __init__(self, cookie_name: str) -> None:
        self.cookie_name = cookie_name
        self.token = secrets.token_urlsafe(32)
        self.cookie = hmac.new(self.token.encode(), b"cookie", sha256).hexdigest()

    def enter(self, token: str, path: str) -> Response:
        """The cookie for the token, and the same page without it in the address."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return PlainTextResponse("this token is not right", 401)
        answer = RedirectResponse(path, 303)
        answer.set_cookie(self.cookie_name, self.cookie, httponly=True, samesite="strict")
        return answer

    def person(self, headers: Headers, _peer: str) -> Person | None:
        """Anybody who has the cookie."""
        cookie = cookie_of(headers, self.cookie_name).encode()
        right = hmac.compare_digest(cookie, self.cookie.encode())
        return Person(None, may_acknowledge=True) if right else None


class ProxySession:
    """Behind a proxy that lets nobody in whom it does not know.

    Only the proxy is heard: else anybody could send the header that it sends.
    """

    refusal = "not allowed: this page is served to its proxy alone"
    login = False

    def __init__(self, proxies: Iterable[str], user_header: str | None) -> None:
        """``proxies``: their addresses. ``user_header``: who has it may acknowledge, under the name
        that it gives; without it one may look."""
        self._proxies = {ip_address(each) for each in proxies}
        self._user_header = user_header

    def person(self, headers: Headers, peer: str) -> Person | None:
        """Whoever the proxy let through."""
        if not peer or ip_address(peer) not in self._proxies:
            return None
        names = headers.getlist(self._user_header) if self._user_header else []
        if len(names) != 1 or not names[0].strip().isprintable() or not names[0].strip():
            return Person(None, may_acknowledge=False)
        return Person(names[0].strip(), may_acknowledge=True)


class _Session(NamedTuple):
    user: User
    until: float


class UserSessions:
    """People who gave their password, each by a random cookie, for SESSION_S.

    A session also ends when the user's line in the file changes or goes.
    """

    refusal = "not allowed: log in"
    login = True

    def __init__(self, users: Users, cookie_name: str) -> None:
        self.users, self.cookie_name = users, cookie_name
        self._open: dict[str, _Session] = {}

    def begin(self, user: User) -> str:
        """A new cookie for ``user``, whose password was right."""
        cookie = secrets.token_urlsafe(32)
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        self._open[_stored(cookie)] = _Session(user, monotonic() + SESSION_S)
        return cookie

    def end(self, headers: Headers) -> None:
        """The person leaves."""
        self._open.pop(_stored(cookie_of(headers, self.cookie_name)), None)

    def person(self, headers: Headers, _peer: str) -> Person | None:
        """By the list of users as it is now."""
        key = _stored(cookie_of(headers, self.cookie_name))
        session = self._open.get(key)
        if session is None:
            return None
        user = session.user
        if monotonic() > session.until or self.users.user(user.name) != user:
            del self._open[key]
            return None
        return Person(user.name, may_acknowledge=user.role == "acknowledge")


def cookie_of(headers: Headers, name: str) -> str:
    """The cookie's value; empty where there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _stored(cookie: str) -> str:
    """What is compared is not the cookie itself: how long that takes tells nothing of it."""
    return sha256(cookie.encode()).hexdigest()
