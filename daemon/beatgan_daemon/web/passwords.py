"""Passwords, kept as scrypt makes of them. One trial takes 16 MiB and a quarter of a second."""

import hmac
import secrets
from hashlib import scrypt
from typing import Annotated, Final

import msgspec
from msgspec import Meta

LEAST: Final = 8  # characters
MOST: Final = 1_024
_MAX_BYTES: Final = 64 * 2**20


class Hashed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A password as it is kept: scrypt's cost (RFC 7914), the salt, and what came of them."""

    n: Annotated[int, Meta(ge=2, le=2**18)]
    r: Annotated[int, Meta(ge=1, le=16)]
    p: Annotated[int, Meta(ge=1, le=16)]
    salt: Annotated[str, Meta(pattern="^([0-9a-f]{2}){8,64}$")]
    hash: Annotated[str, Meta(pattern="^([0-9a-f]{2}){16,64}$")]

    def __post_init__(self) -> None:
        """Raises ValueError for a cost that scrypt refuses, or that takes too much memory."""
        if self.n & (self.n - 1):
            raise ValueError("n is no power of two")
        if 128 * self.r * (self.n + self.p + 2) > _MAX_BYTES:
            raise ValueError("this cost takes more than 64 MiB")

    def fits(self, password: str) -> bool:
        """Whether it is the password. Takes its time."""
        return hmac.compare_digest(bytes.fromhex(self.hash), self._of(password))

    def _of(self, password: str) -> bytes:
        return scrypt(
            password.encode(errors="surrogatepass"),
            salt=bytes.fromhex(self.salt),
            n=self.n,
            r=self.r,
            p=self.p,
            maxmem=2 * _MAX_BYTES,
            dklen=len(self.hash) // 2,
        )


def hashed(password: str) -> Hashed:
    """With a new salt, at the cost that OWASP gives for 16 MiB. Raises ValueError on its length."""
    if not LEAST <= len(password) <= MOST:
        raise ValueError(f"a password has {LEAST}-{MOST} characters")
    empty = Hashed(2**14, 8, 5, secrets.token_hex(16), "00" * 32)
    return msgspec.structs.replace(empty, hash=empty._of(password).hex())
