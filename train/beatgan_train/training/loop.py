"""The training loop of every network here: epochs, checkpoints, history, the best state.

Knows nothing of ECG, of losses or of what "best" means; a Trainee does.
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

State = dict[str, Any]  # what torch.save writes and a load with weights_only=True gives back
Line = dict[str, float]  # one epoch of the history


class Trainee(Protocol):
    """Something that can be fitted to the rows of its own data."""

    @property
    def rows(self) -> int:
        """How many rows an epoch visits."""

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        """Learn from one batch; returns its losses by name. Chance comes from ``rng`` or torch."""

    def merit(self) -> float:
        """The figure by which the best epoch is chosen, lower is better; sees no anomaly."""

    def network_state(self) -> State:
        """What is kept of the best epoch."""

    def state(self) -> State:
        """Everything that the next step depends on."""

    def restore(self, state: State) -> None:
        """Continue from ``state``."""


class Watcher(Protocol):
    """Is told how a training goes on; the command line shows it."""

    def epoch_begins(self, epoch: int, epochs: int, steps: int) -> None:
        """Epoch number ``epoch``, from 1, of ``steps`` steps begins."""

    def stepped(self) -> None:
        """One step is done."""

    def epoch_ends(self, line: Line, best: bool) -> None:
        """The epoch is over, with these figures; ``best`` if it is the best so far."""


@dataclass(slots=True)
class Progress:
    """How far a training has come; what a checkpoint holds."""

    options: dict[str, Any]
    epoch: int = 0
    trainee: State = field(default_factory=dict)
    best: State = field(default_factory=dict)
    best_epoch: int = 0
    history: list[Line] = field(default_factory=list)


def fit(
    trainee: Trainee,
    epochs: int,
    batch: int,
    seed: int,
    folder: Path,
    options: Mapping[str, Any],
    resume: bool,
    watcher: Watcher,
) -> Progress:
    """Train for ``epochs`` passes; returns the progress with the state of the best epoch.

    After each epoch, ``folder`` holds ``checkpoint.pt`` and ``history.jsonl``. With ``resume``
    a training that was broken off goes on as if it had not been: the order of the rows and all
    chance are drawn anew for each epoch from ``seed`` and the epoch's number.
    Raises UsageError if the folder holds a checkpoint that is not to be resumed, or one made with
    other ``options`` (``epochs`` may differ), or if there are fewer rows than one batch.
    """
    if trainee.rows < batch:
        raise UsageError(f"{trainee.rows} training beats are fewer than one batch of {batch}")
    progress = _begin(folder, dict(options), resume)
    if progress.trainee:
        trainee.restore(progress.trainee)
    while progress.epoch < epochs:
        watcher.epoch_begins(progress.epoch + 1, epochs, trainee.rows // batch)
        line = _epoch(trainee, progress.epoch + 1, batch, seed, watcher.stepped)
        better = not progress.history or line["held_out"] < _best_merit(progress)
        progress.epoch += 1
        progress.history.append(line)
        progress.trainee = trainee.state()
        if better:
            progress.best, progress.best_epoch = _copied(trainee.network_state()), progress.epoch
        _save(folder, progress)
        watcher.epoch_ends(line, better)
    return progress


def set_rate(optimiser: torch.optim.Optimizer, first: float, done: int, planned: int) -> None:
    """The learning rate after ``done`` of ``planned`` steps: half a cosine from ``first`` to 0."""
    for group in optimiser.param_groups:
        group["lr"] = first * (1 + math.cos(math.pi * min(1.0, done / planned))) / 2


def _epoch(
    trainee: Trainee, epoch: int, batch: int, seed: int, stepped: Callable[[], None]
) -> Line:
    """One pass in a new order; rows that do not fill a last batch are left out this time."""
    began = time.perf_counter()
    rng = np.random.default_rng([seed, epoch])
    torch.manual_seed(int(rng.integers(2**62)))
    order = rng.permutation(trainee.rows)
    sums: dict[str, float] = {}
    steps = trainee.rows // batch
    for rows in order[: steps * batch].reshape(steps, batch):
        for name, loss in trainee.step(rows, rng).items():
            sums[name] = sums.get(name, 0.0) + loss
        stepped()
    means = {name: total / steps for name, total in sums.items()}
    merit = trainee.merit()
    return {
        "epoch": epoch,
        **means,
        "held_out": merit,
        "seconds": round(time.perf_counter() - began, 2),
    }


def _best_merit(progress: Progress) -> float:
    return progress.history[progress.best_epoch - 1]["held_out"]


def _copied(state: State) -> State:
    return {key: tensor.detach().cpu().clone() for key, tensor in state.items()}


def _begin(folder: Path, options: dict[str, Any], resume: bool) -> Progress:
    """The progress to go on from: none, or the folder's checkpoint."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        return Progress(options)
    if not resume:
        raise UsageError(f"{path} is of an earlier training: add --resume, or choose another --run")
    progress = Progress(**torch.load(path, map_location="cpu", weights_only=True))
    for key in sorted({*options, *progress.options} - {"epochs"}):
        old, new = progress.options.get(key), options.get(key)
        if old != new:
            raise UsageError(f"{path} was made with {key} = {old!r}, not {new!r}; cannot resume")
    return progress


def _save(folder: Path, progress: Progress) -> None:
    """Write checkpoint and history whole or not at all."""
    content = {name: getattr(progress, name) for name in Progress.__slots__}
    with atomic_write(folder / "checkpoint.pt") as unfinished:
        torch.save(content, unfinished)
    lines = "".join(json.dumps(line) + "\n" for line in progress.history)
    with atomic_write(folder / "history.jsonl") as unfinished:
        unfinished.write_text(lines, encoding="utf-8")
