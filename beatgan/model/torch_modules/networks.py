"""The networks: BeatGAN's generator and discriminator as published, and the small student.

They map windows to windows and know nothing of patients, scores or files.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from beatgan.model.architectures import (
    LABEL_FREE_LIMIT,
    SLOPE,
    STRIDES,
    check_amplitude,
    last_kernel,
)


class Autoencoder(nn.Module):
    """A network that reconstructs windows: (n, length) to (n, length), in the same units.

    ``arguments`` are those of the constructor: with the class's name and the state dict they
    rebuild the network, which is how a model file stores it.

    ``amplitude`` is the largest deflection of an output: inputs are divided by it and outputs,
    bounded by a tanh, multiplied by it. Inputs are not clipped. So a beat that exceeds it goes in
    as it is, cannot be copied to the output, and leaves a large error.
    """

    arguments: dict[str, Any]  # whole numbers and floats

    def __init__(self, length: int, amplitude: float) -> None:
        super().__init__()
        check_amplitude(amplitude)
        self.length = length
        self.amplitude = amplitude

    def forward(self, windows: Tensor) -> Tensor:
        """Reconstruct ``windows`` (n, length)."""
        reconstructed: Tensor = torch.tanh(self.decode(self.encode(windows / self.amplitude)))
        return reconstructed * self.amplitude

    def encode(self, windows: Tensor) -> Tensor:
        """The bottleneck's values of windows already divided by ``amplitude``."""
        raise NotImplementedError

    def decode(self, latent: Tensor) -> Tensor:
        """The reconstructed windows (n, length) before the tanh."""
        raise NotImplementedError


class Generator(Autoencoder):
    """BeatGAN's G (Zhou et al., IJCAI 2019): convolutional encoder, bottleneck, decoder.

    Channels width, 2, 4, 8 and 16 times width; kernel 4, stride 2, padding 1; a last kernel as
    long as what is left (10 of 320 samples) makes the bottleneck. 1,908,800 parameters as published
    (length 320, width 32, bottleneck 50).
    """

    def __init__(
        self, length: int = 320, width: int = 32, bottleneck: int = 50, amplitude: float = 1.0
    ) -> None:
        super().__init__(length, amplitude)
        self.arguments = {
            "length": length,
            "width": width,
            "bottleneck": bottleneck,
            "amplitude": amplitude,
        }
        rest = last_kernel(length)
        self.encoder = nn.Sequential(
            *_downward(width), nn.Conv1d(16 * width, bottleneck, rest, bias=False)
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose1d(bottleneck, 16 * width, rest, bias=False),
            nn.BatchNorm1d(16 * width),
            nn.ReLU(inplace=True),
            *_upward(width),
        )
        self.apply(initialise)

    def encode(self, windows: Tensor) -> Tensor:
        """The bottleneck's values, (n, bottleneck, 1)."""
        latent: Tensor = self.encoder(windows.unsqueeze(1))
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """The reconstructed windows before the tanh, (n, length)."""
        windows: Tensor = self.decoder(latent)
        return windows.squeeze(1)


class Discriminator(nn.Module):
    """BeatGAN's D: G's encoder with one output; 703,488 parameters as published.

    ``forward`` takes windows (n, length) in the generator's units and gives the logit of "real"
    (n,) and the features before the last layer (n, 16 * width, length / 32), which the generator
    has to match.
    """

    def __init__(self, length: int = 320, width: int = 32, amplitude: float = 1.0) -> None:
        super().__init__()
        self.amplitude = amplitude
        self.features = nn.Sequential(*_downward(width))
        self.classifier = nn.Conv1d(16 * width, 1, last_kernel(length), bias=False)
        self.apply(initialise)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, features) of ``windows``; the sigmoid is left to the loss, for accuracy."""
        features: Tensor = self.features((windows / self.amplitude).unsqueeze(1))
        return self.classifier(features).flatten(), features


class Student(Autoencoder):
    """A small autoencoder of matrix products only, which a CPU does far faster than convolutions.

    length - hidden - middle - bottleneck - middle - hidden - length, with LeakyReLU between; none
    at the bottleneck. ``LIMIT`` is the promise that distillation compresses: a twentieth of the
    published G.
    """

    LIMIT: ClassVar[int] = LABEL_FREE_LIMIT

    def __init__(
        self,
        length: int = 320,
        hidden: int = 120,
        middle: int = 60,
        bottleneck: int = 8,
        amplitude: float = 1.0,
    ) -> None:
        super().__init__(length, amplitude)
        self.arguments = {
            "length": length,
            "hidden": hidden,
            "middle": middle,
            "bottleneck": bottleneck,
            "amplitude": amplitude,
        }
        sizes = (length, hidden, middle, bottleneck)
        self.encoder = _dense(sizes)
        self.decoder = _dense(sizes[::-1])
        self.apply(initialise)
        if (count := parameter_count(self)) > self.LIMIT:
            raise ValueError(f"a student has at most {self.LIMIT:,} parameters, this one {count:,}")

    def encode(self, windows: Tensor) -> Tensor:
        """The bottleneck's values, (n, bottleneck)."""
        latent: Tensor = self.encoder(windows)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """The reconstructed windows before the tanh, (n, length)."""
        windows: Tensor = self.decoder(latent)
        return windows


def parameter_count(module: nn.Module) -> int:
    """How many trainable numbers ``module`` has."""
    return sum(parameter.numel() for parameter in module.parameters())


def initialise(module: nn.Module) -> None:
    """Give one layer its starting values, as published: for ``module.apply``.

    Xavier-normal weights, zero biases, batch normalisation near the identity.
    """
    if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm1d):
        module.reset_running_stats()
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _downward(width: int) -> list[nn.Module]:
    """The strided layers from one channel to 16 * width; the first without normalisation."""
    layers: list[nn.Module] = [
        nn.Conv1d(1, width, 4, 2, 1, bias=False),
        nn.LeakyReLU(SLOPE, inplace=True),
    ]
    for doubling in range(STRIDES - 1):
        narrow = width * 2**doubling
        layers += [
            nn.Conv1d(narrow, 2 * narrow, 4, 2, 1, bias=False),
            nn.BatchNorm1d(2 * narrow),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
    return layers


def _upward(width: int) -> list[nn.Module]:
    """The transposed layers from 16 * width channels back to one."""
    layers: list[nn.Module] = []
    for halving in reversed(range(STRIDES - 1)):
        narrow = width * 2**halving
        layers += [
            nn.ConvTranspose1d(2 * narrow, narrow, 4, 2, 1, bias=False),
            nn.BatchNorm1d(narrow),
            nn.ReLU(inplace=True),
        ]
    return [*layers, nn.ConvTranspose1d(width, 1, 4, 2, 1, bias=False)]


def _dense(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers between these sizes, LeakyReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers[:-1])
