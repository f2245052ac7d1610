"""The service in this process: real sockets, a scripted clock, and a scorer without torch."""

import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import zmq

from beatgan.model.loading import Loaded
from beatgan.model.scorer import Scorer
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.pipeline.outgoing import Outgoing
from beatgan.protocol.frames import encode_frame
from beatgan.spec import PreprocessSpec
from beatgan.types import Chunk
from beatgan_daemon.exit_codes import Exit, StartError
from beatgan_daemon.security.curve import as_client, keygen, load_key
from beatgan_daemon.service import Service, run, start
from beatgan_daemon.settings import Settings
from beatgan_daemon.signals import hold_reload, reload_signal
from beatgan_daemon.storage.spool_file import SpoolFile
from beatgan_daemon.systemd import Notifier
from beatgan_train.training.coefficients import coefficients_of
from tests.support.messages import alert_message
from tests.support.settings import loopback_settings

COEFFICIENTS = coefficients_of("full")

FS = 360.0


class Clock:
    """Time that passes only when told to; behind the true one, by which the publisher goes."""

    now = -1e6

    def __call__(self) -> float:
        return self.now


def settings(**flags: Any) -> Settings:
    return loopback_settings(**{"log.status_s": "60"} | flags)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[Notifier, Callable[[], list[str]]]]:
    """A notifier with a watchdog of 4 s, and what its service manager has heard."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.bind(str(tmp_path / "notify"))
    notified: list[str] = []

    def notifications() -> list[str]:
        while True:
            try:
                notified.extend(end.recv(1024).decode().split("\n"))
            except BlockingIOError:
                return notified

    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
    yield Notifier(environment), notifications
    end.close()


class Peer:
    """A source and a subscriber of a service."""

    def __init__(self, service: Service, resources: ExitStack) -> None:
        context = resources.enter_context(zmq.Context[zmq.Socket[bytes]]())
        self.source = resources.enter_context(context.socket(zmq.XPUB))
        self.source.linger = 0
        self.source.connect(service.sockets.source.endpoint)
        self.messages = resources.enter_context(context.socket(zmq.SUB))
        self.messages.subscribe("")
        self.messages.connect(service.sockets.sink.endpoint)
        while not self.source.poll(10):  # ZeroMQ subscribes only while its owner looks at it
            service.sockets.source.wait(0.01)

    def received(self) -> list[dict[str, Any]]:
        found = []
        while self.messages.poll(200):
            found.append(json.loads(self.messages.recv_multipart()[1]))
        return found


@pytest.fixture
def loaded(new_scorer: Callable[[], Scorer]) -> Loaded:
    return Loaded("student", "d1gest", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def service(
    resources: ExitStack,
    loaded: Loaded,
    clock: Clock,
    logged: Callable[[], list[dict[str, Any]]],
) -> Service:
    return start(settings(), loaded, resources, Notifier({}), settings, clock)


def iterations(count: int, between: Callable[[int], None] = lambda _: None) -> Callable[[], bool]:
    """Let the service take ``count`` iterations, doing something before each."""
    passed = iter(range(count))

    def stopping() -> bool:
        iteration = next(passed, None)
        if iteration is not None:
            between(iteration)
        return iteration is None

    return stopping


def events(lines: list[dict[str, Any]]) -> list[str]:
    """What was said, but for the warning of a daemon without a state directory.

    And but for what is said of compilation, which depends on what ran here before.
    """
    first, *rest = [line["event"] for line in lines if not line["event"].startswith("compil")]
    assert first == "alerts are kept in memory only: state.dir is not set"
    return rest


def frames(seconds: int) -> list[list[bytes]]:
    ecg = synthetic_ecg(float(seconds), FS, seed=3)[:, None]
    size = int(FS)
    return [
        encode_frame(
            Chunk("bed-1", 7, k, k * size, k * 10**9, FS, ("II",), ecg[k * size : (k + 1) * size])
        )
        for k in range(seconds)
    ]


def test_ecg_in_beats_out(service: Service, resources: ExitStack, clock: Clock) -> None:
    peer = Peer(service, resources)
    sent = frames(20)

    def feed(iteration: int) -> None:
        clock.now += 1.0
        peer.source.send_multipart(sent[iteration])
        assert service.sockets.source.wait(5.0)

    service.serve(iterations(20, feed))
    messages = peer.received()
    beats = [message for message in messages if message["type"] == "beat"]
    assert messages[0]["type"] == "status"
    assert len(beats) > 15
    assert [beat["n"] for beat in beats] == list(range(len(beats)))
    assert service.metrics.total("samples_received_total") == 20 * FS
    assert service.metrics.total("beats_scored_total") > 15


def test_malformed_frames_are_counted_and_the_daemon_goes_on(
    service: Service, resources: ExitStack, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    peer = Peer(service, resources)
    good = frames(3)
    bad = [[b"ecg.bed-2", b"junk", b""], [b"ecg.", *good[0][1:]], [b"ecg.x"], good[0][:2]]

    def feed(iteration: int) -> None:
        for parts in bad if iteration == 1 else []:
            peer.source.send_multipart(parts)
        peer.source.send_multipart(good[iteration])
        assert service.sockets.source.wait(5.0)

    service.serve(iterations(3, feed))
    assert service.metrics.total("frames_rejected_total") == len(bad)
    assert service.metrics.total("samples_received_total") == 3 * FS
    notifications = [line for line in logged() if line["event"] == "frames rejected"]
    assert {line["reason"] for line in notifications} == {"header", "topic", "parts"}
    assert notifications[0]["why"].startswith("ecg.bed-2: ")


def secured(folder: Path, *lines: str) -> dict[str, Any]:
    """Settings of a daemon with keys; in ``lines`` NAME is followed by its key's roles."""
    names = [line.split()[0] for line in lines]
    keys = {name: keygen(folder / name) for name in ["daemon", *names]}
    (folder / "clients").write_text(
        "".join(
            f"{keys[name].public.decode()} {line.partition(' ')[2]}\n"
            for name, line in zip(names, lines, strict=True)
        )
    )
    files = {"security.key": "daemon.key_secret", "security.clients": "clients"}
    return {key: str(folder / file) for key, file in files.items()}


