"""Several processes train what one does, go on where another number broke off, end together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from beatgan.errors import UsageError
from beatgan.model.torch_modules.forward import one_thread
from beatgan_train import cli
from beatgan_train.training import distributed
from beatgan_train.training.loop import EpochMetrics
from tests.train.training import distributed_worker as worker

# Sums over another cut of a batch round differently, and a step of Adam makes that larger.
TOLERANCE = {"bfloat16": 0.05}
CLOSE = 1e-4


def torchrun(folder: Path) -> subprocess.CompletedProcess[str]:
    """Two processes of the worker, each with one thread."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*words, worker.__file__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tasks trained by one process in ``one``, by two in ``two``, and from one to two."""
    made = tmp_path_factory.mktemp("distributed")
    with one_thread():
        for name in worker.TASKS:
            worker.train(name, made / "one" / name)
        worker.train("teacher", made / "resumed", epochs=1)
    done = torchrun(made)
    assert done.returncode != 0  # at last, one process was made to fail
    assert {path.name for path in made.glob("*-of-2")} == {"0-of-2", "1-of-2"}, done.stderr
    return made


def history(run: Path) -> list[EpochMetrics]:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def best(run: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(run / "checkpoint.pt", weights_only=True)["best"]
    return weights


def assert_alike(run: Path, other: Path, tolerance: float) -> None:
    for found, expected in zip(history(run), history(other), strict=True):
        assert found == pytest.approx(expected, rel=tolerance)
    weights, wanted = best(run), best(other)
    assert weights.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(weights[name], value, rtol=tolerance, atol=tolerance, msg=name)


def test_each_process_reads_its_share_and_has_all_in_order(folder: Path) -> None:
    for number in (0, 1):
        found, raised, done = json.loads((folder / f"shares-{number}.json").read_text())
        assert found == [[item, item % 2] for item in range(7)]
        assert raised == "record 3: unreadable"
        assert done == [each for each in range(6) if each % 2 == number]


def test_one_process_reads_all() -> None:
    assert distributed.shared(lambda item: item + 1, [3, 1, 2]) == [4, 2, 3]


@pytest.mark.parametrize("name", worker.TASKS)
def test_two_processes_train_what_one_does(folder: Path, name: str) -> None:
    assert_alike(folder / "two" / name, folder / "one" / name, TOLERANCE.get(name, CLOSE))


def test_two_processes_go_on_where_one_broke_off(folder: Path) -> None:
    assert_alike(folder / "resumed", folder / "one" / "teacher", CLOSE)


def test_one_process_goes_on_where_two_broke_off(folder: Path) -> None:
    with one_thread():
        worker.train("teacher", folder / "begun", resume=True)
    assert_alike(folder / "begun", folder / "one" / "teacher", CLOSE)


def test_the_first_process_alone_writes(folder: Path) -> None:
    assert [run.name for run in folder.glob("written-by-*")] == ["written-by-0"]


def test_the_first_process_alone_shows_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (0, 1):
        monkeypatch.setattr(cli, "rank", lambda number=number: number)
        with cli.progress() as terminal:
            terminal.say(f"from {number}")
    shown = capsys.readouterr().out
    assert "from 0" in shown
    assert "from 1" not in shown


def test_where_one_process_fails_the_other_ends_by_itself(folder: Path) -> None:
    assert (folder / "ended").exists()
    assert not (folder / "failed" / "checkpoint.pt").exists()


def test_a_gpu_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr("beatgan.model.device.driver_gpus", lambda: 2)
    second = torch.device("cuda:1")
    assert [distributed.local_device(name) for name in ("auto", "cuda")] == [second, second]
    assert chosen == [second, second]
    assert distributed.local_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="'cuda:0': torchrun gives each process a GPU; use cuda"):
        distributed.local_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=r"has 1 GPU\(s\)"):
        distributed.local_device("auto")
