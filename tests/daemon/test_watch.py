"""Alerts as a person reads them."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Thread

import pytest
import zmq
from rich.console import Console

from beatgan.errors import UsageError
from beatgan_daemon.messages import AlertMessage, Delay
from beatgan_daemon.sink import Sink
from beatgan_daemon.watch import describe, watch

ONSET = 1_790_000_000_250_000_000


def alert(n: int = 0, phase: str = "start", score: float | None = 5.25) -> AlertMessage:
    return AlertMessage(
        id="bed-1/0/0",
        n=n,
        stream="bed-1",
        epoch=0,
        kind="physiological",
        code="beat.anomalous",
        priority="medium",
        phase=phase,
        onset_sample=100,
        onset_ns=ONSET,
        end_sample=None,
        sample=100,
        lead="II",
        suspended=False,
        raised_ns=ONSET + 1_500_000_000,
        score=score,
        threshold=None if score is None else 3.5,
        beats=(100, 420) if score else (),
        delay_ms=Delay(1400.0, 100.0),
        explanation=None,
    )


def test_a_line_says_when_who_what_how_sure_and_how_late() -> None:
    line = describe(alert()).plain
    raised = datetime.fromtimestamp(ONSET // 10**9 + 1)
    assert f"{raised:%Y-%m-%d %H:%M:%S}.750" in line
    for word in ["● ", "bed-1", "MEDIUM", "beat.anomalous", "start", "score 5.250 > 3.500"]:
        assert word in line
    assert "2 beats" in line
    assert "delay 1500 ms" in line


def test_a_technical_alert_needs_no_score() -> None:
    line = describe(alert(phase="end", score=None)).plain
    assert line.startswith("○ ")
    assert "score" not in line


@dataclass
class Watching:
    sink: Sink
    out: io.StringIO

    def until(self, text: str) -> None:
        """Wait for the watcher to print ``text``."""
        for _ in range(500):
            if text in self.out.getvalue():
                return
            self.sink.socket.poll(20)
        pytest.fail(f"never said {text!r}, but: {self.out.getvalue()}")


def watched(act: Callable[[Watching], None]) -> list[str]:
    """The lines that a watcher prints while ``act`` publishes."""
    out, ended = io.StringIO(), False
    with (
        zmq.Context[zmq.Socket[bytes]]() as context,
        Sink(context, "tcp://127.0.0.1:*") as sink,
    ):
        console = Console(file=out, width=40)
        watcher = Thread(target=watch, args=(sink.bound, console, lambda: ended))
        watcher.start()
        try:
            act(Watching(sink, out))
        finally:
            ended = True
            watcher.join()
    return out.getvalue().splitlines()


def test_alerts_come_out_as_plain_lines_and_losses_are_told() -> None:
    def act(watching: Watching) -> None:
        watching.until("connected to")
        for _ in range(200):  # until the subscription has arrived too
            watching.sink.send(alert(n=0))
            watching.sink.socket.poll(20)
            if "bed-1" in watching.out.getvalue():
                break
        watching.sink.send(alert(n=5, phase="end"))
        watching.until(" end ")

    lines = watched(act)
    assert lines[0].startswith("connected to tcp://127.0.0.1:")
    assert lines[-2] == "4 alert message(s) lost on the way"
    assert lines[-1] == describe(alert(n=5, phase="end")).plain  # in one piece, uncoloured


def test_what_is_no_alert_is_said_and_survived() -> None:
    def act(watching: Watching) -> None:
        watching.until("connected to")
        for _ in range(200):
            watching.sink.socket.send_multipart([b"alert.x", b'{"v":2}'])
            watching.sink.socket.poll(20)
            if "not an alert" in watching.out.getvalue():
                break
        watching.sink.send(alert())
        watching.until("bed-1")

    assert "not an alert that this version can read" in "\n".join(watched(act))


def test_an_impossible_endpoint_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'nonsense'"):
        watch("nonsense", Console(file=io.StringIO()), lambda: True)
