"""Dashboards and rules against a real Prometheus that scrapes a real daemon; and Alertmanager.

Everything that dashboards and rules ask about is made to happen, so each query has an answer: a
name or a label that is mistyped gives none.
"""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Empty, Queue
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
import zmq

from beatgan.model.synthetic_ecg import synthetic_alarms
from beatgan.protocol.frames import encode_frame
from beatgan.types import Chunk
from beatgan_daemon.playback.replay import ReplaySocket
from beatgan_daemon.sharding.shard_map import ShardMap, write_map
from configs.grafana.dashboards import ALARMS, OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
DOCS = ROOT / "docs" / "metrics.md"
TEMPLATES = Path("/usr/share/prometheus/alertmanager/default.tmpl")  # Debian's reads no other
FS = 250
QUERIES = {
    f"{panel.title}: {query.expr}": query.expr
    for panel in (*OPERATIONS, *ALARMS)
    for query in panel.queries
}
# A selector of a rule: a metric, with labels or without.
SELECTOR = re.compile(r"(?:beatgan_\w+|\bup\b)(?:\{[^}]*\})?")
RULES = re.findall(
    r"expr: (?:>-\n)?((?:.|\n)+?)\n        (?:for|labels):",
    (CONFIGS / "prometheus-rules.yml").read_text(),
)
# Limits so low that episodes are held back within the test's seconds.
MODEST = {"alarms.burst": 1, "alarms.max_per_hour": 1, "streams.silence_s": 4}


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine (Debian package {package})")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(done: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """What ``done`` returns, as soon as it is something."""
    end = monotonic() + seconds
    while not (found := done()):
        assert monotonic() < end, f"{what}: not within {seconds:g} s"
        sleep(0.2)
    return found


@contextmanager
def server(command: list[str], address: str, log: Path) -> Iterator[None]:
    """A server of the Prometheus family, ready; ended with the block."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(f"http://{address}/-/ready", timeout=5) as page:
                return bool(page.status == 200)
        except (URLError, ConnectionError):
            return False

    try:
        until(ready, command[0])
        yield
    finally:
        process.terminate()
        process.wait(15)


@dataclass(frozen=True)
class Prometheus:
    address: str

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The series that an expression gives now; an error in it fails the test."""
        url = f"http://{self.address}/api/v1/query?query={quote(expr)}"
        with urlopen(url, timeout=10) as page:
            answer = json.load(page)
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@pytest.fixture(scope="module")
def notified() -> Iterator[tuple[str, Queue[dict[str, Any]]]]:
    """A webhook's address, and what was sent to it."""
    heard: Queue[dict[str, Any]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_port}/", heard
        receiver.shutdown()


