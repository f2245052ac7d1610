"""A daemon with keys, as an operator runs it: who has none is refused, a revoked one thrown out."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import zmq

from beatgan_daemon.security import curve

Socket = zmq.Socket[bytes]
REFUSED = "beatgan_connections_refused_total"


@dataclass(frozen=True)
class Ward:
    """A running daemon with keys, and the files that it goes by."""

    daemon: Any
    folder: Path
    server: bytes

    def configure(self, name: str) -> curve.ConfigureSocket:
        return curve.client_configuration(
            curve.load_key(self.folder / f"{name}.key_secret"), self.server
        )

    def keys(self, name: str) -> list[str]:
        key, server = self.folder / f"{name}.key_secret", self.folder / "daemon.key"
        return ["--key", str(key), "--server-key", str(server)]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, start: Any, command: Any) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("keys")
    lines = []
    for name, roles in (("daemon", ""), ("bed", "ingest"), ("desk", "subscribe,control")):
        made = command("keygen", folder / name)
        assert made.returncode == 0, made.stderr
        (line,) = [each for each in made.stdout.splitlines() if each.endswith(f" {name}")]
        key = (folder / f"{name}.key_secret").read_text().split('secret-key = "')[1][:40]
        assert key not in made.stdout
        if roles:
            lines.append(f"{line.split()[0]} {roles} {name}\n")
    command("keygen", folder / "stranger")
    (folder / "clients").write_text("".join(lines))
    secret = folder / "daemon.key_secret"
    with start(
        "--set", f"security.key={secret}", "--set", f"security.clients={folder}/clients"
    ) as d:
        yield Ward(d, folder, curve.load_key(secret).public)


def ask(
    ward: Ward, configure: curve.ConfigureSocket | None, seconds: float
) -> dict[str, Any] | None:
    """The control socket's answer to a request, if any comes."""
    with zmq.Context[Socket]() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        if configure:
            configure(socket)
        socket.connect(ward.daemon.control)
        socket.send(json.dumps({"v": 1, "type": "active"}).encode())
        if not socket.poll(round(1000 * seconds)):
            return None
        found: dict[str, Any] = json.loads(socket.recv_multipart()[0])
        return found


def received(ward: Ward, configure: curve.ConfigureSocket | None, seconds: float) -> bool:
    """Whether a subscriber is told of beats within so many seconds."""
    with zmq.Context[Socket]() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        if configure:
            configure(socket)
        socket.subscribe(b"beat.")
        socket.connect(ward.daemon.publish)
        return bool(socket.poll(round(1000 * seconds)))


def test_clients_with_keys_are_served(ward: Ward, start_command: Any) -> None:
    with start_command(
        *("replay", "sample", "--connect", ward.daemon.ingest, "--loop", *ward.keys("bed"))
    ):
        ward.daemon.until("beatgan_beats_scored_total", 1)
        assert received(ward, ward.configure("desk"), 20.0)
        answer = ask(ward, ward.configure("desk"), 10.0)
        assert answer is not None
        assert answer["type"] == "active"
        for intruder in (None, ward.configure("stranger"), ward.configure("bed")):
            assert not received(ward, intruder, 1.5)
            assert ask(ward, intruder, 0.3) is None
    counts = ward.daemon.metrics()
    assert counts[f"{REFUSED}{{subscribe}}"] >= 3
    assert counts[f"{REFUSED}{{control}}"] >= 3
    assert counts[f"{REFUSED}{{not-allowed}}"] >= 2
    assert counts[f"{REFUSED}{{unknown-key}}"] >= 2
    assert counts[f"{REFUSED}{{handshake}}"] >= 2


@pytest.mark.parametrize("who", ["nobody", "stranger", "desk"])
def test_a_replay_that_does_not_belong_is_not_heard(
    ward: Ward, start_command: Any, who: str
) -> None:
    before = ward.daemon.metrics()
    keys = [] if who == "nobody" else ward.keys(who)
    with start_command("replay", "sample", "--connect", ward.daemon.ingest, *keys):
        ward.daemon.until(f"{REFUSED}{{ingest}}", before[f"{REFUSED}{{ingest}}"] + 1)
        sleep(0.5)
    after = ward.daemon.metrics()
    assert after["beatgan_streams_active"] == before["beatgan_streams_active"]


def test_no_secret_is_told(ward: Ward) -> None:
    said = ward.daemon.log.read_text()
    assert "connections refused" in said
    for name in ("daemon", "bed", "desk", "stranger"):
        secret = curve.load_key(ward.folder / f"{name}.key_secret").secret.decode()
        assert secret not in said


def test_a_revoked_key_is_out_at_once(ward: Ward, start_command: Any) -> None:
    """By SIGHUP; the source that may stay comes back by itself."""
    clients = ward.folder / "clients"
    with zmq.Context[Socket]() as context, context.socket(zmq.SUB) as desk:
        desk.linger = 0
        ward.configure("desk")(desk)
        desk.subscribe(b"beat.")
        desk.connect(ward.daemon.publish)
        with start_command(
            *("replay", "sample", "--connect", ward.daemon.ingest, "--loop", *ward.keys("bed"))
        ):
            assert desk.poll(20_000)
            clients.write_text(clients.read_text().splitlines(keepends=True)[0])
            ward.daemon.process.send_signal(signal.SIGHUP)
            ward.daemon.until(f"{REFUSED}{{unknown-key}}", 3)
            end = monotonic() + 5
            while desk.poll(1_000) and monotonic() < end:
                desk.recv_multipart()  # what had come before
            scored = ward.daemon.metrics()["beatgan_beats_scored_total"]
            assert not desk.poll(1_500)
            ward.daemon.until("beatgan_beats_scored_total", scored + 1)
    assert ask(ward, ward.configure("desk"), 0.5) is None
    assert ward.daemon.process.poll() is None


@pytest.mark.parametrize("option", ["ingest.bind", "publish.bind", "control.bind"])
def test_without_keys_it_does_not_leave_the_machine(
    command: Any, model_file: Path, option: str
) -> None:
    refused = command("check", "--model", model_file, "--set", f"{option}=tcp://0.0.0.0:5999")
    assert refused.returncode == 3
    assert f"{option}: tcp://0.0.0.0:5999 leaves this machine" in refused.stderr
    assert "keygen" in refused.stderr


def test_a_key_that_others_may_read_is_refused(command: Any, model_file: Path, ward: Ward) -> None:
    open_key = ward.folder / "desk.key_secret"
    open_key.chmod(0o644)
    refused = command(
        *("check", "--model", model_file, "--set", f"security.key={open_key}"),
        *("--set", f"security.clients={ward.folder}/clients"),
    )
    open_key.chmod(0o600)
    assert refused.returncode == 3
    assert "others may read this secret key" in refused.stderr
