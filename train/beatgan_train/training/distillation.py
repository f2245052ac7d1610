"""A student in training: what it learns from its teachers, from normal beats and from altered ones.

Knows tensors; knows no file and no label but "normal" and "altered".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Self

import numpy as np
import torch
from torch import Tensor

from beatgan.errors import UsageError
from beatgan.model.architectures import LABEL_FREE_LIMIT
from beatgan.model.calibration import Calibration
from beatgan.model.model import Look, log_mean, squared_error
from beatgan.model.torch_modules.context_networks import ContextAutoencoder
from beatgan.model.torch_modules.conversion import AutoencoderModule, network_of
from beatgan.model.torch_modules.forward import run
from beatgan.model.torch_modules.networks import Autoencoder, Student, parameter_count
from beatgan.spec import PreprocessSpec
from beatgan.types import Doubles, Floats, Ints
from beatgan_train.data.source import Mode
from beatgan_train.data.training_set import amplitude
from beatgan_train.training.batch_norm import distribute
from beatgan_train.training.calibrate import FLAGGED, calibrate
from beatgan_train.training.distributed import gathered, optimise, share
from beatgan_train.training.loop import State, set_rate
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
from beatgan_train.training.options import Flag

TERMS = ("reconstruction", "output", "kl", "rank", "score", "features", "hinton")
COMPARING = ("kl", "rank", "score", "hinton")  # those that need altered beats beside normal ones
FEATURED = 64  # beats of a batch whose features are matched: they cost the teachers' time

OF_MODE: dict[Mode, dict[str, int]] = {  # what flags that are 0 stand for
    "full": {"hidden": 64, "middle": 32, "bottleneck": 3, "epochs": 12},
    "beat": {"hidden": 120, "middle": 60, "bottleneck": 8, "epochs": 30},
}
GAIN = 0.05  # standard deviation of the log of a factor that windows are multiplied by
STEEPEST = 1.0  # norm of a gradient: a beat that is far from expected does not decide alone

Weight = Annotated[float, Flag("Of this term; 0 switches it off.", min=0)]
RetiredWeight = Annotated[float, Flag("Of this term; 0 switches it off.", min=0, retired=True)]
RetiredTemperature = Annotated[float, Flag(min=0.01, retired=True)]


@dataclass(frozen=True)
class DistillationOptions:
    """What a distillation depends on besides its data. A term of weight 0 is switched off.

    Sizes and epochs that are 0 are the mode's own: see `of_mode`. ``reconstruction`` is a negative
    log likelihood where the student says how far a beat may differ, else a mean squared error.
    The shipped student uses ``reconstruction`` and ``output`` alone; what the others are worth is
    measured by `benchmarks/ablations/distillation.py`.
    """

    hidden: Annotated[int, Flag("Outer layers; 0: 64 in mode full, 120 in mode beat.", min=0)] = 0
    middle: Annotated[int, Flag("Inner layers; 0: 32 or 60.", min=0)] = 0
    bottleneck: Annotated[int, Flag("0: 3 or 8.", min=0)] = 0
    epochs: Annotated[int, Flag("0: 12 or 30.", min=0)] = 0
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

    def of_mode(self, mode: Mode) -> Self:
        """The same with this mode's values for what is 0."""
        own = OF_MODE[mode]
        return replace(
            self,
            hidden=self.hidden or own["hidden"],
            middle=self.middle or own["middle"],
            bottleneck=self.bottleneck or own["bottleneck"],
            epochs=self.epochs or own["epochs"],
        )

    @property
    def compares(self) -> bool:
        """Whether a term needs altered beats beside the normal ones."""
        return any(getattr(self, term) for term in COMPARING)


