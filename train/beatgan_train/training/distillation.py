"""A student in training: what it learns from its teachers, from normal beats and from altered ones.

Knows tensors; knows no file and no label but "normal" and "altered".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from beatgan.errors import UsageError
from beatgan.model import inference
from beatgan.model.calibration import Calibration
from beatgan.model.model import log_mean, squared_error
from beatgan.model.networks import Autoencoder, Student
from beatgan.types import Doubles, Floats, Ints
from beatgan_train.training.batch_norm import distribute
from beatgan_train.training.calibrate import FLAGGED, calibrate
from beatgan_train.training.distributed import gathered, optimise, share
from beatgan_train.training.loop import State, set_rate
from beatgan_train.training.losses import (
    batch_kl,
    hinton,
    log_error,
    output_matching,
    rank,
    reconstruction,
    score_matching,
)
from beatgan_train.training.options import Flag

TERMS = ("reconstruction", "output", "kl", "rank", "score", "features", "hinton")
COMPARING = ("kl", "rank", "score", "hinton")  # those that need altered beats beside normal ones
FEATURED = 64  # beats of a batch whose features are matched: they cost the teachers' time


Weight = Annotated[float, Flag("Of this term; 0 switches it off.", min=0)]
RetiredWeight = Annotated[float, Flag("Of this term; 0 switches it off.", min=0, retired=True)]
RetiredTemperature = Annotated[float, Flag(min=0.01, retired=True)]


@dataclass(frozen=True)
class DistillationOptions:
    """What a distillation depends on besides its data. A term of weight 0 is switched off.

    The shipped student uses ``reconstruction`` and ``output`` alone; what the others are worth is
    measured by `benchmarks/ablations/distillation.py`.
    """

    hidden: Annotated[int, Flag("Outer layers.", min=1)] = 120
    middle: Annotated[int, Flag("Inner layers.", min=1)] = 60
    bottleneck: Annotated[int, Flag(min=1)] = 8
    epochs: Annotated[int, Flag(min=1)] = 30
    batch: Annotated[int, Flag("Normal beats.", min=2)] = 256
    rate: Annotated[float, Flag("Adam's, at first.", min=0)] = 2e-3
    reconstruction: Weight = 1.0
    output: Weight = 1.0
    kl: RetiredWeight = 0.0
    kl_temperature: RetiredTemperature = 2.0
    rank: RetiredWeight = 0.0
    score: RetiredWeight = 0.0
    features: RetiredWeight = 0.0
    hinton: RetiredWeight = 0.0
    hinton_temperature: RetiredTemperature = 2.0
    alpha: Annotated[float, Flag("Hinton's: the soft part's share.", 0, 1, retired=True)] = 0.5
    held_out_families: tuple[str, ...] = ()
    seed: Annotated[int, Flag("Of all chance.", min=0)] = 0

    @property
    def compares(self) -> bool:
        """Whether a term needs altered beats beside the normal ones."""
        return any(getattr(self, term) for term in COMPARING)


class Ensemble:
    """One or several frozen teachers by their digests, in eval mode; their mean prediction."""

    def __init__(self, teachers: Mapping[str, Autoencoder]) -> None:
        self.digests = list(teachers)
        self._networks = [network.eval().requires_grad_(False) for network in teachers.values()]

    def predict(self, windows: Floats, scored: slice) -> "TeacherTargets":
        """What the teachers make of ``windows`` (n, length), averaged."""
        expected = [inference.run(network, windows) for network in self._networks]
        errors = [log_mean(squared_error(windows, guess)[:, scored]) for guess in expected]
        return TeacherTargets(windows, np.mean(expected, axis=0), np.mean(errors, axis=0))

    def features(self, windows: Tensor) -> Tensor:
        """The bottlenecks of ``windows`` (n, length), one after the other: (n, their sum)."""
        latent = [n.encode(windows / n.amplitude).flatten(1) for n in self._networks]
        return torch.cat(latent, dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class TeacherTargets:
    """Windows (n, length), what the teachers expect in their place, and their log error (n,)."""

    windows: Floats
    expected: Floats
    error: Doubles

    def tensors(self, rows: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """The three of some rows, float32."""
        return (
            torch.from_numpy(self.windows[rows]),
            torch.from_numpy(self.expected[rows]),
            torch.from_numpy(self.error[rows].astype(np.float32)),
        )


class Distillation:
    """A student learning from the targets of normal beats and, for terms that compare beats, of
    altered ones: a TrainingTask.

    What the teachers expect is matched on normal beats alone: of an altered beat they expect part
    of the alteration, which is just what a student should not learn.

    ``held_out`` are normal windows of patients in neither; by them the best epoch is chosen.
    ``ensemble`` is asked again for its features only, which costs as much as all the rest.
    Raises UsageError if no term has a weight, or if the student would be too large.
    """

    def __init__(
        self,
        options: DistillationOptions,
        normal: TeacherTargets,
        altered: TeacherTargets | None,
        held_out: Floats,
        scored: slice,
        amplitude: float,
        ensemble: Ensemble,
    ) -> None:
        if options.compares and altered is None:
            raise UsageError("a term of the distillation compares beats: altered ones are needed")
        if not any(getattr(options, term) for term in TERMS):
            raise UsageError("all terms of the distillation have weight 0: nothing to learn")
        torch.manual_seed(options.seed)
        length = normal.windows.shape[1]
        try:
            self.student = Student(
                length, options.hidden, options.middle, options.bottleneck, amplitude
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        distribute(self.student)
        self._options, self._scored, self._ensemble = options, scored, ensemble
        self._normal, self._held_out = normal, held_out
        self._altered = altered if options.compares else None
        self._scale: Calibration = calibrate({"error": normal.error}, "beat", FLAGGED)
        self._adam = torch.optim.Adam(self.student.parameters(), lr=options.rate)
        self._steps = 0

    @property
    def rows(self) -> int:
        """Normal training beats."""
        return len(self._normal.windows)

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        """One batch: normal beats and as many altered ones, drawn by chance."""
        self.student.train()
        planned = self._options.epochs * (self.rows // len(rows))
        set_rate(self._adam, self._options.rate, self._steps, planned)
        count = len(self._altered.windows) if self._altered else 0
        altered = rng.integers(count, size=len(rows)) if count else rows[:0]
        losses = self.losses(rows, altered)
        optimise(self._adam, torch.stack(list(losses.values())).sum())
        self._steps += 1
        return {name: loss.item() for name, loss in losses.items()}

    def losses(self, normal: Ints, altered: Ints) -> dict[str, Tensor]:
        """Each term that is switched on, times its weight, of these rows."""
        options = self._options
        windows, wanted, target = self._normal.tensors(normal)
        if self._altered is not None:
            both = zip((windows, wanted, target), self._altered.tensors(altered), strict=True)
            windows, wanted, target = (torch.cat(pair) for pair in both)
        expected = gathered(self.student(share(windows)))
        error = log_error(windows, expected, self._scored)
        count = len(normal)
        truth = torch.cat([torch.zeros(count), torch.ones(len(altered))])
        terms: dict[str, Callable[[], Tensor]] = {
            "reconstruction": lambda: reconstruction(windows[:count], expected[:count]),
            "output": lambda: output_matching(expected[:count], wanted[:count]),
            "kl": lambda: batch_kl(error, target, options.kl_temperature),
            "rank": lambda: rank(error, target),
            "score": lambda: score_matching(error, target),
            "features": lambda: self._feature_matching(expected[:FEATURED], wanted[:FEATURED]),
            "hinton": lambda: hinton(
                self._logits(error),
                self._logits(target),
                truth,
                options.hinton_temperature,
                options.alpha,
            ),
        }
        weights = {name: getattr(options, name) for name in TERMS}
        return {name: weights[name] * terms[name]() for name in TERMS if weights[name]}

    def validation_loss(self) -> float:
        """Mean log reconstruction error of the held-out normal beats, in eval mode."""
        self.student.eval()
        error = squared_error(self._held_out, inference.run(self.student, self._held_out))
        return float(log_mean(error[:, self._scored]).mean())

    def network_state(self) -> State:
        """The student's."""
        return self.student.state_dict()

    def state(self) -> State:
        """The student, its optimiser and how far the learning rate has come down."""
        return {
            "student": self.student.state_dict(),
            "adam": self._adam.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self.student.load_state_dict(state["student"])
        self._adam.load_state_dict(state["adam"])
        self._steps = state["steps"]

    def _feature_matching(self, student: Tensor, teacher: Tensor) -> Tensor:
        """How differently the frozen teachers see what the student and what they expect."""
        with torch.no_grad():
            wanted = self._ensemble.features(teacher)
        return output_matching(self._ensemble.features(student), wanted)

    def _logits(self, error: Tensor) -> Tensor:
        """Log errors as logits of "anomalous", on the scale of the teachers' normal beats."""
        scale = self._scale
        return (error - scale.location["error"]) / scale.spread["error"] - scale.threshold
