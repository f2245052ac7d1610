"""The classes' training: Hinton's loss with labels, teachers that stay, and a step that learns."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from beatgan.beat_classes import CLASSES
from beatgan.model.features import SHAPE_SIZE, TIMING_WITH_NEXT_SIZE
from beatgan_train.training.beat_class import (
    ClassOptions,
    ClassRows,
    ClassTraining,
    answers,
    new_classifier,
    new_teacher,
)
from beatgan_train.training.losses import hinton_with_labels

OPTIONS = ClassOptions(hidden=8, epochs=20, batch=64)


def made_rows(count: int = 512, seed: int = 0) -> ClassRows:
    """Beats of which an early one is S and a tall one V."""
    rng = np.random.default_rng(seed)
    rhythm = 0.1 * rng.standard_normal((count, TIMING_WITH_NEXT_SIZE)).astype(np.float32)
    shape = rng.standard_normal((count, SHAPE_SIZE)).astype(np.float32)
    label = rng.integers(0, 3, count)
    rhythm[label == 1, 31] -= 1
    shape[label == 2] += 1
    known = rng.random(count) < 0.8
    return ClassRows(rhythm, known, shape, label, np.ones(count, np.float32))


def test_hintons_loss_is_its_formula() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(7, 5), torch.randn(7, 5)
    label = torch.arange(7) % 5
    found = hinton_with_labels(student, teacher, label, temperature=3.0, alpha=0.7)
    p, q = (torch.softmax(x / 3, dim=1) for x in (teacher, student))
    wanted = 0.7 * 9 * (p * (p / q).log()).sum(dim=1)
    wanted += 0.3 * functional.cross_entropy(student, label, reduction="none")
    assert torch.allclose(found, wanted, atol=1e-6)


def test_its_soft_part_has_a_gradient_and_falls_when_it_alone_is_minimised() -> None:
    torch.manual_seed(0)
    student, teacher = torch.zeros(7, 5, requires_grad=True), torch.randn(7, 5)
    label = torch.zeros(7, dtype=torch.long)
    losses: list[float] = []
    adam = torch.optim.Adam([student], lr=0.1)
    for _ in range(50):
        loss = hinton_with_labels(student, teacher, label, 2.0, 1.0).mean()
        adam.zero_grad()
        torch.autograd.backward(loss)
        assert student.grad is not None
        assert student.grad.abs().max() > 0 or losses
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_a_student_learns_from_labels() -> None:
    rows = made_rows()
    task = ClassTraining(OPTIONS, new_classifier(OPTIONS), rows)
    rng = np.random.default_rng(0)
    order = np.arange(len(rows)).reshape(-1, 64)
    lines = [task.step(batch, rng) for _ in range(20) for batch in order]
    assert lines[-1]["accuracy"] > 0.9 > lines[0]["accuracy"]
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_a_student_learns_from_a_teacher_without_one_right_label() -> None:
    rows = made_rows()
    teacher = new_teacher(OPTIONS)
    taught = ClassTraining(OPTIONS, teacher, rows)
    order = np.arange(len(rows)).reshape(-1, 64)
    for _ in range(5):
        for batch in order:
            taught.step(batch, np.random.default_rng(0))
    frozen = {key: value.clone() for key, value in teacher.state_dict().items()}
    soft = answers([teacher], rows, with_next=False), answers([teacher], rows, with_next=True)
    wrong = replace(rows, label=np.full(len(rows), CLASSES.index(CLASSES[-1])))
    options = replace(OPTIONS, alpha=1.0)
    student = new_classifier(options)
    task = ClassTraining(options, student, wrong, soft)
    for _ in range(20):
        for batch in order:
            task.step(batch, np.random.default_rng(0))
    said = answers([student], rows, with_next=True).argmax(axis=1)
    assert np.mean(said == rows.label) > 0.9
    assert all(torch.equal(frozen[key], value) for key, value in teacher.state_dict().items())
    assert not teacher.training  # answers() leaves it in eval mode


@pytest.mark.parametrize("make", [new_classifier, new_teacher])
def test_what_is_unknown_has_no_say(make: type) -> None:
    """Where the next interval is not known, what stands in its place does not count."""
    rows = made_rows(16)
    network = make(OPTIONS)
    other = rows.timing.copy()
    other[:, -1] = 9
    unknown = np.zeros(16, np.bool_)
    first = answers([network], replace(rows, next_known=unknown), with_next=True)
    again = answers([network], replace(rows, timing=other, next_known=unknown), with_next=True)
    assert np.array_equal(first, again)


def test_a_training_goes_on_where_its_state_was() -> None:
    rows = made_rows()
    batch, rng = np.arange(64), np.random.default_rng
    task = ClassTraining(OPTIONS, new_classifier(OPTIONS), rows)
    task.network.eval()
    torch.manual_seed(3)
    task.step(batch, rng(0))
    twin = ClassTraining(OPTIONS, new_classifier(replace(OPTIONS, seed=1)), rows)
    twin.restore(deepcopy(task.state()))
    torch.manual_seed(4)
    wanted = task.step(batch, rng(1))
    torch.manual_seed(4)
    assert twin.step(batch, rng(1)) == wanted
