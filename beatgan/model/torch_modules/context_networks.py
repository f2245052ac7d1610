"""The networks that see a beat in its patient's context: what it should look like, when it should
come, and which class it is of.

Rows in, rows out, matrix products only, which a CPU does fastest. They know nothing of patients,
scores or files. Features are made outside of them: see `beatgan.model.features`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from beatgan.beat_classes import CLASSES
from beatgan.model.architectures import (
    MAX_LOG_SCALE,
    MAX_LOG_VARIANCE,
    MIN_LOG_SCALE,
    MIN_LOG_VARIANCE,
    MIXED,
    SLOPE,
    check_amplitude,
)
from beatgan.model.features import PAST_SIZE, SHAPE_SIZE, TIMING_SIZE, TIMING_WITH_NEXT_SIZE
from beatgan.model.torch_modules.networks import initialise


class ContextAutoencoder(nn.Module):
    """What a beat should look like, given the patient's template, and how far it may differ.

    ``forward`` takes rows (n, 2 * length): window and template, one behind the other; it gives
    rows (n, 2 * length): the expected beat, in the window's units, and the logarithm of each
    sample's variance round it. The window passes through a ``bottleneck``, the template through
    ``context`` numbers. The expected beat is the template and a difference that is at most
    ``amplitude``. ``arguments`` are those of the constructor, which rebuild it.
    """

    def __init__(
        self,
        length: int = 320,
        hidden: int = 64,
        middle: int = 32,
        bottleneck: int = 3,
        context: int = 32,
        amplitude: float = 10.0,
    ) -> None:
        super().__init__()
        check_amplitude(amplitude)
        self.length, self.amplitude = length, amplitude
        self.arguments: dict[str, Any] = {
            "length": length,
            "hidden": hidden,
            "middle": middle,
            "bottleneck": bottleneck,
            "context": context,
            "amplitude": amplitude,
        }
        self.encoder = dense((length, hidden, middle, bottleneck))
        self.template = dense((length, context))
        self.decoder = dense((bottleneck + context, hidden, 2 * length))
        self.apply(initialise)

    def forward(self, rows: Tensor) -> Tensor:
        """Expected beats and log variances of ``rows``, both halves as described."""
        window, template = rows.chunk(2, dim=1)
        latent = self.encoder(window / self.amplitude)
        context = nn.functional.leaky_relu(self.template(template / self.amplitude), SLOPE)
        difference, log_variance = self.decoder(torch.cat([latent, context], dim=1)).chunk(2, 1)
        expected = template + self.amplitude * torch.tanh(difference)
        bounded = log_variance.clamp(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)
        return torch.cat([expected, bounded], dim=1)


class RhythmDensity(nn.Module):
    """When a beat should come: the distribution of its RR interval, given those before it.

    ``forward`` takes rows (n, PAST_SIZE), see `beatgan.model.features.past`, and gives log
    weights, locations and log scales (n, MIXED) of a mixture of Student-t distributions, with 4
    degrees of freedom, of the logarithm of the interval less that of the patient's long one.
    """

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {"hidden": hidden}
        self.layers = dense((PAST_SIZE, hidden, hidden, 3 * MIXED))
        self.apply(initialise)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mixtures' log weights, locations and log scales."""
        weight, location, log_scale = self.layers(rows).chunk(3, dim=1)
        bounded = log_scale.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
        return torch.log_softmax(weight, dim=1), location, bounded


class BeatClassifier(nn.Module):
    """Which class a beat is of: logits of `CLASSES`, the sum of what timing and shape say.

    Timing and shape have a network each, so that neither learns which recorder goes with which
    rhythm. The next RR interval, which is known one beat later, has its own: ``timing_with_next``
    stands in for ``timing``. Of two leads the mean of the logits of both shapes counts.
    """

    def __init__(self, hidden: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {"hidden": hidden, "dropout": dropout}
        classes = len(CLASSES)
        self.timing = dense((TIMING_SIZE, hidden, hidden, classes), after=dropout)
        self.timing_with_next = dense(
            (TIMING_WITH_NEXT_SIZE, hidden, hidden, classes), after=dropout
        )
        self.shape = dense((SHAPE_SIZE, hidden, hidden, classes), before=dropout, after=2 * dropout)
        self.apply(initialise)

    def forward(self, timing: Tensor, next_known: Tensor, shape: Tensor) -> Tensor:
        """Logits (n, classes) of beats by one lead.

        ``timing`` (n, TIMING_WITH_NEXT_SIZE), whose last column counts only where ``next_known``
        (n,); ``shape`` (n, SHAPE_SIZE).
        """
        first = self.timing(timing[:, :TIMING_SIZE])
        revised = self.timing_with_next(timing)
        logits: Tensor = torch.where(next_known[:, None], revised, first) + self.shape(shape)
        return logits


def dense(sizes: Sequence[int], before: float = 0.0, after: float = 0.0) -> nn.Sequential:
    """Linear layers between these sizes, LeakyReLU between them; dropout ``before`` the first layer
    and ``after`` the last LeakyReLU."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(sizes):
        layers += [nn.Linear(narrow, wide), nn.LeakyReLU(SLOPE)]
    layers.pop()
    if before:
        layers.insert(0, nn.Dropout(before))
    if after:
        layers.insert(-1, nn.Dropout(after))
    return nn.Sequential(*layers)
