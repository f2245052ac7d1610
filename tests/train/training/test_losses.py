"""The losses: each teaches the student, none the teacher."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from beatgan.errors import UsageError
from beatgan.model.model import Look
from beatgan.model.torch_modules.conversion import network_of
from beatgan.model.torch_modules.networks import Autoencoder, Generator, Student
from beatgan.spec import PreprocessSpec
from beatgan.types import Floats
from beatgan_train.data.source import Mode, spec_of
from beatgan_train.training.distillation import (
    TERMS,
    Distillation,
    DistillationOptions,
    Ensemble,
    new_student,
)
from beatgan_train.training.losses import (
    batch_kl,
    gaussian_nll,
    hinton,
    log_error,
    output_matching,
    rank,
    reconstruction,
    score_matching,
)

SPEC = PreprocessSpec()
SCORED = SPEC.scored
ROWS = np.arange(128)


def windows(count: int, seed: int) -> Floats:
    """Beat-like bumps, no two alike."""
    rng = np.random.default_rng(seed)
    samples = np.arange(320)
    heights, widths = rng.uniform(2, 6, (count, 1)), rng.uniform(4, 20, (count, 1))
    beats = heights * np.exp(-0.5 * ((samples - 140) / widths) ** 2)
    return (beats + 0.1 * rng.standard_normal((count, 320))).astype(np.float32)


TEMPLATES = windows(256, 8)


@pytest.fixture(scope="module")
def teacher() -> Generator:
    """A frozen teacher whose errors differ from beat to beat."""
    torch.manual_seed(1)
    network = Generator(width=4, amplitude=10.0)
    network(torch.from_numpy(windows(256, 9)))  # gives its normalisation something to go by
    return network


def distillation(teacher: Autoencoder, mode: Mode = "beat", **weights: float) -> Distillation:
    """Of windows in the patient's units, by a student that sees the template or not."""
    off: dict[str, Any] = dict.fromkeys(TERMS, 0.0)
    options = replace(DistillationOptions(hidden=32, rate=3e-3).of_mode(mode), **off | weights)
    ensemble = Ensemble({"t": teacher})
    normal = ensemble.predict(windows(256, 0), TEMPLATES, SCORED)
    altered = ensemble.predict(-windows(256, 1), TEMPLATES, SCORED)
    student = new_student(options, SPEC)
    if mode == "beat":
        student = Student(320, 32, amplitude=10.0)
    held_out = windows(8, 2), TEMPLATES[:8]
    return Distillation(student, options, normal, altered, held_out, SPEC, ensemble)


@pytest.mark.parametrize("mode", ["full", "beat"])
@pytest.mark.parametrize("term", TERMS)
def test_each_term_has_a_gradient_and_falls_when_it_alone_is_minimised(
    teacher: Generator, term: str, mode: Mode
) -> None:
    task = distillation(teacher, mode, **{term: 1.0})
    losses = task.losses(ROWS, ROWS)
    assert list(losses) == [term]
    before = losses[term]
    torch.autograd.backward(before)
    for name, parameter in task.student.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    for seed in range(40):
        task.step(ROWS, np.random.default_rng(seed))
    after = task.losses(ROWS, ROWS)[term]
    assert after.item() < 0.8 * before.item()


def test_a_gaussian_likelihood_by_hand() -> None:
    beats, expected = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    log_variance = torch.tensor([[0.0, np.log(4.0)]])
    wanted = ((0 + 1) / 2 + (np.log(4) + 4 / 4) / 2) / 2
    assert gaussian_nll(beats, expected, log_variance).item() == pytest.approx(wanted)


def test_a_student_in_context_learns_how_far_normal_beats_differ(teacher: Generator) -> None:
    task = distillation(teacher, "full", reconstruction=1.0, epochs=150)
    for seed in range(300):
        task.step(ROWS, np.random.default_rng(seed))
    found = Look(network_of(task.student.eval()), SPEC)(windows(64, 5), TEMPLATES[:64])
    assert found.spread[:, 130:150].mean() > 2 * found.spread[:, :50].mean()  # at the R peak


def test_a_student_that_would_be_too_large_is_refused() -> None:
    for mode in ("full", "beat"):
        with pytest.raises(UsageError, match="at most 95,440 parameters"):
            new_student(DistillationOptions(hidden=500).of_mode(mode), spec_of(mode))


def test_the_teacher_stays_frozen_and_in_eval_mode(teacher: Generator) -> None:
    teacher.train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    task = distillation(teacher, "beat", **dict.fromkeys(TERMS, 1.0))
    for seed in range(5):
        task.step(ROWS, np.random.default_rng(seed))
    assert not teacher.training
    assert all(not p.requires_grad and p.grad is None for p in teacher.parameters())
    after = teacher.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_teacher_and_student_judge_the_same_beats_in_the_same_order(teacher: Generator) -> None:
    targets = Ensemble({"t": teacher}).predict(windows(50, 3), TEMPLATES[:50], SCORED)
    order = np.random.default_rng(0).permutation(50)
    beats, templates, expected, error = targets.tensors(order)
    assert torch.equal(templates, torch.from_numpy(TEMPLATES[order]))
    with torch.no_grad():
        again = teacher.eval()(beats)
    assert torch.allclose(expected, again, atol=1e-5)
    assert torch.allclose(error, log_error(beats, again, SCORED), atol=1e-5)


