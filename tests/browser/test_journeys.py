"""The journeys of ux.md section 2, by keyboard alone and without JavaScript; and what a scanner does."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site import Site

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page in a browser without JavaScript."""
    context = site.visit(browser, java_script_enabled=False)
    yield context.new_page()
    context.close()


def tab_to(page: Page, selector: str, most: int = 40) -> int:
    """Press Tab until the element has the focus, and return how often that was."""
    for number in range(1, most + 1):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return number
    raise AssertionError(f"{selector} is not reached by keyboard")


def enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_unsubscribe_from_a_footer_open_and_one_press(page: Page, site: Site) -> None:
    address = site.person()
    page.goto(site.unsubscribe(address))

    presses = tab_to(page, "button[value=all]")
    enter(page)

    assert presses == 3  # skip link, language, button
    assert page.locator("h1").inner_text() == "You are unsubscribed"
    assert page.get_by_role("status").first.is_visible()


def test_reload_and_back_repeat_nothing(page: Page, site: Site) -> None:
    address = site.person()
    page.goto(site.unsubscribe(address))
    tab_to(page, "button[value=all]")
    enter(page)
    before = site.entries()

    page.reload()
    page.go_back()

    assert page.locator("h1").inner_text() == "You were already unsubscribed"
    assert site.entries() == before


def test_stop_without_a_link_type_choose_continue(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/stop")

    tab_to(page, "#address")
    page.keyboard.type(site.person())
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    tab_to(page, "main button")
    enter(page)

    assert page.locator("h1").inner_text() == "Marketing to this address is stopped"


def test_choose_without_a_link_type_open_the_mail_choose_save(page: Page, site: Site) -> None:
    address = site.person()
    page.goto(f"{site.url}/stop")
    tab_to(page, "#address")
    page.keyboard.type(address)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    tab_to(page, "main button")
    enter(page)
    assert page.locator("h1").inner_text() == "Check your inbox"

    page.goto(site.mailed(address, "/p/"))
    tab_to(page, "input[name$=surveys]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "button:text('Save my choices')")
    enter(page)

    assert "We stopped Surveys by email." in page.locator("#saved").inner_text()


def test_a_mistake_takes_the_focus_to_its_summary_and_the_link_to_the_field(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/stop")
    tab_to(page, "main button")
    enter(page)

    page.locator("#errors:focus").wait_for()  # the browser moves the focus a moment after the page is there
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert urlsplit(page.url).fragment == "address"


def test_the_saved_banner_has_the_focus(page: Page, site: Site) -> None:
    page.goto(site.choices(site.person()))
    tab_to(page, "button:text('Save my choices')")
    enter(page)

    page.locator("#saved:focus").wait_for()


def test_enter_on_a_fresh_page_does_nothing(page: Page, site: Site) -> None:
    link = site.unsubscribe(site.person())
    page.goto(link)
    before = site.entries()

    page.keyboard.press("Enter")

    assert site.entries() == before
    assert page.url == link


def test_the_language_menu_works_by_keyboard_and_comes_back_here(page: Page, site: Site) -> None:
    link = site.unsubscribe(site.person())
    page.goto(link)
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    tab_to(page, "a[hreflang=ar]")
    enter(page)

    assert page.url == link
    assert page.locator("html").get_attribute("dir") == "rtl"


def test_e5_a_scanner_that_follows_everything_but_presses_nothing_changes_nothing(browser: Browser, site: Site) -> None:
    """GET, HEAD and OPTIONS on every link of every page, in a browser that runs scripts and waits."""
    context = site.visit(browser)
    page = context.new_page()
    address = site.person()
    before = site.entries()
    waiting = [site.unsubscribe(address), site.choices(address), site.choices(address, asked_for=True)]
    seen: set[str] = set()
    while waiting and len(seen) < 120:
        url = waiting.pop(0)
        if url in seen or not url.startswith(site.url):
            continue
        seen.add(url)
        for method in ("HEAD", "OPTIONS"):
            context.request.fetch(url, method=method)
        page.goto(url)
        page.wait_for_load_state("load")
        everything = "[...document.querySelectorAll('[href],[src],[action]')]"
        targets = page.evaluate(f"{everything}.map(e => e.href || e.src || e.action)")
        waiting += [urljoin(url, target).partition("#")[0] for target in targets if isinstance(target, str)]
    context.close()

    assert len(seen) > 30
    assert site.entries() == before


def test_a_copy_of_ones_data_from_the_form_to_the_file(browser: Browser, site: Site) -> None:
    """Two people, no script: the person asks and confirms, the office accepts and answers, the person reads."""
    from prefs.domain.roles import Role
    from tests.browser.console import enter as enter_console
    from tests.browser.site import press

    person = site.visit(browser, java_script_enabled=False).new_page()
    address = site.person()
    person.goto(f"{site.url}/rights")
    person.check("input[value=access]", force=True)
    press(person, "Continue")
    person.fill("#address", address)
    press(person, "Continue")
    press(person, "Send my request")
    reference = person.locator("dd.mono").inner_text()
    person.goto(site.mailed(address, "/rights/"))
    press(person, "Yes, this is my request")

    office = site.visit(browser, java_script_enabled=False).new_page()
    enter_console(office, site, Role.PRIVACY)
    office.goto(f"{site.url}/admin/requests")
    with office.expect_navigation():
        office.get_by_role("link", name=reference).first.click()
    assert office.get_by_text("Pressed our link", exact=True).first.is_visible()
    press(office, "Accept it as proof")
    assert office.get_by_text("Checked", exact=True).first.is_visible()
    office.fill("#answer", "Your copy is ready.")
    press(office, "Answer and close")
    assert office.get_by_role("status").get_by_text("Answered").is_visible()

    person.reload()
    assert person.get_by_text("Your copy is ready.").is_visible()
    with person.expect_download() as download:
        person.get_by_role("button", name="Download it to read").click()
    assert address in download.value.path().read_text()
    assert download.value.suggested_filename == f"{reference}.html"
    assert "Your copy is ready." not in site.services.outbox.messages()[0].text
    person.context.close()
    office.context.close()
