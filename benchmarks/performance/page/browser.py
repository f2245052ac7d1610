"""A real browser on chosen cores, and what a page in it draws.

Needs Chromium on the path and Playwright. Drawing is in software, as where there is no GPU.
"""

import os
import shutil
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import msgspec
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from beatgan.errors import BeatganError, UsageError
from benchmarks.performance.load.processes import started

START_S = 30.0
CONNECT_S = 120.0  # others may keep its core from it for long
ARGUMENTS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
)
COUNTER = Path(__file__).with_name("drawn.js").read_text()
# What the page loaded, by the browser's own account.
LOADED = """() => {
  const parts = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return {
    bytes: parts.reduce((sum, part) => sum + part.transferSize, 0),
    first_paint_ms: paint ? paint.startTime : null,
  };
}"""


class Loaded(msgspec.Struct, frozen=True):
    """What a page took to open: bytes with headers, ms from asking for it to its first paint."""

    bytes: int
    first_paint_ms: float | None


class Drawn(msgspec.Struct, frozen=True):
    """What was drawn over a while: frames of each trace, and when (ms) there was one of any."""

    traces: list[int]
    moments: list[float]


@contextmanager
def chromium(on: AbstractSet[int], folder: Path) -> Iterator[tuple[int, Browser]]:
    """A browser, all its processes on these cores; the first one's number, and it to be asked.

    Raises UsageError where there is none.
    """
    program = shutil.which("chromium")
    if program is None:
        raise UsageError("no chromium on the path: apt-get install chromium")
    profile = folder / "profile"
    arguments = [*ARGUMENTS, f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # root gets none
    with started(arguments, on, folder / "chromium.log", program=program) as process:
        port = _port(process, profile / "DevToolsActivePort")
        with sync_playwright() as driver:
            browser = driver.chromium.connect_over_cdp(
                f"http://127.0.0.1:{port}", timeout=1000 * CONNECT_S
            )
            yield process.pid, browser
            browser.close()


def _port(process: Popen[str], file: Path) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.05)
    raise BeatganError("chromium did not start")


class OpenPage:
    """One tab, which counts what it draws."""

    def __init__(self, browser: Browser, width: int, height: int, tiles: int) -> None:
        """So many CSS pixels, so many tiles on the wall; nothing is opened yet."""
        context = browser.new_context(viewport={"width": width, "height": height})
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(COUNTER)
        self.page.add_init_script(f"localStorage.setItem('wall-size', '{tiles}')")
        self._session: CDPSession = context.new_cdp_session(self.page)
        self._session.send("Performance.enable")

    def open(self, address: str) -> None:
        """Go there."""
        self.page.goto(address)

    def loaded(self) -> Loaded:
        """What it took."""
        return msgspec.convert(self.page.evaluate(LOADED), Loaded, strict=False)

    def drawn(self) -> Drawn:
        """What was drawn since the last call."""
        return msgspec.convert(self.page.evaluate("drawnSince()"), Drawn, strict=False)

    def busy(self) -> dict[str, float]:
        """Seconds so far that the page's own thread spent on each kind of work."""
        found = self._session.send("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in found if each["name"].endswith("Duration")}

    def fault(self) -> str:
        """What the page says is wrong with its connection; empty where nothing is."""
        shown = self.page.locator("#fault:not([hidden])")
        return shown.inner_text() if shown.count() else ""
