"""`beatgan-bridge hl7 out` between a daemon and a real receiver: each alert once and in order."""

import json
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import hl7
import pytest

from beatgan.errors import BeatganError, UsageError
from beatgan.protocol.messages import AlertMessage
from beatgan_daemon.bridges.alert_feed import AlertFeed
from beatgan_daemon.bridges.bed_map import BedMap
from beatgan_daemon.bridges.hl7 import cli
from beatgan_daemon.bridges.hl7.delivery import Delivery, Outcome
from beatgan_daemon.bridges.hl7.mllp import MllpClient, Receiver
from beatgan_daemon.bridges.hl7.refusals import NAME, Refusals
from beatgan_daemon.bridges.peer_address import tls_context
from beatgan_daemon.bridges.position_file import PositionFile
from beatgan_daemon.exit_codes import StartError
from benchmarks.robustness.bridges.mllp_receiver import MllpReceiver
from tests.support.alerting_daemon import AlertingDaemon, alerts

PATIENCE_S = 15.0


@contextmanager
def bridge(
    daemon: AlertingDaemon,
    receiver: Receiver,
    directory: Path | None = None,
    *,
    fault_s: float = 60.0,
    answer_s: float = 1.0,
) -> Iterator[tuple[AlertFeed, Delivery, MllpClient]]:
    feed = AlertFeed(daemon.publish, daemon.control, PositionFile(directory), since=0)
    try:
        with MllpClient(receiver, answer_s) as client:
            yield feed, Delivery(client, BedMap(None), Refusals(directory), fault_s), client
    finally:
        feed.close()


