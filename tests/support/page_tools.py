"""A browser, and the tools from npm, for tests of the page: without, they are skipped."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@contextmanager
def browser_running() -> Iterator[Any]:
    """Debian's Chromium by Playwright. While it runs, its event loop runs in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright (pip)")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            chromium_sandbox=os.geteuid() != 0,  # root gets none
            args=ARGUMENTS,
        )
        yield browser
        browser.close()


def node_modules() -> Path:
    """The folder that ``NODE_MODULES`` names, else the one of this checkout."""
    return Path(os.environ.get("NODE_MODULES", Path(__file__).parents[2] / "node_modules"))
