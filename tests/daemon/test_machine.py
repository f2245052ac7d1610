"""What the machine forbids is refused in one line, before a library ends the process for it."""

import errno
from typing import Any

import pytest

from beatgan_daemon import descriptors
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.machine import require_machine


def forbidden(*_: object, **__: object) -> Any:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_this_machine_will_do() -> None:
    require_machine()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("os.sched_setscheduler", "SystemCallFilter=sched_setscheduler"),
        ("socket.socket", "RestrictAddressFamilies=AF_NETLINK"),
        ("mmap.mmap", "MemoryDenyWriteExecute=no"),
    ],
)
def test_what_is_forbidden_is_named_with_what_allows_it(
    monkeypatch: pytest.MonkeyPatch, what: str, words: str
) -> None:
    monkeypatch.setattr(what, forbidden)
    with pytest.raises(StartError, match=f"Operation not permitted; in a systemd unit, {words}"):
        require_machine()


def test_too_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "free", lambda: 3)
    with pytest.raises(StartError, match=r"only 3 more files may be opened.*LimitNOFILE="):
        require_machine()
