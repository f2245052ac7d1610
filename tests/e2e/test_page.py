"""The page in a real browser: a real daemon, fed with bundled recordings, and its real server."""

import http.client
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from beatgan_daemon.clients.client import Client
from tests.support.deaf_tab import deaf_tab
from tests.support.page_tools import browser_running, node_modules
from tests.support.real_ward import MARKUP, RealWard, bed, real_ward, ward_of_16

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

VIEWS = ("/", "/s/bed-2", "/alarms", "one alarm", "/health")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWard]:
    pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'beatgan[web]'")
    folder = tmp_path_factory.mktemp("ward")
    with real_ward(folder, ward_of_16(), "--strips", str(folder / "strips")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browser_running() as running:
        yield running


@pytest.fixture
def faults() -> list[str]:
    """What pages complained of, or asked of anybody but the server; a test may expect some."""
    return []


@pytest.fixture
def open_page(browser: Any, ward: RealWard, faults: list[str]) -> Iterator[Callable[..., Any]]:
    """Opens a view, logged in by the token that was printed."""
    with ExitStack() as contexts:

        def open_one(path: str = "/", **options: Any) -> Any:
            options = {"viewport": {"width": 1440, "height": 900}, **options}
            context = browser.new_context(**{"color_scheme": "dark", **options})
            contexts.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda said: faults.extend([said.text] * (said.type == "error")))
            page.on(
                "request",
                lambda asked: faults.extend([asked.url] * (not asked.url.startswith(ward.origin))),
            )
            page.goto(ward.address)
            if path == "one alarm":
                path = f"/alarms/{an_alarm(ward)}"
            if path != "/":
                page.goto(ward.origin + path)
            return page

        yield open_one
    assert faults == []


def an_alarm(ward: RealWard) -> str:
    """The id of an alarm under way, of a high one if there is any."""
    client = Client(ward.control)
    end = monotonic() + 30
    found: list[Any] = []
    while not found:
        assert monotonic() < end, "there is no alarm"
        found = [json.loads(body) for body in client.active()[1]]
        sleep(0.2)
    client.close()
    high = [each for each in found if each["priority"] == "high"]
    return str((high or found)[0]["id"])


def alarm_of(ward: RealWard, stream: str, code: str) -> str:
    """The id of the alarm under way of that stream and code, as soon as there is one."""
    client, end = Client(ward.control), monotonic() + 60
    found: list[str] = []
    while not found:
        assert monotonic() < end, f"no {code} of {stream}"
        active = [json.loads(body) for body in client.active()[1]]
        found = [each["id"] for each in active if (each["stream"], each["code"]) == (stream, code)]
        sleep(0.2)
    client.close()
    return found[0]


def until(page: Any, condition: str, within_s: float = 20.0) -> None:
    """Playwright's own wait evaluates a string, which the page's CSP forbids."""
    end = monotonic() + within_s
    while not page.evaluate(f"Boolean({condition})"):
        assert monotonic() < end, condition
        page.wait_for_timeout(50)


def rate_of(page: Any, stream: str) -> str:
    return str(page.locator(f'[data-stream="{stream}"] .tile-rate').inner_text())


def columns(page: Any) -> list[tuple[bool, bool]]:
    """For each column of the first trace: whether there is ink above the foot, and in the foot."""
    found = page.locator("canvas.trace").first.evaluate(
        """canvas => {
            const ratio = devicePixelRatio, high = canvas.height - 38 * ratio;
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, high);
            return Array.from({length: canvas.width}, (_, x) => {
                let trace = false, foot = false;
                for (let y = 0; y < high; y++)
                    if (data[4 * (y * canvas.width + x) + 3] > 0)
                        if (y < high - 14 * ratio) trace = true; else foot = true;
                return [trace, foot];
            });
        }"""
    )
    return [(bool(trace), bool(foot)) for trace, foot in found]


