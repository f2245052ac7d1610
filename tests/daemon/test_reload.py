"""A reload is all or nothing, and one at a time: what is read, refused, handed over and said."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest

from beatgan.errors import ArtifactError
from beatgan.model.loading import Loaded
from beatgan.model.scorer import Scorer
from beatgan.spec import PreprocessSpec
from beatgan_daemon.metrics import Metrics
from beatgan_daemon.model_loading import load_model
from beatgan_daemon.reload import HANGING, LIVE, LONGEST_S, Prepared, Reload, changes
from beatgan_daemon.reload_socket import Answer
from beatgan_daemon.security.allow_list import AllowList
from beatgan_daemon.settings import Settings, keys, load
from beatgan_daemon.systemd import Notifier
from beatgan_train.training.coefficients import coefficients_of

COEFFICIENTS = coefficients_of("full")

BEGUN = ("RELOADING=1", "STATUS=reloading")


@dataclass
class Daemon:
    """A reload, what it reads and loads, and what it puts in place."""

    config: Path
    model: Loaded
    notifier: Notifier = field(default_factory=lambda: Notifier({}))
    metrics: Metrics = field(default_factory=lambda: Metrics("1", "2"))
    applied: list[Prepared] = field(default_factory=list)
    admitted: list[AllowList] = field(default_factory=list)
    now: float = 0.0  # of the clock by which a reload may take too long
    loads: int = 0
    hold: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.hold.set()
        self.write("")
        self.running = self.read()
        self.reload = self.new_reload(self.running, self.read)

    def new_reload(self, running: Settings, read: Callable[[], Settings]) -> Reload:
        return Reload(
            running,
            self.model,
            read,
            self.applied.append,
            self.admitted.append,
            self.metrics,
            self.notifier,
            self.load,
            lambda: self.now,
        )

    def write(self, text: str) -> None:
        self.config.write_text(text)

    def read(self) -> Settings:
        return load(self.config, {"model.path": "model.pt"}, {})

    def load(self, path: Path, device: str) -> Loaded:
        self.hold.wait(10)
        self.loads += 1
        return self.model

    def finish(self, count: int) -> None:
        """Iterate until so many reloads have come to their end."""
        end = monotonic() + 10
        while self.metrics.total("reloads_total") < count:
            assert monotonic() < end
            self.reload.poll(False)
            sleep(0.005)

    def once(self) -> list[Prepared]:
        """One whole reload."""
        self.reload.poll(True)
        self.finish(int(self.metrics.total("reloads_total")) + 1)
        return self.applied

    def outcomes(self) -> dict[str, int]:
        return {
            sample.labels["outcome"]: int(sample.value)
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "beatgan_reloads_total" and sample.value
        }


def until(step: Callable[[], object], done: Callable[[], bool]) -> None:
    end = monotonic() + 10
    while not done():
        assert monotonic() < end
        step()
        sleep(0.005)


@pytest.fixture
def model(new_scorer: Callable[[], Scorer]) -> Loaded:
    return Loaded("student", "0ld", PreprocessSpec(), COEFFICIENTS, new_scorer(), "cpu")


@pytest.fixture
def daemon(tmp_path: Path, model: Loaded) -> Daemon:
    return Daemon(tmp_path / "daemon.toml", model)


def test_what_changed_is_handed_over_and_said(
    daemon: Daemon, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    daemon.write("[alarms]\nanomalous_beats = 4\n[batch]\nsize = 32\n")
    daemon.model = replace(daemon.model, digest="n3w")
    (prepared,) = daemon.once()
    assert prepared.settings.alarms.anomalous_beats == 4
    assert set(prepared.changes) == {"alarms.anomalous_beats", "batch.size"}
    assert prepared.loaded is daemon.model
    (line,) = logged()
    assert (line["event"], line["model"]) == ("reloaded", "n3w")
    assert "batch.size = 32 (was 256)" in line["changed"]
    assert daemon.outcomes() == {"applied": 1}


def test_without_a_change_nothing_is_swapped(daemon: Daemon) -> None:
    (prepared,) = daemon.once()
    assert prepared.changes == {}
    assert prepared.loaded is None


def test_the_next_reload_is_compared_with_the_last_that_was_applied(daemon: Daemon) -> None:
    daemon.write("[batch]\nsize = 32\n")
    daemon.once()
    _, second = daemon.once()
    assert second.changes == {}
    daemon.write("")
    assert daemon.once()[-1].changes == {"batch.size": (32, 256)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[batch]\nsise = 32\n", "unknown key 'batch.sise'; did you mean 'batch.size'"),
        ("[batch]\nsize = 0\n", "batch.size = 0: "),
        ("[alarms]\nanomalous_beats = 0\n", "anomalous_beats"),
        ("batch = [\n", "cannot read the configuration"),
        (
            "[batch]\nsize = 32\n[publish]\nbind = 'tcp://127.0.0.1:7'\n",
            "needs a restart: publish.bind = tcp://127.0.0.1:7 (was tcp://127.0.0.1:5556)",
        ),
        ("[state]\ndir = '/somewhere'\n", "needs a restart: state.dir"),
        ("[http]\nlisten = '127.0.0.1:1'\n", "needs a restart: http.listen = 127.0.0.1:1 (was"),
    ],
)
def test_bad_settings_are_refused_whole_with_the_reason(
    daemon: Daemon, logged: Callable[[], list[dict[str, Any]]], text: str, why: str
) -> None:
    daemon.write(text)
    assert daemon.once() == []
    (line,) = logged()
    assert (line["event"], line["level"]) == ("reload refused", "error")
    assert why in line["why"]
    assert daemon.outcomes() == {"refused": 1}
    daemon.write("[batch]\nsize = 16\n")
    assert daemon.once()[0].changes == {"batch.size": (256, 16)}


def test_a_missing_config_is_refused(daemon: Daemon) -> None:
    daemon.config.unlink()
    assert daemon.once() == []
    assert daemon.outcomes() == {"refused": 1}


def test_a_bad_model_is_refused_and_settings_with_it(
    daemon: Daemon,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bad(*_: object) -> Loaded:
        raise ArtifactError("model.pt: not what was written")

    monkeypatch.setattr(daemon.reload, "_load", bad)
    daemon.write("[batch]\nsize = 32\n")
    assert daemon.once() == []
    assert logged()[0]["why"] == "model.pt: not what was written"


def test_a_model_that_wants_other_windows_needs_a_restart(
    daemon: Daemon, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    spec = replace(daemon.model.spec, second_lead=0.123)
    daemon.model = replace(daemon.model, digest="n3w", spec=spec)
    assert daemon.once() == []
    assert "needs a restart: model.pt wants" in logged()[0]["why"]


def test_a_bug_is_logged_with_its_traceback_and_the_old_goes_on(
    daemon: Daemon,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon.reload, "_load", lambda *_: 1 / 0)
    assert daemon.once() == []
    assert logged()[0]["event"] == "reload failed"
    assert "ZeroDivisionError" in logged()[0]["exception"]
    assert daemon.outcomes() == {"failed": 1}


def test_the_allow_list_is_read_again_even_where_its_path_stays(
    daemon: Daemon, tmp_path: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    clients = tmp_path / "clients"
    key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    secured = {"model.path": "model.pt", "security.key": "key", "security.clients": str(clients)}
    running = load(None, secured, {})
    daemon.reload = daemon.new_reload(running, lambda: running)
    clients.write_text(f"{key} ingest bed-9\n")
    (prepared,) = daemon.once()
    assert prepared.allow_list is None  # it came before
    (allow_list,) = daemon.admitted
    assert [client.name for client in allow_list.clients.values()] == ["bed-9"]
    assert "bed-9 may send every stream" in logged()[0]["why"]
    for text, why in (
        ("nonsense\n", f"{clients}, line 1"),
        ("", f"{clients}: names no client"),
        ("# all gone\n", f"{clients}: names no client"),
        (f"{key} ingest bed", "its last line does not end: was it cut short?"),
    ):
        clients.write_text(text)
        assert len(daemon.once()) == 1
        assert why in logged()[-1]["why"]
    clients.write_text(f"{key} ingest bed-9 *\n")
    clients.chmod(0o666)
    assert len(daemon.once()) == 1
    assert f"{clients}: others may write it" in logged()[-1]["why"]
    assert daemon.outcomes() == {"applied": 1, "refused": 5}


def test_signals_that_come_while_one_runs_make_one_more(daemon: Daemon) -> None:
    daemon.hold.clear()
    for _ in range(5):
        daemon.reload.poll(True)
    daemon.hold.set()
    daemon.finish(2)
    sleep(0.05)
    daemon.reload.poll(False)
    assert (daemon.loads, len(daemon.applied)) == (2, 2)


def test_the_pipeline_never_waits(daemon: Daemon) -> None:
    daemon.hold.clear()
    began = monotonic()
    for _ in range(1000):
        daemon.reload.poll(True)
    assert monotonic() - began < 5  # a load takes up to 10 here
    daemon.hold.set()
    daemon.reload.close()
    assert daemon.applied == []  # nothing comes of what was under way at the end


def test_systemd_hears_when_a_reload_begins_and_ends(tmp_path: Path, model: Loaded) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(5)
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        daemon = Daemon(tmp_path / "daemon.toml", model, notifier)
        for text, status in (("", "applied"), ("[batch]\nsize = 0\n", "refused")):
            daemon.write(text)
            daemon.once()
            begun = manager.recv(1024).decode().split("\n")
            assert (begun[0], begun[2]) == BEGUN
            assert begun[1].startswith("MONOTONIC_USEC=")
            assert manager.recv(1024) == f"READY=1\nSTATUS=reload {status}".encode()


KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"


@pytest.fixture
def clients(daemon: Daemon, tmp_path: Path) -> Path:
    """The allow-list of a daemon with keys, with one client."""
    clients = tmp_path / "clients"
    clients.write_text(f"{KEY} ingest bed-7 bed-7\n")
    secured = {"model.path": "model.pt", "security.key": "key", "security.clients": str(clients)}

    def read() -> Settings:
        return load(daemon.config, secured, {})

    daemon.reload = daemon.new_reload(read(), read)
    return clients


def test_a_key_is_revoked_whatever_else_is_refused(
    daemon: Daemon, clients: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    clients.write_text("# nobody\n" + f"{KEY} subscribe desk\n")
    daemon.write("[batch]\nsize = 0\n")
    assert daemon.once() == []
    (allow_list,) = daemon.admitted
    assert [client.name for client in allow_list.clients.values()] == ["desk"]
    assert "the allow-list is as its file says" in logged()[0]["now"]
    assert daemon.outcomes() == {"refused": 1}


def test_a_key_is_revoked_while_the_model_hangs(daemon: Daemon, clients: Path) -> None:
    daemon.hold.clear()
    daemon.reload.poll(True)
    until(lambda: daemon.reload.poll(False), lambda: len(daemon.admitted) == 1)
    assert daemon.outcomes() == {}
    daemon.hold.set()
    daemon.finish(1)


def test_a_bad_allow_list_changes_nothing(
    daemon: Daemon, clients: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    clients.write_text("nonsense\n")
    assert daemon.once() == []
    assert daemon.admitted == []
    assert logged()[0]["now"] == "as before"


def test_a_reload_that_hangs_does_not_block_the_next(
    daemon: Daemon, clients: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    daemon.hold.clear()
    daemon.reload.poll(True)
    until(lambda: daemon.reload.poll(False), lambda: len(daemon.admitted) == 1)
    daemon.now = LONGEST_S + 1
    daemon.reload.poll(True)
    assert daemon.outcomes() == {"failed": 1}
    assert "not ready within" in logged()[0]["why"]
    hanging, daemon.hold = daemon.hold, Event()
    daemon.hold.set()
    daemon.finish(2)
    assert daemon.outcomes() == {"failed": 1, "applied": 1}
    hanging.set()
    assert len(daemon.applied) == 1  # what the first one found is of no interest


def test_reloads_that_hang_are_bounded_and_keys_are_still_revoked(
    daemon: Daemon, clients: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:

    def admitted(count: int) -> bool:
        return len(daemon.admitted) == count

    daemon.hold.clear()
    for count in range(1, HANGING + 1):
        daemon.reload.poll(True)
        until(lambda: daemon.reload.poll(False), partial(admitted, count))
        daemon.now += LONGEST_S + 1
        daemon.finish(count)
    daemon.reload.poll(True)
    daemon.finish(HANGING + 1)
    assert f"{HANGING} reloads hang already" in logged()[-1]["why"]
    assert len(daemon.admitted) == HANGING + 1
    daemon.hold.set()


@pytest.mark.parametrize("what", ["config", "clients", "model"])
def test_what_is_no_regular_file_is_refused_at_once(
    daemon: Daemon,
    clients: Path,
    tmp_path: Path,
    what: str,
    logged: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A FIFO would wait for somebody who writes to it."""
    fifo = {"config": daemon.config, "clients": clients, "model": tmp_path / "model.pt"}[what]
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    if what == "model":
        monkeypatch.setattr(daemon.reload, "_load", lambda *_: load_model(fifo, "cpu"))
    assert daemon.once() == []
    assert daemon.outcomes() == {"refused": 1}
    assert str(fifo) in logged()[0]["why"]
    assert "Not a regular file" in logged()[0]["why"]


