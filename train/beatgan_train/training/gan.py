"""BeatGAN's adversarial training (Zhou et al., IJCAI 2019), on normal beats only.

Generator and discriminator learn in turn. Knows tensors of windows; knows no file and no label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from beatgan.model.model import log_mean, squared_error
from beatgan.model.torch_modules.forward import run
from beatgan.model.torch_modules.networks import Discriminator, Generator, initialise
from beatgan.types import Floats, Ints
from beatgan_train.training.augment import Augmentation
from beatgan_train.training.batch_norm import distribute
from beatgan_train.training.distributed import averaged, optimise, share
from beatgan_train.training.loop import State, set_rate
from beatgan_train.training.losses import reconstruction
from beatgan_train.training.options import Flag

Precision = Literal["auto", "float32", "bfloat16"]
COLLAPSED = 5e-6  # a discriminator with a smaller loss has won and teaches nothing: start it anew


@dataclass(frozen=True)
class TeacherOptions:
    """What a teacher's training depends on besides its data.

    As published: bottleneck 50, rate 1e-4 throughout, feature_weight 1 (see docs/training.md).
    """

    width: Annotated[int, Flag("Channels of the first layer.", min=1)] = 32
    bottleneck: Annotated[int, Flag(min=1)] = 8
    epochs: Annotated[int, Flag(min=1)] = 5
    batch: Annotated[int, Flag(min=2)] = 64
    rate: Annotated[float, Flag("Adam's.", min=0)] = 1e-3
    feature_weight: Annotated[float, Flag("Of feature matching.", min=0)] = 0.01
    jitter: Annotated[int, Flag("Augmentation: shifts up to so many samples.", min=0)] = 0
    gain: Annotated[float, Flag("Augmentation: sd of the log gain.", min=0)] = 0.0
    precision: Annotated[Precision, Flag("auto: bfloat16 where the processor computes in it.")] = (
        "auto"
    )
    seed: Annotated[int, Flag("Of all chance.", min=0)] = 0


class BeatGan:
    """Generator and discriminator in training: a TrainingTask.

    ``train`` and ``held_out`` are normal windows (n, length); ``scored`` are the samples that
    count when the best epoch is chosen by ``held_out``. ``amplitude`` is the largest deflection
    that the generator can produce (see Autoencoder).
    """

    def __init__(
        self,
        options: TeacherOptions,
        train: Floats,
        held_out: Floats,
        scored: slice,
        amplitude: float,
        device: torch.device | str = "cpu",
    ) -> None:
        torch.manual_seed(options.seed)
        length = train.shape[1]
        self.generator = Generator(length, options.width, options.bottleneck, amplitude).to(device)
        self.discriminator = Discriminator(length, options.width, amplitude).to(device)
        distribute(self.generator)
        distribute(self.discriminator)
        self._options, self._scored, self._device = options, scored, torch.device(device)
        self._train, self._held_out = torch.from_numpy(train), held_out
        self._augment = Augmentation(options.jitter, options.gain)
        self._learn_g = _adam(self.generator, options.rate)
        self._learn_d = _adam(self.discriminator, options.rate)
        self._half = resolved(options.precision, self._device) == "bfloat16"
        self._steps = 0

    @property
    def rows(self) -> int:
        """Training beats."""
        return len(self._train)

    def step(self, rows: Ints, rng: np.random.Generator) -> Mapping[str, float]:
        """One batch: the discriminator learns, then the generator."""
        self.generator.train()
        self.discriminator.train()
        set_rate(self._learn_g, self._options.rate, self._steps, self._planned(len(rows)))
        self._steps += 1
        beats = share(self._augment(self._train[rows], rng)).to(self._device)
        with self._autocast():
            expected = self.generator(beats)
        discrimination = self._teach_discriminator(beats, expected.detach())
        rebuilt, matched = self._teach_generator(beats, expected)
        losses = averaged(
            {"reconstruction": rebuilt, "features": matched, "discriminator": discrimination}
        )
        if losses["discriminator"] < COLLAPSED:
            self.discriminator.apply(initialise)
        return losses

    def validation_loss(self) -> float:
        """Mean log reconstruction error of the held-out normal beats, in eval mode."""
        self.generator.eval()
        error = squared_error(self._held_out, run(self.generator, self._held_out))
        return float(log_mean(error, self._scored).mean())

    def network_state(self) -> State:
        """The generator's: all that scoring needs."""
        return self.generator.state_dict()

    def state(self) -> State:
        """Both networks and both optimisers, and how far the rate has come down."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "learn_g": self._learn_g.state_dict(),
            "learn_d": self._learn_d.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self._learn_g.load_state_dict(state["learn_g"])
        self._learn_d.load_state_dict(state["learn_d"])
        self._steps = state["steps"]

    def _planned(self, batch: int) -> int:
        """The steps of the whole training."""
        return self._options.epochs * (self.rows // batch)

    def _teach_discriminator(self, real: Tensor, fake: Tensor) -> float:
        """One step towards separating ``real`` (1) from ``fake`` (0); returns the cross entropy."""
        with self._autocast():
            says_real, _ = self.discriminator(real)
            says_fake, _ = self.discriminator(fake)
        loss = _cross_entropy(says_real.float(), 1.0) + _cross_entropy(says_fake.float(), 0.0)
        optimise(self._learn_d, loss)
        return loss.item()

    def _teach_generator(self, beats: Tensor, expected: Tensor) -> tuple[float, float]:
        """One step towards |x - G(x)|^2 + |f(x) - f(G(x))|^2; returns both terms' means."""
        self.discriminator.requires_grad_(False)
        with self._autocast():
            with torch.no_grad():
                _, wanted = self.discriminator(beats)
            _, features = self.discriminator(expected)
        rebuilt = reconstruction(beats, expected.float())
        matched = functional.mse_loss(features.float(), wanted.float())
        optimise(self._learn_g, rebuilt + self._options.feature_weight * matched)
        self.discriminator.requires_grad_(True)
        return rebuilt.item(), matched.item()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)


def resolved(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """What ``auto`` means: bfloat16 where the processor has instructions for it, else float32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # of newer torch only
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def _adam(network: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)


def _cross_entropy(logits: Tensor, truth: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))
