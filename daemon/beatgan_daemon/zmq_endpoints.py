"""Binding and connecting sockets, with errors that say which endpoint and why.

Knows what libzmq's error numbers mean; knows nothing of what travels through a socket.
"""

import os
from collections.abc import Callable, Iterable
from errno import EADDRINUSE, ENODEV
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET
from socket import socket as tcp_socket
from threading import Thread
from time import monotonic, sleep

import zmq

from beatgan.errors import BeatganError, UsageError
from beatgan_daemon import descriptors
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.tcp_listener import tcp_listener

Binding = Callable[[zmq.Socket[bytes], str, str], str]  # `listen` or `listen_again`
REBIND_S = 2.0  # in which libzmq gives an endpoint free that was just closed
_MALFORMED: dict[int | None, str] = {
    zmq.EINVAL: "is not of the form tcp://HOST:PORT or ipc://PATH",
    zmq.EPROTONOSUPPORT: "names a transport that ZeroMQ does not have (tcp, ipc, inproc)",
    zmq.ENOCOMPATPROTO: "names a transport that does not fit this kind of socket",
}
_NOT_TO_BE_HAD: dict[int | None, str] = {
    zmq.EADDRINUSE: "the port is in use by another socket",
    zmq.EADDRNOTAVAIL: "this machine has no such address",
    ENODEV: "this machine has no such address or network interface",
}

IPC_DESCRIPTORS = 4_096  # so many that the connection limit is sooner than whoever calls
MAX_IO_THREADS = 64  # as many bits has ZMQ_AFFINITY
_FIRST = 1  # the thread of everything but names
_named = count()  # connections to names take turns with the threads
KEEPALIVE_S = 2  # of rest until who is called is probed, and from one probe to the next
KEEPALIVE_PROBES = 2  # unanswered, until it is given up
PEER_GONE_S = 120  # without an answer, until a caller is given up: see `tcp_listener`


def bind(socket: zmq.Socket[bytes], endpoint: str, purpose: str) -> str:
    """Bind, and return the endpoint with wildcards (``*``, port 0) resolved.

    Raises UsageError on a malformed endpoint and StartError on one that cannot be had (in use,
    not of this machine, not permitted).
    """
    what = f"cannot bind the {purpose} endpoint {endpoint!r}"
    _prepare(socket, endpoint, what)
    socket.affinity = _FIRST
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise _explained(error, what) from None
    return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def require_descriptors(endpoint: str, purpose: str) -> None:
    """Raise StartError where libzmq (4.3.5) could run out of descriptors while it takes callers.

    On ipc it ends the process then (``Too many open files (ipc_listener.cpp)``).
    """
    if endpoint.startswith("ipc://") and (there := descriptors.limit()) < IPC_DESCRIPTORS:
        raise StartError(
            f"the {purpose} endpoint {endpoint!r}: ipc needs a limit of {IPC_DESCRIPTORS} open "
            f"files at least, not {there}; LimitNOFILE= in a systemd unit, `ulimit -n` in a shell"
        )