def test_who_asks_is_told_what_came_of_it(daemon: Daemon) -> None:
    told: list[str] = []
    asked: list[Answer] = [told.append]
    daemon.reload.poll(False, asked)
    daemon.finish(1)
    daemon.write("[batch]\nsize = 0\n")
    daemon.reload.poll(False, asked)
    daemon.finish(2)
    assert told[0] == "applied"
    assert told[1].startswith("refused: ")
    assert "batch.size = 0" in told[1]


def test_who_asks_meanwhile_is_told_of_the_next(daemon: Daemon) -> None:
    told: list[str] = []
    daemon.hold.clear()
    daemon.reload.poll(True)
    daemon.reload.poll(False, [told.append])
    daemon.hold.set()
    daemon.finish(1)
    assert told == []
    daemon.finish(2)
    assert told == ["applied"]


def test_what_may_change_while_it_runs_exists() -> None:
    known = keys()
    assert {key for key in LIVE if "." in key} <= set(known)
    assert {key for key in LIVE if "." not in key} <= {key.split(".")[0] for key in known}


def test_changes_are_by_key() -> None:
    one = load(None, {"model.path": "a"}, {})
    other = load(None, {"model.path": "b", "alarms.update_s": "7"}, {})
    assert set(changes(one, other)) == {"model.path", "alarms.update_s"}
