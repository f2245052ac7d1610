"""Which device a name stands for, on machines with and without a GPU."""

import pytest
import torch

from beatgan.device import resolve_device
from beatgan.errors import UsageError


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = int(request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    return count


@pytest.mark.parametrize("gpus", [0], indirect=True)
def test_without_a_gpu(gpus: int) -> None:
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match=r"^device = 'cuda': torch .* use cpu"):
        resolve_device("cuda")


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_with_gpus(gpus: int) -> None:
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UsageError, match=r"'cuda:2': this machine has 2 GPU\(s\)"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cpu:0", ""])
def test_what_names_no_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="device must be auto, cpu or cuda"):
        resolve_device(name)