def test_sixteen_live_tiles_on_one_screen(open_page: Any) -> None:
    page = open_page()
    until(page, "document.querySelectorAll('.tile').length === 16")
    assert page.locator(".tile-name").all_inner_texts() == [f"bed-{k}" for k in range(1, 17)]
    last = page.locator(".tile").last.bounding_box()
    assert last["y"] + last["height"] <= 900
    until(
        page, "[...document.querySelectorAll('.tile-rate')].filter(e => +e.textContent).length > 12"
    )
    before = int(page.evaluate("document.documentElement.dataset.frames"))
    page.wait_for_timeout(1000)
    assert int(page.evaluate("document.documentElement.dataset.frames")) > before + 4
    assert page.get_by_text("not a medical device").is_visible()


def test_the_heart_rate_is_that_of_the_record(open_page: Any) -> None:
    """The R peaks of the clean excerpt, found as its steepest highest points: 60000 / median RR."""
    recording = bed("bed-7", "normal").recording
    ecg = recording.samples[:, 0]
    slope = np.abs(np.gradient(ecg))
    peaks: list[int] = []
    for at in np.flatnonzero(slope > 0.6 * slope.max()):
        if not peaks or at - peaks[-1] > 0.4 * recording.fs:
            peaks.append(int(at))
    rr = [1000 * (b - a) / recording.fs for a, b in pairwise(peaks)]
    assert 140 < len(peaks) < 155, "74 a minute are annotated"
    rates = [60_000 / median(rr[k : k + 8]) for k in range(len(rr) - 8)]
    page = open_page()
    until(page, "+document.querySelector('[data-stream=bed-7] .tile-rate')?.textContent")
    page.wait_for_timeout(3000)
    shown = float(rate_of(page, "bed-7"))
    assert min(rates) - 1 <= shown <= max(rates) + 1


def test_ventricular_beats_bear_their_class(open_page: Any) -> None:
    """Bigeminy: annotators marked every other beat V."""
    page = open_page("/s/bed-3")
    until(page, "document.querySelectorAll('tbody tr').length > 12")
    classes = [row.split("\t")[0] for row in page.locator("tbody tr").all_inner_texts()]
    assert 0.25 <= classes.count("V") / len(classes) <= 0.75
    assert page.locator("tr.anomalous").count() >= 2


def test_beats_stay_when_another_lead_comes(open_page: Any) -> None:
    """A page that opens on a stream at first knows one lead, then all; beats known stay."""
    wall = open_page()
    until(wall, "+document.querySelector('[data-stream=bed-7] .tile-rate')?.textContent")
    wall.wait_for_timeout(7000)
    page = open_page("/s/bed-7")
    until(page, "document.querySelectorAll('.lead').length === 2")
    page.wait_for_timeout(1500)
    assert page.locator("tbody tr").count() >= 8


def longest_blank(found: list[tuple[bool, bool]]) -> int:
    """The widest stretch of columns without a trace; one may go on from the left."""
    longest = run = 0
    for trace, _ in found + found:
        run = 0 if trace else run + 1
        longest = max(longest, run)
    return longest


def test_a_gap_is_drawn_as_a_gap(open_page: Any) -> None:
    """Two seconds in ten are never sent."""
    page = open_page("/s/bed-9")
    until(page, "document.querySelector('canvas.trace')")
    found, longest = columns(page), 0
    for _ in range(30):  # until the trace has been round once: what it has not reached is blank too
        page.wait_for_timeout(1000)
        found = columns(page)
        longest = longest_blank(found)
        if 170 < longest < 230:
            break
    assert 170 < longest < 230, "2 s at 25 mm/s are 189 px"
    assert sum(foot and not trace for trace, foot in found) > 100


def test_an_alarm_is_red_with_sign_and_word_and_who_has_seen_it_is_told(open_page: Any) -> None:
    page, other = open_page(reduced_motion="reduce"), open_page()
    until(page, "document.querySelector('#banner.high')", 60)
    assert page.locator("#banner-text").inner_text().startswith("*** HIGH · bed-")
    assert "nobody has seen it" in page.locator("#banner-text").inner_text()
    colour = page.locator("#banner").evaluate("e => getComputedStyle(e).backgroundColor")
    assert colour == "rgb(208, 31, 45)"
    until(page, "document.querySelector('[data-stream=bed-2] .tile-alarm.high.flash')", 60)
    seen = """(({ textContent, classList }) =>
        textContent.includes('seen by joan') && !classList.contains('flash')
    )(document.querySelector('[data-stream=bed-2] .tile-alarm'))"""
    for _ in range(8):  # the bed may have more alarms than one
        if page.locator('[data-stream="bed-2"] .tile-alarm.flash').count():
            page.locator('[data-stream="bed-2"]').focus()
            page.keyboard.press("a")
            page.get_by_label("Your name").fill("joan")
            page.locator("dialog button.strong").click()
        with suppress(AssertionError):
            for each in (page, other):
                until(each, seen, 4)
            return
    pytest.fail("the tile never said who has seen its alarms, on both pages")


