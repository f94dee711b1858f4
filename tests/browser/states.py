"""Every page of ux.md section 4 in every state, and how to get there: used by tests and screenshots."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.site import Site, press

Go = Callable[[Page, Site], None]


def _open(make: Callable[[Site], str]) -> Go:
    return lambda page, site: _visit(page, make(site))


def _visit(page: Page, url: str) -> None:
    page.goto(url)


def _pressed(make: Callable[[Site], str], *buttons: str) -> Go:
    def go(page: Page, site: Site) -> None:
        page.goto(make(site))
        for button in buttons:
            press(page, button)

    return go


def _stop_form(typed: str, want: str | None) -> Go:
    def go(page: Page, site: Site) -> None:
        page.goto(f"{site.url}/stop")
        page.fill("#address", typed)
        if want:
            page.check(f"input[value={want}]", force=True)
        press(page, "Continue")

    return go


def _saved(changes: dict[str, str], *, asked_for: bool = False, stopped: tuple[str, ...] = ()) -> Go:
    def go(page: Page, site: Site) -> None:
        address = site.person()
        for scope in stopped:
            site.stop(address, scope)
        page.goto(site.choices(address, asked_for=asked_for))
        for row, value in changes.items():
            page.locator(f"input[name$='{row}'][value={value}]").check(force=True)
        press(page, "Save my choices")

    return go


def _stale_form(page: Page, site: Site) -> None:
    address = site.person()
    site.stop(address, "topic:events")
    page.goto(site.choices(address, asked_for=True))
    page.context.clear_cookies()
    page.locator("input[name$='events'][value=send]").check(force=True)
    press(page, "Save my choices")


def _kept(page: Page, site: Site) -> None:
    address = site.person()
    site.stop(address, "topic:events")
    page.goto(site.choices(address, asked_for=True))
    site.stop(address, "all")
    page.locator("input[name$='events'][value=send]").check(force=True)
    press(page, "Save my choices")


def _not_finished(page: Page, site: Site) -> None:
    page.goto(site.unsubscribe(site.person()))
    with site.database_busy():
        press(page, "Unsubscribe from all marketing emails")


def _rights(*answers: str) -> Go:
    def go(page: Page, site: Site) -> None:
        page.goto(f"{site.url}/rights")
        for answer in answers:
            if answer == "address":
                page.fill("#address", site.person())
                page.fill("#about", "My name is written with two n.")
            elif answer.startswith("="):
                page.check(f"input[value={answer[1:]}]", force=True)
                continue
            elif answer == "empty":
                pass
            else:
                press(page, answer)
                continue
            press(page, "Continue")

    return go


def _request(kind: str, *buttons: str, mailed: bool = False) -> Go:
    def go(page: Page, site: Site) -> None:
        address = site.person()
        page.goto(f"{site.url}/rights")
        page.check(f"input[value={kind}]", force=True)
        press(page, "Continue")
        page.fill("#address", address)
        press(page, "Continue")
        press(page, "Send my request")
        page.goto(site.mailed(address, "/rights/") if mailed else page.url.partition("?")[0])
        for button in buttons:
            press(page, button)

    return go


def _answered(kind: str) -> Go:
    """Return the way to the page behind the link that came with our answer."""

    def go(page: Page, site: Site) -> None:
        from prefs.domain.terms import Channel
        from prefs.services.casework import Right
        from prefs.services.requests import NewRequest

        address, office = site.person(), site.services.requests
        wanted = NewRequest(kind=Right(kind), channel=Channel.EMAIL, to=address, received_by="email")
        item = office.record(wanted, actor="staff:1")
        office.record_proof(item.number, "staff:1", "Called back.")
        office.answer(item.number, "staff:1", "We found 12 messages.\nWrite again if something is missing.")
        page.goto(site.mailed(address, "/rights/"))

    return go


def _checked(page: Page, site: Site) -> None:
    _request("access", "Yes, this is my request", mailed=True)(page, site)
    reference = page.locator("dd.mono").inner_text()
    site.services.requests.accept_press(int(reference.removeprefix("PR-")), "staff:1")
    page.reload()


def _restricted(page: Page, site: Site) -> None:
    from prefs.services.casework import Right

    address = site.person()
    site.services.rights.ask(Right.RESTRICTION, address, "Please.", "en", "127.0.0.1")
    page.goto(site.choices(address))


def _stop_by_link(topic: str | None = None) -> Callable[[Site], str]:
    return lambda site: site.unsubscribe(site.person(), topic)


def _already(site: Site) -> str:
    address = site.person()
    site.stop(address)
    return site.unsubscribe(address)


def _confirm_kept(site: Site) -> str:
    address = site.person()
    link = site.confirmation(address)
    site.stop(address)
    return link


ALL_MARKETING = "Unsubscribe from all marketing emails"
ONE_TOPIC = "Stop only “Product offers” emails"


def _ticked(page: Page, site: Site) -> None:
    page.goto(site.unsubscribe(site.person()) + "/choose")
    page.locator("input[value=surveys]").check(force=True)
    page.locator("input[value=events]").check(force=True)
    press(page, "Stop the ones I ticked")


STATES: dict[str, Go] = {
    "p1": _open(_stop_by_link("product-offers")),
    "p1-all": _open(_stop_by_link()),
    "p1-choose": _open(lambda site: site.unsubscribe(site.person()) + "/choose"),
    "p1-choose-nothing": _pressed(lambda site: site.unsubscribe(site.person()) + "/choose", "Stop the ones I ticked"),
    "p1-ticked": _ticked,
    "p2": _pressed(_stop_by_link("product-offers"), ALL_MARKETING),
    "p2-topic": _pressed(_stop_by_link("product-offers"), ONE_TOPIC),
    "p2-record": _pressed(_stop_by_link("product-offers"), ALL_MARKETING, "Email me a record of this"),
    "p2-everything": _pressed(_stop_by_link("product-offers"), ALL_MARKETING, "Stop those as well"),
    "p2-undone": _pressed(_stop_by_link("product-offers"), ALL_MARKETING, "Undo: send me these emails again"),
    "p2b": _open(_already),
    "p3": _open(lambda site: site.choices(site.person())),
    "p3-consent-first": _open(lambda site: site.choices(site.person(country="DE"))),
    "p3-saved": _saved({"product-offers": "stop", "surveys": "stop"}),
    "p3-raised": _saved({"surveys": "stop", "events": "send", ".all": "send"}, stopped=("topic:events",)),
    "p3-started": _saved({"events": "send"}, asked_for=True, stopped=("topic:events",)),
    "p3-nothing": _saved({}),
    "p3-stopped": _pressed(lambda site: site.choices(site.person()), "Stop all marketing"),
    "p3-paused": _pressed(lambda site: site.choices(site.person()), "Pause everything for 30 days"),
    "p3-undone": lambda page, site: (_saved({"surveys": "stop"})(page, site), press(page, "Undo this change"))[0],
    "p3-kept": _kept,
    "p3-stale": _stale_form,
    "p3-restricted": _restricted,
    "p4": _open(lambda site: f"{site.url}/stop"),
    "p4-error": _stop_form("ada@example", None),
    "p4-one-error": _stop_form("ada@example.com", None),
    "p5": _stop_form("somebody@example.com", "link"),
    "p5-phone": _stop_form("+14155550199", "link"),
    "p5-own": _pressed(_already, "See what we send me"),
    "p6": _stop_form("somebody@example.com", "stop"),
    "p7": _open(lambda site: f"{site.url}/u/dead"),
    "p8": _open(lambda site: site.choices(site.person(), days_old=61)),
    "p8-asked": _open(lambda site: site.choices(site.person(), days_old=2, asked_for=True)),
    "p8-stopped": _pressed(lambda site: site.choices(site.person(), days_old=61), ALL_MARKETING),
    "p9": _rights(),
    "p9-error": _rights("empty"),
    "p9-details": _rights("=access", "Continue"),
    "p9-check": _rights("=access", "Continue", "address"),
    "p9-done": _rights("=access", "Continue", "address", "Send my request"),
    "p9-unchecked": _request("erasure"),
    "p9-mailed": _request("access", mailed=True),
    "p9-checked": _checked,
    "p9-confirmed": _request("access", "Yes, this is my request", mailed=True),
    "p9-objection": _request("objection"),
    "p9-answered": _answered("access"),
    "p9-answered-correction": _answered("rectification"),
    "p9-in-force": _answered("restriction"),
    "p9-withdrawn": _request("access", "Withdraw this request"),
    "p10-not-found": _open(lambda site: f"{site.url}/nothing"),
    "p10-not-finished": _not_finished,
    "p11": _open(lambda site: site.confirmation(site.person())),
    "p11-done": _pressed(lambda site: site.confirmation(site.person()), "Yes, send me these emails"),
    "p11-kept": _open(_confirm_kept),
    "p11-old": _open(lambda site: site.confirmation(site.person(), days_old=8)),
    "accessibility": _open(lambda site: f"{site.url}/accessibility"),
    "docs": _open(lambda site: f"{site.url}/v1/docs"),
}
