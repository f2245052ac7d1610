"""Tells systemd how the service fares (sd_notify, see systemd.exec(5)); silent anywhere else.

Knows the notification socket only: what there is to tell is decided by the service.
"""

import os
import socket
from collections.abc import Mapping

PATIENCE_S = 0.2  # with a manager that does not read what it is told


class Notifier:
    """Sends state lines to the socket that systemd named in ``NOTIFY_SOCKET``."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL byte of Linux's abstract socket namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_seconds(environment)

    def send(self, *lines: str) -> None:
        """Send ``KEY=VALUE`` lines; a service manager gone or stuck is no reason to fail."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(PATIENCE_S)  # a full queue blocks a datagram too
            try:
                channel.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """How often systemd wants a sign of progress; None when it does not watch this process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None
