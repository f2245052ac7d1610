"""Label-free augmentation of training windows: small shifts and gains. Off unless asked for."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Shifts windows by up to ``jitter`` samples and scales each by exp of ``gain`` times a normal.

    Both teach what varies without meaning anything: where the apex was found, and how large the
    patient's reference was. Samples shifted in repeat the window's first or last.
    """

    jitter: int
    gain: float

    def __call__(self, windows: Tensor, rng: np.random.Generator) -> Tensor:
        """``windows`` (n, length) with each row altered by chance from ``rng``."""
        count, length = windows.shape
        if self.jitter:
            shifts = torch.from_numpy(rng.integers(-self.jitter, self.jitter + 1, (count, 1)))
            samples = (torch.arange(length) + shifts).clamp(0, length - 1)
            windows = windows.gather(1, samples)
        if self.gain:
            factors = np.exp(self.gain * rng.standard_normal((count, 1))).astype(np.float32)
            windows = windows * torch.from_numpy(factors)
        return windows
