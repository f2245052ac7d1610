"""Which device a network runs on: the CPU, or a GPU by its number."""

import re

import torch

from beatgan.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` stands for on this machine.

    Raises UsageError, beginning with "device", where there is none of that name.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"device must be auto, cpu or cuda[:N], got {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(name, device.index or 0)
    return device


def _check_cuda(name: str, index: int) -> None:
    if not torch.cuda.is_available():
        why = "is built without CUDA" if torch.version.cuda is None else "finds no usable GPU"
        raise UsageError(f"device = {name!r}: torch {torch.__version__} {why}; use cpu")
    if index >= (count := torch.cuda.device_count()):
        raise UsageError(f"device = {name!r}: this machine has {count} GPU(s), from cuda:0")
