"""Pictures of every page in every state: ``python -m tests.browser.screenshots FOLDER [NAME…]``.

One file each for 1280 and 390 pixels, light and dark; Arabic once. Prints what axe finds.
"""

import sys
import tempfile
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser import console, states
from tests.browser.site import Site, open_browser, open_site

STATES = {**states.STATES, **console.STATES}
LOOKS = (("desktop", 1280, "light", None), ("mobile-dark", 390, "dark", None), ("mobile-ar", 390, "light", "ar"))
CONSOLE_LOOKS = (
    ("desktop", 1280, "light", None),
    ("desktop-dark", 1280, "dark", None),
    ("mobile", 390, "light", None),
    ("mobile-dark", 390, "dark", None),
)


def main(folder: Path, names: list[str]) -> None:
    """Make the pictures; all states unless some are named."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, open_site(Path(place)) as site, open_browser() as browser:
        for name in names or STATES:
            for look, width, scheme, language in CONSOLE_LOOKS if name in console.STATES else LOOKS:
                _shoot(browser, site, folder, f"{name}-{look}", name, width, scheme, language)


def _shoot(
    browser: Browser, site: Site, folder: Path, file: str, name: str, width: int, scheme: str, language: str | None
) -> None:
    context = site.visit(browser, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    STATES[name](page, site)
    if language:
        context.add_cookies([{"name": "prefs_language", "value": language, "url": site.url}])
        page.goto(page.url)
    page.screenshot(path=folder / f"{file}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    print(file, "axe:", [one["id"] for one in found] or "nothing")
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
