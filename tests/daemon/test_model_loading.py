"""Devices and model files that are not there."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from beatgan.errors import ArtifactError
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.model_loading import load_model


def test_a_missing_device_is_a_refusal_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StartError, match=r"^model\.device = 'cuda': torch .* use cpu"):
        load_model(Path("model.pt"), "cuda")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.pt: cannot open the model: No such file"):
        load_model(tmp_path / "none.pt", "cpu")


def test_a_daemon_starts_without_what_is_slow_to_import_and_of_no_use() -> None:
    code = "import sys, beatgan_daemon.cli, beatgan_daemon.service; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "beatgan.model.model" in loaded
    of_no_use = {"torch", "scipy.signal", "scipy.stats", "wfdb", "edfio", "pandas", "matplotlib"}
    assert not loaded & of_no_use
