"""What the command line offers of a training's options: stated once, at the field."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """Annotates a field that is a flag of the command: its help, and the values it may have.

    One that is ``retired`` still works, but is not shown.
    """

    help: str = ""
    min: float | None = None
    max: float | None = None
    retired: bool = False
