"""From a model file to a model that has proved itself on its device. Knows nothing of streams."""

from dataclasses import dataclass
from pathlib import Path

import torch

from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError
from beatgan.model.artifact import load, self_test
from beatgan.model.scorer import Scorer
from beatgan.spec import PreprocessSpec
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a daemon needs of a model file: the scorer has proved itself on ``device``."""

    kind: str
    digest: str
    spec: PreprocessSpec
    coefficients: AlarmCoefficients
    scorer: Scorer
    device: str


def load_model(path: Path, device: str) -> Loaded:
    """The model in ``path`` on ``device`` (``auto``, ``cpu``, ``cuda`` or ``cuda:N``).

    Raises ArtifactError, naming the file, where it is missing, is no model or does not reproduce
    its own scores here, and StartError where there is no such device.
    """
    # Batches are small: a second thread costs more in waiting than it brings in arithmetic.
    torch.set_num_threads(1)
    place = resolve_device(device)
    try:
        with open_regular(path) as file:
            artifact = load(file, str(path))
    except OSError as error:
        raise ArtifactError(f"{path}: cannot open the model: {error.strerror}") from None
    try:
        scorer = self_test(artifact, place)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: on {place}: {error}") from None
    return Loaded(
        kind=artifact.kind,
        digest=artifact.digest,
        spec=artifact.spec,
        coefficients=artifact.coefficients,
        scorer=scorer,
        device=str(place),
    )


def resolve_device(name: str) -> torch.device:
    """The device that ``name`` stands for on this machine."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(name, device.index or 0)
    return device


def _check_cuda(name: str, index: int) -> None:
    if not torch.cuda.is_available():
        why = "is built without CUDA" if torch.version.cuda is None else "finds no usable GPU"
        raise StartError(f"model.device = {name!r}: torch {torch.__version__} {why}; use cpu")
    if index >= (count := torch.cuda.device_count()):
        raise StartError(f"model.device = {name!r}: this machine has {count} GPU(s), from cuda:0")
