"""The architectures of the networks: which arrays each consists of, for which arguments.

What a model file may hold, without torch: `beatgan.model.torch_modules` trains the same networks.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import inf
from types import MappingProxyType

from beatgan.beat_classes import CLASSES
from beatgan.model.features import PAST_SIZE, SHAPE_SIZE, TIMING_SIZE, TIMING_WITH_NEXT_SIZE

SLOPE = 0.2  # of every LeakyReLU
STRIDES = 5  # strided layers of BeatGAN's networks, each of which halves the length
HALVINGS = 32  # what they divide it by: 2 ** STRIDES
LABEL_FREE_LIMIT = 95_440  # parameters that learn from normal beats: a twentieth of BeatGAN's G
LIMIT = 200_000  # parameters in all
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -8.0, 4.0
MIN_LOG_SCALE, MAX_LOG_SCALE = -4.0, 1.0  # of an interval's logarithm: 2 % to 270 %
MIXED = 3  # Student-t distributions that are mixed

Shapes = dict[str, tuple[int, ...]]  # of a network's arrays by name, in the order of its state


def generator(length: int, width: int, bottleneck: int, amplitude: float) -> Shapes:
    """BeatGAN's generator; see `beatgan.model.torch_modules.networks.Generator`."""
    check_amplitude(amplitude)
    rest = last_kernel(length)
    channels = [width * 2**doubling for doubling in range(STRIDES)]
    shapes: Shapes = {"encoder.0.weight": (width, 1, 4)}
    for layer, (narrow, wide) in enumerate(pairwise(channels)):
        shapes[f"encoder.{2 + 3 * layer}.weight"] = (wide, narrow, 4)
        shapes |= _batch_norm(f"encoder.{3 + 3 * layer}", wide)
    shapes[f"encoder.{3 * STRIDES - 1}.weight"] = (bottleneck, channels[-1], rest)
    shapes["decoder.0.weight"] = (bottleneck, channels[-1], rest)
    shapes |= _batch_norm("decoder.1", channels[-1])
    for layer, (wide, narrow) in enumerate(pairwise(channels[::-1])):
        shapes[f"decoder.{3 + 3 * layer}.weight"] = (wide, narrow, 4)
        shapes |= _batch_norm(f"decoder.{4 + 3 * layer}", narrow)
    return shapes | {f"decoder.{3 * STRIDES}.weight": (width, 1, 4)}


def student(length: int, hidden: int, middle: int, bottleneck: int, amplitude: float) -> Shapes:
    """A small autoencoder; see `beatgan.model.torch_modules.networks.Student`."""
    check_amplitude(amplitude)
    sizes = (length, hidden, middle, bottleneck)
    return _dense("encoder", sizes) | _dense("decoder", sizes[::-1])


def context_autoencoder(
    length: int,
    hidden: int,
    middle: int,
    bottleneck: int,
    context: int,
    amplitude: float,
) -> Shapes:
    """An autoencoder that sees the patient's template, too; see `ContextAutoencoder`."""
    check_amplitude(amplitude)
    return (
        _dense("encoder", (length, hidden, middle, bottleneck))
        | _dense("template", (length, context))
        | _dense("decoder", (bottleneck + context, hidden, 2 * length))
    )


def rhythm_density(hidden: int) -> Shapes:
    """The distribution of an RR interval; see `RhythmDensity`."""
    return _dense("layers", (PAST_SIZE, hidden, hidden, 3 * MIXED))


def beat_classifier(hidden: int, dropout: float) -> Shapes:
    """Logits of the classes; see `BeatClassifier`. There is a layer of ``dropout`` before some."""
    if not 0 <= dropout <= 0.5:
        raise ValueError(f"dropout must be from 0 to 0.5, got {dropout}")
    wide, dropped = (hidden, hidden, len(CLASSES)), int(dropout > 0)
    return (
        _dense("timing", (TIMING_SIZE, *wide), after=dropped)
        | _dense("timing_with_next", (TIMING_WITH_NEXT_SIZE, *wide), after=dropped)
        | _dense("shape", (SHAPE_SIZE, *wide), before=dropped, after=dropped)
    )


ARCHITECTURES: Mapping[str, Callable[..., Shapes]] = MappingProxyType(
    {
        "Generator": generator,
        "Student": student,
        "ContextAutoencoder": context_autoencoder,
        "RhythmDensity": rhythm_density,
        "BeatClassifier": beat_classifier,
    }
)


def check_amplitude(amplitude: float) -> None:
    """Raise ValueError unless it is the size of a deflection."""
    if not 0 < amplitude < inf:
        raise ValueError(f"amplitude must be positive and finite, got {amplitude}")


def last_kernel(length: int) -> int:
    """What the strided layers leave of a window; ValueError where they cannot divide it."""
    if length < HALVINGS or length % HALVINGS:
        raise ValueError(f"the window must be a multiple of {HALVINGS} samples, got {length}")
    return length // HALVINGS


def _dense(name: str, sizes: Sequence[int], before: int = 0, after: int = 0) -> Shapes:
    """Linear layers between these sizes, a LeakyReLU between two: every other place has weights.

    With so many layers of dropout before the first and after the last LeakyReLU.
    """
    places = [before + 2 * number for number in range(len(sizes) - 1)]
    places[-1] += after
    return {
        f"{name}.{place}.{part}": shape
        for place, (narrow, wide) in zip(places, pairwise(sizes), strict=True)
        for part, shape in (("weight", (wide, narrow)), ("bias", (wide,)))
    }


def _batch_norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}
