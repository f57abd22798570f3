"""The report in headless Chromium: no console error, no request, no horizontal scroll, no labels over each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.report import build
from tests.browser.chromium import Chromium, Page, executable
from tests.report import folders

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(executable() is None, reason="no Chromium: apt-get install chromium"),
]

#: Every text of an SVG and whether it meets another text of the same SVG, or leaves the page.
COLLIDING = """
[...document.querySelectorAll('svg.strip, svg.plot')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()])
    .filter(([_, box]) => box.width > 0);
  const bad = [];
  boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([two, b]) => {
    const beside = a.left >= b.right + 2 || b.left >= a.right + 2;
    const apart = a.top >= b.bottom - 2 || b.top >= a.bottom - 2;
    if (!beside && !apart) bad.push(one + ' | ' + two);
  }));
  boxes.forEach(([one, a]) => { if (a.left < 0 || a.right > innerWidth + 1) bad.push(one + ' leaves the page'); });
  return bad;
})
"""
#: What is wider than the page.
WIDE = """
[...document.querySelectorAll('main *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && e.getClientRects().length).slice(0, 5)
  .map(e => e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + e.textContent.slice(0, 40))
"""
WIDTHS = (320, 360, 768, 1031, 1400)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for write in (folders.transformer, folders.gallery):
        folder = write(tmp_path_factory.mktemp(write.__name__) / "run")
        made[write.__name__] = build(folder)["html"]
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


def opened(browser: Chromium, path: Path, width: int, scheme: str = "light") -> Page:
    page = browser.page(width, 900, scheme)
    page.open(path)
    return page


@pytest.mark.parametrize("name", ["transformer", "gallery"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_and_is_quiet(browser: Chromium, reports: dict[str, Path], name: str, width: int) -> None:
    page = opened(browser, reports[name], width)
    assert page.evaluate(WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(COLLIDING) == []
    assert page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)") is None
    assert page.evaluate(WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Chromium lists an embedded picture as a request too; it goes nowhere
    asked = [url for url in page.requests if not url.startswith("data:image/png;base64,")]
    assert asked == [reports[name].resolve().as_uri()] and page.console == []


@pytest.mark.parametrize("name", ["transformer", "gallery"])
def test_it_fits_at_double_text_size(browser: Chromium, reports: dict[str, Path], name: str) -> None:
    page = opened(browser, reports[name], 700)  # 1,400 at 200 %
    assert page.evaluate("document.documentElement.scrollWidth") == 700


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (360, "dark"), (360, "light"), (1400, "dark")])
@pytest.mark.parametrize("name", ["transformer", "gallery"])
def test_screenshots(
    browser: Chromium, reports: dict[str, Path], tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    page = opened(browser, reports[name], width, scheme)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == ("rgb(21, 23, 27)" if scheme == "dark" else "rgb(253, 252, 249)")
    picture = page.screenshot(tmp_path / f"{name}_{scheme}_{width}.png")
    assert picture.stat().st_size > 50_000


def test_the_keyboard_reaches_every_fold(browser: Chromium, reports: dict[str, Path]) -> None:
    page = opened(browser, reports["gallery"], 1400)
    hidden = "[...document.querySelectorAll('summary')].filter(s => s.getClientRects().length && s.tabIndex < 0).length"
    assert page.evaluate(hidden) == 0
    assert page.evaluate("document.querySelector('.skip').hash.length > 1")


def test_summaries_lie_on_no_other_text(browser: Chromium, reports: dict[str, Path]) -> None:
    page = opened(browser, reports["gallery"], 1400)
    covered = """
    [...document.querySelectorAll('.fold summary')].filter(s => {
      const a = s.getBoundingClientRect(), row = s.closest('tr').previousElementSibling;
      const range = document.createRange();
      return [...row.cells].slice(0, 2).some(cell => [...cell.childNodes].filter(n => n.nodeType === 3).some(n => {
        range.selectNodeContents(n);
        const boxes = [...range.getClientRects()].filter(b => a.left < b.right && b.left < a.right);
        return boxes.some(b => a.top + 4 < b.bottom - 3 && b.top < a.bottom);
      }));
    }).map(s => s.textContent)
    """
    assert page.evaluate(covered) == []


def test_print_opens_the_folds_that_are_for_paper(browser: Chromium, reports: dict[str, Path], tmp_path: Path) -> None:
    page = opened(browser, reports["gallery"], 1400)
    page.media("print")
    # an animation is not for paper: its frames stand beside it; what else is left out, the last line says
    content = "[...document.querySelectorAll('details > :not(summary)')].filter(e => !e.closest('.moving'))"
    shown = f"{content}.filter(e => !e.closest('.screen'))"
    assert page.evaluate(f"{shown}.filter(e => !e.offsetHeight).length") == 0
    assert page.evaluate(f"{shown}.length") > 20
    assert page.evaluate(f"{content}.filter(e => e.closest('.screen') && e.offsetHeight).length") == 0
    assert page.evaluate("document.querySelectorAll('.screen').length") > 2
    assert page.evaluate("document.querySelector('.onpaper').offsetHeight") > 0
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.pdf(tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_an_animation_is_loaded_and_stands_still_on_paper(browser: Chromium, reports: dict[str, Path]) -> None:
    page = opened(browser, reports["gallery"], 1400)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    sizes = "[...document.querySelectorAll('figure img')].map(i => [i.complete, i.naturalWidth])"
    assert page.evaluate(sizes) == [[True, 28], [True, 4 * 90 + 3 * 2], [True, 90]]
    page.media("print")
    shown = "[...document.querySelectorAll('figure img')].map(i => i.getClientRects().length)"
    assert page.evaluate(shown) == [1, 1, 0]


def test_ten_seeds_stay_under_two_megabytes(tmp_path: Path) -> None:
    assert build(folders.transformer(tmp_path / "run", seeds=10))["html"].stat().st_size < 2_000_000