@pytest.fixture(scope="module")
def alertmanager(
    notified: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one with the configuration that is shipped; only it need not wait."""
    command = program("prometheus-alertmanager", "prometheus-alertmanager")
    if not TEMPLATES.exists():
        pytest.skip(f"no {TEMPLATES}: apt-get install prometheus-alertmanager")
    folder = tmp_path_factory.mktemp("alertmanager")
    config = (CONFIGS / "alertmanager.yml").read_text()
    config = config.replace("http://127.0.0.1:9099/", notified[0])
    config = re.sub("group_(wait|interval): .*", r"group_\1: 1s", config)
    (folder / "alertmanager.yml").write_text(config)
    address = f"127.0.0.1:{free_port()}"
    flags = [
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with server([command, *flags], address, folder / "log"):
        yield address


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as docs/metrics.md installs them: with the addresses of pages and Grafana."""
    found = re.search(r"```sh\n(sed (?:.|\n)*?) > \S+\n```", DOCS.read_text())
    assert found
    command = shlex.split(found[1].replace("\\\n", ""))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    path = tmp_path_factory.mktemp("rules") / "prometheus-rules.yml"
    path.write_text(done.stdout)
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "daemon.toml"


@pytest.fixture(scope="module")
def daemon(
    start: Any, config: Path, model_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A daemon to which everything happens that is counted: a shard of its own."""
    folder = tmp_path_factory.mktemp("shards")
    write_map(folder, ShardMap.even(["alone"]))
    config.write_text(f'[model]\npath = "{model_file}"\n')
    shard = {"shard.dir": folder, "shard.name": "alone"}
    settings = {**shard, "state.checkpoint_s": 1, **MODEST}
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    with start("--config", str(config), *flags) as running:
        yield running


@pytest.fixture(scope="module")
def replay(daemon: Any, start_command: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """ECG with alarms of every kind for as long as the tests last, and a bed that falls silent."""
    record = tmp_path_factory.mktemp("record") / "bed.csv"
    values = "\n".join(f"{value:.4f}" for value in synthetic_alarms(FS).tolist())
    record.write_text(f"# fs={FS}\nII\n{values}\n")
    flags = ("--connect", daemon.ingest, "--speed", "20", "--loop", "--copies", "4")
    with start_command("replay", str(record), *flags) as process:
        daemon.until("beatgan_alerts_latched", 1)
        with (
            zmq.Context[zmq.Socket[bytes]]() as context,
            ReplaySocket(context, connect=daemon.ingest) as source,
        ):
            source.await_subscriber(10)
            second = np.zeros((FS, 1), np.float32)
            source.send(encode_frame(Chunk("bed-9", 1, 0, 0, 0, float(FS), ("II",), second)))
            source.send([b"ecg.bed-9"])  # and a frame of too few parts
        yield process


@pytest.fixture(scope="module")
def prometheus(
    daemon: Any, alertmanager: str, rules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """One with the configuration that is shipped, which looks each second."""
    command = program("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    text = (CONFIGS / "prometheus.yml").read_text()
    for shipped, here in (
        ("127.0.0.1:9464", daemon.http.removeprefix("http://")),
        ("127.0.0.1:9093", alertmanager),
        ("interval: 15s", "interval: 1s"),
        ("[prometheus-rules.yml]", f"[{rules}]"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    (folder / "prometheus.yml").write_text(text)
    address = f"127.0.0.1:{free_port()}"
    flags = [
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ]
    with server([command, *flags], address, folder / "log"):
        yield Prometheus(address)


@pytest.fixture(scope="module")
def watched(prometheus: Prometheus, replay: Any, daemon: Any, command: Any) -> Prometheus:
    """A Prometheus that has seen two values of everything."""
    assert command("alerts", "--connect", daemon.control).returncode == 0
    names = ("frames_rejected_total", "alerts_suppressed_total", "control_requests_total")
    for name in names:
        until(partial(prometheus.ask, f"rate(beatgan_{name}[10s])"), name)
    return prometheus


def test_a_refused_reload_is_notified(
    prometheus: Prometheus,
    notified: tuple[str, Queue[dict[str, Any]]],
    daemon: Any,
    config: Path,
) -> None:
    until(lambda: prometheus.ask("beatgan_reloads_total"), "a first scrape")
    good = config.read_text()
    config.write_text(good + "[alarms]\nno_such_key = 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until("beatgan_reloads_total{refused}", 1)
    config.write_text(good)
    name = "BeatganReloadRefused"
    heard: dict[str, Any] = {}
    while name not in heard:
        try:
            message = notified[1].get(timeout=30)
        except Empty:
            pytest.fail(f"{name} is not among the notifications {list(heard)}")
        heard |= {alert["labels"]["alertname"]: alert for alert in message["alerts"]}
    told = heard[name]
    instance = daemon.http.removeprefix("http://")
    assert (told["status"], told["labels"]["outcome"]) == ("firing", "refused")
    assert told["labels"]["instance"] == instance
    page = "https://wiki.example.org/beatgan/docs/metrics.md#beatganreloadrefused"
    assert told["annotations"]["runbook_url"] == page
    shown = f"https://grafana.example.org/d/beatgan-operations?var-instance={quote(instance)}"
    assert told["annotations"]["dashboard_url"] == shown


@pytest.mark.parametrize("expr", QUERIES.values(), ids=QUERIES.keys())
def test_each_query_of_a_dashboard_has_an_answer(watched: Prometheus, expr: str) -> None:
    filled = expr.replace("$job", "beatgan").replace("$instance", ".+")
    filled = filled.replace("$__rate_interval", "10s")
    assert "$" not in filled
    assert until(lambda: watched.ask(filled), filled, 30)


@pytest.mark.parametrize("expr", RULES)
def test_what_a_rule_asks_about_is_there(watched: Prometheus, expr: str) -> None:
    watched.ask(expr)
    selectors = SELECTOR.findall(expr)
    assert selectors
    for selector in selectors:
        until(partial(watched.ask, f"last_over_time({selector}[2m])"), selector, 30)


def test_a_mistyped_query_has_no_answer(watched: Prometheus) -> None:
    assert watched.ask("rate(beatgan_samples_recieved_total[10s])") == []


def test_the_variables_list_the_daemon(watched: Prometheus, daemon: Any) -> None:
    labels = [series["metric"] for series in watched.ask("beatgan_ready")]
    instance = daemon.http.removeprefix("http://")
    assert [(each["job"], each["instance"]) for each in labels] == [("beatgan", instance)]


def test_every_rule_is_read_by_prometheus(watched: Prometheus) -> None:
    with urlopen(f"http://{watched.address}/api/v1/rules", timeout=10) as page:
        groups = json.load(page)["data"]["groups"]
    read = [rule for group in groups for rule in group["rules"]]
    assert len(read) == len(RULES)
    until(lambda: _healthy(watched), "an evaluation of every rule")


def _healthy(prometheus: Prometheus) -> bool:
    with urlopen(f"http://{prometheus.address}/api/v1/rules", timeout=10) as page:
        groups = json.load(page)["data"]["groups"]
    return all(rule["health"] == "ok" for group in groups for rule in group["rules"])
