"""The training loop: goes on as if never broken off, and keeps the best epoch."""

import json
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from beatgan.errors import UsageError
from beatgan.model.torch_modules.networks import Generator
from beatgan.spec import PreprocessSpec
from beatgan.types import Ints
from beatgan_train.training.distillation import (
    Distillation,
    DistillationOptions,
    Ensemble,
    new_student,
)
from beatgan_train.training.gan import BeatGan, TeacherOptions
from beatgan_train.training.loop import Checkpoint, EpochMetrics, State, TrainingTask, fit

SPEC = PreprocessSpec()
SCORED = SPEC.scored


class Silent:
    """A Watcher that counts."""

    def __init__(self) -> None:
        self.steps, self.best = 0, [0]

    def on_epoch_begin(self, epoch: int, epochs: int, steps: int) -> None:
        assert 1 <= epoch <= epochs

    def on_step(self) -> None:
        self.steps += 1

    def on_epoch_end(self, line: EpochMetrics, best: bool) -> None:
        self.best += [int(line["epoch"])] if best else []


class Counter:
    """A TrainingTask with given validation losses, which may break in the middle."""

    rows: int = 70

    def __init__(self, merits: list[float], breaks_at: int = -1) -> None:
        self.merits, self.seen, self.breaks_at = merits, 0, breaks_at
        self.visited: list[list[int]] = []

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        if self.seen == self.breaks_at:
            raise KeyboardInterrupt
        self.seen += 1
        self.visited.append(rows.tolist())
        return {"loss": float(self.seen)}

    def validation_loss(self) -> float:
        return self.merits[self.seen // 4 - 1]

    def network_state(self) -> State:
        return {"seen": torch.tensor(self.seen)}

    def state(self) -> State:
        return {"seen": self.seen}

    def restore(self, state: State) -> None:
        self.seen = state["seen"]


def run(
    task: TrainingTask,
    folder: Path,
    epochs: int,
    resume: bool = False,
    callback: Silent | None = None,
) -> Checkpoint:
    return fit(task, epochs, 16, 5, folder, {"width": 2}, resume, callback or Silent())


def test_the_epoch_with_the_least_merit_is_kept(tmp_path: Path) -> None:
    callback = Silent()
    checkpoint = run(Counter([3.0, 1.0, 2.0, 1.0]), tmp_path, 4, callback=callback)
    assert checkpoint.best_epoch == 2
    assert checkpoint.best["seen"] == 8
    assert callback.best == [0, 1, 2]
    assert callback.steps == 16


def test_an_epoch_visits_each_row_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    task = Counter([1.0, 1.0])
    run(task, tmp_path, 2)
    first, second = (list(chain(*task.visited[at : at + 4])) for at in (0, 4))
    assert len(set(first)) == len(first) == 64
    assert first != second != sorted(second)


def test_the_history_is_a_line_for_each_epoch(tmp_path: Path) -> None:
    run(Counter([3.0, 1.0]), tmp_path, 2)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["loss"], line["held_out"]) for line in lines] == [
        (1, 2.5, 3.0),
        (2, 6.5, 1.0),
    ]


def test_broken_off_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    merits = [3.0, 1.0, 2.0]
    whole = run(Counter(merits), tmp_path / "whole", 3)
    with pytest.raises(KeyboardInterrupt):
        run(Counter(merits, breaks_at=6), tmp_path / "broken", 3)
    rest = Counter(merits)
    resumed = run(rest, tmp_path / "broken", 3, resume=True)
    assert without_time(resumed) == without_time(whole)
    assert len(rest.visited) == 8
    assert not list(tmp_path.rglob("*.unfinished"))


def without_time(checkpoint: Checkpoint) -> list[EpochMetrics]:
    return [
        {name: value for name, value in line.items() if name != "seconds"}
        for line in checkpoint.history
    ]


def beats(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(320) / rng.uniform(10, 40, (count, 1)))
    return waves.astype(np.float32)


def teacher_in_training() -> BeatGan:
    options = TeacherOptions(width=2, bottleneck=4, jitter=2, gain=0.1, precision="float32", seed=3)
    return BeatGan(options, beats(70, 0), beats(20, 1), SCORED, 2.0)


def student_in_training() -> Distillation:
    torch.manual_seed(0)
    ensemble = Ensemble({"a": Generator(width=2)})
    normal, altered = (
        ensemble.predict(beats(70, seed), beats(70, 4), SPEC.scored) for seed in (0, 2)
    )
    options = DistillationOptions(hidden=16, bottleneck=4, epochs=4).of_mode("full")
    student, held_out = new_student(options, SPEC), (beats(20, 1), beats(20, 4))
    return Distillation(student, options, normal, altered, held_out, SPEC, ensemble)


@pytest.mark.parametrize("make", [teacher_in_training, student_in_training])
def test_resumed_training_is_the_same_to_the_bit(
    tmp_path: Path, make: Callable[[], TrainingTask]
) -> None:
    task = make()
    whole = run(task, tmp_path / "whole", 4)
    run(make(), tmp_path / "parts", 2)
    parts = run(make(), tmp_path / "parts", 4, resume=True)
    assert without_time(parts) == without_time(whole)
    assert equal(parts.task, whole.task)
    assert equal(parts.best, whole.best)


def equal(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return all(map(equal, one, other))
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return one == other


def test_an_earlier_training_is_not_overwritten(tmp_path: Path) -> None:
    run(Counter([1.0]), tmp_path, 1)
    with pytest.raises(UsageError, match="is of an earlier training: add --resume, or choose"):
        run(Counter([1.0]), tmp_path, 1)


def test_other_options_cannot_resume(tmp_path: Path) -> None:
    run(Counter([1.0]), tmp_path, 1)
    with pytest.raises(UsageError, match=r"made with width = 2, not 3; cannot resume"):
        fit(Counter([1.0]), 1, 16, 5, tmp_path, {"width": 3}, True, Silent())


def test_other_data_cannot_resume(tmp_path: Path) -> None:
    """As where one more database is left out: what learnt from it would count as new."""
    run(Counter([1.0]), tmp_path, 1)
    fewer = Counter([1.0, 1.0])
    fewer.rows = 69
    with pytest.raises(
        UsageError, match="made from 70 training beats, not 69: the data are others"
    ):
        run(fewer, tmp_path, 2, resume=True)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del saved["rows"]  # as an earlier release wrote it
    torch.save(saved, tmp_path / "checkpoint.pt")
    assert run(Counter([1.0, 1.0]), tmp_path, 2, resume=True).rows == 70


def test_nothing_to_resume_is_a_beginning(tmp_path: Path) -> None:
    assert run(Counter([1.0]), tmp_path / "new", 1, resume=True).epoch == 1


def test_fewer_rows_than_a_batch(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="70 training beats are fewer than one batch of 71"):
        fit(Counter([1.0]), 1, 71, 5, tmp_path, {}, False, Silent())
