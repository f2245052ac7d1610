"""CURVE keys: made, stored in pyzmq's certificate files, and put on sockets.

Knows no allow-list and no role. A secret key is in no message, log line or `repr`.
"""

import os
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zmq
import zmq.auth
from zmq.utils import z85

from beatgan.errors import UsageError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular
from beatgan_daemon.security.credentials_directory import is_credential

HANDSHAKE_MS = 5_000  # a caller that has not proved itself by then is cut off
KEY_LENGTH = 40  # characters of Z85 (ZeroMQ RFC 32)

ConfigureSocket = Callable[
    [zmq.Socket[bytes]], None
]  # called with a socket before it binds or connects


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public and a secret key, as Z85 text."""

    public: bytes
    secret: bytes = field(repr=False)


def keygen(path: Path) -> KeyPair:
    """Make a key pair: ``path``.key_secret, which its owner alone may read, and ``path``.key.

    Raises StartError where one of the two exists already or cannot be written.
    """
    secret = path.with_name(f"{path.name}.key_secret")
    public = path.with_name(f"{path.name}.key")
    for file, mode in ((secret, 0o600), (public, 0o644)):
        _reserve(file, mode)
    zmq.auth.create_certificates(path.parent, path.name)
    return load_key(secret, {})


def _reserve(file: Path, mode: int) -> None:
    """Make an empty file, so that no key is ever in one with other permissions."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    except FileExistsError:
        raise StartError(f"{file}: exists already; a key is never overwritten") from None
    except OSError as error:
        raise StartError(f"{file}: cannot be written: {error.strerror}") from None


def load_key(path: Path, environment: Mapping[str, str] = os.environ) -> KeyPair:
    """The key pair in a ``.key_secret`` file.

    Raises StartError if it cannot be read, is no key pair, or may be read by others; what systemd
    holds in $CREDENTIALS_DIRECTORY has permissions of its own.
    """
    try:
        public, secret, mode = _certificate(path)
    except (OSError, ValueError, IndexError) as error:
        raise StartError(f"{path}: no key pair can be read: {_reason(error)}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_credential(path, environment):
        raise StartError(
            f"{path}: others may read this secret key (mode {stat.S_IMODE(mode):04o}); "
            f"run `chmod 600 {path}`"
        )
    if secret is None or not (is_key(public) and is_key(secret)):
        raise StartError(f"{path}: holds no secret key; expected a file NAME.key_secret of keygen")
    if zmq.curve_public(secret) != public:
        raise StartError(f"{path}: the public key does not belong to the secret key")
    return KeyPair(public, secret)


def load_public(text: str) -> bytes:
    """A public key, written out or as the name of a ``.key`` file. Raises StartError."""
    key = text.encode(errors="surrogateescape")
    if is_key(key):
        return key
    try:
        public, _, _ = _certificate(Path(text))
    except (OSError, ValueError, IndexError) as error:
        raise StartError(f"{text}: no public key can be read: {_reason(error)}") from None
    if not is_key(public):
        raise StartError(f"{text}: holds no public key of {KEY_LENGTH} characters of Z85")
    return public


def _certificate(path: Path) -> tuple[bytes, bytes | None, int]:
    """Public and secret key of a certificate file, and its mode.

    Raises OSError, ValueError, or IndexError as pyzmq does on a line without a key.
    """
    with open_regular(path) as file:
        mode = os.fstat(file.fileno()).st_mode
    return (*zmq.auth.load_certificate(path), mode)


def is_key(text: bytes) -> bool:
    """Whether ``text`` can be a key: 40 characters of Z85."""
    try:
        return len(text) == KEY_LENGTH and z85.encode(z85.decode(text)) == text
    except (KeyError, ValueError, struct.error):
        return False


def as_server(socket: zmq.Socket[bytes], key: KeyPair, domain: str) -> None:
    """Let nobody in whom the ZAP handler does not know; call it before `bind`.

    Without a handler nobody gets in at all: libzmq would else take any client that speaks CURVE.
    """
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.zap_domain = domain.encode()
    _set_keys(socket, key)
    socket.curve_server = True


def as_client(socket: zmq.Socket[bytes], key: KeyPair, server: bytes) -> None:
    """Talk to none but the one who holds the secret key of ``server``; call before `connect`."""
    socket.handshake_ivl = HANDSHAKE_MS
    _set_keys(socket, key)
    socket.curve_serverkey = server


def client_configuration(key: KeyPair, server: bytes) -> ConfigureSocket:
    """`as_client`, for whoever opens the socket."""
    return lambda socket: as_client(socket, key, server)


def configuration(key: Path | None, server: str | None) -> ConfigureSocket | None:
    """The same of what options say: a file, and a key or its file; None without both.

    Raises UsageError for one without the other, StartError as `load_key` and `load_public`.
    """
    if key is None and server is None:
        return None
    if key is None or server is None:
        raise UsageError("--key and --server-key: give both or none")
    return client_configuration(load_key(key), load_public(server))


def _set_keys(socket: zmq.Socket[bytes], key: KeyPair) -> None:
    socket.curve_publickey = key.public
    socket.curve_secretkey = key.secret


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is no certificate file"