def test_a_tab_that_is_hidden_fills_from_the_ring_on_return(open_page: Any) -> None:
    page = open_page("/s/bed-7")
    until(page, "document.querySelector('canvas.trace')")
    page.wait_for_timeout(1500)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(4000)
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(1500)
    found = columns(page)
    assert sum(trace for trace, _ in found) > 0.9 * (len(found) - 25), "but for the erase bar"


def test_a_lead_called_markup_is_a_name(open_page: Any, ward: RealWard) -> None:
    page = open_page("/s/bed-10")
    until(page, "document.querySelectorAll('.lead').length === 2")
    assert page.locator(".lead-name").all_inner_texts() == ["II", MARKUP]
    page.goto(f"{ward.origin}/s/%3Cimg%20src=x%20onerror=document.title='struck'%3E")
    until(page, "document.querySelector('h1').textContent.startsWith('<img')")
    assert page.locator("img").count() == 0
    assert page.title() != "struck"


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_scrolls_down_alone(open_page: Any, view: str) -> None:
    page = open_page(view, viewport={"width": 390, "height": 844}, device_scale_factor=3)
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(open_page: Any, view: str) -> None:
    axe = node_modules() / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("no axe-core: npm install axe-core in a folder that NODE_MODULES names")
    page = open_page(view, bypass_csp=True, reduced_motion="reduce")
    page.wait_for_timeout(1500)
    page.add_script_tag(path=axe)
    violations = "axe.run().then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))"
    assert page.evaluate(violations) == []


def test_the_health_view_knows_the_daemon(open_page: Any) -> None:
    page = open_page("/health")
    until(page, "document.querySelectorAll('tbody tr').length === 16")
    assert "✓ the daemon is ready" in page.locator("main").inner_text()


def test_one_alarm_tells_why_and_who(open_page: Any) -> None:
    page = open_page("one alarm")
    until(page, "document.querySelector('.explained')")
    text = page.locator("main").inner_text()
    assert "What was told, and when" in text
    assert "Acknowledged" in text


def ask(ward: RealWard, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(ward.listen, timeout=5)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_wrong_host_origin_and_token_are_refused(ward: RealWard) -> None:
    path = ward.address.removeprefix(ward.origin)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert ask(ward, path) == 303
    assert ask(ward, "/") == 401
    assert ask(ward, "/api/health") == 401
    assert ask(ward, "/?token=wrong") == 401
    assert ask(ward, path, Host="evil.example") == 421
    assert ask(ward, "/ws", **upgrade, Origin="http://evil.example") == 403
    assert ask(ward, "/ws", **upgrade, Origin=ward.origin) == 401


def test_clients_that_never_read_cost_little(open_page: Any, ward: RealWard) -> None:
    """Fifty tabs (and more than there may be) with small buffers, each wanting all beds."""
    page = open_page()
    until(page, "+document.querySelector('[data-stream=bed-7] .tile-rate')?.textContent")
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies())
    before = ward.web_memory_mb()
    sockets = [deaf_tab(ward.listen, cookie, list(ward.beds), [0, 1]) for _ in range(50)]
    page.wait_for_timeout(8000)
    grown = ward.web_memory_mb() - before
    frames = int(page.evaluate("document.documentElement.dataset.frames"))
    page.wait_for_timeout(1000)
    assert page.locator("#fault").is_hidden()
    assert int(page.evaluate("document.documentElement.dataset.frames")) > frames
    for each in sockets:
        each.close()
    assert grown < 40, f"the server grew by {grown:.0f} MB"


