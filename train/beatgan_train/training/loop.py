"""The training loop of every network here: epochs, checkpoints, history, the best state.

Knows nothing of ECG, of losses or of what "best" means; a TrainingTask does.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from beatgan.errors import UsageError
from beatgan.types import Ints
from beatgan_train.atomic_write import atomic_write
from beatgan_train.training.distributed import check_alike, on_first, processes, rank

State = dict[str, Any]  # what torch.save writes and a load with weights_only=True gives back
EpochMetrics = dict[str, float]  # one epoch of the history


class TrainingTask(Protocol):
    """Something that can be fitted to the rows of its own data."""

    @property
    def rows(self) -> int:
        """How many rows an epoch visits."""

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        """Learn from one batch; returns the losses of all of it by name.

        Chance comes from ``rng`` or torch, and is drawn for the whole batch, so that it is the same
        in each of several processes, which take their `share` of it then.
        """

    def validation_loss(self) -> float | None:
        """The figure by which the best epoch is chosen, lower is better; sees no anomaly.

        None where nothing is held out: then the last epoch is the best.
        """

    def network_state(self) -> State:
        """What is saved of the best epoch."""

    def state(self) -> State:
        """Everything that the next step depends on."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


class Callback(Protocol):
    """Receives the progress of a training; the command line shows it."""

    def on_epoch_begin(self, epoch: int, epochs: int, steps: int) -> None:
        """Epoch number ``epoch``, from 1, of ``steps`` steps begins."""

    def on_step(self) -> None:
        """One step is done."""

    def on_epoch_end(self, line: EpochMetrics, best: bool) -> None:
        """The epoch is over, with these figures; ``best`` if it is the best so far."""


@dataclass(slots=True)
class Checkpoint:
    """How far a training has come; what a checkpoint holds.

    ``rows``: how many its task has; 0 in checkpoints of earlier releases, which do not say.
    """

    options: dict[str, Any]
    rows: int = 0
    epoch: int = 0
    task: State = field(default_factory=dict)
    best: State = field(default_factory=dict)
    best_epoch: int = 0
    history: list[EpochMetrics] = field(default_factory=list)


def fit(
    task: TrainingTask,
    epochs: int,
    batch: int,
    seed: int,
    folder: Path,
    options: Mapping[str, Any],
    resume: bool,
    callback: Callback,
) -> Checkpoint:
    """Train for ``epochs`` passes; returns the checkpoint with the state of the best epoch.

    After each epoch, ``folder`` holds ``checkpoint.pt`` and ``history.jsonl``. With ``resume``
    a training that was broken off goes on as if it had not been: the order of the rows and all
    chance are drawn anew for each epoch from ``seed`` and the epoch's number.
    Of several processes only the first reads and writes there; how many they are may change.
    Raises UsageError if the folder holds a checkpoint that is not to be resumed, or one made with
    other ``options`` (``epochs`` may differ) or from another number of beats, if there are fewer
    rows than one batch, or if several processes differ in what they train or cannot cut a batch
    evenly.
    """
    if task.rows < batch:
        raise UsageError(f"{task.rows} training beats are fewer than one batch of {batch}")
    if batch % processes():
        raise UsageError(f"a batch of {batch} cannot be cut evenly for {processes()} processes")
    check_alike({"beats": task.rows, "epochs": epochs, "batch": batch, "seed": seed, **options})
    checkpoint = on_first(lambda: _begin(folder, dict(options), task.rows, resume))
    if checkpoint.task:
        task.restore(checkpoint.task)
    while checkpoint.epoch < epochs:
        callback.on_epoch_begin(checkpoint.epoch + 1, epochs, task.rows // batch)
        line = _epoch(task, checkpoint.epoch + 1, batch, seed, callback.on_step)
        better = "held_out" not in line or _is_best(line, checkpoint)
        checkpoint.epoch += 1
        checkpoint.history.append(line)
        checkpoint.task = task.state()
        if better:
            checkpoint.best, checkpoint.best_epoch = _copied(task.network_state()), checkpoint.epoch
        if rank() == 0:
            _save(folder, checkpoint)
        callback.on_epoch_end(line, better)
    return checkpoint


def set_rate(optimiser: torch.optim.Optimizer, first: float, done: int, planned: int) -> None:
    """The learning rate after ``done`` of ``planned`` steps: half a cosine from ``first`` to 0."""
    for group in optimiser.param_groups:
        group["lr"] = first * (1 + math.cos(math.pi * min(1.0, done / planned))) / 2


def _epoch(
    task: TrainingTask, epoch: int, batch: int, seed: int, on_step: Callable[[], None]
) -> EpochMetrics:
    """One pass in a new order; rows that do not fill a last batch are left out this time."""
    began = time.perf_counter()
    rng = np.random.default_rng([seed, epoch])
    torch.manual_seed(int(rng.integers(2**62)))
    order = rng.permutation(task.rows)
    sums: dict[str, float] = {}
    steps = task.rows // batch
    for rows in order[: steps * batch].reshape(steps, batch):
        for name, loss in task.step(rows, rng).items():
            sums[name] = sums.get(name, 0.0) + loss
        on_step()
    means = {name: total / steps for name, total in sums.items()}
    validation_loss = on_first(task.validation_loss)
    chosen_by = {} if validation_loss is None else {"held_out": validation_loss}
    return {
        "epoch": epoch,
        **means,
        **chosen_by,
        "seconds": round(time.perf_counter() - began, 2),
    }


def _is_best(line: EpochMetrics, checkpoint: Checkpoint) -> bool:
    if not checkpoint.history:
        return True
    return line["held_out"] < checkpoint.history[checkpoint.best_epoch - 1]["held_out"]


def _copied(state: State) -> State:
    return {key: tensor.detach().cpu().clone() for key, tensor in state.items()}


def _begin(folder: Path, options: dict[str, Any], rows: int, resume: bool) -> Checkpoint:
    """The checkpoint to go on from: an empty one, or the folder's checkpoint."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        return Checkpoint(options, rows)
    if not resume:
        raise UsageError(f"{path} is of an earlier training: add --resume, or choose another --run")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if "trainee" in saved:  # as version 0.1 called it
        saved["task"] = saved.pop("trainee")
    checkpoint = Checkpoint(**saved)
    for key in sorted({*options, *checkpoint.options} - {"epochs"}):
        old, new = checkpoint.options.get(key), options.get(key)
        if old != new:
            raise UsageError(f"{path} was made with {key} = {old!r}, not {new!r}; cannot resume")
    if checkpoint.rows not in (0, rows):
        raise UsageError(
            f"{path} was made from {checkpoint.rows} training beats, not {rows}: the data are "
            "others; cannot resume"
        )
    checkpoint.rows = rows
    return checkpoint


def _save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write checkpoint and history whole or not at all."""
    content = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
    with atomic_write(folder / "checkpoint.pt") as unfinished:
        torch.save(content, unfinished)
    lines = "".join(json.dumps(line) + "\n" for line in checkpoint.history)
    with atomic_write(folder / "history.jsonl") as unfinished:
        unfinished.write_text(lines, encoding="utf-8")