def at(
    receiver: MllpReceiver, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Receiver:
    return Receiver(host, receiver.port, tls)


def run(
    feed: AlertFeed, delivery: Delivery, enough: Callable[[], bool], patience_s: float = PATIENCE_S
) -> None:
    """The loop of the command, until there is enough."""
    end = monotonic() + patience_s
    while not enough() and monotonic() < end:
        alert = feed.wait(0.02)
        if alert is None or monotonic() < delivery.next_at:
            sleep(0.005)
            continue
        outcome = delivery.attempt(alert.body)
        if outcome is not Outcome.LATER:
            feed.done(refused=outcome is Outcome.REFUSED)


def numbers(messages: Sequence[str]) -> list[int]:
    """The number in the daemon's journal of each message."""
    return [int(str(hl7.parse(m).segment("MSH")(10)).partition("-")[0]) for m in messages]


def test_the_journal_then_live() -> None:
    with (
        AlertingDaemon(alerts(3)) as daemon,
        MllpReceiver() as receiver,
        bridge(daemon, at(receiver)) as (feed, delivery, client),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 3)
        for message in alerts(3, 3):
            daemon.alert(message)
        run(feed, delivery, lambda: feed.count.delivered == 6)
        assert feed.count.exact
        assert client.connections == 1
    assert numbers(receiver.received) == [*range(6)]


def test_a_receiver_that_goes_and_comes_back_gets_each_alert_in_order() -> None:
    with (
        AlertingDaemon(alerts(2)) as daemon,
        MllpReceiver() as receiver,
        bridge(daemon, at(receiver)) as (feed, delivery, client),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 2)
        receiver.stop()
        for message in alerts(3, 2):
            daemon.alert(message)
        run(feed, delivery, lambda: feed.count.waiting == 3, 1.0)
        assert feed.count.delivered == 2
        with MllpReceiver(port=receiver.port) as back:
            run(feed, delivery, lambda: feed.count.delivered == 5)
            assert numbers(back.received) == [2, 3, 4]
        assert client.connections == 2
        assert feed.count.exact


def test_an_answer_that_is_lost_brings_the_same_message_again() -> None:
    silent = iter([True, False])
    with (
        AlertingDaemon(alerts(1)) as daemon,
        MllpReceiver(code=lambda _: None if next(silent) else "AA") as receiver,
        bridge(daemon, at(receiver), answer_s=0.3) as (feed, delivery, _),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 1)
        assert delivery.repeats == 1
    assert len(receiver.received) == 2
    assert receiver.received[0] == receiver.received[1]


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with AlertingDaemon(alerts(5)) as daemon, MllpReceiver() as receiver:
        for count in (2, 3):
            with bridge(daemon, at(receiver), tmp_path) as (feed, delivery, _):
                run(feed, delivery, lambda: feed.count.delivered == count)  # noqa: B023
    assert numbers(receiver.received) == [*range(5)]


def test_a_daemon_that_counts_anew_is_followed(tmp_path: Path) -> None:
    with MllpReceiver() as receiver:
        for episode in ("first", "second"):
            with (
                AlertingDaemon(alerts(2, stream=episode)) as daemon,
                bridge(daemon, at(receiver), tmp_path) as (feed, delivery, _),
            ):
                run(feed, delivery, lambda: feed.count.delivered == 2)
    assert numbers(receiver.received) == [0, 1, 0, 1]


def test_what_is_refused_is_on_record_and_keeps_no_other_waiting(tmp_path: Path) -> None:
    def code(message: str) -> str:
        return "AR" if "|1-" in message else "AA"

    with (
        AlertingDaemon(alerts(3)) as daemon,
        MllpReceiver(code=code) as receiver,
        bridge(daemon, at(receiver), tmp_path) as (feed, delivery, _),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 2)
        assert (feed.count.refused, feed.count.exact) == (1, True)
    assert numbers(receiver.received) == [0, 1, 2]
    path = tmp_path / NAME
    (line,) = path.read_text().splitlines()
    assert json.loads(line).items() >= {"n": 1, "id": "bed-7/1", "answer": "AR"}.items()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_it_cannot_process_is_sent_again_then_refused(tmp_path: Path) -> None:
    codes = iter(["AE", "AA", *["AE"] * 100])
    with (
        AlertingDaemon(alerts(2)) as daemon,
        MllpReceiver(code=lambda m: "AA" if "|2-" in m else next(codes)) as receiver,
        bridge(daemon, at(receiver), tmp_path, fault_s=1.0) as (feed, delivery, _),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 1)
        daemon.alert(alerts(1, 2)[0])
        run(feed, delivery, lambda: feed.count.delivered == 2)
        assert feed.count.refused == 1
        assert feed.count.exact
    sent = numbers(receiver.received)
    assert sent[:2] == [0, 0]
    assert sent[-1] == 2
    assert sent.count(1) >= 2


def test_a_disk_that_takes_no_record_holds_up_no_alert(
    tmp_path: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    (tmp_path / NAME).mkdir()
    with (
        AlertingDaemon(alerts(2)) as daemon,
        MllpReceiver(code=lambda message: "AR" if "|0-" in message else "AA") as receiver,
        bridge(daemon, at(receiver), tmp_path) as (feed, delivery, _),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 1)
        assert (feed.count.refused, feed.count.exact) == (1, True)
    assert "refusal not on record" in [line["event"] for line in logged()]


def test_a_body_that_is_no_alert_is_on_record(tmp_path: Path) -> None:
    with MllpReceiver() as receiver, MllpClient(at(receiver), 1.0) as client:
        delivery = Delivery(client, BedMap(None), Refusals(tmp_path), 1.0)
        assert delivery.attempt(b'{"n":4,"id":"x","type":"odd"}') is Outcome.REFUSED
    assert receiver.received == []
    assert json.loads((tmp_path / NAME).read_text())["n"] == 4


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    make += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    key.chmod(0o600)
    return cert, key


def serving(certificate: tuple[Path, Path], *, ask: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])
    return context


def test_over_tls_with_a_certificate_of_our_own(certificate: tuple[Path, Path]) -> None:
    tls = tls_context(True, certificate[0], *certificate)
    with (
        AlertingDaemon(alerts(2)) as daemon,
        MllpReceiver(tls=serving(certificate, ask=True)) as receiver,
        bridge(daemon, at(receiver, "localhost", tls)) as (feed, delivery, _),
    ):
        run(feed, delivery, lambda: feed.count.delivered == 2)
    assert numbers(receiver.received) == [0, 1]


@pytest.mark.parametrize(("host", "trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_a_receiver_that_is_not_trusted_gets_nothing(
    certificate: tuple[Path, Path], host: str, trusted: bool
) -> None:
    tls = tls_context(True, certificate[0] if trusted else None, None, None)
    with (
        AlertingDaemon(alerts(1)) as daemon,
        MllpReceiver(tls=serving(certificate)) as receiver,
        bridge(daemon, at(receiver, host, tls)) as (feed, delivery, _),
    ):
        run(feed, delivery, lambda: False, 1.0)
        assert feed.count.delivered == 0
    assert receiver.received == []


def test_a_key_that_others_may_read(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(certificate[1].read_bytes())
    key.chmod(0o644)
    with pytest.raises(StartError, match="chmod 600"):
        tls_context(True, None, certificate[0], key)


# --- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "host", "port"),
    [
        ("localhost", "localhost", 2575),
        ("127.0.0.1:6661", "127.0.0.1", 6661),
        ("[::1]", "::1", 2575),
        ("[::1]:6661", "::1", 6661),
        ("::1", "::1", 2575),
    ],
)
def test_where_it_sends(to: str, host: str, port: int) -> None:
    assert cli._receiver(to, None, in_the_clear=False) == Receiver(host, port, None)


@pytest.mark.parametrize("to", ["", ":6661", "host:0", "host:x", "host:65536", "[::1]6661", None])
def test_where_it_cannot_send(to: str | None) -> None:
    with pytest.raises(UsageError, match="--to"):
        cli._receiver(to, None, in_the_clear=True)


def test_another_machine_needs_tls_or_a_word() -> None:
    with pytest.raises(BeatganError, match="--in-the-clear"):
        cli._receiver("10.0.0.5", None, in_the_clear=False)
    assert cli._receiver("10.0.0.5", None, in_the_clear=True).host == "10.0.0.5"
    cli._receiver("10.0.0.5", ssl.create_default_context(), in_the_clear=False)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "beatgan_daemon.bridges", "hl7", "out", *arguments]


def test_the_command_itself(tmp_path: Path) -> None:
    with AlertingDaemon(alerts(3)) as daemon, MllpReceiver() as receiver:
        ends = ["--publish", daemon.publish, "--control", daemon.control, "--since", "0"]
        process = subprocess.Popen(
            command("--to", f"127.0.0.1:{receiver.port}", *ends, "--state", str(tmp_path)),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            end = monotonic() + PATIENCE_S
            while len(receiver.received) < 3 and monotonic() < end:
                sleep(0.05)
        finally:
            process.terminate()
            said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0
    assert "3 alerts = 3 delivered + 0 refused + 0 missed + 0 waiting" in said
    assert numbers(receiver.received) == [0, 1, 2]


def test_a_dry_run_prints_the_messages(tmp_path: Path) -> None:
    messages: list[AlertMessage] = alerts(1)
    with AlertingDaemon(messages) as daemon:
        ends = ["--publish", daemon.publish, "--control", daemon.control, "--since", "0"]
        process = subprocess.Popen(
            command("--dry-run", *ends, "--state", str(tmp_path)),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            said = [process.stdout.readline() for _ in range(4)]
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
    assert said[0].startswith("MSH|^~\\&|BEATGAN|")
    assert said[3].startswith("OBR|1||bed-7/0^BEATGAN|")
    assert not any(tmp_path.iterdir())
