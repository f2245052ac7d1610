"""Secrets that systemd hands to a unit (systemd.exec(5), LoadCredential=)."""

import os
from collections.abc import Mapping
from pathlib import Path


def is_credential(path: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd holds ``path``, with permissions of its own, in $CREDENTIALS_DIRECTORY."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.resolve().is_relative_to(Path(folder).resolve())
