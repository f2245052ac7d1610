"""Forward passes by torch: windows through a network, on a CPU or a GPU.

Law: a row's result does not depend on its batch, nor on the number of threads, to the bit. A
library chooses its kernels, and with them the order of their sums, by the number of rows, by the
threads and by the processor. So every batch is cut into blocks of one and the same number of rows,
on a CPU by one thread; another processor may give other bits, another batch may not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from beatgan.model.bounded import bounded
from beatgan.model.compiled_networks import ForwardPass, compiled_autoencoder
from beatgan.model.networks import Network
from beatgan.model.torch_modules.conversion import AutoencoderModule, autoencoder_of, network_of
from beatgan.types import Floats

CPU_ROWS, GPU_ROWS = 16, 256  # of every block
WARM = 3  # passes before a graph is captured: libraries choose their kernels in the first ones


def forward(network: Network, width: int, device: str) -> ForwardPass:
    """The pass of ``network`` on ``device``, whose rows have ``width`` numbers.

    On a GPU the fastest that works there.
    """
    module = autoencoder_of(network).to(device)
    if torch.device(device).type == "cuda":
        try:
            return Graph(module, width)
        except RuntimeError:  # a driver or a layer that cannot be captured: the same, but slower
            torch.cuda.synchronize(device)
    return partial(_by_blocks, module)


def run(module: AutoencoderModule, rows: Floats) -> Floats:
    """``rows`` (n, width) through ``module``, in eval mode where it lies, with its present weights.

    On a CPU the student goes through the compiled pass, as it does when it serves.
    """
    on_cpu = next(module.parameters()).device.type == "cpu"
    if on_cpu and (compiled := compiled_autoencoder(network_of(module))):
        return compiled(rows)
    return _by_blocks(module, rows)


def _by_blocks(module: AutoencoderModule, windows: Floats) -> Floats:
    """Some rows at a time; behind the last window there are zeros."""
    device = next(module.parameters()).device
    if device.type != "cpu":
        return _blocks(module, windows, device, GPU_ROWS)
    with one_thread():
        return _blocks(module, windows, device, CPU_ROWS)


def _blocks(module: AutoencoderModule, windows: Floats, device: torch.device, rows: int) -> Floats:
    reconstructed = np.empty_like(windows)
    for start in range(0, len(windows), rows):
        block = windows[start : start + rows]
        if rows > (count := len(block)):
            block = np.concatenate([block, np.zeros((rows - count, block.shape[1]), "<f4")])
        with torch.inference_mode():
            found = module(torch.from_numpy(block).to(device)).cpu().numpy()
        reconstructed[start : start + rows] = found[:count]
    return bounded(reconstructed)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread, whatever this process or thread has set: sums are not cut."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Graph:
    """The forward pass of a network on a GPU as one CUDA graph of GPU_ROWS windows.

    A block costs one launch instead of one a layer, and goes there and back through page-locked
    memory. Raises RuntimeError where it cannot be captured.
    """

    def __init__(self, module: AutoencoderModule, length: int) -> None:
        device = next(module.parameters()).device
        self._windows = torch.zeros(GPU_ROWS, length, pin_memory=True)
        self._reconstructed = torch.zeros(GPU_ROWS, length, pin_memory=True)
        self._graph = torch.cuda.CUDAGraph()
        self._device = device
        inside = torch.zeros(GPU_ROWS, length, device=device)
        with torch.inference_mode(), torch.cuda.device(device):
            for _ in range(WARM):
                module(inside)
            torch.cuda.synchronize(device)
            with torch.cuda.graph(self._graph):
                inside.copy_(self._windows, non_blocking=True)
                self._reconstructed.copy_(module(inside), non_blocking=True)

    def __call__(self, windows: Floats) -> Floats:
        """Reconstruct ``windows`` (n, length)."""
        reconstructed = np.empty_like(windows)
        sent, found = self._windows.numpy(), self._reconstructed.numpy()
        for start in range(0, len(windows), GPU_ROWS):
            count = min(GPU_ROWS, len(windows) - start)
            sent[:count] = windows[start : start + count]
            self._graph.replay()
            torch.cuda.synchronize(self._device)
            reconstructed[start : start + count] = found[:count]
        return bounded(reconstructed)
