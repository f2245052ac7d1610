"""A browser, and a made-up ward for it to look at. Where there is no browser, tests are skipped."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.page_tools import browser_running

FAKE_SERVER = Path(__file__).with_name("fake_server.py")


@dataclass
class Server:
    """One that runs: its address and its process."""

    address: str
    process: subprocess.Popen[str]
    faults: list[str] = field(default_factory=list)


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    command = [sys.executable, str(FAKE_SERVER), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}", process)
        finally:
            process.kill()


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'beatgan[web]'")
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browser_running() as running:
        yield running


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Any]:
    """Opens an address in a tab; what the tab complains of, or asks elsewhere, fails the test."""
    contexts: list[Any] = []

    def open_one(path: str = "/", **options: Any) -> Any:
        options = {"viewport": {"width": 1400, "height": 900}, "color_scheme": "dark", **options}
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: server.faults.append(str(error)))
        page.on(
            "console",
            lambda said: (
                server.faults.append(said.text) if "Content Security" in said.text else None
            ),
        )
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith(server.address) else server.faults.append(asked.url)
            ),
        )
        page.goto(server.address + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not server.faults
