"""What a process of test_distributed.py does under torchrun, in the folder that is its argument."""

import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.errors import RecordError, UsageError
from beatgan.model.torch_modules.networks import Generator
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats, Ints
from beatgan_train.training import gan
from beatgan_train.training.distillation import (
    Distillation,
    DistillationOptions,
    Ensemble,
    new_student,
)
from beatgan_train.training.distributed import process_group, processes, rank, shared
from beatgan_train.training.gan import BeatGan, Precision, TeacherOptions
from beatgan_train.training.loop import Checkpoint, EpochMetrics, TrainingTask, fit

SPEC = PreprocessSpec()
SCORED = SPEC.scored
EPOCHS, BATCH = 2, 16


class Silent:
    """A Callback that shows nothing."""

    def on_epoch_begin(self, epoch: int, epochs: int, steps: int) -> None:
        pass

    def on_step(self) -> None:
        pass

    def on_epoch_end(self, line: EpochMetrics, best: bool) -> None:
        pass


def beats(count: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(320) / rng.uniform(10, 40, (count, 1)))
    return waves.astype(np.float32)


def teacher(precision: Precision = "float32") -> BeatGan:
    options = TeacherOptions(
        width=2, bottleneck=4, epochs=EPOCHS, batch=BATCH, jitter=2, gain=0.1, precision=precision
    )
    return BeatGan(options, beats(70, 0), beats(20, 1), SCORED, 2.0)


class Collapsing(BeatGan):
    """A teacher whose discriminator starts anew after each step."""

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        usual, gan.COLLAPSED = gan.COLLAPSED, np.inf
        try:
            return super().step(rows, rng)
        finally:
            gan.COLLAPSED = usual


def collapsing() -> BeatGan:
    options = TeacherOptions(width=2, bottleneck=4, epochs=EPOCHS, precision="float32")
    return Collapsing(options, beats(70, 0), beats(20, 1), SCORED, 2.0)


def student() -> Distillation:
    """With every term there is, of which some compare the beats of a batch."""
    torch.manual_seed(0)
    ensemble = Ensemble({"a": Generator(width=2)})
    normal, altered = (
        ensemble.predict(beats(70, seed), beats(70, 4), SPEC.scored) for seed in (0, 2)
    )
    options = DistillationOptions(
        hidden=16,
        middle=8,
        bottleneck=4,
        epochs=EPOCHS,
        kl=1,
        rank=1,
        score=1,
        features=1,
        hinton=1,
    )
    new, held_out = new_student(options, SPEC), (beats(20, 1), beats(20, 4))
    return Distillation(new, options, normal, altered, held_out, SPEC, ensemble)


TASKS: dict[str, Callable[[], TrainingTask]] = {
    "teacher": teacher,
    "bfloat16": lambda: teacher("bfloat16"),
    "collapsing": collapsing,
    "student": student,
}


def train(
    name: str, folder: Path, epochs: int = EPOCHS, batch: int = BATCH, resume: bool = False
) -> Checkpoint:
    task = TASKS[name]()
    return fit(task, epochs, batch, 5, folder, {"name": name}, resume, Silent())


def read_in_shares(folder: Path) -> None:
    """Write down what came of each item, and who did it; and what was raised for two that fail."""
    found = shared(lambda number: (number, rank()), range(7))
    done: list[int] = []

    def read(number: int) -> int:
        done.append(number)
        if number in (3, 4):
            raise RecordError(f"record {number}: unreadable")
        return number

    with pytest.raises(RecordError) as raised:
        shared(read, range(6))
    (folder / f"shares-{rank()}.json").write_text(json.dumps([found, str(raised.value), done]))


def train_all(folder: Path) -> None:
    """Each task from its start in ``folder``/two; and on from what ``folder``/resumed holds."""
    for name in TASKS:
        train(name, folder / "two" / name)
    train("teacher", folder / "resumed", resume=True)
    train("teacher", folder / "begun", epochs=1)
    train("student", folder / f"written-by-{rank()}", epochs=1)
    refused: dict[str, dict[str, Any]] = {
        "is of an earlier training": {"folder": folder / "two" / "teacher"},
        "processes differ: epochs is 1": {"folder": folder / "other", "epochs": 1 + rank()},
        "batch of 15 cannot be cut evenly for 2": {"folder": folder / "odd", "batch": 15},
    }
    for said, words in refused.items():
        with pytest.raises(UsageError, match=said):
            train("teacher", **words)
    (folder / f"{rank()}-of-{processes()}").touch()


class Failing(BeatGan):
    """A teacher that breaks in the second of two processes."""

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        if rank() == 1:
            raise KeyboardInterrupt
        return super().step(rows, rng)


def fail(folder: Path) -> None:
    """The second process breaks; the first ends by itself then, though it cannot be stopped."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        options = TeacherOptions(width=2, bottleneck=4, epochs=EPOCHS, precision="float32")
        task = Failing(options, beats(70, 0), beats(20, 1), SCORED, 2.0)
        fit(task, EPOCHS, BATCH, 5, folder / "failed", {}, False, Silent())
    except RuntimeError as error:
        (folder / "ended").write_text(str(error))
        raise


if __name__ == "__main__":
    torch.set_num_threads(1)
    with process_group():
        read_in_shares(Path(sys.argv[1]))
        train_all(Path(sys.argv[1]))
        fail(Path(sys.argv[1]))
