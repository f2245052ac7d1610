"""A real mosquitto, where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.robustness.bridges.mosquitto import PROGRAM, Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """It runs; a test may kill it and start it again."""
    if PROGRAM is None:
        pytest.skip("no mosquitto")
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.kill()
