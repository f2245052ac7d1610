"""Forward passes: windows through a network, on a CPU or a GPU. Knows no score and no beat.

Law: a row's result does not depend on its batch, to the bit. A matrix product chooses its kernel,
and with it the order of its sums, by the number of rows. On a CPU the choice was found not to
matter for multiples of 8 rows, so batches are padded to one; on a GPU every batch is cut into
blocks of one and the same number of rows.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from beatgan.model.networks import Autoencoder
from beatgan.types import Floats

Expect = Callable[[Floats], Floats]  # windows (n, length) to what a network expects in their place

BOUND = 1e4  # no normalised deflection comes near; keeps squares finite in float32
CPU_MULTIPLE, CPU_MOST = 8, 1024  # rows
GPU_ROWS = 256
WARM = 3  # passes before a graph is captured: libraries choose their kernels in the first ones


def forward(network: Autoencoder, length: int) -> Expect:
    """The forward pass of ``network``, in eval mode where it lies, the fastest that works there."""
    device = next(network.parameters()).device
    if device.type == "cuda":
        try:
            return Graph(network, length)
        except RuntimeError:  # a driver or a layer that cannot be captured: the same, but slower
            torch.cuda.synchronize(device)
    return partial(expect, network)


def expect(network: Autoencoder, windows: Floats) -> Floats:
    """What ``network``, in eval mode on any device, expects in place of ``windows`` (n, length)."""
    device = next(network.parameters()).device
    cpu = device.type == "cpu"
    multiple, most = (CPU_MULTIPLE, CPU_MOST) if cpu else (GPU_ROWS, GPU_ROWS)
    expected = np.empty_like(windows)
    for start in range(0, len(windows), most):
        block = windows[start : start + most]
        rows = -(-len(block) // multiple) * multiple
        if rows > len(block):
            block = np.concatenate([block, np.zeros((rows - len(block), block.shape[1]), "<f4")])
        with torch.inference_mode():
            found = network(torch.from_numpy(block).to(device)).cpu().numpy()
        expected[start : start + most] = found[: len(expected) - start]
    return bounded(expected)


class Graph:
    """The forward pass of a network on a GPU as one CUDA graph of GPU_ROWS windows.

    A block costs one launch instead of one a layer, and goes there and back through page-locked
    memory. Raises RuntimeError where it cannot be captured.
    """

    def __init__(self, network: Autoencoder, length: int) -> None:
        device = next(network.parameters()).device
        self._windows = torch.zeros(GPU_ROWS, length, pin_memory=True)
        self._expected = torch.zeros(GPU_ROWS, length, pin_memory=True)
        self._graph = torch.cuda.CUDAGraph()
        self._device = device
        inside = torch.zeros(GPU_ROWS, length, device=device)
        with torch.inference_mode(), torch.cuda.device(device):
            for _ in range(WARM):
                network(inside)
            torch.cuda.synchronize(device)
            with torch.cuda.graph(self._graph):
                inside.copy_(self._windows, non_blocking=True)
                self._expected.copy_(network(inside), non_blocking=True)

    def __call__(self, windows: Floats) -> Floats:
        """See `expect`."""
        expected = np.empty_like(windows)
        sent, found = self._windows.numpy(), self._expected.numpy()
        for start in range(0, len(windows), GPU_ROWS):
            count = min(GPU_ROWS, len(windows) - start)
            sent[:count] = windows[start : start + count]
            self._graph.replay()
            torch.cuda.synchronize(self._device)
            expected[start : start + count] = found[:count]
        return bounded(expected)


def bounded(values: Floats) -> Floats:
    """``values`` if all are within +-BOUND, else a copy in which they are; NaN counts as BOUND."""
    if values.max(initial=0.0) < BOUND and values.min(initial=0.0) > -BOUND:  # false for NaN
        return values
    return np.clip(np.nan_to_num(values, nan=BOUND), -BOUND, BOUND)
