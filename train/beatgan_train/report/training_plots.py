"""Pictures of a training: its losses over the epochs, and beats beside what the network expects."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from beatgan.model.model import Look
from beatgan.model.networks import Network
from beatgan.spec import PreprocessSpec
from beatgan_train.data.beat_set import BeatSet
from beatgan_train.training.loop import EpochMetrics

ROWS = 5  # of two examples each


def draw_history(history: Sequence[EpochMetrics], best_epoch: int, path: Path) -> None:
    """One panel for each figure of the history, the chosen epoch marked, as PNG at ``path``."""
    names = [name for name in history[-1] if name not in ("epoch", "seconds")]
    figure = Figure(figsize=(8, 2 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    epochs = [line["epoch"] for line in history]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(epochs, [line[name] for line in history], marker=".")
        axis.axvline(best_epoch, color="grey", linestyle=":")
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel(f"epoch (chosen: {best_epoch})")
    figure.savefig(path, dpi=110)


def draw_examples(network: Network, beats: BeatSet, spec: PreprocessSpec, path: Path) -> None:
    """Ten of ``beats``, evenly spread, with expectation and squared error, as PNG at ``path``."""
    shown = beats.take(np.linspace(0, len(beats) - 1, 2 * ROWS).astype(np.int64))
    found = Look(network, spec)(shown.window, shown.reference)
    figure = Figure(figsize=(10, 2.2 * ROWS), layout="constrained")
    axes = figure.subplots(ROWS, 2, sharex=True).ravel()
    ms = 1000 * (np.arange(spec.length) - spec.before) / spec.rate
    panels = zip(axes, shown.window, found.windows, found.squared_error, strict=True)
    for axis, window, expected, error in panels:
        axis.fill_between(ms, error, color="tab:red", alpha=0.3, label="error")
        axis.plot(ms, window, color="black", linewidth=1, label="beat")
        axis.plot(ms, expected, color="tab:blue", linewidth=1, label="expected")
        axis.grid(alpha=0.3)
    axes[0].legend(loc="upper right", fontsize="small")
    for axis in axes[-2:]:
        axis.set_xlabel("ms from the apex")
    figure.savefig(path, dpi=110)
