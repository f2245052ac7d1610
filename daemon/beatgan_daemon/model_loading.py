"""From a model file to a model that has proved itself on its device. Knows nothing of streams."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from beatgan.coefficients import AlarmCoefficients
from beatgan.errors import ArtifactError, UsageError
from beatgan.model.artifact import load, self_test
from beatgan.model.device import resolve_device
from beatgan.model.scorer import Scorer
from beatgan.spec import PreprocessSpec
from beatgan_daemon import log
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


def _log_warning(text: str) -> None:
    log.get().warning("no GPU is used", why=text)


def load_model(path: Path, device: str, warn: Callable[[str], None] = _log_warning) -> Loaded:
    """The model in ``path`` on ``device`` (``auto``, ``cpu``, ``cuda`` or ``cuda:N``).

    ``warn`` is told why ``auto`` does not take a GPU that is there. Raises ArtifactError, naming
    the file, where it is missing, is no model or does not reproduce its own scores here, and
    StartError where there is no such device.
    """
    try:
        place = resolve_device(device, warn)
    except UsageError as error:
        raise StartError(f"model.{error}") from None
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
        device=place,
    )
