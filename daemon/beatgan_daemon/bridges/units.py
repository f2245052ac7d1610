"""Units of voltage by their names."""

from beatgan.records.recording import MILLIVOLT


def millivolt_of(unit: str) -> float | None:
    """How many mV are one ``unit``, such as `uV`, `microvolts`, `mV`; None: it is no voltage."""
    return MILLIVOLT.get(unit.strip().casefold().removesuffix("s"))
