"""From a model file to a model that has proved itself on its device. Opens no file."""

from dataclasses import dataclass
from typing import IO

from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError
from beatgan.model.artifact import load, self_test
from beatgan.model.scorer import Scorer
from beatgan.spec import PreprocessSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """What scoring needs of a model file: the scorer has proved itself on ``device``."""

    kind: str
    digest: str
    spec: PreprocessSpec
    coefficients: AlarmCoefficients
    scorer: Scorer
    device: str


def load_proven(file: IO[bytes], name: str, device: str) -> Loaded:
    """The model in ``file`` on ``device``, which is as `resolve_device` gives it.

    Raises ArtifactError, beginning with ``name``, where it is no model or does not reproduce its
    own scores on this device.
    """
    artifact = load(file, name)
    try:
        scorer = self_test(artifact, device)
    except ArtifactError as error:
        raise ArtifactError(f"{name}: on {device}: {error}") from None
    return Loaded(
        kind=artifact.kind,
        digest=artifact.digest,
        spec=artifact.spec,
        coefficients=artifact.coefficients,
        scorer=scorer,
        device=device,
    )
