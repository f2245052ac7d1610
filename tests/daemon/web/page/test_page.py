"""The page in a real browser, before a ward that is made up (`fake_server`)."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.page_tools import node_modules

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

MARKUP = "<img src=x onerror=document.title='struck'>"


def until(page: Any, condition: str, within_s: float = 10.0) -> None:
    """Wait for a condition. Playwright's own wait evaluates a string: the page's CSP forbids it."""
    limit = time.monotonic() + within_s
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < limit, condition
        page.wait_for_timeout(50)


def tile(page: Any, stream: str) -> Any:
    return page.locator(f'.tile[data-stream="{stream}"]')


def test_tiles_in_natural_order_with_rates(open_page: Any) -> None:
    page = open_page()
    until(page, "document.querySelectorAll('.tile').length === 16")
    names = page.locator(".tile-name").all_inner_texts()
    assert names == [f"bed-{k}" for k in range(1, 17)]
    until(page, "document.querySelector('[data-stream=bed-1] .tile-rate').textContent === '60'")
    assert tile(page, "bed-6").locator(".tile-rate").inner_text() == "75?"  # a poor signal
    assert tile(page, "bed-5").locator(".tile-rate").inner_text() == "--"  # none at all
    assert "12 s" in tile(page, "bed-5").inner_text()
    assert "mm/s" in tile(page, "bed-1").inner_text()
    assert page.get_by_text("not a medical device").is_visible()


def test_worst_first_and_search(open_page: Any) -> None:
    page = open_page()
    page.get_by_label("Order").select_option("worst")
    until(page, "document.querySelector('.tile')?.dataset.stream === 'bed-2'")
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("bed-1")
    until(page, "document.querySelectorAll('.tile').length === 8")


def test_an_alarm_has_colour_sign_and_word(open_page: Any) -> None:
    page = open_page(reduced_motion="reduce")
    page.wait_for_selector("#banner.high")
    banner = page.locator("#banner")
    assert "*** HIGH · bed-2 · ventricular tachycardia" in banner.inner_text()
    assert banner.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(208, 31, 45)"
    assert banner.evaluate("e => getComputedStyle(e).animationName") == "none"
    assert "*** HIGH" in tile(page, "bed-2").inner_text()
    assert "** MEDIUM" in tile(page, "bed-6").inner_text()
    assert "seen by maria" in tile(page, "bed-10").inner_text()


def test_flashes_twice_a_second_at_most(open_page: Any) -> None:
    page = open_page()
    page.wait_for_selector("#banner.high.flash")
    duration = page.locator("#banner").evaluate("e => getComputedStyle(e).animationDuration")
    assert float(duration.removesuffix("s")) >= 0.5


def test_acknowledge_with_a_name(open_page: Any) -> None:
    page = open_page()
    other = open_page()
    page.locator("#banner .acknowledge").click()
    page.get_by_label("Your name").fill("joan")
    page.locator("dialog button.strong").click()
    for each in (page, other):
        until(
            each,
            "document.querySelector('[data-stream=bed-2] .tile-alarm')"
            ".textContent.includes('seen by joan')",
        )
        assert "bed-2" not in each.locator("#banner-text").inner_text()  # the next one is shown


@pytest.mark.parametrize("end", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_that_is_frozen_or_gone_never_looks_alive(
    open_page: Any, server: Any, end: signal.Signals
) -> None:
    page = open_page()
    until(page, "document.querySelector('.tile-rate')?.textContent === '60'")
    began = page.evaluate(
        """() => {
            const shown = () => { window.shownAt ??= performance.now(); };
            const fault = document.getElementById('fault');
            new MutationObserver(shown).observe(fault, { attributes: true });
            return performance.now();
        }"""
    )
    os.kill(server.process.pid, end)
    page.wait_for_selector("#fault:not([hidden])", timeout=15_000)
    assert page.evaluate("shownAt") - began < 3_500
    assert "NO CONNECTION since" in page.locator("#fault").inner_text()
    assert page.locator("body.fault").count() == 1
    frames = page.evaluate("document.documentElement.dataset.frames")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.dataset.frames") == frames  # nothing moves
    assert "no alarm" not in page.locator(".wall").inner_text().lower()
    if end is signal.SIGSTOP:
        os.kill(server.process.pid, signal.SIGCONT)
        page.wait_for_selector("#fault", state="hidden", timeout=15_000)
    else:
        server.faults.clear()  # that it cannot be reached


def test_a_hidden_tab_wants_nothing(open_page: Any, server: Any) -> None:
    page = open_page()
    page.wait_for_selector(".tile")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(300)
    assert page.request.get(server.address + "/test/wants").json()[-1] == []
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(300)
    assert page.request.get(server.address + "/test/wants").json()[-1] != []


LONGEST_BLANK = """canvas => {
    const ratio = devicePixelRatio, high = canvas.height - 38 * ratio;
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, high);
    let longest = 0, run = 0, hatched = 0;
    for (let at = 0; at < 2 * canvas.width; at++) {  // a gap may go on from the left
        const x = at % canvas.width;
        let trace = false, foot = false;
        for (let y = 0; y < high; y++)
            if (data.data[4 * (y * canvas.width + x) + 3] > 0)
                if (y < high - 14 * ratio) trace = true; else foot = true;
        run = trace ? 0 : run + 1;
        hatched += at < canvas.width && !trace && foot;
        longest = Math.max(longest, run);
    }
    return [longest / ratio, hatched / ratio];
}"""


def test_a_gap_is_drawn_as_none(open_page: Any) -> None:
    """Columns of the trace of a stream that loses 2 s in 10, without a line, but with a foot.

    They stand alone only while the erase bar is elsewhere.
    """
    page = open_page("/s/bed-3")
    trace = page.locator("canvas.trace").first
    end, blank, hatched = time.monotonic() + 30, 0.0, 0.0
    while not (180 < blank < 220 and hatched > 120) and time.monotonic() < end:
        page.wait_for_timeout(500)
        blank, hatched = trace.evaluate(LONGEST_BLANK)
    assert 180 < blank < 220  # 2 s at 25 mm/s are 189 px
    assert hatched > 120


def test_ventricular_beats_are_marked(open_page: Any) -> None:
    page = open_page("/s/bed-2")
    until(page, "document.querySelectorAll('tr.anomalous').length >= 1")
    rows = page.locator("tr.anomalous").all_inner_texts()
    assert all(row.startswith("V\t") for row in rows)
    assert page.locator(".big").inner_text() == "63"


def test_a_lead_called_markup_is_a_name(open_page: Any) -> None:
    page = open_page("/s/bed-4")
    page.wait_for_selector(".lead")
    page.wait_for_timeout(500)
    assert page.locator(".lead-name").all_inner_texts() == ["II", MARKUP]
    assert page.locator("img").count() == 0
    assert "struck" not in page.title()


def test_one_alarm_has_strip_reasons_and_scale(open_page: Any) -> None:
    page = open_page("/alarms/a2")
    page.wait_for_selector(".paper")
    assert page.locator(".paper").count() == 3
    box = page.locator(".paper").first.bounding_box()
    assert box["width"] == pytest.approx(250 * 96 / 25.4, abs=1)  # 10 s are 250 mm
    assert page.locator(".compare").is_visible()
    text = page.locator("main").inner_text()
    assert "2.9 s until the condition was there, 62 ms until it was told" in text
    assert "nobody has" in text


def test_alarms_are_listed_and_filtered(open_page: Any) -> None:
    page = open_page("/alarms")
    until(page, "document.querySelectorAll('tbody tr').length === 4")
    page.get_by_label("Priority").select_option("high")
    until(page, "document.querySelectorAll('tbody tr').length === 1")
    page.locator("tbody a").last.click()
    page.wait_for_selector(".paper")
    assert page.url.endswith("/alarms/a2")


def test_sound_is_off_until_a_click_and_a_pause_counts_down(open_page: Any, server: Any) -> None:
    page = open_page()
    assert page.locator("#sound").inner_text() == "SOUND OFF"
    page.locator("#sound").click()
    until(page, "document.querySelector('#sound').textContent === 'Sound on'")
    page.locator(
        "#banner .acknowledge"
    ).click()  # with no high one left, a pause is of the medium ones
    page.get_by_label("Your name").fill("joan")
    page.locator("dialog button.strong").click()
    page.wait_for_selector("#banner.medium")
    page.wait_for_timeout(300)
    page.keyboard.press("p")
    until(page, "/SOUND PAUSED 1:5/.test(document.querySelector('#sound').textContent)")
    page.request.post(
        server.address + "/test/alarm",
        data={"stream": "bed-1", "code": "rhythm.asystole", "priority": "high", "text": "asystole"},
    )
    until(page, "document.querySelector('#sound').textContent === 'Sound on'")


@pytest.mark.parametrize("path", ["/", "/s/bed-2", "/alarms", "/alarms/a2", "/health"])
def test_a_phone_scrolls_down_alone(open_page: Any, path: str) -> None:
    page = open_page(path, viewport={"width": 390, "height": 844}, device_scale_factor=3)
    page.wait_for_timeout(1000)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("path", ["/", "/s/bed-2", "/alarms", "/alarms/a2", "/health"])
def test_axe_finds_nothing(open_page: Any, path: str, scheme: str) -> None:
    axe = node_modules() / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("no axe-core: npm install axe-core in a folder that NODE_MODULES names")
    page = open_page(path, bypass_csp=True, color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_timeout(1500)
    page.add_script_tag(content=axe.read_text())
    found = page.evaluate(
        "axe.run().then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
    )
    assert found == []


def test_keys_move_between_tiles(open_page: Any) -> None:
    page = open_page()
    page.wait_for_selector(".tile")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".leads")
    assert page.url.endswith("/s/bed-2")
    page.keyboard.press("f")
    assert "FROZEN" in page.locator("main").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector(".wall")


def test_the_page_is_small(tmp_path: Path) -> None:
    folder = Path(__file__).parents[4] / "daemon" / "beatgan_daemon" / "web" / "page"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 200_000
