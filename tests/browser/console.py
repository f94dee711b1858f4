"""Every page of the staff console in every state, and how to get there: used by tests and screenshots."""

from collections.abc import Callable

from playwright.sync_api import Page

from prefs.domain.roles import Role
from tests.browser import console_people
from tests.browser.site import Site, press

Go = Callable[[Page, Site], None]


def enter(page: Page, site: Site, role: Role = Role.ADMIN) -> None:
    """Sign somebody of the staff in at this browser, as if by password and second factor just now."""
    number = next(site.numbers)
    user = site.services.team.create(f"staff{number}@staff.example", role, by="tests")
    opened = site.services.sessions.open_for(user)
    page.context.add_cookies([{"name": "prefs-staff", "value": opened.token, "url": site.url}])


def at(path: str, role: Role = Role.ADMIN) -> Go:
    """Return the way to a page for somebody with this role."""

    def go(page: Page, site: Site) -> None:
        enter(page, site, role)
        page.goto(f"{site.url}{path}")

    return go


def _visit(path: str) -> Go:
    return lambda page, site: page.goto(f"{site.url}{path}") and None


def _refused_sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/admin/sign-in")
    page.fill("#email", "nobody@staff.example")
    page.fill("#password", "not the password")
    press(page, "Sign in")


def _set_up(page: Page, site: Site) -> None:
    number = next(site.numbers)
    user = site.services.team.create(f"staff{number}@staff.example", Role.PRIVACY, by="tests")
    page.goto(site.url + site.services.team.link(user.id, by="tests"))


def _approvals(page: Page, site: Site) -> None:
    number = next(site.numbers)
    asker = site.services.team.create(f"asker{number}@staff.example", Role.PRIVACY, by="tests")
    site.services.approvals.ask(asker, "erasure", f"PR-{number:04}", {})
    at("/admin/approvals", Role.PRIVACY)(page, site)


# Add a row for every page and state.
STATES: dict[str, Go] = {
    "sign-in": _visit("/admin/sign-in"),
    "sign-in-refused": _refused_sign_in,
    "set-up": _set_up,
    "second-factor": at("/admin/second-factor"),
    "account": at("/admin/account", Role.ENGINEER),
    "confirm": at("/admin/confirm?next=/admin/account/password"),
    "password": at("/admin/account/password"),
    "refused": at("/admin/approvals", Role.ENGINEER),
    "approvals": _approvals,
    "find-nothing": at("/admin/find"),
    "find-reference": at("/admin/find?q=NW-7K3M-92QD"),
    "overview-new": at("/admin/"),
    **console_people.states(at),
}
