"""The distribution of the next RR interval in training: from normal beats, without a label.

A larger network can teach a smaller one by expectation: what it would say on average. Knows rows of
numbers; knows no file and no patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from beatgan.beats.rr import MAX_LOG_RATIO
from beatgan.model.features import own_interval, past
from beatgan.model.torch_modules.context_networks import RhythmDensity
from beatgan.types import Floats, Ints
from beatgan_train.training.distributed import averaged, optimise, share
from beatgan_train.training.one_network import OneNetwork

JITTER = 0.005  # standard deviation of the noise on intervals: they are whole samples
DEGREES = 4  # of freedom of each Student-t distribution
GRID = torch.linspace(-MAX_LOG_RATIO, MAX_LOG_RATIO, 121)  # intervals that a teacher speaks of


@dataclass(frozen=True)
class RhythmOptions:
    """What the training of a `RhythmDensity` depends on besides its data."""

    hidden: int = 32
    epochs: int = 10
    batch: int = 512
    rate: float = 4e-3
    taught: float = 0.5
    seed: int = 0


def log_density(mixture: tuple[Tensor, Tensor, Tensor], interval: Tensor) -> Tensor:
    """Log densities (n, k), less a constant, of ``interval`` (n, k) under a mixture each."""
    weight, location, log_scale = (part.unsqueeze(1) for part in mixture)
    z = (interval.unsqueeze(2) - location) / log_scale.exp()
    each = weight - log_scale - 0.5 * (DEGREES + 1) * torch.log1p(z * z / DEGREES)
    return torch.logsumexp(each, dim=2)


class RhythmTraining(OneNetwork):
    """A `RhythmDensity` in training: a TrainingTask.

    ``rhythm`` (n, RHYTHM_SIZE) is of normal beats whose own interval is known; ``teachers`` are
    frozen, in eval mode.
    """

    def __init__(
        self, options: RhythmOptions, rhythm: Floats, teachers: Sequence[RhythmDensity] = ()
    ) -> None:
        torch.manual_seed(options.seed)
        self.network = RhythmDensity(options.hidden)
        super().__init__(self.network, options.rate, options.epochs)
        self._options, self._teachers = options, [each.eval() for each in teachers]
        self._past = torch.from_numpy(past(rhythm))
        self._interval = torch.from_numpy(own_interval(rhythm).copy())

    @property
    def rows(self) -> int:
        """Beats."""
        return len(self._past)

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        """One batch."""
        self._begin_step(self.rows, len(rows))
        options = self._options
        noise = (JITTER * rng.standard_normal((len(rows), self._past.shape[1]))).astype(np.float32)
        known = share(self._past[rows] + torch.from_numpy(noise))
        mixture = self.network(known)
        losses = {"likelihood": -log_density(mixture, share(self._interval[rows])[:, None]).mean()}
        if self._teachers:
            weights = {"likelihood": 1 - options.taught, "teachers": options.taught}
            losses["teachers"] = self._disagreement(known, mixture)
            losses = {name: weights[name] * loss for name, loss in losses.items()}
        optimise(self._adam, torch.stack(list(losses.values())).sum())
        return averaged({name: loss.item() for name, loss in losses.items()})

    def _disagreement(self, known: Tensor, mixture: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Cross entropy of the network's distribution with the teachers' mean one, on GRID."""
        grid = GRID.expand(len(known), -1)
        with torch.no_grad():
            each = [log_density(teacher(known), grid).exp() for teacher in self._teachers]
            wanted = torch.stack(each).mean(dim=0)
            wanted = wanted / wanted.sum(dim=1, keepdim=True)
        return -(wanted * log_density(mixture, grid)).sum(dim=1).mean()
