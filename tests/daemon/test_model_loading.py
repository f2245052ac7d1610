"""Devices and model files that are not there."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from beatgan.errors import ArtifactError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.model_loading import load_model, resolve_device


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = int(request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    return count


@pytest.mark.parametrize("gpus", [0], indirect=True)
def test_without_a_gpu(gpus: int) -> None:
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(StartError, match=r"model\.device = 'cuda': torch .* use cpu"):
        resolve_device("cuda")


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_with_gpus(gpus: int) -> None:
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(StartError, match=r"'cuda:2': this machine has 2 GPU\(s\)"):
        resolve_device("cuda:2")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.pt: cannot open the model: No such file"):
        load_model(tmp_path / "none.pt", "cpu")


def test_a_daemon_starts_without_what_is_slow_to_import_and_of_no_use() -> None:
    code = "import sys, beatgan_daemon.cli, beatgan_daemon.service; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"scipy.signal", "scipy.stats", "wfdb", "edfio", "pandas", "matplotlib"}
