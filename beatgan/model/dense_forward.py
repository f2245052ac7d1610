"""Forward passes of small networks, compiled: matrix products with LeakyReLU between.

Law: every output is its bias plus its inputs' shares, added one after the other in the order of
the inputs, in float32 without fused operations. So a row's bits depend on nothing but the row and
the weights: on no batch, no thread and no processor. Vectors run over outputs, which are
independent, and rows are taken some at a time only so that a weight is loaded once for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from beatgan.jit import compiled
from beatgan.types import Floats

ROWS = 4  # rows at a time
TILE = 64  # outputs at a time: their sums stay in the fastest memory
STEP = 4  # inputs for which the sums are fetched and put back once

Layers = tuple[tuple[Floats, ...], tuple[Floats, ...], Floats]  # weights, biases, slopes of `Dense`


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Layers as the pass wants them; ``weights``, ``biases`` and ``slopes`` have one entry each.

    A layer's weights are those of TILE outputs for the first input, for the second and so on, then
    those of the next TILE outputs; behind the last output there are zeros. A slope is that of the
    LeakyReLU behind the layer, 1 where there is none: the last has none. ``outputs``: the last
    layer's.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    slopes: Floats
    outputs: int

    @classmethod
    def of(cls, layers: Sequence[tuple[Floats, Floats, float]]) -> Self:
        """Of (weights (outputs, inputs), biases (outputs,), slope) of each layer, copied."""
        return cls(
            tuple(_tiled(weights) for weights, _, _ in layers),
            tuple(_filled(biases) for _, biases, _ in layers),
            np.array([slope for _, _, slope in layers], np.float32),
            len(layers[-1][1]),
        )

    @property
    def layers(self) -> Layers:
        """The same for compiled code."""
        return self.weights, self.biases, self.slopes

    def __call__(self, rows: Floats) -> Floats:
        """The outputs (n, outputs) of ``rows`` (n, inputs)."""
        found = np.empty((len(rows), self.outputs), np.float32)
        run(np.ascontiguousarray(rows, np.float32), self.layers, found)
        return found


def _filled(values: Floats) -> Floats:
    """``values`` with zeros behind, in a new array: as many in the first axis as TILEs have."""
    filled = np.zeros((-(-len(values) // TILE) * TILE, *values.shape[1:]), np.float32)
    filled[: len(values)] = values
    return filled


def _tiled(weights: Floats) -> Floats:
    """Weights (outputs, inputs) in the order that `Dense` names, flat."""
    filled = _filled(weights)
    tiles = filled.reshape(-1, TILE, weights.shape[1])
    return np.ascontiguousarray(tiles.transpose(0, 2, 1)).reshape(-1)


# A quotient of polynomials in x, Eigen's: beyond EDGE it is held, within 6 units of 1; below TINY
# tanh is x.
EDGE, TINY = np.float32(7.90531110763549805), np.float32(0.0004)
A1, A3 = np.float32(4.89352455891786e-03), np.float32(6.37261928875436e-04)
A5, A7 = np.float32(1.48572235717979e-05), np.float32(5.12229709037114e-08)
A9, A11 = np.float32(-8.60467152213735e-11), np.float32(2.00018790482477e-13)
A13 = np.float32(-2.76076847742355e-16)
B0, B2 = np.float32(4.89352518554385e-03), np.float32(2.26843463243900e-03)
B4, B6 = np.float32(1.18534705686654e-04), np.float32(1.19825839466702e-06)


@compiled
def tanh(value: np.float32) -> np.float32:
    """The hyperbolic tangent, within 6 units in the last place, never beyond 1; NaN of NaN.

    Written out because each processor's library has another one.
    """
    x = min(max(value, -EDGE), EDGE)
    s = x * x
    p = x * (((((((A13 * s + A11) * s + A9) * s + A7) * s + A5) * s + A3) * s) + A1)
    q = ((B6 * s + B4) * s + B2) * s + B0
    return value if abs(value) < TINY else p / q


@compiled
def add_step(x: Floats, w: Floats, sums: Floats) -> None:
    """Add the shares of STEP inputs, x (STEP, ROWS), w (STEP, TILE), to sums (ROWS, TILE)."""
    a0, b0, c0, d0 = x[0], x[1], x[2], x[3]
    a1, b1, c1, d1 = x[4], x[5], x[6], x[7]
    a2, b2, c2, d2 = x[8], x[9], x[10], x[11]
    a3, b3, c3, d3 = x[12], x[13], x[14], x[15]
    for j in range(TILE):
        w0, w1, w2, w3 = w[j], w[TILE + j], w[2 * TILE + j], w[3 * TILE + j]
        sums[j] = sums[j] + a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
        sums[TILE + j] = sums[TILE + j] + b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
        sums[2 * TILE + j] = sums[2 * TILE + j] + c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
        sums[3 * TILE + j] = sums[3 * TILE + j] + d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3


@compiled
def add_one(x: Floats, w: Floats, sums: Floats) -> None:
    """The same for one input, x (ROWS,), w (TILE,)."""
    a, b, c, d = x[0], x[1], x[2], x[3]
    for j in range(TILE):
        sums[j] += a * w[j]
        sums[TILE + j] += b * w[j]
        sums[2 * TILE + j] += c * w[j]
        sums[3 * TILE + j] += d * w[j]


@compiled
def add_tile(x: Floats, inputs: int, w: Floats, biases: Floats, sums: Floats) -> None:
    """Write to sums (ROWS, TILE) what TILE outputs are of x (inputs, ROWS), w (inputs, TILE)."""
    for j in range(TILE):
        for row in range(ROWS):
            sums[row * TILE + j] = biases[j]
    whole = inputs - inputs % STEP
    for k in range(0, whole, STEP):
        add_step(x[k * ROWS : (k + STEP) * ROWS], w[k * TILE : (k + STEP) * TILE], sums)
    for k in range(whole, inputs):
        add_one(x[k * ROWS : (k + 1) * ROWS], w[k * TILE : (k + 1) * TILE], sums)


@compiled
def leaky_relu(sums: Floats, slope: np.float32, out: Floats) -> None:
    """LeakyReLU of sums (ROWS, TILE) to out (TILE, ROWS), as the next layer wants it."""
    for j in range(TILE):
        for row in range(ROWS):
            value = sums[row * TILE + j]
            out[j * ROWS + row] = value if value > 0 else value * slope


@compiled
def scaled_tanh(values: Floats, amplitude: np.float32, out: Floats) -> None:
    """The tanh of ``values``, as many as ``out`` has, times ``amplitude``."""
    for j in range(out.size):
        out[j] = tanh(values[j]) * amplitude


@compiled
def run(rows: Floats, layers: Layers, found: Floats) -> None:
    """Write the outputs of ``rows`` (n, inputs) to ``found`` (n, outputs); see `Dense`."""
    weights, biases, slopes = layers
    count, length = rows.shape
    last = slopes.size - 1
    widest = length
    for each in biases:
        widest = max(widest, each.size)
    x, y = np.zeros(widest * ROWS, np.float32), np.zeros(widest * ROWS, np.float32)
    sums = np.zeros(ROWS * TILE, np.float32)
    for first in range(0, count, ROWS):
        present = min(ROWS, count - first)
        for row in range(present):
            for k in range(length):
                x[k * ROWS + row] = rows[first + row, k]
        for layer in range(last + 1):
            w, b = weights[layer], biases[layer]
            inputs = w.size // b.size
            for start in range(0, b.size, TILE):
                tile = w[start * inputs : (start + TILE) * inputs]
                add_tile(x, inputs, tile, b[start : start + TILE], sums)
                if layer < last:
                    leaky_relu(sums, slopes[layer], y[start * ROWS : (start + TILE) * ROWS])
                else:
                    stop = min(start + TILE, found.shape[1])
                    for row in range(present):
                        for j in range(stop - start):
                            found[first + row, start + j] = sums[row * TILE + j]
            x, y = y, x
