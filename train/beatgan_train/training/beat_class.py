"""The classes of beats in training: teachers from labels, a student from teachers and labels.

Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network" (2015): the teachers' soft
answers beside the labels, the teachers frozen and in eval mode. Knows rows of numbers and labels;
knows no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from beatgan.beat_classes import CLASSES
from beatgan.model.features import (
    SHAPE_SIZE,
    TIMING_SIZE,
    TIMING_WITH_NEXT_SIZE,
    shapes,
    timings,
    with_next,
)
from beatgan.model.torch_modules.context_networks import BeatClassifier, dense
from beatgan.spec import PreprocessSpec
from beatgan.types import RHYTHM_INTERVALS, RHYTHM_SIZE, Bools, Doubles, Floats, Ints
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.training.distributed import averaged, optimise, share
from beatgan_train.training.losses import hinton_with_labels
from beatgan_train.training.one_network import OneNetwork

SMOOTHING = 0.02  # of labels: some are wrong
GAIN = 0.1  # standard deviation of the logarithm of a shape's random gain
NOISE = 0.05  # at most, of a shape's random noise, as a standard deviation
JITTER = 0.01  # standard deviation of the noise on intervals
NEXT_UNKNOWN = 0.5  # of the rows: they learn to do without the next interval
BLOCK = 8192  # rows that a network is asked at a time


@dataclass(frozen=True)
class ClassOptions:
    """What the training of a class network depends on besides its data.

    The loss of a student is alpha T^2 KL(teacher_T || student_T) + (1 - alpha) CE(student, label).
    """

    hidden: int = 64
    epochs: int = 10
    batch: int = 512
    rate: float = 4e-3
    alpha: float = 0.5
    temperature: float = 2.0
    seed: int = 0


class ClassTeacher(nn.Module):
    """A larger `BeatClassifier`: recurrent over the RR intervals, wide over the shape.

    Timing and shape stay apart in it, too: one that saw the shapes of the latest 32 beats together
    learnt which recorder they came from (docs/training.md).
    """

    def __init__(self, hidden: int = 64, wide: int = 192, dropout: float = 0.1) -> None:
        super().__init__()
        classes = len(CLASSES)
        self.recurrent = nn.GRU(1, hidden, batch_first=True)
        rest = TIMING_WITH_NEXT_SIZE - RHYTHM_INTERVALS + 1
        self.after = dense((hidden + rest, 2 * hidden, classes), after=dropout)
        self.timing = dense(
            (TIMING_WITH_NEXT_SIZE + 1, 2 * hidden, 2 * hidden, classes), after=dropout
        )
        self.shape = dense(
            (SHAPE_SIZE, wide, wide // 2, classes), before=dropout, after=3 * dropout
        )

    def forward(self, timing: Tensor, next_known: Tensor, shape: Tensor) -> Tensor:
        """As `BeatClassifier`."""
        known = next_known[:, None].to(timing.dtype)
        timing = torch.cat([timing[:, :TIMING_SIZE], timing[:, TIMING_SIZE:] * known, known], dim=1)
        intervals, rest = timing[:, :RHYTHM_INTERVALS], timing[:, RHYTHM_INTERVALS:]
        states, _ = self.recurrent(intervals.unsqueeze(2))
        by_sequence = self.after(torch.cat([states[:, -1], rest], dim=1))
        logits: Tensor = by_sequence + self.timing(timing) + self.shape(shape)
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class ClassRows:
    """Labelled beats, one row for each lead in use.

    ``timing`` (n, TIMING_WITH_NEXT_SIZE), ``next_known`` (n,), ``shape`` (n, SHAPE_SIZE),
    ``label`` (n,) as a place in `CLASSES`, ``weight`` (n,) with mean 1.
    """

    timing: Floats
    next_known: Bools
    shape: Floats
    label: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.label)


def class_rows(beats: BeatSet, rows: Ints, next_rr_ms: Doubles, spec: PreprocessSpec) -> ClassRows:
    """Those of ``rows`` that are usable and labelled; ``next_rr_ms`` (len(beats),), NaN: unknown.

    A beat's weight falls with the root of how many its record has of its class: a record with
    thousands of beats of one kind is still one patient.
    """
    rows = rows[(beats.usable & (beats.label != ""))[rows]]
    second = rows[~np.isnan(beats.lead_distances[rows, 1])]
    every = np.concatenate([rows, second])
    label = np.array([CLASSES.index(each) for each in beats.label[every].tolist()], np.int64)
    kind = beats.record[every] * len(CLASSES) + label
    _, place, count = np.unique(kind, return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(count[place])
    return ClassRows(
        timing=with_next(timings(beats.rhythm[every], beats.prematurity[every]), next_rr_ms[every]),
        next_known=~np.isnan(next_rr_ms[every]),
        shape=np.concatenate(
            [
                shapes(
                    beats.window[rows],
                    beats.reference[rows],
                    beats.lead_distances[rows, 0],
                    spec.before,
                ),
                shapes(
                    beats.second_window[second],
                    beats.second_template[second],
                    beats.lead_distances[second, 1],
                    spec.before,
                ),
            ]
        ),
        label=label,
        weight=(weight / weight.mean()).astype(np.float32),
    )


@torch.no_grad()
def answers(networks: Sequence[nn.Module], rows: ClassRows, with_next: bool) -> Floats:
    """The log of the mean probabilities that ``networks`` give ``rows``, (n, classes).

    In eval mode; without the next interval if not ``with_next``.
    """
    for network in networks:
        network.eval()
    found: list[Floats] = []
    for first in range(0, len(rows), BLOCK):
        block = slice(first, first + BLOCK)
        timing = torch.from_numpy(rows.timing[block])
        known = torch.from_numpy(rows.next_known[block] & with_next)
        shape = torch.from_numpy(rows.shape[block])
        each = [network(timing, known, shape).log_softmax(dim=1) for network in networks]
        mean = torch.logsumexp(torch.stack(each), dim=0) - np.log(len(each))
        found.append(mean.numpy())
    return np.concatenate(found)


class ClassTraining(OneNetwork):
    """A class network in training, by labels and, where there are any, by teachers: a TrainingTask.

    ``soft``: what the teachers answer without and with the next interval, each (n, classes).
    """

    def __init__(
        self,
        options: ClassOptions,
        network: nn.Module,
        rows: ClassRows,
        soft: tuple[Floats, Floats] | None = None,
    ) -> None:
        super().__init__(network, options.rate, options.epochs)
        self.network = network
        self._options = options
        self._timing, self._shape = torch.from_numpy(rows.timing), torch.from_numpy(rows.shape)
        self._next_known = torch.from_numpy(rows.next_known)
        self._label, self._weight = torch.from_numpy(rows.label), torch.from_numpy(rows.weight)
        self._soft = None if soft is None else [torch.from_numpy(each) for each in soft]

    @property
    def rows(self) -> int:
        """Beats, by lead."""
        return len(self._label)

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        """One batch; its summary: the loss, and the weighted share that is classified right."""
        self._begin_step(self.rows, len(rows))
        options = self._options
        known = self._next_known[rows] & torch.from_numpy(rng.random(len(rows)) >= NEXT_UNKNOWN)
        timing, shape = self._altered(rows, rng)
        mine = share(rows)
        logits = self.network(share(timing), share(known), share(shape))
        label, weight = self._label[mine], self._weight[mine]
        if self._soft is None:
            each = functional.cross_entropy(
                logits, label, reduction="none", label_smoothing=SMOOTHING
            )
        else:
            first, revised = (soft[mine] for soft in self._soft)
            wanted = torch.where(share(known)[:, None], revised, first)
            each = hinton_with_labels(
                logits, wanted, label, options.temperature, options.alpha, SMOOTHING
            )
        loss = (each * weight).mean()
        optimise(self._adam, loss)
        right = ((logits.argmax(dim=1) == label) * weight).sum() / weight.sum()
        return averaged({"loss": loss.item(), "accuracy": right.item()})

    def _altered(self, rows: Ints, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Timings and shapes of a batch with what varies without meaning anything."""
        timing, shape = self._timing[rows].clone(), self._shape[rows]
        count = len(rows)
        timing[:, :RHYTHM_SIZE] += _normal(rng, JITTER, (count, RHYTHM_SIZE))
        gain = _normal(rng, GAIN, (count, 1)).exp()
        noise = _normal(rng, NOISE, tuple(shape.shape))
        size = torch.from_numpy(rng.random((count, 1)).astype(np.float32))
        return timing, shape * gain + noise * size


def new_classifier(options: ClassOptions) -> BeatClassifier:
    """An untrained student."""
    torch.manual_seed(options.seed)
    return BeatClassifier(options.hidden)


def new_teacher(options: ClassOptions) -> ClassTeacher:
    """An untrained teacher."""
    torch.manual_seed(options.seed)
    return ClassTeacher()


def _normal(rng: np.random.Generator, size: float, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(size * rng.standard_normal(shape, np.float32))
