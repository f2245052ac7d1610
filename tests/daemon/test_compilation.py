"""What had to be compiled is counted, and told to who watches the log."""

from typing import Any

import numba
import pytest
from structlog.testing import capture_logs

from beatgan.compilations import compilations
from beatgan_daemon import systemd
from beatgan_daemon.compilation import CompilationLog


def fresh() -> tuple[Any, Any]:
    """Two functions that nobody has called: one alone, and one that calls a third."""

    def halve(x: float) -> float:
        return x / 2

    def triple(x: float) -> float:
        return 3 * x

    tripled: Any = numba.njit(triple)

    def sextuple(x: float) -> Any:
        return tripled(x) * 2

    halved: Any = numba.njit(halve)
    sextupled: Any = numba.njit(sextuple)
    return halved, sextupled


def test_functions_are_counted_and_those_told_that_python_called() -> None:
    halved, sextupled = fresh()
    began: list[str] = []
    ended: list[tuple[str, float]] = []
    with compilations(began.append, lambda *each: ended.append(each)) as found:
        assert (halved(3.0), sextupled(1.0), halved(1.0)) == (1.5, 6.0, 0.5)
    assert found.functions == 3
    assert [name.rsplit(".", 1)[1] for name in began] == ["halve", "sextuple"]
    assert [name for name, _ in ended] == began
    assert found.seconds == pytest.approx(sum(seconds for _, seconds in ended))
    halved(1)  # of an integer, but nobody listens any more
    assert found.functions == 3


def test_what_listeners_raise_prevents_it() -> None:
    halved, _ = fresh()

    def refuse(_: str) -> None:
        raise PermissionError

    with compilations(refuse), pytest.raises(PermissionError):
        halved(1.0)
    assert halved.signatures == []
    assert halved(1.0) == 0.5


class Notifications(systemd.Notifier):
    """A notifier whose service manager this is."""

    def __init__(self) -> None:
        super().__init__({})
        self.lines: list[str] = []

    def send(self, *lines: str) -> None:
        self.lines += lines


def test_a_start_that_compiles_says_so_in_two_lines() -> None:
    halved, sextupled = fresh()
    notifier = Notifications()
    log = CompilationLog(notifier)
    with capture_logs() as lines, log.written():
        halved(1.0)
        sextupled(1.0)
        log.starts_serving()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("compiling", "info"),
        ("compiled", "info"),
    ]
    assert lines[1]["functions"] == 3
    assert notifier.lines == ["STATUS=compiling the signal path"]


def test_what_is_compiled_while_streams_wait_is_a_warning() -> None:
    halved, _ = fresh()
    log = CompilationLog(Notifications())
    with capture_logs() as lines, log.written():
        log.starts_serving()
        assert lines == []  # nothing had to be compiled for the start
        halved(1.0)
    assert [line["event"] for line in lines] == ["compiling", "compiled while streams waited"]
    assert lines[1]["log_level"] == "warning"
    assert lines[1]["function"].endswith("halve")
