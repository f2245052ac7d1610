"""The model file: networks, preprocessing spec, calibration, provenance and a self-test in one.

Works on open binary files; knows no path (a name is passed in for its messages) and no daemon.
Every leaf of the file has a SHA-256 digest, so that an altered one is named. The digests catch
accidents and careless edits; they are no signature. The self-test catches what they cannot: a
file whose parts are intact but do not give, on this machine and by this version of the code, the
scores and alerts they gave when it was written.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Literal

import numpy as np

from beatgan.alarms.irregularity import Irregularity
from beatgan.alarms.ventricular_classifier import VentricularClassifier
from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError, BeatganError
from beatgan.model import features, torch_file
from beatgan.model.architectures import LABEL_FREE_LIMIT, LIMIT
from beatgan.model.calibration import LABELLED, Calibration
from beatgan.model.model import Model
from beatgan.model.networks import Networks
from beatgan.model.self_test import SelfTest
from beatgan.spec import PreprocessSpec

FORMAT = "beatgan-model"
VERSION = 5
ROLES: Mapping[str, tuple[str, ...]] = {  # which architecture can be which of `Networks`
    "beat": ("Generator", "Student", "ContextAutoencoder"),
    "rhythm": ("RhythmDensity",),
    "classes": ("BeatClassifier",),
}
PARTS = ("calibration", "coefficients", "provenance", "self_test")
SECTIONS = {  # by format version
    2: ("kind", "spec", "network", "calibration", "provenance", "self_test"),
    3: ("kind", "spec", "network", *PARTS),
    4: ("kind", "spec", "networks", *PARTS),
    5: ("kind", "spec", "networks", *PARTS),  # with more groups of coefficients
}


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """All that a model file holds; ``digest`` is short and names the whole content."""

    kind: Literal["student", "teacher"]
    spec: PreprocessSpec
    networks: Networks
    calibration: Calibration
    coefficients: AlarmCoefficients
    provenance: dict[str, Any]
    test: SelfTest
    digest: str


def build(
    kind: Literal["student", "teacher"],
    spec: PreprocessSpec,
    networks: Networks,
    calibration: Calibration,
    coefficients: AlarmCoefficients,
    provenance: Mapping[str, Any],
) -> Artifact:
    """Put the parts together and record the self-test, on the CPU.

    ``provenance`` may hold only what JSON can. Raises ArtifactError if the parts do not fit.
    """
    _check(kind, spec, networks, calibration, coefficients)
    test = SelfTest.record(spec, coefficients, Model(spec, networks, calibration))
    if not test.r_peaks:
        raise ArtifactError("the front end finds no beat in the self-test's ECG")
    plain = json.loads(json.dumps(dict(provenance)))
    unnamed = Artifact(kind, spec, networks, calibration, coefficients, plain, test, digest="")
    return replace(unnamed, digest=short_digest(leaf_digests(sections_of(unnamed))))


def load(file: IO[bytes], name: str) -> Artifact:
    """Read a model file, without torch and running no code from it.

    Raises ArtifactError, beginning with ``name``, if it is not a model file, is of another format
    version, lacks a part, or if a part is not what was written; the text says which.
    """
    try:
        return assemble(read_sections(file, VERSION))
    except BeatganError as error:
        raise ArtifactError(f"{name}: {error}") from None


def read_sections(file: IO[bytes], version: int) -> dict[str, Any]:
    """The parts of a model file of format ``version``, each of them what was written.

    Raises ArtifactError if it is none; the text says why.
    """
    content = _content(file)
    if (found := content.get("version")) == version:
        return _verified(content, SECTIONS[version])
    text = f"format version {found}; this beatgan reads version {version}"
    if found in SECTIONS:
        text += ": beatgan-train convert OLD.pt --out NEW.pt"
    raise ArtifactError(text)


def format_of(file: IO[bytes]) -> Any:
    """The format version that a model file says it has; raises ArtifactError if it is none."""
    version = _content(file).get("version")
    file.seek(0)
    return version


def self_test(artifact: Artifact, device: str = "cpu") -> Model:
    """The artifact's model on ``device``, once its test ECG gave what it gave when written.

    Raises ArtifactError naming the first R peak, score and alert that differ.
    """
    model = Model(artifact.spec, artifact.networks, artifact.calibration, device)
    try:
        differences = artifact.test.differences(artifact.spec, artifact.coefficients, model)
    except (BeatganError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"self-test: {error}") from error
    if differences:
        raise ArtifactError(f"self-test: {'; '.join(differences)}")
    return model


def without_labels(artifact: Artifact) -> Artifact:
    """The part of a model that learnt from normal beats alone; with the whole model's threshold.

    It is no model file: its digest and its self-test are the whole model's.
    """
    calibration = artifact.calibration
    if LABELLED not in calibration.weight:
        return artifact

    def others(table: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in table.items() if name != LABELLED}

    return replace(
        artifact,
        networks=replace(artifact.networks, classes=None),
        calibration=replace(
            calibration,
            location=others(calibration.location),
            spread=others(calibration.spread),
            weight=others(calibration.weight),
            cap=others(calibration.cap),
        ),
    )


def _check(
    kind: str,
    spec: PreprocessSpec,
    networks: Networks,
    calibration: Calibration,
    coefficients: AlarmCoefficients,
) -> None:
    """Raise ArtifactError unless the parts fit together."""
    if kind not in ("student", "teacher"):
        raise ArtifactError(f"kind: expected student or teacher, got {kind!r}")
    for role, network in networks.present().items():
        if network.architecture not in ROLES[role]:
            raise ArtifactError(f"networks: a {network.architecture} cannot be stored as {role}")
    _check_weights(networks)
    if networks.beat.length != spec.length:
        raise ArtifactError(
            f"networks: takes {networks.beat.length} samples where the spec's window has "
            f"{spec.length}"
        )
    if networks.classes is not None and not features.fits(spec):
        raise ArtifactError("networks: the spec's windows are too short to tell classes by")
    if kind == "student":
        check_size(networks)
    _check_components(networks, calibration)
    if (count := len(calibration.normal_sq_diff)) not in (0, spec.length):
        raise ArtifactError(
            f"calibration: normal_sq_diff has {count} samples where the spec's window has "
            f"{spec.length}"
        )
    coefficients.check_fits(spec)
    VentricularClassifier(spec, coefficients.ventricular_run)
    Irregularity(spec, coefficients.atrial_fibrillation)


def _check_weights(networks: Networks) -> None:
    """Raise ArtifactError where a layer has no weights or one that is no finite number.

    The self-test cannot tell: the score's bounds make finite scores of such weights, too.
    """
    for role, network in networks.present().items():
        for name, weights in network.state.items():
            if not weights.size:
                raise ArtifactError(f"networks.{role}.state.{name}: is empty")
            if not np.isfinite(weights).all():
                raise ArtifactError(f"networks.{role}.state.{name}: a weight is not finite")


def check_size(networks: Networks) -> None:
    """Raise ArtifactError where a student is larger than promised."""
    for name, count, limit in (
        ("that learn without labels", networks.label_free, LABEL_FREE_LIMIT),
        ("in all", networks.parameters, LIMIT),
    ):
        if count > limit:
            raise ArtifactError(
                f"networks: a student has at most {limit:,} parameters {name}, this one {count:,}"
            )


def _check_components(networks: Networks, calibration: Calibration) -> None:
    """Raise ArtifactError where a component is weighted that no network gives."""
    for name, network in (("rr_surprisal", networks.rhythm), (LABELLED, networks.classes)):
        if name in calibration.weight and network is None:
            raise ArtifactError(f"calibration: weighs {name}, which no network gives")
    if networks.classes is not None and LABELLED not in calibration.weight:
        raise ArtifactError(f"calibration: does not weigh {LABELLED}, which the classes give")


def sections_of(artifact: Artifact) -> dict[str, Any]:
    """The parts as plain values and arrays."""
    return {
        "kind": artifact.kind,
        "spec": artifact.spec.to_dict(),
        "networks": {
            name: network.table() for name, network in artifact.networks.present().items()
        },
        "calibration": artifact.calibration.to_dict(),
        "coefficients": artifact.coefficients.to_dict(),
        "provenance": artifact.provenance,
        "self_test": artifact.test.to_dict(),
    }


def _content(file: IO[bytes]) -> dict[str, Any]:
    """What is in the file, if it is one of ours."""
    content = torch_file.read(file)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ArtifactError(f"not a beatgan model: it lacks the mark {FORMAT!r}")
    return content


def _verified(content: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The sections, once every leaf is what was written."""
    if missing := [part for part in (*names, "digests") if part not in content]:
        raise ArtifactError(f"missing part(s): {', '.join(missing)}")
    sections = {part: content[part] for part in names}
    found, written = leaf_digests(sections), content["digests"]
    if not isinstance(written, dict):
        raise ArtifactError("digests: not a table")
    for key in sorted({*found, *written}, key=str):
        if key not in found:
            raise ArtifactError(f"{key}: missing")
        if found[key] != written.get(key):
            raise ArtifactError(f"{key}: not what was written (its digest differs)")
    return sections


