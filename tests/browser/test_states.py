"""Every page and state in a real browser: WCAG 2.2 AA by axe, narrow, large, dark, right to left, in print."""

from collections.abc import Sequence
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.site import Site
from tests.browser.states import STATES

pytestmark = pytest.mark.browser

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
_RUN = """options => axe.run(options).then(
    found => found.violations.map(one => [one.id, one.nodes.map(node => node.target)]))"""
_SMALL = """() => [...document.querySelectorAll('main a, main button, main input, main summary, header summary')]
    .filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.width < 24 || r.height < 24); })
    .filter(e => !(e.tagName === 'A' && e.closest('p, dd, li'))
        && !(e.tagName === 'INPUT' && (e.closest('label') || e.closest('.trap'))))
    .map(e => e.outerHTML.slice(0, 120))"""


def violations(page: Page, only: Sequence[str] = _RULES) -> list[Any]:
    """Return what axe finds, short enough to read; ``only`` are some rules where the others cannot change.

    The script is put into a page once, and of what axe found only the violations leave the browser.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    return list(page.evaluate(_RUN, {"runOnly": list(only), "resultTypes": ["violations"]}))


def width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("name", list(STATES))
def test_every_state_is_accessible_and_fits_every_screen(browser: Browser, site: Site, name: str) -> None:
    """Axe needs a script of its own; what the page does is done without any (see test_journeys)."""
    context = site.visit(browser)
    page = context.new_page()
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(site.url) else None)
    STATES[name](page, site)

    assert violations(page) == []
    assert page.locator("h1").count() == 1
    page.emulate_media(color_scheme="dark")
    assert violations(page, COLOURS) == []
    page.emulate_media(forced_colors="active")
    assert page.locator("h1").is_visible()
    page.emulate_media(forced_colors="none", color_scheme="light")
    page.set_viewport_size({"width": 320, "height": 700})
    assert width(page) <= 320
    assert page.evaluate(_SMALL) == []
    # Text at 200 % on a screen that shows 640 pixels of it (1.4.4), and wider spacing (1.4.12).
    page.set_viewport_size({"width": 640, "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert width(page) <= 640
    assert foreign == []
    context.close()


@pytest.mark.parametrize("language", ["ar", "de", "en-XA"])
@pytest.mark.parametrize("name", ["p1", "p1-choose", "p3", "p4", "p9", "p11", "p8", "p2b"])
def test_other_languages_and_directions_are_accessible_and_fit(
    browser: Browser, site: Site, name: str, language: str
) -> None:
    context = site.visit(browser, color_scheme="dark")
    context.add_cookies([{"name": "prefs_language", "value": language, "url": site.url}])
    page = context.new_page()
    STATES[name](page, site)

    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert width(page) <= 320
    context.close()


def test_the_result_prints_on_one_page_with_its_reference(browser: Browser, site: Site) -> None:
    context = site.visit(browser)
    page = context.new_page()
    STATES["p2"](page, site)

    printed = page.pdf(format="A4")

    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 1
    assert page.get_by_text("NW-").is_visible()
    context.close()


def test_without_style_sheets_the_page_still_reads_in_order(browser: Browser, site: Site) -> None:
    context = site.visit(browser)
    context.route("**/*.css", lambda route: route.abort())
    page = context.new_page()
    STATES["p1"](page, site)
    text = page.locator("main").inner_text()

    first, second, third = (text.index(part) for part in ("Unsubscribe from our", "Stop only", "You will still get"))
    assert first < second < third
    context.close()