class Ensemble:
    """One or several frozen teachers by their digests, in eval mode; their mean prediction."""

    def __init__(self, teachers: Mapping[str, Autoencoder]) -> None:
        self.digests = list(teachers)
        self._networks = [network.eval().requires_grad_(False) for network in teachers.values()]

    def predict(self, windows: Floats, templates: Floats, scored: slice) -> "TeacherTargets":
        """What the teachers make of ``windows`` (n, length), averaged.

        They do not see the ``templates`` (n, length), which a student may.
        """
        expected = [run(network, windows) for network in self._networks]
        errors = [log_mean(squared_error(windows, guess), scored) for guess in expected]
        return TeacherTargets(
            windows, templates, np.mean(expected, axis=0), np.mean(errors, axis=0)
        )

    def features(self, windows: Tensor) -> Tensor:
        """The bottlenecks of ``windows`` (n, length), one after the other: (n, their sum)."""
        latent = [n.encode(windows / n.amplitude).flatten(1) for n in self._networks]
        return torch.cat(latent, dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class TeacherTargets:
    """Windows and their patients' templates, both (n, length), what the teachers expect in the
    windows' place, and their log error (n,)."""

    windows: Floats
    templates: Floats
    expected: Floats
    error: Doubles

    def tensors(self, rows: Ints) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four of some rows, float32."""
        return (
            torch.from_numpy(self.windows[rows]),
            torch.from_numpy(self.templates[rows]),
            torch.from_numpy(self.expected[rows]),
            torch.from_numpy(self.error[rows].astype(np.float32)),
        )


def new_student(options: DistillationOptions, spec: PreprocessSpec) -> AutoencoderModule:
    """A student to begin with, of the kind that the spec's windows are for.

    One that sees the template, where windows are in the patient's units; ``options`` are
    `DistillationOptions.of_mode`. Raises UsageError if it would be too large.
    """
    torch.manual_seed(options.seed)
    sizes = (spec.length, options.hidden, options.middle, options.bottleneck)
    if spec.scale == "beat":
        try:
            return Student(*sizes, amplitude=amplitude(spec))
        except ValueError as error:
            raise UsageError(str(error)) from None
    student = ContextAutoencoder(*sizes, amplitude=amplitude(spec))
    if (count := parameter_count(student)) > LABEL_FREE_LIMIT:
        raise UsageError(
            f"a student has at most {LABEL_FREE_LIMIT:,} parameters, this one {count:,}"
        )
    return student


class Distillation:
    """A student learning from the targets of normal beats and, for terms that compare beats, of
    altered ones: a TrainingTask.

    What the teachers expect is matched on normal beats alone: of an altered beat they expect part
    of the alteration, which is just what a student should not learn.

    ``student`` is fitted in place. ``held_out`` are normal windows of patients in neither, and
    their templates; by them the best epoch is chosen. ``ensemble`` is asked again for its features
    only, which costs as much as all the rest. Raises UsageError if no term has a weight.
    """

    def __init__(
        self,
        student: AutoencoderModule,
        options: DistillationOptions,
        normal: TeacherTargets,
        altered: TeacherTargets | None,
        held_out: tuple[Floats, Floats],
        spec: PreprocessSpec,
        ensemble: Ensemble,
    ) -> None:
        if options.compares and altered is None:
            raise UsageError("a term of the distillation compares beats: altered ones are needed")
        if not any(getattr(options, term) for term in TERMS):
            raise UsageError("all terms of the distillation have weight 0: nothing to learn")
        self.student = student
        distribute(self.student)
        self._options, self._spec, self._ensemble = options, spec, ensemble
        self._normal, self._held_out = normal, held_out
        self._in_context = isinstance(student, ContextAutoencoder)
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
        steepest = STEEPEST if self._in_context else None
        optimise(self._adam, torch.stack(list(losses.values())).sum(), steepest)
        self._steps += 1
        return {name: loss.item() for name, loss in losses.items()}

    def losses(self, normal: Ints, altered: Ints) -> dict[str, Tensor]:
        """Each term that is switched on, times its weight, of these rows."""
        options = self._options
        windows, templates, wanted, target = self._normal.tensors(normal)
        if self._altered is not None:
            both = zip(
                (windows, templates, wanted, target), self._altered.tensors(altered), strict=True
            )
            windows, templates, wanted, target = (torch.cat(pair) for pair in both)
        if self._in_context:
            gain = torch.exp(GAIN * torch.randn(len(windows), 1))
            windows, wanted = windows * gain, wanted * gain
        expected, log_variance = self._expected(windows, templates)
        error = log_error(windows, expected, self._spec.scored)
        count = len(normal)
        truth = torch.cat([torch.zeros(count), torch.ones(len(altered))])
        terms: dict[str, Callable[[], Tensor]] = {
            "reconstruction": lambda: _unlikelihood(
                windows[:count], expected[:count], log_variance
            ),
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
        error = Look(network_of(self.student.eval()), self._spec)(*self._held_out).squared_error
        return float(log_mean(error, self._spec.scored).mean())

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

    def _expected(self, windows: Tensor, templates: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the student expects, and the log variance round it where it says one."""
        if not self._in_context:
            return gathered(self.student(share(windows))), None
        rows = gathered(self.student(share(torch.cat([windows, templates], dim=1))))
        expected, log_variance = rows.chunk(2, dim=1)
        return expected, log_variance

    def _feature_matching(self, student: Tensor, teacher: Tensor) -> Tensor:
        """How differently the frozen teachers see what the student and what they expect."""
        with torch.no_grad():
            wanted = self._ensemble.features(teacher)
        return output_matching(self._ensemble.features(student), wanted)

    def _logits(self, error: Tensor) -> Tensor:
        """Log errors as logits of "anomalous", on the scale of the teachers' normal beats."""
        scale = self._scale
        return (error - scale.location["error"]) / scale.spread["error"] - scale.threshold


def _unlikelihood(windows: Tensor, expected: Tensor, log_variance: Tensor | None) -> Tensor:
    """Of these windows, the first of those that the log variance is of; see DistillationOptions."""
    if log_variance is None:
        return reconstruction(windows, expected)
    return gaussian_nll(windows, expected, log_variance[: len(windows)])
