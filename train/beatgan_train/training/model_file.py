"""Finished networks on disk: a model file, written whole, that says what it was made of.

Files of format 2 had no alarm coefficients; `convert` gives them some.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError, BeatganError
from beatgan.model.artifact import (
    Artifact,
    build,
    leaf_digests,
    load,
    network_of,
    read_sections,
    save,
    self_test,
    short_digest,
    table_of,
)
from beatgan.model.calibration import Calibration
from beatgan.model.self_test import SelfTest
from beatgan.spec import PreprocessSpec
from beatgan_train.atomic_write import atomic_write
from beatgan_train.data.source import Source

FORMER_KEYS = {  # of format 2, by part; those of the spec are known to `PreprocessSpec`
    "calibration": {"usual": "normal_sq_diff"},
    "self_test": {"peaks": "r_peaks"},
}
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


def read(path: Path) -> Artifact:
    """The model file at ``path``; ArtifactError, naming it, if it is none or cannot be opened."""
    try:
        with path.open("rb") as file:
            return load(file, str(path))
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error


def convert(path: Path, coefficients: AlarmCoefficients) -> Artifact:
    """The model file of format 2 at ``path`` as one of this format, with alarm ``coefficients``.

    Its provenance says what it was. Raises ArtifactError, naming the file, where it is none, where
    the coefficients do not fit it, or where it does not give the scores it was written with.
    """
    try:
        with path.open("rb") as file:
            sections = read_sections(file, 2)
        origin = {"format": 2, "digest": short_digest(leaf_digests(sections))}
        converted = build(
            sections["kind"],
            PreprocessSpec.from_dict(sections["spec"]),
            network_of(sections["network"]).eval(),
            Calibration.from_dict(_renamed(sections, "calibration")),
            coefficients,
            sections["provenance"] | {"converted_from": origin},
        )
        recorded = _renamed(sections, "self_test") | {"alerts": None}  # none were recorded
        self_test(replace(converted, test=SelfTest.from_dict(recorded)))
        return converted
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error
    except BeatganError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _renamed(sections: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A part of a file of format 2, with today's keys."""
    former = FORMER_KEYS[part]
    return {former.get(key, key): value for key, value in table_of(sections, part).items()}


def with_coefficients(path: Path, coefficients: AlarmCoefficients) -> Artifact:
    """The model file at ``path`` with other alarm ``coefficients``, and its self-test made anew.

    Its provenance says what it was. Raises ArtifactError where it is none or they do not fit it.
    """
    old = read(path)
    origin = old.provenance | {"other_coefficients": {"digest": old.digest}}
    return build(old.kind, old.spec, old.network, old.calibration, coefficients, origin)