def listen(socket: zmq.Socket[bytes], endpoint: str, purpose: str) -> str:
    """As `bind`, for a daemon: no caller's connection breaks at once, see `tcp_listener`.

    One that is gone is given up after PEER_GONE_S.
    """
    _keep_alive(socket, PEER_GONE_S // (1 + KEEPALIVE_PROBES))
    socket.setsockopt(zmq.TCP_MAXRT, 1000 * PEER_GONE_S)  # if it does not take what is sent
    if not endpoint.startswith("tcp://"):
        return bind(socket, endpoint, purpose)
    what = f"cannot bind the {purpose} endpoint {endpoint!r}"
    host, port = _address(socket.context, endpoint, what), endpoint.rpartition(":")[2]
    try:
        listener = tcp_listener(host, 0 if port == "*" else int(port))
    except OSError as error:
        raise _explained(zmq.ZMQError(error.errno), what) from None
    with listener:
        socket.setsockopt(zmq.USE_FD, listener.fileno())
        bound = bind(socket, endpoint, purpose)
        socket.setsockopt(zmq.USE_FD, -1)
        listener.detach()  # it is ZeroMQ's now
    return bound


def try_bind(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, purpose: str) -> bool:
    """Whether `bind` would succeed, without anybody being able to connect; False: it is in use.

    Raises what `bind` would raise for any other reason. An ipc endpoint can be taken over, so only
    whether its file can be made is looked at.
    """
    require_descriptors(endpoint, purpose)
    what = f"cannot bind the {purpose} endpoint {endpoint!r}"
    scheme, _, path = endpoint.partition("://")
    if scheme == "ipc":
        folder = Path(path).absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StartError(f"{what}: cannot write to {folder}")
        return True
    if scheme != "tcp":
        with context.socket(zmq.PAIR) as socket:
            bind(socket, endpoint, purpose)
        return True
    host, port = _address(context, endpoint, what), endpoint.rpartition(":")[2]
    return port in ("*", "0") or is_free(host, int(port), f"the {purpose} endpoint")


def _address(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, what: str) -> str:
    """The host of a TCP endpoint in figures; raises as `bind` does where it is none of ours."""
    with context.socket(zmq.PAIR) as socket:
        _prepare(socket, endpoint, what)
        socket.affinity = _FIRST
        try:
            socket.bind(f"{endpoint.rpartition(':')[0]}:*")
        except zmq.ZMQError as error:
            raise _explained(error, what) from None
        resolved = socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
    return _host(resolved)


def is_free(host: str, port: int, purpose: str) -> bool:
    """Whether a server could listen there; False: another does. Raises StartError otherwise."""
    family = AF_INET6 if ":" in host else AF_INET
    try:
        with tcp_socket(family) as trial:  # bound, but not listening: nobody can connect
            trial.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        if error.errno == EADDRINUSE:
            return False
        why = error.strerror or error
        raise StartError(f"{purpose}: cannot listen on {host}:{port}: {why}") from None
    return True


def listen_again(socket: zmq.Socket[bytes], endpoint: str, purpose: str) -> str:
    """As `listen`, for an endpoint that this process has just closed."""
    end = monotonic() + REBIND_S
    while True:
        try:
            return listen(socket, endpoint, purpose)
        except StartError:
            if monotonic() > end:
                raise
            sleep(0.001)


def connect(socket: zmq.Socket[bytes], endpoint: str, purpose: str) -> None:
    """Connect; raises as `bind` does. That nobody listens there yet is no error in ZeroMQ."""
    what = f"cannot connect the {purpose} endpoint {endpoint!r}"
    _prepare(socket, endpoint, what)
    socket.affinity = _affinity(socket, endpoint)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise _explained(error, what) from None


def io_threads(called: Iterable[str]) -> int:
    """How many threads ZeroMQ needs for I/O, so that no name server keeps anybody waiting but the
    one whose name it does not know: ``called`` are all endpoints to connect to.

    libzmq looks names up in the thread that serves the connection, and waits for the answer.
    """
    return min(MAX_IO_THREADS, 1 + sum(map(_has_name, called)))


def terminate(context: zmq.Context[zmq.Socket[bytes]], seconds: float) -> None:
    """Terminate ``context``, whose sockets are closed; what hangs by then, as a thread that waits
    for a name server, is left to the end of the process."""
    ending = Thread(target=context.term, name="terminate", daemon=True)
    ending.start()
    ending.join(seconds)


def _has_name(endpoint: str) -> bool:
    """Whether somebody has to be asked for the address."""
    try:
        ip_address(_host(endpoint).partition("%")[0])
    except ValueError:
        return endpoint.startswith("tcp://")
    return False


def _affinity(socket: zmq.Socket[bytes], endpoint: str) -> int:
    """ZMQ_AFFINITY: the I/O threads that may serve a connection to ``endpoint``, as bits."""
    threads = socket.context.get(zmq.IO_THREADS)
    if threads == 1 or not _has_name(endpoint):
        return _FIRST
    return 1 << (1 + next(_named) % (threads - 1))


def is_local(endpoint: str) -> bool:
    """Whether nothing but this machine can be at the other end of ``endpoint``."""
    scheme, host = endpoint.partition("://")[0], _host(endpoint)
    if scheme in ("ipc", "inproc") or host in ("localhost", "lo"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name or *: it may be any machine's
        return False


def _host(endpoint: str) -> str:
    """The host of ``tcp://HOST:PORT``, an IPv6 address without its brackets."""
    return endpoint.partition("://")[2].rpartition(":")[0].strip("[]")


def _prepare(socket: zmq.Socket[bytes], endpoint: str, what: str) -> None:
    """Refuse ports that libzmq would misread, and allow IPv6 where it is meant."""
    host, _, port = endpoint.rpartition(":")
    if not endpoint.startswith("tcp://"):
        return
    if port != "*" and not (port.isdecimal() and int(port) <= 65_535):
        raise UsageError(f"{what}: expected tcp://HOST:PORT with a port of at most 65535")
    socket.ipv6 = host.endswith("]")


def _explained(error: zmq.ZMQError, what: str) -> BeatganError:
    if error.errno in _MALFORMED:
        return UsageError(f"{what}: it {_MALFORMED[error.errno]}")
    return StartError(f"{what}: {_NOT_TO_BE_HAD.get(error.errno, error.strerror)}")


def keep_alive(socket: zmq.Socket[bytes]) -> None:
    """TCP keepalive for a socket that calls: who vanished without a word is given up in seconds.

    Not ZeroMQ's heartbeats: libzmq (4.3.5) aborts the process when one is due on a connection
    that its peer has closed while the queue was full (``Assertion failed: !_io_error``).
    """
    _keep_alive(socket, KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_MAXRT, 0)  # the system's own


def _keep_alive(socket: zmq.Socket[bytes], seconds: int) -> None:
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = seconds
    socket.tcp_keepalive_cnt = KEEPALIVE_PROBES
