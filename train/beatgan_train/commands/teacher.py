"""From recordings to a teacher's model file: load, train, calibrate, export, draw."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from beatgan.ec57.annotations import ANNOTATOR
from beatgan.errors import UsageError
from beatgan.model.artifact import Artifact, build
from beatgan.model.networks import Networks
from beatgan.model.torch_modules.conversion import network_of
from beatgan_train.data.patients import BY_PLACE, PatientRule
from beatgan_train.data.source import Mode, Protocol, spec_of
from beatgan_train.data.training_set import TrainingSet, amplitude, load_beats, make_training_set
from beatgan_train.progress import TerminalProgress
from beatgan_train.report.training_plots import draw_examples, draw_history
from beatgan_train.training.calibrate import calibrate, components, normal_sq_diff
from beatgan_train.training.coefficients import coefficients_of
from beatgan_train.training.distributed import on_first, rank, shared
from beatgan_train.training.gan import BeatGan, TeacherOptions
from beatgan_train.training.loop import Checkpoint, fit
from beatgan_train.training.model_file import provenance, write


@dataclass(frozen=True, slots=True)
class TrainingPaths:
    """Where a training finds its data and leaves its results."""

    data: Path
    out: Path
    run: Path  # checkpoints, history and pictures
    resume: bool
    annotator: str = ANNOTATOR  # the suffix of the data's annotations
    patients: PatientRule = BY_PLACE  # whose each of one's own recordings is
    test_fold: int | None = None  # the fifth of those patients that nothing is learnt from

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
    paths: TrainingPaths,
    options: TeacherOptions,
    mode: Mode,
    protocol: Protocol,
    fold: int,
    device: torch.device,
    terminal: TerminalProgress,
) -> Artifact:
    """Train a teacher, write it to ``paths.out`` and draw how it went; returns it.

    Raises RecordError on unreadable data, UsageError on options that do not fit.
    """
    on_first(paths.prepare)
    loaded = load_beats(
        paths.data,
        mode,
        protocol,
        coefficients_of(mode),
        terminal.bars,
        paths.annotator,
        paths.patients,
        paths.test_fold,
        shared,
    )
    training_set, spec = make_training_set(loaded, mode, protocol, fold), spec_of(mode)
    windows = training_set.train.window, training_set.held_out.window
    task = BeatGan(options, *windows, spec.scored, amplitude(spec), device)
    recorded = {**asdict(options), "mode": mode, "protocol": protocol, "fold": fold}
    if paths.test_fold is not None:
        recorded["test_fold"] = paths.test_fold
    if paths.patients != BY_PLACE:
        recorded["patients"] = paths.patients.words
    batch, seed = options.batch, options.seed
    checkpoint = fit(task, options.epochs, batch, seed, paths.run, recorded, paths.resume, terminal)
    artifact = _finish(task, checkpoint, training_set, recorded)
    if rank() == 0:
        write(artifact, paths.out)
        draw_history(checkpoint.history, checkpoint.best_epoch, paths.run / "losses.png")
        examples = paths.run / "examples.png"
        draw_examples(artifact.networks.beat, training_set.held_out, spec, examples)
    return artifact


def _finish(
    task: BeatGan, checkpoint: Checkpoint, training_set: TrainingSet, recorded: dict[str, Any]
) -> Artifact:
    """The best epoch's generator, calibrated on beats that it was not fitted to."""
    generator, spec = task.generator, spec_of(training_set.source.mode)
    generator.load_state_dict(checkpoint.best)
    network = network_of(generator.eval())
    calibration = replace(
        calibrate(components(network, training_set.held_out, spec), training_set.source.mode),
        normal_sq_diff=normal_sq_diff(training_set.held_out, spec),
    )
    best = checkpoint.history[checkpoint.best_epoch - 1]
    origin = provenance(training_set.source, recorded, best=best)
    return build(
        "teacher",
        spec,
        Networks(network),
        calibration,
        coefficients_of(training_set.source.mode),
        origin,
    )
