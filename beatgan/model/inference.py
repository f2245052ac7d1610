"""Forward passes: windows through a network, on a CPU or a GPU. Knows no score and no beat.

Law: a row's result does not depend on its batch, nor on the number of threads, to the bit. A
library chooses its kernels, and with them the order of their sums, by the number of rows, by the
threads and by the processor. So on a CPU the student goes through a pass of our own
(`beatgan.model.dense_forward`), whose bits are the same on every processor, too. For all else
every batch is cut into blocks of one and the same number of rows, and on a CPU by one thread;
another processor may give other bits there, another batch may not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from beatgan.model.compiled_networks import CompiledContextAutoencoder, CompiledStudent
from beatgan.model.context_networks import ContextAutoencoder
from beatgan.model.networks import Autoencoder, Student
from beatgan.types import Floats

Network = Autoencoder | ContextAutoencoder
ForwardPass = Callable[[Floats], Floats]  # rows to as many rows of the same length: see `Network`

BOUND = 1e4  # no normalised deflection comes near; keeps squares finite in float32
CPU_ROWS, GPU_ROWS = 16, 256  # of every block
WARM = 3  # passes before a graph is captured: libraries choose their kernels in the first ones


def forward(network: Network, width: int) -> ForwardPass:
    """The forward pass of ``network``, in eval mode where it lies, the fastest that works there.

    Its rows have ``width`` numbers. It may go on with the weights of now when they change.
    """
    device = next(network.parameters()).device
    if device.type == "cuda":
        try:
            return Graph(network, width)
        except RuntimeError:  # a driver or a layer that cannot be captured: the same, but slower
            torch.cuda.synchronize(device)
    return _compiled(network) or partial(run, network)


def run(network: Network, rows: Floats) -> Floats:
    """``rows`` (n, width) through ``network``, with its present weights.

    ``network`` is in eval mode, on any device.
    """
    device = next(network.parameters()).device
    if device.type != "cpu":
        return _by_blocks(network, rows, GPU_ROWS)
    if ready := _compiled(network):
        return ready(rows)
    with one_thread():
        return _by_blocks(network, rows, CPU_ROWS)


def _compiled(network: Network) -> ForwardPass | None:
    """The compiled pass of a network on a CPU, with a copy of its weights, where there is one."""
    if next(network.parameters()).device.type != "cpu":
        return None
    if isinstance(network, Student):
        return _Bounded(CompiledStudent(network))
    if isinstance(network, ContextAutoencoder):
        return _Bounded(CompiledContextAutoencoder(network))
    return None


class _Bounded:
    """A pass whose results are `bounded`."""

    def __init__(self, compiled: ForwardPass) -> None:
        self._compiled = compiled

    def __call__(self, rows: Floats) -> Floats:
        return bounded(self._compiled(rows))


def _by_blocks(network: Network, windows: Floats, rows: int) -> Floats:
    """By torch, so many rows at a time; behind the last window there are zeros."""
    device = next(network.parameters()).device
    reconstructed = np.empty_like(windows)
    for start in range(0, len(windows), rows):
        block = windows[start : start + rows]
        if rows > (count := len(block)):
            block = np.concatenate([block, np.zeros((rows - count, block.shape[1]), "<f4")])
        with torch.inference_mode():
            found = network(torch.from_numpy(block).to(device)).cpu().numpy()
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

    def __init__(self, network: Network, length: int) -> None:
        device = next(network.parameters()).device
        self._windows = torch.zeros(GPU_ROWS, length, pin_memory=True)
        self._reconstructed = torch.zeros(GPU_ROWS, length, pin_memory=True)
        self._graph = torch.cuda.CUDAGraph()
        self._device = device
        inside = torch.zeros(GPU_ROWS, length, device=device)
        with torch.inference_mode(), torch.cuda.device(device):
            for _ in range(WARM):
                network(inside)
            torch.cuda.synchronize(device)
            with torch.cuda.graph(self._graph):
                inside.copy_(self._windows, non_blocking=True)
                self._reconstructed.copy_(network(inside), non_blocking=True)

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


def bounded(values: Floats) -> Floats:
    """``values`` if all are within +-BOUND, else a copy in which they are; NaN counts as BOUND."""
    if values.max(initial=0.0) < BOUND and values.min(initial=0.0) > -BOUND:  # false for NaN
        return values
    return np.clip(np.nan_to_num(values, nan=BOUND), -BOUND, BOUND)