def assemble(sections: dict[str, Any]) -> Artifact:
    """The artifact of verified sections."""
    spec = PreprocessSpec.from_dict(table_of(sections, "spec"))
    networks = Networks.of(table_of(sections, "networks"))
    calibration = Calibration.from_dict(table_of(sections, "calibration"))
    coefficients = AlarmCoefficients.from_dict(table_of(sections, "coefficients"))
    _check(sections["kind"], spec, networks, calibration, coefficients)
    return Artifact(
        kind=sections["kind"],
        spec=spec,
        networks=networks,
        calibration=calibration,
        coefficients=coefficients,
        provenance=table_of(sections, "provenance"),
        test=SelfTest.from_dict(table_of(sections, "self_test")),
        digest=short_digest(leaf_digests(sections)),
    )


def table_of(sections: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The part of that name, which must be a table; ArtifactError if it is none."""
    if not isinstance(table := sections[part], dict):
        raise ArtifactError(f"{part}: expected a table, got {type(table).__name__}")
    return table


def leaf_digests(sections: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each leaf, by its dotted path."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in _leaves(sections, "")}


def short_digest(digests: Mapping[str, str]) -> str:
    """One short name for all of it."""
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()[:12]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """Each leaf's path and its content as bytes that no two different leaves share."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, np.ndarray):
        yield path, f"torch.{value.dtype} {value.shape} ".encode() + value.tobytes()
    else:
        yield path, repr(value).encode()
