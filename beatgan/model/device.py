"""Which device a network runs on: the CPU, or a GPU by its number.

Whether there is a GPU is asked of NVIDIA's driver itself: without one, torch is not imported.
"""

import ctypes
import re
from collections.abc import Callable

from beatgan.errors import UsageError
from beatgan.model import optional_torch

DRIVER = "libcuda.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE: a driver, but no GPU, or none that we may see


def resolve_device(name: str, warn: Callable[[str], None] = lambda _: None) -> str:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` stands for here; not ``auto``.

    ``warn`` is told why there is a GPU that ``auto`` does not take. Raises UsageError, beginning
    with "device", where there is none of that name.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"device must be auto, cpu or cuda[:N], got {name!r}")
    if name == "auto":
        return _best(warn)
    if name != "cpu":
        _check_cuda(name, int(name.partition(":")[2] or 0))
    return name


def driver_gpus() -> int:
    """How many GPUs NVIDIA's driver lets this process use; OSError, saying why, if it is broken.

    0 where there is no such driver. CUDA_VISIBLE_DEVICES is heeded, as it is by torch.
    """
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    for function, arguments in (("cuInit", (0,)), ("cuDeviceGetCount", (ctypes.byref(count),))):
        try:
            code = getattr(driver, function)(*arguments)
        except AttributeError:
            raise OSError(f"{DRIVER} has no {function}") from None
        if code == NO_DEVICE:
            return 0
        if code:
            raise OSError(f"{DRIVER}: {function} gives error {code}")
    return count.value


def _best(warn: Callable[[str], None]) -> str:
    try:
        there = driver_gpus()
    except OSError as error:
        warn(f"NVIDIA's driver does not work ({error}): running on the CPU")
        return "cpu"
    if not there:
        return "cpu"
    try:
        optional_torch.gpus()
    except optional_torch.NoTorchError as error:
        warn(f"there is a GPU, but {error}: running on the CPU")
        return "cpu"
    return "cuda"


def _check_cuda(name: str, index: int) -> None:
    try:
        count = optional_torch.gpus()
    except optional_torch.NoTorchError as error:
        raise UsageError(f"device = {name!r}: {error}; use cpu") from None
    if index >= count:
        raise UsageError(f"device = {name!r}: this machine has {count} GPU(s), from cuda:0")
