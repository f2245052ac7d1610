"""Finished networks on disk: a model file, written whole, that says what it was made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from beatgan.errors import ArtifactError
from beatgan.model.artifact import Artifact, load, save
from beatgan_train.atomic_write import whole
from beatgan_train.data.beat_set import Protocol
from beatgan_train.training.calibrate import Mode

PACKAGES = ("beatgan", "numpy", "scipy", "torch", "wfdb")


@dataclass(frozen=True, slots=True)
class Source:
    """What a network was made of. ``records`` are all that it was fitted to or chosen by."""

    protocol: Protocol
    fold: int
    mode: Mode
    records: tuple[str, ...]
    held_out: tuple[str, ...]  # those of them that it was not fitted to, only chosen by
    beats: int  # normal beats fitted to
    split_seed: int = 0  # of the division into folds: the same for all, so that folds agree
    database: str = "MIT-BIH Arrhythmia Database"


def provenance(source: Source, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What goes into the model file: data, options, package versions, and ``more``."""
    packages = {name: version(name) for name in PACKAGES}
    return {**asdict(source), "options": dict(options), "packages": packages, **more}


def write(artifact: Artifact, path: Path) -> None:
    """Put ``artifact`` at ``path``: whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished, unfinished.open("wb") as file:
        save(file, artifact)


def read(path: Path) -> Artifact:
    """The model file at ``path``; ArtifactError, naming it, if it is none or cannot be opened."""
    try:
        with path.open("rb") as file:
            return load(file, str(path))
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error