def test_an_ensemble_says_the_mean_of_what_its_teachers_say(teacher: Generator) -> None:
    other = Student(amplitude=10.0)
    beats = windows(20, 4)
    one, two, both = (
        Ensemble(members).predict(beats, TEMPLATES[:20], SCORED)
        for members in ({"a": teacher}, {"b": other}, {"a": teacher, "b": other})
    )
    assert np.allclose(both.expected, (one.expected + two.expected) / 2, atol=1e-6)
    assert np.allclose(both.error, (one.error + two.error) / 2)


def test_a_student_without_knowledge_distillation_hears_no_teacher(teacher: Generator) -> None:
    states = []
    for master in (teacher, Student(amplitude=10.0)):
        task = distillation(master, reconstruction=1.0)
        task.step(ROWS, np.random.default_rng(0))
        states.append(task.network_state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_output_is_matched_on_normal_beats_alone(teacher: Generator) -> None:
    task = distillation(teacher, output=1.0, kl=1.0)
    one, other = (task.losses(ROWS, rows)["output"] for rows in (ROWS, ROWS[::-1].copy()))
    assert one == other
    assert list(distillation(teacher, output=1.0).losses(ROWS, ROWS[:0])) == ["output"]


def test_terms_that_compare_need_altered_beats(teacher: Generator) -> None:
    ensemble = Ensemble({"t": teacher})
    normal = ensemble.predict(windows(8, 0), TEMPLATES[:8], SCORED)
    held_out, options = (windows(8, 2), TEMPLATES[:8]), DistillationOptions(kl=1.0)
    with pytest.raises(UsageError, match="altered ones are needed"):
        Distillation(Student(), options, normal, None, held_out, SPEC, ensemble)


def test_nothing_to_learn(teacher: Generator) -> None:
    with pytest.raises(UsageError, match="all terms of the distillation have weight 0"):
        distillation(teacher)


def test_reconstruction_and_output_matching_are_mean_squares() -> None:
    one, two = torch.zeros(2, 4), torch.tensor([[1.0, 1, 1, 1], [3, 3, 3, 3]])
    assert reconstruction(one, two) == output_matching(one, two) == 5


def test_log_error_counts_the_scored_ticks_only_and_is_never_infinite() -> None:
    beats = torch.zeros(2, 320)
    expected = torch.zeros(2, 320)
    expected[0, 100] = 3.0
    expected[:, 10] = 100.0
    found = log_error(beats, expected, SCORED)
    assert found[0].item() == pytest.approx(np.log(9 / 220))
    assert torch.isfinite(found).all()


SCORES = torch.tensor([-3.0, -2.5, -2.0, 1.0, 4.0])


def test_batch_kl_is_zero_for_the_same_ranking_on_any_scale_and_positive_otherwise() -> None:
    assert batch_kl(SCORES, SCORES, 2.0).item() == pytest.approx(0, abs=1e-6)
    assert batch_kl(10 + 3 * SCORES, SCORES, 2.0).item() == pytest.approx(0, abs=1e-5)
    assert batch_kl(SCORES.flip(0), SCORES, 2.0).item() > 0.1


def test_batch_kl_by_hand() -> None:
    student, teacher, t = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 1.0, 3.0]), 4.0
    p = torch.softmax((teacher - 2) / t, 0)  # standard deviations of both are 1, means 2
    q = torch.softmax((student - 2) / t, 0)
    wanted = t**2 * (p * (p / q).log()).sum()
    assert batch_kl(student, teacher, t).item() == pytest.approx(wanted.item(), rel=1e-4)


def test_batch_kl_of_equal_scores_is_finite() -> None:
    same = torch.ones(5, requires_grad=True)
    loss = batch_kl(same * 1.0, SCORES, 2.0)
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)


def test_rank_is_zero_for_the_teachers_order_on_any_scale() -> None:
    assert rank(5 + 2 * SCORES, SCORES).item() == pytest.approx(0, abs=1e-6)
    assert 0 < rank(0.0 * SCORES, SCORES) < rank(SCORES.flip(0), SCORES)
    p = 1 / (1 + np.exp(2**0.5))  # standardised, two values lie sqrt(2) apart
    by_hand = p * np.log(p / (1 - p)) + (1 - p) * np.log((1 - p) / p)
    found = rank(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))
    assert found.item() == pytest.approx(by_hand, rel=1e-5)


def test_score_matching_minds_the_level() -> None:
    assert score_matching(SCORES, SCORES) == 0
    assert score_matching(SCORES + 2, SCORES).item() == pytest.approx(1.5)


def test_hinton_by_hand() -> None:
    student, teacher = torch.tensor([2.0, -1.0]), torch.tensor([1.0, -3.0])
    truth, t, alpha = torch.tensor([1.0, 0.0]), 2.0, 0.3
    p, q = torch.sigmoid(teacher / t), torch.sigmoid(student / t)
    soft = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    s = torch.sigmoid(student)
    hard = -(truth * s.log() + (1 - truth) * (1 - s).log()).mean()
    wanted = alpha * t**2 * soft + (1 - alpha) * hard
    assert hinton(student, teacher, truth, t, alpha).item() == pytest.approx(wanted.item())
    assert hinton(teacher, teacher, truth, t, 1.0).item() == pytest.approx(0, abs=1e-7)


def test_only_the_hard_part_knows_what_was_altered() -> None:
    student, teacher = torch.tensor([2.0, -1.0]), torch.tensor([1.0, -3.0])
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert hinton(student, teacher, right, 2, 1.0) == hinton(student, teacher, wrong, 2, 1.0)
    assert hinton(student, teacher, right, 2, 0.5) < hinton(student, teacher, wrong, 2, 0.5)
