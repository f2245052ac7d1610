"""Which device a name stands for, on machines with and without a GPU, a driver, and torch."""

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from beatgan.errors import UsageError
from beatgan.model import device
from beatgan.model.device import driver_gpus, resolve_device


class Driver:
    """NVIDIA's library: what its two functions return, and how many GPUs it counts."""

    def __init__(self, count: int, init: int = 0, counting: int = 0) -> None:
        self._count, self._init, self._counting = count, init, counting

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._count
        return self._counting


def loading(driver: object) -> Callable[[str], object]:
    def load(name: str) -> object:
        assert name == "libcuda.so.1"
        if isinstance(driver, Exception):
            raise driver
        return driver

    return load


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = int(request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(ctypes, "CDLL", loading(Driver(count) if count else OSError("none")))
    return count


@pytest.mark.parametrize("gpus", [0], indirect=True)
def test_without_a_gpu(gpus: int) -> None:
    warnings: list[str] = []
    assert resolve_device("auto", warnings.append) == resolve_device("cpu") == "cpu"
    assert warnings == []
    with pytest.raises(UsageError, match=r"^device = 'cuda': torch .* use cpu"):
        resolve_device("cuda")


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_with_gpus(gpus: int) -> None:
    warnings: list[str] = []
    assert resolve_device("auto", warnings.append) == "cuda"
    assert warnings == []
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(UsageError, match=r"'cuda:2': this machine has 2 GPU\(s\)"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("gpus", [0], indirect=True)
def test_a_gpu_that_torch_cannot_use_is_said(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "driver_gpus", lambda: 1)
    warnings: list[str] = []
    assert resolve_device("auto", warnings.append) == "cpu"
    (warning,) = warnings
    assert warning.startswith("there is a GPU, but torch ")


def test_a_gpu_without_torch_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "driver_gpus", lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    warnings: list[str] = []
    assert resolve_device("auto", warnings.append) == "cpu"
    (warning,) = warnings
    assert warning.startswith("there is a GPU, but torch ")
    with pytest.raises(UsageError, match=r"^device = 'cuda': torch .*; use cpu"):
        resolve_device("cuda")


@pytest.mark.parametrize(
    ("driver", "complaint"),
    [
        (Driver(1, init=999), "cuInit gives error 999"),
        (Driver(1, counting=3), "cuDeviceGetCount gives error 3"),
        (object(), "has no cuInit"),
    ],
)
def test_a_broken_driver_means_the_cpu(
    driver: object, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", loading(driver))
    warnings: list[str] = []
    assert resolve_device("auto", warnings.append) == "cpu"
    (warning,) = warnings
    assert complaint in warning


def test_a_driver_without_a_gpu_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", loading(Driver(0, init=100)))
    assert driver_gpus() == 0


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cpu:0", ""])
def test_what_names_no_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="device must be auto, cpu or cuda"):
        resolve_device(name)
