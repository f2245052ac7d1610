"""The real commands as processes on loopback, and a model file small enough to make here."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families

from beatgan.model.artifact import build
from beatgan.model.calibration import Calibration
from beatgan.model.torch_modules.context_networks import BeatClassifier, RhythmDensity
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.spec import PreprocessSpec
from beatgan_daemon.clients.process import COMMAND, start_daemon
from beatgan_daemon.clients.process import environment as environment_of
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.model_file import save

COEFFICIENTS = coefficients_of("full")

START_S = 120.0  # where nothing is compiled yet


@dataclass(frozen=True)
class Running:
    """A daemon that said it is ready."""

    process: subprocess.Popen[str]
    log: Path
    ingest: str
    publish: str
    control: str
    http: str

    def logged(self) -> list[dict[str, Any]]:
        """Every line it wrote to stderr; all of them are JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def metrics(self) -> Counter[str]:
        """Its metrics by name, and by name{label}, summed over the other labels."""
        with urlopen(f"{self.http}/metrics", timeout=10) as page:
            families = text_string_to_metric_families(page.read().decode())
        counts: Counter[str] = Counter()
        for sample in (sample for family in families for sample in family.samples):
            for name in {sample.name, *(f"{sample.name}{{{v}}}" for v in sample.labels.values())}:
                counts[name] += int(sample.value)
        return counts

    def until(self, metric: str, value: int, seconds: float = 30.0) -> None:
        """Wait for a metric to reach ``value``."""
        end = monotonic() + seconds
        while (now := self.metrics()[metric]) < value:
            assert monotonic() < end, f"{metric} stays at {now}, waited for {value}"
            sleep(0.05)

    def stop(self) -> int:
        """End it as systemd would; its exit code."""
        self.process.terminate()
        return self.process.wait(15)


Start = Callable[..., AbstractContextManager[Running]]
StartCommand = Callable[..., AbstractContextManager[subprocess.Popen[str]]]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained student whose score rests on the distance to the patient's own beat.

    It gives beats classes and revises their scores.
    """
    torch.manual_seed(0)
    weight = {"error": 0.1, "distance": 1.0, "rr_surprisal": 0.1, "log_odds": 0.1}
    calibration = Calibration(
        location={**dict.fromkeys(weight, 0.0), "distance": -2.0},
        spread=dict.fromkeys(weight, 1.0),
        weight=weight,
        cap=dict.fromkeys(weight, 1e3),
        threshold=1.0,
    )
    networks = networks_of(Student(), RhythmDensity(), BeatClassifier())
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    with path.open("wb") as file:
        save(
            file,
            build("student", PreprocessSpec(), networks, calibration, COEFFICIENTS, {}),
        )
    return path


@pytest.fixture(scope="session")
def command() -> Command:
    """Runs ``beatgan-daemon`` with arguments until it ends."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=START_S,
            env=environment_of({}),
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def start_command() -> StartCommand:
    """Starts ``beatgan-daemon`` with arguments; killed at the end of the block if need be."""

    @contextmanager
    def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment_of(environment),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return started


@pytest.fixture(scope="session")
def start(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts a daemon on free loopback ports and waits until it is ready."""

    @contextmanager
    def started(*arguments: str, **environment: str) -> Iterator[Running]:
        log = tmp_path_factory.mktemp("daemon") / "stderr"
        flags = ["--model", str(model_file), *arguments]
        with start_daemon(flags, log, extra_environment=environment) as daemon:
            try:
                found = daemon.wait_until_ready(START_S)
                assert found is not None
                where = (found.ingest, found.publish, found.control, found.http)
                yield Running(daemon.process, log, *where)
            finally:
                daemon.process.kill()

    return started
