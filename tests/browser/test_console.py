"""The staff console in a real browser: WCAG 2.2 AA by axe, narrow, large, dark; no script, nothing from elsewhere."""

import pytest
from playwright.sync_api import Browser

from tests.browser.console import STATES
from tests.browser.site import Site
from tests.browser.test_states import COLOURS, violations, width

pytestmark = pytest.mark.browser

_SMALL = """() => [...document.querySelectorAll('a, button, input, select, summary')]
    .filter(e => { const r = e.getBoundingClientRect(); return r.width > 2 && (r.width < 24 || r.height < 24); })
    .filter(e => !(e.tagName === 'A' && e.closest('p, dd, td, th, li, small, b'))
        && !(e.tagName === 'INPUT' && e.closest('label')))
    .map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("name", list(STATES))
def test_every_state_is_accessible_and_fits_every_screen(browser: Browser, site: Site, name: str) -> None:
    context = site.visit(browser)
    page = context.new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if not site.owns(request.url) else None)
    page.on("console", lambda message: seen.append(message.text) if "Content Security Policy" in message.text else None)
    STATES[name](page, site)

    assert violations(page) == []
    assert page.locator("h1").count() == 1
    assert page.title().removeprefix("Error: ").startswith(page.locator("h1").inner_text())
    page.emulate_media(color_scheme="dark")
    assert violations(page, COLOURS) == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 320, "height": 700})
    assert width(page) <= 320
    assert page.evaluate(_SMALL) == []
    assert violations(page) == []
    page.set_viewport_size({"width": 640, "height": 900})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert width(page) <= 640
    assert seen == []
    context.close()
