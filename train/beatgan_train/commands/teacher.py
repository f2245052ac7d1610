"""From recordings to a teacher's model file: load, train, calibrate, export, draw."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from beatgan.errors import UsageError
from beatgan.model.artifact import Artifact, build
from beatgan_train.data.source import Mode, Protocol, spec_of
from beatgan_train.data.training_set import Material, amplitude, load_beats, material
from beatgan_train.ec57.annotations import ANNOTATOR
from beatgan_train.progress import Terminal
from beatgan_train.report.training_plots import draw_examples, draw_history
from beatgan_train.training.calibrate import calibrate, components, usual_difference
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.gan import BeatGan, TeacherOptions
from beatgan_train.training.loop import Progress, fit
from beatgan_train.training.model_file import provenance, write


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training finds its data and leaves its results."""

    data: Path
    out: Path
    run: Path  # checkpoints, history and pictures
    resume: bool
    annotator: str = ANNOTATOR  # the suffix of the data's annotations

    def prepare(self) -> None:
        """Make the folders now, not after an hour's training; UsageError where one cannot be."""
        for folder in (self.out.parent, self.run):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"{folder}: {error.strerror}") from error
            if not os.access(folder, os.W_OK):
                raise UsageError(f"{folder}: nothing can be written there")


def make_teacher(
    place: Place,
    options: TeacherOptions,
    mode: Mode,
    protocol: Protocol,
    fold: int,
    device: torch.device,
    terminal: Terminal,
) -> Artifact:
    """Train a teacher, write it to ``place.out`` and draw how it went; returns it.

    Raises RecordError on unreadable data, UsageError on options that do not fit.
    """
    place.prepare()
    loaded = load_beats(
        place.data, mode, protocol, coefficients_of(mode), terminal.bars, place.annotator
    )
    stuff, spec = material(loaded, mode, protocol, fold), spec_of(mode)
    windows = stuff.train.window, stuff.held_out.window
    trainee = BeatGan(options, *windows, spec.scored, amplitude(spec), device)
    told = {**asdict(options), "mode": mode, "protocol": protocol, "fold": fold}
    batch, seed = options.batch, options.seed
    progress = fit(trainee, options.epochs, batch, seed, place.run, told, place.resume, terminal)
    artifact = _finish(trainee, progress, stuff, told)
    write(artifact, place.out)
    draw_history(progress.history, progress.best_epoch, place.run / "losses.png")
    draw_examples(artifact.network, stuff.held_out.window, spec, place.run / "examples.png")
    return artifact


def _finish(
    trainee: BeatGan, progress: Progress, stuff: Material, told: dict[str, Any]
) -> Artifact:
    """The best epoch's generator, calibrated on beats that it was not fitted to."""
    generator, spec = trainee.generator, spec_of(stuff.source.mode)
    generator.load_state_dict(progress.best)
    generator.cpu().eval()
    calibration = replace(
        calibrate(components(generator, stuff.held_out, spec), stuff.source.mode),
        usual=usual_difference(stuff.held_out, spec),
    )
    best = progress.history[progress.best_epoch - 1]
    origin = provenance(stuff.source, told, best=best)
    return build(
        "teacher", spec, generator, calibration, coefficients_of(stuff.source.mode), origin
    )
