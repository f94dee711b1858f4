"""One browser and one running site for all browser tests of a worker."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.site import MISSING, Site, open_browser, open_site


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        with open_browser() as opened:
            yield opened
    except FileNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip(MISSING)


@pytest.fixture(scope="session")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as opened:
        yield opened
