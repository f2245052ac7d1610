"""A strip for the page, with the beats that were heard in it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from beatgan.explain.strip import EcgStrip

Beat = dict[str, Any]  # as a beat message has it


class KeptStrip(NamedTuple):
    """The ECG round an alarm's onset; ``note``: what is missing of it, and why."""

    strip: EcgStrip
    beats: Sequence[Beat]
    note: str = ""
