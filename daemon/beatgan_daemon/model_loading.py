"""The model file that the settings name, on the device that they name. Knows no stream."""

from collections.abc import Callable
from pathlib import Path

from beatgan.errors import ArtifactError, UsageError
from beatgan.model.device import resolve_device
from beatgan.model.loading import Loaded, load_proven
from beatgan_daemon import log
from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.regular_file import open_regular


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
            return load_proven(file, str(path), place)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot open the model: {error.strerror}") from None
