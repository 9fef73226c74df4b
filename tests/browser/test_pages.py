"""Every page of a study in a real browser: it fits, it prints, it is accessible, it calls nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser.printed import A4, read_pdf

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGES = ["nomogram", "report", "quality", "checklists", "check", "description", "agreement", "evaluation"]
DESKTOP, PHONE = (1400, 900), (390, 844)
SHEETS = dict.fromkeys(("nomogram", "checklists", "description", "agreement", "evaluation"), A4[::-1])
WORDS = {
    "nomogram": ["Nomogram: recurrence-free survival", "Research use only", "Total points and probability"],
    "report": [
        "SIMULATED PATIENTS",
        "Kaplan-Meier curves",
        "Proportional hazards",
        "Limitations",
        "References",
    ],
    "quality": ["Images and contours", "implausible volume", "1.12 cm³"],
    "checklists": ["TRIPOD+AI", "CLEAR", "METRICS", "to be filled by you"],
    "description": [
        "SIMULATED PATIENTS",
        "Scanners, simulated patients",
        "Not known",
        "146 (52.7%)",
        "sum to 278",
        "What could not be read",
    ],
    "agreement": [
        "SIMULATED PATIENTS",
        "HD95 (mm)",
        "ICC(2,1)",
        "the first is empty",
        "Masks that only one has",
    ],
    "evaluation": [
        "SIMULATED PATIENTS",
        "Ranking, simulated patients",
        "4 predictions missing",
        "Holds it in",
        "What could not be used",
        "there is no reference",
    ],
    "check": ["Cohort check", "mask is empty: nothing is drawn", "Draw it again."],
}


@pytest.fixture
def axe():
    """axe-core, from a package that carries it."""
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    return module.Axe()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_no_page_is_wider_than_its_window(opened, axe, name):
    """In light and dark, on desktop and phone; whatever the impact, the size of targets included."""
    rules = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    page = opened(name)
    for scheme, size in [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)]:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        # Figures of the report are white paper in the dark, too; once is enough, and they are large.
        left_out = None if (scheme, size) == ("light", DESKTOP) else {"exclude": [[".art svg"]]}
        found = axe.run(page, context=left_out, options=rules)
        told = [f"{v['impact']}: {v['id']} {[node['target'] for node in v['nodes']][:5]}"
                for v in found.response["violations"]]  # fmt: skip
        assert told == [], f"{name}, {scheme}, {size[0]} pixels wide"


@pytest.mark.parametrize("name", PAGES)
def test_pages_print_on_a4(opened, name):
    printed = read_pdf(opened(name).pdf(prefer_css_page_size=True))
    assert set(printed.sizes) == {SHEETS.get(name, A4)}
    for words in WORDS[name]:
        assert printed.says(words), words


def test_a_calculated_prediction_is_printed(opened, nomogram):
    page = opened("nomogram")
    empty = read_pdf(page.pdf(prefer_css_page_size=True))
    assert not empty.says("Calculator")
    assert len(empty.sizes) == 2
    for index, value in enumerate(["45", "30", None, "1.5"]):
        if value is None:
            page.locator(f"#in{index}").select_option("2")
        else:
            page.locator(f"#in{index}").fill(value)
    filled = read_pdf(page.pdf(prefer_css_page_size=True))
    assert filled.sizes == [A4[::-1]] * 3
    for words in (
        "Calculator",
        "Total points and probability",
        *(_said(page, k) for k in ("out0", "ci1", "group")),
    ):
        assert filled.says(words), words
    assert not filled.says("Clear")


def _said(page, name: str) -> str:
    return page.locator(f"#{name}").inner_text()


def test_the_page_printed_from_a_dark_screen_is_light(opened):
    """Ink is for letters."""
    for name in PAGES:
        page = opened(name, color_scheme="dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.emulate_media(media="print", color_scheme="dark")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert _brightness(dark) < 40
        assert _brightness(light) > 240
        assert _brightness(ink) < 40


def _brightness(color: str) -> float:
    """Mean of red, green and blue; paper where nothing is painted."""
    channels = [float(part) for part in color.split("(")[1].rstrip(")").split(",")]
    return 255.0 if channels[3:] == [0] else sum(channels[:3]) / 3


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_pages_are_whole(opened, name):
    page = opened(name, java_script_enabled=False)
    text = page.locator("body").inner_text()
    for words in WORDS[name]:
        assert words in text, words
    if name != "nomogram":
        return
    assert not page.locator("form").is_visible()
    assert not page.locator("#language").is_visible()
    assert "Scripts are off: read the drawing or the tables below." in text
    assert "列线图" not in text
    assert page.locator("table:visible").count() == 5
    assert page.locator("#drawing svg").bounding_box()["height"] > 400
    assert page.locator("#drawing svg text:visible").count() > 60


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", PAGES)
def test_policy_keeps_foreign_scripts_and_calls_out(unwatched, listener, name):
    """What is injected does not run and fetches nothing: no script, picture, frame, style or data."""
    page, watch = unwatched(name)
    address, asked = listener
    assert watch.told == []
    refused = page.evaluate(
        """async (address) => {
        const add = (tag, more) => document.body.append(Object.assign(document.createElement(tag), more));
        add("script", {textContent: "window.ran = 1"});
        add("script", {src: address + "/a.js"});
        add("img", {src: address + "/a.png"});
        add("iframe", {src: address + "/a.html"});
        add("link", {rel: "stylesheet", href: address + "/a.css"});
        const button = document.createElement("button");
        button.setAttribute("onclick", "window.ran = 2");
        document.body.append(button);
        button.click();
        return fetch(address + "/a.json").then(() => false, () => true);
    }""",
        address,
    )
    assert refused
    assert page.evaluate("window.ran") is None
    policed = [said for said in watch.told if "Content Security Policy" in said]
    assert len(policed) >= 7  # each of the seven was refused for this reason
    assert asked == []
    page.goto(address)
    assert asked[0] == "/"  # it does listen


def test_links_of_the_report_lead_somewhere(opened, pages: dict[str, Path]):
    page = opened("report")
    hrefs = page.eval_on_selector_all("a", "found => found.map((a) => a.getAttribute('href'))")
    inside = [href[1:] for href in hrefs if href.startswith("#")]
    assert len(inside) > 20
    ids = set(page.eval_on_selector_all("[id]", "found => found.map((e) => e.id)"))
    assert set(inside) <= ids
    assert {href for href in hrefs if not href.startswith("#")} == {"nomogram.html", "quality.html"}
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the first stop leads past the contents
    assert page.evaluate("location.hash") == "#main"
