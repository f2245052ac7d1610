"""SIGHUP to a real daemon under load: all that was asked for or nothing, and no beat the less."""

import json
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import torch
import zmq

from beatgan.model.artifact import build
from beatgan.model.calibration import Calibration
from beatgan.model.synthetic_ecg import synthetic_ecg
from beatgan.model.torch_modules.conversion import networks_of
from beatgan.model.torch_modules.networks import Student
from beatgan.protocol.frames import encode_frame
from beatgan.spec import PreprocessSpec
from beatgan.types import Chunk
from beatgan_daemon.playback.replay import ReplaySocket
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.model_file import save

COEFFICIENTS = coefficients_of("full")

STREAMS = 1000
SECONDS = 60  # at most: as many as the reloads take
AHEAD = 2 * STREAMS  # frames on their way
FS = 360
RECEIVED, RELOADS = "beatgan_samples_received_total", "beatgan_reloads_total"
THRESHOLDS = (1.0, 1.5)  # of the model that is replaced (conftest.py's), and of its successor
LIMITS = (3, 4)  # alarms.anomalous_beats, likewise


class Files:
    """The model and the settings that the daemon reads, to be changed behind its back."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.model, self.config = folder / "model.pt", folder / "daemon.toml"
        self.models = [model.read_bytes(), _model(folder / "other.pt", THRESHOLDS[1])]
        self.model.write_bytes(self.models[0])
        self.settings(LIMITS[0])

    def settings(self, anomalous_beats: int, more: str = "") -> None:
        text = f'[model]\npath = "{self.model}"\n[alarms]\nanomalous_beats = {anomalous_beats}\n'
        self.config.write_text(text + more)


def _model(path: Path, threshold: float) -> bytes:
    """A model of the same preprocessing that gives other scores."""
    torch.manual_seed(1)
    components = ("error", "distance")
    calibration = Calibration(
        location={"error": 0.1, "distance": -2.5},
        spread=dict.fromkeys(components, 1.0),
        weight={"error": 0.1, "distance": 1.0},
        cap=dict.fromkeys(components, 1e3),
        threshold=threshold,
    )
    with path.open("wb") as file:
        networks = networks_of(Student())
        save(file, build("student", PreprocessSpec(), networks, calibration, COEFFICIENTS, {}))
    return path.read_bytes()


class Load:
    """Many patients with the same ECG, as fast as the daemon takes it."""

    def __init__(self, daemon: Any, source: ReplaySocket) -> None:
        self._daemon, self._source = daemon, source
        self._ecg = synthetic_ecg(float(SECONDS), float(FS))[:, None]
        self.seconds = 0

    def one_more_second(self) -> None:
        """Send it as soon as the daemon is no longer far behind."""
        k, self.seconds = self.seconds, self.seconds + 1
        assert self.seconds <= SECONDS, "the reload takes longer than the load lasts"
        samples = self._ecg[k * FS : (k + 1) * FS]
        for stream in range(STREAMS):
            header = (f"s{stream}", 1, k, k * FS, k * 10**9, float(FS), ("II",))
            self._source.send(encode_frame(Chunk(*header, samples)))
        self.until_behind(AHEAD)

    def until_behind(self, frames: int) -> None:
        """Wait until at most so many frames are on their way."""
        self._daemon.until(RECEIVED, (self.seconds * STREAMS - frames) * FS, seconds=120.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Files:
    return Files(tmp_path_factory.mktemp("reload"), model_file)


@pytest.fixture(scope="module")
def daemon(start: Any, files: Files) -> Iterator[Any]:
    with start(
        *("--config", str(files.config), "--model", str(files.model)),
        *("--set", "overload.behind_ms=0", "--set", "publish.high_water=10000000"),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context[zmq.Socket[bytes]]() as context:
        yield context


def reload(daemon: Any, load: Load, outcome: str) -> None:
    """Ask for one while ECG comes, and wait for what comes of it."""
    before = daemon.metrics()
    daemon.process.send_signal(signal.SIGHUP)
    end = monotonic() + 120
    while daemon.metrics()[RELOADS] == before[RELOADS]:
        assert monotonic() < end
        load.one_more_second()
    name = f"{RELOADS}{{{outcome}}}"
    assert daemon.metrics()[name] == before[name] + 1


def published(messages: zmq.Socket[bytes]) -> dict[str, list[dict[str, Any]]]:
    """The first message of each stream's beats, once all have been told."""
    beats: dict[str, list[dict[str, Any]]] = defaultdict(list)
    while messages.poll(2000):
        beat = json.loads(messages.recv_multipart()[1])
        if "revised" not in beat:
            beats[beat["stream"]].append(beat)
    return beats


def test_reloads_under_load_cost_no_beat_and_repeat_none(
    daemon: Any, files: Files, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with (
        ReplaySocket(context, connect=daemon.ingest) as source,
        context.socket(zmq.SUB) as messages,
    ):
        messages.linger = messages.rcvhwm = 0
        messages.subscribe("beat.")
        messages.connect(daemon.publish)
        source.await_subscriber(10)
        load = Load(daemon, source)
        for _ in range(5):
            load.one_more_second()

        files.model.write_bytes(b"not a model")
        reload(daemon, load, "refused")
        files.model.write_bytes(files.models[1])
        files.settings(LIMITS[1], "[batch]\nsize = -1\n")
        reload(daemon, load, "refused")
        half = load.seconds
        load.until_behind(0)
        files.settings(LIMITS[1])
        reload(daemon, load, "applied")
        for _ in range(5):
            load.one_more_second()
        load.until_behind(0)
        streams = published(messages)

    assert len(streams) == STREAMS
    for beats in streams.values():
        assert [beat["n"] for beat in beats] == list(range(len(beats)))
        thresholds = [beat["threshold"] for beat in beats if beat["threshold"] is not None]
        assert thresholds == sorted(thresholds)  # the old model's, then the new one's
        assert set(thresholds) == set(THRESHOLDS)
        old = [b for b in beats if b["sample"] < (half - 1) * FS and b["threshold"] is not None]
        assert {beat["threshold"] for beat in old} == {THRESHOLDS[0]}
    assert len({tuple(beat["sample"] for beat in beats) for beats in streams.values()}) == 1
    by_both: dict[int, set[tuple[float, float]]] = defaultdict(set)
    for beats in streams.values():
        for beat in beats:
            by_both[beat["sample"]].add((beat["score"], beat["threshold"]))
    assert max(map(len, by_both.values())) <= 2  # whatever else was in the batch

    said = [line for line in daemon.logged() if line["event"].startswith("reload")]
    assert [line["event"] for line in said] == ["reload refused", "reload refused", "reloaded"]
    assert "not a beatgan model" in said[0]["why"]
    assert "batch.size = -1" in said[1]["why"]
    assert said[2]["changed"] == [f"alarms.anomalous_beats = {LIMITS[1]} (was {LIMITS[0]})"]


def test_what_needs_a_restart_is_named(daemon: Any, files: Files) -> None:
    files.settings(LIMITS[1], '[state]\ndir = "/nowhere"\n')
    before = daemon.metrics()[RELOADS]
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(RELOADS, before + 1)
    assert daemon.logged()[-1]["why"].startswith("needs a restart: state.dir = /nowhere")


def test_many_signals_in_a_row_do_no_harm(daemon: Any, files: Files) -> None:
    files.settings(LIMITS[0])
    before = daemon.metrics()[f"{RELOADS}{{applied}}"]
    for _ in range(20):
        daemon.process.send_signal(signal.SIGHUP)
    daemon.until(f"{RELOADS}{{applied}}", before + 1)
    assert daemon.process.poll() is None
