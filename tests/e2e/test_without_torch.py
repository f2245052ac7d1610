"""On a CPU nothing of the daemon imports torch, or needs it: it may not be installed."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from beatgan_daemon.clients.process import COMMAND
from beatgan_daemon.clients.process import environment as environment_of

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "student.pt"
# Imported by Python at each start, from PYTHONPATH. The processes that a command starts inherit it.
FORBID = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Missing())
"""
REPORT = """
import atexit, os, sys

def report():
    with open(os.path.join(os.path.dirname(__file__), "loaded"), "a") as file:
        file.write(" ".join(["", *(name for name in sys.modules if name == "torch")]) + "\\n")

atexit.register(report)
"""


def run(folder: Path, customise: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``beatgan-daemon`` with these arguments, after ``customise`` in each process."""
    (folder / "sitecustomize.py").write_text(customise)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment_of({"PYTHONPATH": path}),
        check=False,
    )


COMMANDS: dict[str, list[str | Path]] = {
    "check": ["check", "--model", MODEL],
    "score": ["score", "--model", MODEL, "sample", "--out", "beats.jsonl"],
    "demo": ["demo", "--model", MODEL, "--seconds", "6"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_works_without_torch(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, FORBID, *COMMANDS[name])
    assert done.returncode == 0, done.stderr
    if name == "score":
        lines = (tmp_path / "beats.jsonl").read_text().splitlines()
        kinds = [json.loads(line)["type"] for line in lines]
        assert kinds.count("beat") > 400
        assert "alert" in kinds
    if name == "demo":
        assert "0 samples lost" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_where_torch_is_installed_it_is_not_imported(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # a machine with a GPU would take it
    assert run(tmp_path, REPORT, *COMMANDS[name]).returncode == 0
    said = (tmp_path / "loaded").read_text().splitlines()
    assert len(said) == (3 if name == "demo" else 1)  # the demo's daemon and page are processes
    assert not any(map(str.strip, said))


def test_a_gpu_that_is_asked_for_is_refused_without_torch(tmp_path: Path) -> None:
    done = run(tmp_path, FORBID, "check", "--model", MODEL, "--device", "cuda")
    assert done.returncode == 3
    assert (
        "model.device = 'cuda': torch is not installed (pip install 'beatgan[cuda]'); use cpu"
        in done.stderr
    )
