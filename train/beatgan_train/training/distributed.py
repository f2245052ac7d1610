"""Training by several processes that torchrun started: what each does, what they share.

Law: they find what one process finds, but for the rounding of sums, and but for dropout, which
each draws for its own share. Each reads its share of the recordings and gives the others the beats
in them. Every process draws the same batches from the seed, and sends its share of each through the
networks. A loss is either of the share alone, where it is a mean over beats that count alike, or of
the outputs of the whole batch, `gathered`, as each that compares or weighs beats must be.
`optimise` averages the gradients, which suits both. Files, progress and decisions are the first
process's.

Without torchrun, or with one process, everything here hands back what it is given, to the bit.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, autograd, nn
from torch import distributed as dist

from beatgan.errors import BeatganError, UsageError
from beatgan.model.device import resolve_device

TIMEOUT = timedelta(minutes=10)  # a process that is waited for so long is lost, and all end
T = TypeVar("T")
Item = TypeVar("Item")
Batch = TypeVar("Batch", Tensor, np.ndarray)


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that torchrun started, if it did, for as long as the block lasts.

    CPU tensors travel by gloo, a GPU's by nccl. Where the block fails, the process must end: that
    closes its connections, and the others' next step raises RuntimeError instead of waiting.
    """
    if not _launched():
        yield
        return
    dist.init_process_group(timeout=TIMEOUT)
    yield
    dist.destroy_process_group()


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0. The first alone writes and prints."""
    return dist.get_rank() if processes() > 1 else 0


def local_device(name: str) -> torch.device:
    """The device that ``name`` stands for (see resolve_device): the GPU of torchrun's LOCAL_RANK.

    Raises UsageError where there is none, or where all processes were given the same one.
    """
    device = torch.device(resolve_device(name))
    if not _launched() or device.type == "cpu":
        return device
    if device.index is not None and os.environ["LOCAL_WORLD_SIZE"] != "1":
        raise UsageError(f"device = {name!r}: torchrun gives each process a GPU; use cuda")
    if device.index is None:
        device = torch.device(resolve_device(f"cuda:{os.environ['LOCAL_RANK']}"))
    torch.cuda.set_device(device)
    return device


def share(batch: Batch) -> Batch:
    """This process's rows of a ``batch`` whose first dimension is a multiple of `processes`."""
    count = len(batch) // processes()
    return batch[rank() * count : (rank() + 1) * count]


def gathered(outputs: Tensor) -> Tensor:
    """The outputs of the whole batch, in its order; each process gives those of its share.

    The gradient of whatever the processes make of them finds its way back.
    """
    if processes() == 1:
        return outputs
    places = outputs.new_zeros((processes(), *outputs.shape))
    places[rank()] = outputs  # zeros for the others': their sum is exact
    whole: Tensor = _Sum.apply(places)  # type: ignore[no-untyped-call]
    return whole.flatten(0, 1)


def averaged(losses: Mapping[str, float]) -> dict[str, float]:
    """The mean over the processes of each of ``losses``: the same bits everywhere."""
    if processes() == 1:
        return dict(losses)
    values = torch.tensor(list(losses.values()), dtype=torch.float64)
    dist.all_reduce(values)
    return dict(zip(losses, (values / processes()).tolist(), strict=True))


def optimise(optimiser: torch.optim.Optimizer, loss: Tensor, steepest: float | None = None) -> None:
    """One step down ``loss``, which has its gradients for the same parameters in all processes.

    A gradient whose norm is beyond ``steepest`` is scaled down to it.
    """
    optimiser.zero_grad()
    autograd.backward(loss)
    if processes() > 1:
        _average_gradients(optimiser)
    if steepest is not None:
        parameters = [each for group in optimiser.param_groups for each in group["params"]]
        nn.utils.clip_grad_norm_(parameters, steepest)
    optimiser.step()


def on_first(work: Callable[[], T]) -> T:
    """What ``work`` returns in the first process, which alone does it, for all of them.

    A BeatganError is raised in all of them. Tensors must lie on the CPU.
    """
    if processes() == 1:
        return work()
    outcome: list[Any] = [None]
    if rank() == 0:
        try:
            outcome = [work()]
        except BeatganError as error:
            outcome = [error]
    dist.broadcast_object_list(outcome)
    if isinstance(outcome[0], BeatganError):
        raise outcome[0]
    found: T = outcome[0]
    return found


def shared(work: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
    """What ``work`` returns for each of ``items``, in their order: each process does its share, and
    gives the others what came of it.

    A BeatganError is raised in all of them: that of the first item which has one.
    """
    if processes() == 1:
        return [work(item) for item in items]
    own: dict[int, T | BeatganError] = {}
    for number in range(rank(), len(items), processes()):
        try:
            own[number] = work(items[number])
        except BeatganError as error:
            own[number] = error
    everybody = dist.new_group(backend="gloo")  # through the machine's memory, not the GPU's
    found: dict[int, Any] = {}
    for process in range(processes()):  # one after another: no copies of all in memory at once
        part = [own if process == rank() else None]
        dist.broadcast_object_list(part, process, everybody)
        found |= part[0] or {}
    dist.destroy_process_group(everybody)
    for number in range(len(items)):
        if isinstance(found[number], BeatganError):
            raise found[number]
    return [found[number] for number in range(len(items))]


def check_alike(described: Mapping[str, Any]) -> None:
    """Raise UsageError where the processes do not train the same: other data, other options."""
    if processes() == 1:
        return
    found: list[Any] = [None] * processes()
    dist.all_gather_object(found, dict(described))
    for name, value in found[0].items():
        for number, other in enumerate(found):
            if other.get(name) != value:
                raise UsageError(
                    f"processes differ: {name} is {value!r} in rank 0 and {other.get(name)!r} "
                    f"in rank {number}; give all the same data and options"
                )


def _launched() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _average_gradients(optimiser: torch.optim.Optimizer) -> None:
    """Replace each gradient by its mean over the processes.

    Not DistributedDataParallel, which counts on one forward pass before each backward pass, by
    which all parameters get a gradient: here a discriminator passes twice for its own step, and
    once more, frozen, for the generator's. One sum of all gradients costs little beside a step.
    """
    parameters = (each for group in optimiser.param_groups for each in group["params"])
    gradients = [each.grad for each in parameters if each.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= processes()
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


class _Sum(autograd.Function):
    """The sum over the processes; its gradient, too, is the sum of theirs.

    As in torch.distributed.nn.functional, which is deprecated without a public successor.
    """

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total
