"""The model that the library scores with: loaded once, as it has proved itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from warnings import warn

from beatgan.compilations import compilations
from beatgan.errors import ArtifactError
from beatgan.model.device import resolve_device
from beatgan.model.loading import Loaded, load_proven
from beatgan.model.shipped import SHIPPED


def load(model: str | Path | None = None, device: str = "auto") -> Loaded:
    """The model in the file ``model``, the shipped student where that is None.

    ``device``: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; a RuntimeWarning says why ``auto`` does
    not take a GPU that is there. Raises ArtifactError, naming the file, where it is missing, is no
    model or does not reproduce its own scores here; UsageError where there is no such device.
    """
    path = SHIPPED if model is None else Path(model)
    place = resolve_device(device, lambda text: warn(text, RuntimeWarning, stacklevel=4))
    try:
        return _load(path, place, path.stat().st_mtime_ns)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot open the model: {error.strerror}") from None


@contextmanager
def compiling_is_told() -> Iterator[None]:
    """What must be compiled in the block is told on stderr: it takes a minute, once."""
    told: list[str] = []

    def began(function: str) -> None:
        if not told:
            print(  # noqa: T201
                "beatgan: compiling for this machine, once, for a minute or so ...",
                file=sys.stderr,
                flush=True,
            )
        told.append(function)

    with compilations(began):
        yield


@lru_cache(maxsize=4)
def _load(path: Path, device: str, _changed_ns: int) -> Loaded:
    with compiling_is_told(), path.open("rb") as file:
        return load_proven(file, str(path), device)
