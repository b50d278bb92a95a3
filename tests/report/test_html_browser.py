"""The page as a browser shows it: no errors, nothing loaded, nothing wider than the screen, the script at work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from raystilts.report.html.gather import gather
from raystilts.report.html.markup import Markup
from raystilts.report.html.page import document, page
from raystilts.results.results import Results

from .browser import Browser, find_browser
from .pages import write_everything

WIDER = """
[...document.querySelectorAll('body *')]
  .filter((e) => !e.closest('.scroll, pre, .skip, .hidden') && e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.tagName + '.' + e.className)
"""
LOW_CONTRAST = """
(() => {
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (!c.startsWith('rgba(0, 0, 0, 0')) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => !e.closest('svg, script, .hidden, .skip') && e.getClientRects().length)
    .filter((e) => {
      const both = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
      return (both[0] + 0.05) / (both[1] + 0.05) < 4.5;
    })
    .map((e) => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 30));
})()
"""
BAD = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    out = folder / "report.html"
    out.write_text(page(gather(Results(write_everything(folder / "results")))), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here: install chromium (Debian, Ubuntu) or Google Chrome")
    with Browser(program, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_fits_and_says_no_error(browser: Browser, file: Path, width: int, dark: bool) -> None:
    browser.open(file, width=width, dark=dark)
    browser.ask("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert browser.ask(WIDER) == []
    assert browser.ask("document.documentElement.scrollWidth") == width
    assert browser.ask(LOW_CONTRAST) == []
    assert browser.ask("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert [event for event in browser.events if event.get("method") in BAD] == []
    asked = [event["params"]["request"]["url"] for event in browser.events
             if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert [url for url in asked if not url.startswith("file:")] == []


def test_a_language_is_chosen(browser: Browser, file: Path) -> None:
    browser.open(file, width=1280)
    cells = "[...document.querySelectorAll('#matrix td')].map((cell) => cell.textContent)"
    choose = "{const s = document.getElementById('language'); s.value = '%s'; s.dispatchEvent(new Event('change'))}"
    before = browser.ask(cells)
    assert browser.ask("document.getElementById('choice').hidden") is False
    browser.ask(choose % "de")
    german = browser.ask(cells)
    table = "document.getElementById('languages-1').tBodies[0].rows"
    column = browser.ask(f"[...{table}].map((row) => row.cells[1].textContent)")
    assert german != before
    assert set(column) <= set(german)
    browser.ask(choose % "")
    assert browser.ask(cells) == before


def test_printing_unfolds(browser: Browser, file: Path) -> None:
    browser.open(file, width=1280)
    folded = "document.querySelectorAll('details:not([open])').length"
    browser.ask("document.querySelectorAll('details').forEach((fold) => { fold.open = false; })")
    closed = browser.ask(folded)
    assert closed >= 3
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    assert browser.ask(folded) == 0
    browser.ask("dispatchEvent(new Event('afterprint'))")
    assert browser.ask(folded) == closed


def test_tables_are_sorted_by_a_click(browser: Browser, file: Path) -> None:
    browser.open(file, width=1280)
    table = "document.querySelector('#targets table.forest')"
    column = f"[...{table}.tBodies[0].rows].map((row) => row.cells[1].textContent)"
    head = f"{table}.tHead.rows[0].cells[1]"
    before = browser.ask(column)
    numbers = [float(text) for text in before]
    assert numbers != sorted(numbers, reverse=True), "best first, which is not the highest mean first"
    for order, falling in (("descending", True), ("ascending", False)):
        browser.ask(f"{head}.querySelector('button').click()")
        assert browser.ask(f"{head}.getAttribute('aria-sort')") == order
        assert [float(text) for text in browser.ask(column)] == sorted(numbers, reverse=falling)


def test_rows_are_found(browser: Browser, tmp_path: Path) -> None:
    rows = "".join(f"<tr><th scope='row'>arm {i}</th><td>{i}</td></tr>" for i in range(9))
    table = f"<main><div class='scroll'><table><caption>Arms</caption><thead><tr><th>arm</th><th>n</th></tr></thead>\
<tbody>{rows}</tbody></table></div></main>"
    (tmp_path / "table.html").write_text(document("table", Markup(table)), encoding="utf-8")
    browser.open(tmp_path / "table.html", width=800)
    rows = "[...document.querySelectorAll('tbody tr')].filter((row) => !row.hidden)"
    shown = f"{rows}.map((row) => row.cells[1].textContent)"
    find = "{const f = document.querySelector('.find input'); f.value = '%s'; f.dispatchEvent(new Event('input'))}"
    browser.ask(find % "ARM 4")
    assert browser.ask(shown) == ["4"]
    browser.ask(find % "")
    assert len(browser.ask(shown)) == 9


def test_a_chart_is_saved_as_an_svg_of_its_own(browser: Browser, file: Path) -> None:
    browser.open(file, width=1280)
    browser.ask("URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return '#'; }")
    browser.ask("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    browser.ask("document.querySelector('figure .save').click()")
    browser.ask("new Promise((done) => setTimeout(done, 50))")
    for _ in range(50):
        saved = browser.ask("window.saved || ''")
        if saved:
            break
    root = ElementTree.fromstring(saved)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"width", "height", "viewBox"} <= root.attrib.keys()
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert lines
    assert all(line.get("stroke", "").startswith("rgb") for line in lines), "colours without the page's style sheet"
