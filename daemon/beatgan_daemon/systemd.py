"""Reports the service's state to systemd (sd_notify, see systemd.exec(5)); silent anywhere else.

Knows the notification socket only: what is reported is decided by the service.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from time import CLOCK_MONOTONIC, clock_gettime_ns

SEND_TIMEOUT_S = 0.2  # with a manager that does not read its socket
EXTENSION_S = 30.0  # how much longer systemd is to wait for READY=1 each time
EXTENSIONS = 30  # a start that takes longer hangs, and is systemd's to end


class Notifier:
    """Sends state lines to the socket that systemd named in ``NOTIFY_SOCKET``; any thread may."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL byte of Linux's abstract socket namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_seconds(environment)

    def send(self, *lines: str) -> None:
        """Send ``KEY=VALUE`` lines; a service manager gone or stuck is no reason to fail."""
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as channel:
            channel.settimeout(SEND_TIMEOUT_S)  # a full queue blocks a datagram too
            channel.sendto("\n".join(lines).encode(), self._address)

    def reloading(self) -> None:
        """Say that a reload begins. Its end is reported by ``READY=1``, whatever came of it."""
        now = clock_gettime_ns(CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    @contextmanager
    def warming_up(self, text: str) -> Iterator[None]:
        """Say what is being done, and that it needs time, until the block is left."""
        self.send(f"STATUS={text}")
        if not self._address:
            yield
            return
        done = Event()
        asking = Thread(target=self._ask_for_time, args=(done,), name="warming-up", daemon=True)
        asking.start()
        try:
            yield
        finally:
            done.set()
            asking.join()

    def _ask_for_time(self, done: Event) -> None:
        for _ in range(EXTENSIONS):
            self.send(f"EXTEND_TIMEOUT_USEC={round(1e6 * EXTENSION_S)}")
            if done.wait(EXTENSION_S / 2):
                return


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """How often systemd wants a sign of progress; None when it does not watch this process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None
