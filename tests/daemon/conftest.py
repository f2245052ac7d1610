"""The log and the signals of the daemon's tests."""

import io
import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from beatgan_daemon import log


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """The command `run` leaves them ignored: its process ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged since the test began, at every level."""
    out = io.StringIO()
    log.configure("debug", "json", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    structlog.reset_defaults()
