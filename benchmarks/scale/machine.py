"""On what machine a benchmark ran, and how busy it was: a figure says nothing without that."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def machine() -> str:
    """One line: when, how many cores of which kind, how many processes want them."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ", 1)[1] for line in info if line.startswith("model name")), "?")
    usable, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    now = datetime.now(UTC).isoformat(" ", "minutes").removesuffix("+00:00")
    python = f"Python {platform.python_version()}"
    return f"{now} UTC; {usable} cores ({model}), load {load:.1f}; {python}"