def test_nobody_sends_under_anothers_name(
    resources: ExitStack,
    loaded: Loaded,
    clock: Clock,
    tmp_path: Path,
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    keys = secured(tmp_path, "bed-1 ingest bed-1 bed-1", "bed-2 ingest bed-2 bed-2")
    service = start(settings(**keys), loaded, resources, Notifier({}), settings, clock)
    sources = []
    for name in ("bed-1", "bed-2"):
        context = resources.enter_context(zmq.Context[zmq.Socket[bytes]]())
        source = resources.enter_context(context.socket(zmq.XPUB))
        source.linger = 0
        key, server = (load_key(tmp_path / f"{each}.key_secret") for each in (name, "daemon"))
        as_client(source, key, server.public)
        source.connect(service.sockets.source.endpoint)
        while not source.poll(10):
            service.sockets.source.wait(0.01)
        sources.append(source)
    good = frames(4)

    def feed(iteration: int) -> None:
        for source in sources:
            source.send_multipart(good[iteration])
        sleep(0.1)

    service.serve(iterations(4, feed))
    rejected = 'beatgan_frames_rejected_total{reason="not_allowed"} 4.0'
    assert rejected in service.metrics.exposition().decode()
    assert service.metrics.total("samples_received_total") == 4 * FS
    (line,) = [line for line in logged() if line["event"] == "frames rejected"][:1]
    assert line["reason"] == "not_allowed"
    assert re.match(r"ecg\.bed-1: bed-2 \(key .{40}\) may not send this stream", line["why"])


def test_a_stall_of_ours_is_not_a_patients_silence(
    service: Service, resources: ExitStack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beatgan_daemon.service.FRAMES_PER_ITERATION", 1)
    peer = Peer(service, resources)
    first, second = frames(2)

    def feed(iteration: int) -> None:
        if iteration == 0:
            peer.source.send_multipart(first)
        if iteration == 1:
            clock.now += 60.0  # while this waits in the queue
            peer.source.send_multipart([b"ecg.bed-2", *first[1:]])
            peer.source.send_multipart(second)
            sleep(0.5)

    service.serve(iterations(3, feed))
    assert service.metrics.total("samples_received_total") == 3 * FS
    assert [message for message in peer.received() if message["type"] == "alert"] == []


def test_what_had_arrived_is_finished_on_the_way_out(
    service: Service, resources: ExitStack, clock: Clock
) -> None:
    peer = Peer(service, resources)
    for parts in frames(20):
        peer.source.send_multipart(parts)
    assert service.sockets.source.wait(5.0)
    sleep(0.5)  # for the rest to arrive: ZeroMQ does not tell how many have
    service.serve(lambda: True)
    assert service.metrics.total("samples_received_total") == 20 * FS
    assert [m["n"] for m in peer.received() if m["type"] == "beat"][-1] > 15


def test_systemd_hears_of_every_stage_and_how_it_goes(
    resources: ExitStack,
    loaded: Loaded,
    manager: tuple[Notifier, Callable[[], list[str]]],
    clock: Clock,
) -> None:
    notifier, notified = manager
    service = start(settings(), loaded, resources, notifier, settings, clock)
    service.announce()

    def tick(iteration: int) -> None:
        clock.now += 5.0

    service.serve(iterations(5, tick))
    assert [line for line in notified() if line != "WATCHDOG=1"] == [
        *("READY=1", "STATUS=ready, no stream yet"),
        *("STATUS=0 streams, 0.0 beats/s, 0 samples lost",) * 2,
        *("STOPPING=1", "STATUS=finishing what has arrived"),
    ]


def test_health_tells_of_a_stall_and_of_stopping(service: Service, clock: Clock) -> None:
    def status(page: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://{service.http.address}/{page}", timeout=5) as answer:
                return answer.status, answer.read().decode().strip()
        except HTTPError as error:
            return error.code, error.read().decode().strip()

    assert status("livez") == (200, "ok")
    clock.now += 12
    assert status("livez") == (503, "the pipeline has not moved for 12 s")
    assert status("readyz") == (503, "the pipeline has not moved for 12 s")
    service.serve(iterations(1))
    assert status("livez") == (200, "ok")
    assert status("readyz") == (503, "stopping")


def test_status_line_once_a_minute(
    service: Service,
    resources: ExitStack,
    clock: Clock,
    logged: Callable[[], list[dict[str, Any]]],
) -> None:
    peer = Peer(service, resources)
    sent = frames(60)

    def feed(iteration: int) -> None:
        clock.now += 1
        peer.source.send_multipart(sent[iteration])
        assert service.sockets.source.wait(5.0)

    service.serve(iterations(60, feed))
    lines = [line for line in logged() if line["event"] == "status"]
    assert len(lines) == 2  # after a minute, and when it stopped
    assert lines[0]["streams"] == 1
    assert lines[0]["lost"] == lines[0]["rejected"] == 0
    assert lines[0]["beats_per_s"] == pytest.approx(lines[0]["beats"] / 60, abs=0.1)


@pytest.mark.parametrize("key", ["ingest.bind", "publish.bind", "control.bind", "http.listen"])
def test_a_port_in_use_is_refused_by_name(service: Service, loaded: Loaded, key: str) -> None:
    taken = {
        "ingest.bind": service.sockets.source.endpoint,
        "publish.bind": service.sockets.sink.endpoint,
        "control.bind": service.sockets.control.endpoint,
        "http.listen": str(service.http.address),
    }[key]
    with ExitStack() as stack, pytest.raises(StartError, match=f"{taken}.*in use"):
        start(settings(**{key: taken}), loaded, stack, Notifier({}), settings)


@pytest.mark.parametrize("key", ["ingest.bind", "publish.bind", "control.bind"])
def test_without_keys_no_endpoint_is_open_to_other_machines(loaded: Loaded, key: str) -> None:
    opened = settings(**{key: "tcp://0.0.0.0:*"})
    with ExitStack() as stack, pytest.raises(StartError, match=f"{key}: .*keygen"):
        start(opened, loaded, stack, Notifier({}), settings)


def test_open_http_is_said(
    resources: ExitStack, loaded: Loaded, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    opened = settings(**{"http.listen": "0.0.0.0:0"})
    start(opened, loaded, resources, Notifier({}), settings).announce()
    assert "HTTP is open to other machines" in [line["event"] for line in logged()]


def test_a_crash_is_logged_with_its_traceback_and_has_code_1(
    loaded: Loaded,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("beatgan_daemon.service.load_model", lambda *_: loaded)
    monkeypatch.setattr(Service, "serve", fail)
    assert run(settings(), settings) == Exit.CRASH
    assert events(logged()) == ["ready", "crashed"]
    assert "ZeroDivisionError: a bug" in logged()[-1]["exception"]


@pytest.fixture
def full_disk(
    resources: ExitStack,
    loaded: Loaded,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Service:
    """A service with a state directory and an alert that its disk does not take."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    opened = settings(**{"state.dir": str(tmp_path / "state")})
    service = start(opened, loaded, resources, Notifier({}), settings, clock)
    monkeypatch.setattr(SpoolFile, "add", full)
    tables = service._publisher._journal._file.tables
    assert tables is not None
    (pages,) = tables.database.execute("PRAGMA page_count").fetchone()
    tables.database.execute(f"PRAGMA max_page_count = {pages}")
    service._publisher.put(Outgoing([alert_message(n, "e" * 9000 + str(n)) for n in range(7)]))
    end = monotonic() + 10
    while service._publisher.trouble is None:
        assert monotonic() < end
        sleep(0.005)
    return service


def test_alerts_that_are_lost_at_the_end_are_told_and_counted(
    full_disk: Service, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    full_disk.serve(iterations(0))
    (line,) = [line for line in logged() if line["event"] == "alerts are lost"]
    assert (line["level"], line["count"], line["first"], line["last"]) == ("critical", 7, 0, 6)
    assert "full" in line["why"]
    assert full_disk.lost_alerts == 7


def test_alerts_that_are_not_stored_make_the_service_unready(full_disk: Service) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(f"http://{full_disk.http.address}/readyz")
    with caught.value as answer:
        assert (answer.code, b"alerts cannot be written" in answer.read()) == (503, True)
    with urlopen(f"http://{full_disk.http.address}/livez") as answer:
        assert answer.status == 200


def test_being_told_to_stop_with_alerts_lost_has_a_code_of_its_own(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(service: Service, *_: object) -> None:
        service.lost_alerts = 1

    monkeypatch.setattr("beatgan_daemon.service.load_model", lambda *_: loaded)
    monkeypatch.setattr(Service, "serve", serve)
    assert run(settings(), settings) == Exit.LOST


def test_being_told_to_stop_has_code_0(
    loaded: Loaded,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load_and_be_told(*_: object) -> Loaded:
        signal.raise_signal(signal.SIGTERM)
        return loaded

    monkeypatch.setattr("beatgan_daemon.service.load_model", load_and_be_told)
    assert run(settings(), settings) == Exit.DONE
    assert events(logged()) == ["ready", "stopping", "status", "stopped"]
    for late in (signal.SIGTERM, signal.SIGHUP):  # they end no process that ends in order
        signal.raise_signal(late)


def test_a_hangup_from_before_it_listens_is_a_reload() -> None:
    """As long as modules are imported nobody listens; SIGHUP would end the process."""
    hold_reload()
    signal.raise_signal(signal.SIGHUP)
    with reload_signal() as reloading:
        assert reloading()
        assert not reloading()
