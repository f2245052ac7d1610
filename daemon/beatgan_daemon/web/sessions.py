"""Who a request comes from: a cookie that was given for the token, or for a name and password."""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import Final, Protocol

SESSION_S: Final = 12 * 3_600.0
MOST: Final = 1_000  # sessions; the oldest ends


@dataclass(frozen=True, slots=True)
class Person:
    """``name``: None where only the token is known; the page asks for it then."""

    name: str | None
    may_acknowledge: bool


ANYBODY: Final = Person(None, may_acknowledge=True)


class Sessions(Protocol):
    """Knows people by their cookie."""

    def person(self, cookie: str | None) -> Person | None:
        """Whose cookie it is; None: nobody's."""


class TokenSession:
    """On one machine: whoever has the token that was printed."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.cookie = hmac.new(self.token.encode(), b"cookie", sha256).hexdigest()

    def admits(self, token: str) -> bool:
        """Whether it is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def person(self, cookie: str | None) -> Person | None:
        """Anybody who has the cookie."""
        right = cookie is not None and hmac.compare_digest(cookie.encode(), self.cookie.encode())
        return ANYBODY if right else None


class ProxySession:
    """Behind a proxy that lets nobody in whom it does not know."""

    def person(self, _cookie: str | None) -> Person | None:
        """Whoever the proxy let through."""
        return ANYBODY


class UserSessions:
    """People who gave their password, each by a random cookie, for SESSION_S."""

    def __init__(self, users: "Users") -> None:
        self._users = users
        self._open: dict[str, tuple[str, float]] = {}

    def begin(self, name: str) -> str:
        """A new cookie for ``name``, whose password was right."""
        cookie = secrets.token_urlsafe(32)
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        self._open[cookie] = name, monotonic() + SESSION_S
        return cookie

    def end(self, cookie: str | None) -> None:
        """The person leaves."""
        self._open.pop(cookie or "", None)

    def person(self, cookie: str | None) -> Person | None:
        """By the list of users as it is now."""
        name, until = self._open.get(cookie or "", ("", 0.0))
        if monotonic() > until:
            return None
        return self._users.person(name)


class Users(Protocol):
    """The list of users."""

    def person(self, name: str) -> Person | None:
        """The user of that name; None where there is none any more."""
