"""Model files with another content than they were written with."""

import io
from collections.abc import Sequence
from typing import Any

import torch

from beatgan.model import torch_file
from beatgan.model.artifact import leaf_digests


def dumped(content: dict[str, Any]) -> bytes:
    """``content``, which has tensors, as torch stores it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def forged(content: dict[str, Any], parts: Sequence[str]) -> bytes:
    """The same, with digests of its ``parts`` that fit."""
    plain = torch_file.read(io.BytesIO(dumped(content)))
    digests = leaf_digests({part: plain[part] for part in parts})
    return dumped({**content, "digests": digests})