def test_the_strip_prints_true(open_page: Any, tmp_path: Path) -> None:
    """On A4, lying, ten seconds are 250 mm: nothing is shrunk to fit."""
    page = open_page("one alarm")
    until(page, "document.querySelector('.paper')", 60)
    page.set_viewport_size({"width": 1032, "height": 703})  # A4 without its margins of 12 mm
    page.emulate_media(media="print")
    wide = page.locator(".paper").first.bounding_box()["width"]
    assert wide == pytest.approx(250 * 96 / 25.4, abs=0.1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1032
    pdf = page.pdf(path=tmp_path / "alarm.pdf", prefer_css_page_size=True)
    (box, *_) = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert [float(side) * 25.4 / 72 for side in box] == pytest.approx([297, 210], abs=0.5)


def test_pictures_for_people(open_page: Any) -> None:
    """PICTURES=docs/page pytest -k pictures: those of docs/page.md, made again."""
    if "PICTURES" not in os.environ:
        pytest.skip("writes pictures into the folder that PICTURES names")
    folder = Path(os.environ["PICTURES"])
    phone = {"viewport": {"width": 390, "height": 844}}
    views: list[tuple[str, str, dict[str, Any]]] = [
        ("wall", "/", {}),
        ("stream", "/s/bed-3", {}),
        ("alarms", "/alarms", {}),
    ]
    views += [("alarm", "one alarm", {}), ("health", "/health", {}), ("phone", "/", phone)]
    open_page().wait_for_timeout(30_000)  # until something has happened
    for name, view, options in views:
        page = open_page(view, **options)
        page.wait_for_timeout(12_000)
        page.screenshot(path=folder / f"{name}.png")


def test_a_daemon_that_is_killed_shows_within_3_s_and_comes_back(
    open_page: Any, ward: RealWard, faults: list[str]
) -> None:
    page = open_page()
    until(page, "+document.querySelector('[data-stream=bed-7] .tile-rate')?.textContent")
    ward.kill_daemon()
    page.wait_for_selector("#fault:not([hidden])", timeout=3500)
    assert "NO WORD FROM THE DAEMON" in page.locator("#fault").inner_text()
    ward.start_daemon()
    page.wait_for_selector("#fault", state="hidden", timeout=30_000)
    until(page, "+document.querySelector('[data-stream=bed-7] .tile-rate')?.textContent", 30)
    faults.clear()


def test_what_was_raised_while_the_server_was_away_is_on_the_page_after(
    open_page: Any, ward: RealWard, faults: list[str]
) -> None:
    page = open_page()
    until(page, "document.querySelectorAll('.tile').length === 16")
    ward.kill_web()
    page.wait_for_selector("#fault:not([hidden])", timeout=3000)
    ward.feed.silent.add("bed-16")
    raised = alarm_of(ward, "bed-16", "signal.no-data")
    ward.start_web()
    page.goto(ward.address)  # its token is another
    until(page, "document.querySelector('[data-stream=bed-16] .tile-alarm:not(.calm)')")
    page.goto(f"{ward.origin}/alarms/{raised}")
    until(page, "document.querySelector('.alarm-title')?.textContent.includes('bed-16')")
    ward.feed.silent.clear()
    faults.clear()


def test_a_server_that_is_killed_shows_within_3_s_and_who_has_to_log_in_is_told(
    open_page: Any, ward: RealWard, faults: list[str]
) -> None:
    page = open_page()
    until(page, "document.querySelectorAll('.tile').length === 16")
    if "PICTURES" in os.environ:
        page.wait_for_timeout(12_000)  # until there is something to be grey
    ward.kill_web()
    page.wait_for_selector("#fault:not([hidden])", timeout=3000)
    assert "NO CONNECTION" in page.locator("#fault").inner_text()
    if "PICTURES" in os.environ:
        page.screenshot(path=Path(os.environ["PICTURES"]) / "no-connection.png")
    ward.start_web()  # with another token
    until(page, "document.querySelector('#fault').textContent.includes('NOT LOGGED IN')")
    page.goto(ward.address)
    page.wait_for_selector("#fault", state="hidden")
    until(page, "+document.querySelector('[data-stream=bed-7] .tile-rate')?.textContent")
    faults.clear()
