"""Finished networks on disk: a model file, written whole, that says what it was made of.

Files of other releases are brought to this one by `convert`.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError, BeatganError
from beatgan.model.artifact import (
    FORMAT,
    VERSION,
    Artifact,
    assemble,
    build,
    format_of,
    leaf_digests,
    load,
    read_sections,
    sections_of,
    short_digest,
    table_of,
)
from beatgan.model.calibration import Calibration
from beatgan.model.model import Model
from beatgan.model.networks import Networks
from beatgan.model.self_test import SelfTest
from beatgan.spec import PreprocessSpec
from beatgan_train.atomic_write import atomic_write
from beatgan_train.data.source import Mode, Source
from beatgan_train.training.coefficients import coefficients_of, completed

FORMER = (2, 3, 4)  # the formats that are still converted
FORMER_KEYS = {  # keys of format 2, by part; those of the spec are known to `PreprocessSpec`
    "calibration": {"usual": "normal_sq_diff"},
    "self_test": {"peaks": "r_peaks"},
}
FOUND_AGAIN = 0.5  # of the self-test's beats: what another release must score alike
PACKAGES = ("beatgan", "numpy", "scipy", "torch", "wfdb")


def provenance(source: Source, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What goes into the model file: data, options, package versions, and ``more``."""
    packages = {name: version(name) for name in PACKAGES}
    return {**asdict(source), "options": dict(options), "packages": packages, **more}


def write(artifact: Artifact, path: Path) -> None:
    """Put ``artifact`` at ``path``: whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        save(file, artifact)


def save(file: IO[bytes], artifact: Artifact) -> None:
    """Write ``artifact``: one plain dictionary, with tensors, in torch's own container."""
    sections = sections_of(artifact)
    digests = leaf_digests(sections)
    content = {"format": FORMAT, "version": VERSION, **_to_store(sections), "digests": digests}
    torch.save(content, file)


def _to_store(value: Any) -> Any:
    """Plain values with equal texts as one object each, and arrays as tensors.

    Pickle writes a text anew that is another object, so one model had several files.
    """
    if type(value) is dict:
        return {_to_store(name): _to_store(each) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_to_store(each) for each in value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return sys.intern(value) if type(value) is str else value


def read(path: Path) -> Artifact:
    """The model file at ``path``; ArtifactError, naming it, if it is none or cannot be opened."""
    try:
        with path.open("rb") as file:
            return load(file, str(path))
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error


def convert(path: Path, coefficients: AlarmCoefficients | None = None) -> Artifact:
    """The model file at ``path``, of any release, as this one writes it, its self-test made anew.

    ``coefficients``: other ones than its own for the alarms. Its provenance says what it was.
    Raises ArtifactError, naming the file, where it is none, where the coefficients do not fit it,
    or where too few beats of its self-test have the scores it was written with.
    """
    try:
        old, version = _read_any(path)
        model = Model(old.spec, old.networks, old.calibration)
        again = old.test.beats_found_again(old.spec, old.coefficients, model)
        if again < FOUND_AGAIN:
            raise ArtifactError(
                f"self-test: {again:.0%} of its beats have the R peak and the score that were "
                f"written, expected {FOUND_AGAIN:.0%}"
            )
        origin = {"converted_from": {"format": version, "digest": old.digest}}
        return build(
            old.kind,
            old.spec,
            old.networks,
            old.calibration,
            coefficients or old.coefficients,
            old.provenance | origin,
        )
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error
    except BeatganError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _read_any(path: Path) -> tuple[Artifact, int]:
    """The model file at ``path``, with its format."""
    with path.open("rb") as file:
        version = format_of(file)
        sections = read_sections(file, version if version in FORMER else VERSION)
    return _of_this_format(sections, version), version


def _of_this_format(sections: dict[str, Any], version: int) -> Artifact:
    """What a file of any format holds.

    Groups of coefficients that it lacks, all in format 2, are those that ship.
    """
    mode: Mode = "beat" if table_of(sections, "provenance").get("mode") == "beat" else "full"
    spec = PreprocessSpec.from_dict(table_of(sections, "spec"))
    if version == 2:
        coefficients = coefficients_of(mode)
    else:
        coefficients = completed(table_of(sections, "coefficients"), spec, mode)
    digest = short_digest(leaf_digests(sections))
    if version >= 4:
        whole = {**sections, "coefficients": coefficients.to_dict()}
        return replace(assemble(whole), digest=digest)
    test = table_of(sections, "self_test")
    if version == 2:  # recorded no alerts
        test = _renamed(sections, "self_test") | {"alerts": None}
    return Artifact(
        sections["kind"],
        spec,
        Networks.of({"beat": table_of(sections, "network")}),
        Calibration.from_dict(_renamed(sections, "calibration")),
        coefficients,
        table_of(sections, "provenance"),
        SelfTest.from_dict(test),
        digest,
    )


def _renamed(sections: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A part of a file of format 2, with today's keys."""
    former = FORMER_KEYS[part]
    return {former.get(key, key): value for key, value in table_of(sections, part).items()}
