"""Every page of the staff console in every state, and how to get there: used by tests and screenshots."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page

from prefs.domain.roles import Role
from prefs.domain.terms import Channel
from prefs.storage.staff import StaffUser
from prefs.storage.tables import staff_session
from tests.browser import console_people, console_transfer
from tests.browser.site import Site, press

Go = Callable[[Page, Site], None]


def enter(page: Page, site: Site, role: Role = Role.ADMIN) -> StaffUser:
    """Sign somebody of the staff in at this browser, as if by password and second factor just now."""
    number = next(site.numbers)
    user = site.services.team.create(f"staff{number}@staff.example", role, by="tests")
    opened = site.services.sessions.open_for(user)
    page.context.add_cookies([{"name": "prefs-staff", "value": opened.token, "url": site.url}])
    return user


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


def _requests(page: Page, site: Site) -> None:
    """Show the list with one request of each kind, at every stage of its clock."""
    from datetime import timedelta

    from prefs.services.casework import Right
    from prefs.services.requests import NewRequest

    office, now = site.services.requests, site.services.kit.now()
    user = site.services.team.create(f"sam{next(site.numbers)}@staff.example", Role.PRIVACY, by="tests")
    for kind, days, door in (
        (Right.ERASURE, 31, "letter"),
        (Right.ACCESS, 30, "email"),
        (Right.RECTIFICATION, 24, "web"),
        (Right.OBJECTION, 5, "phone"),
        (Right.ACCESS, 18, "web"),
        (Right.RESTRICTION, 13, "email"),
        (Right.ERASURE, 9, "web"),
        (Right.ACCESS, 1, "letter"),
    ):
        wanted = NewRequest(
            kind=kind,
            channel=Channel.EMAIL,
            to=site.person(),
            received_at=now - timedelta(days=days),
            received_by=door,
        )
        item = office.record(wanted, actor=user.actor)
        if days in {31, 30, 24}:
            office.record_proof(item.number, user.actor, "Called back.")
        if days == 31:
            office.release(item.number, user.actor)
        if days == 18:
            office.pause(item.number, user.actor, "Which account is meant?")
    at("/admin/requests", Role.PRIVACY)(page, site)


def _request(kind: str, *acts: str, page_of: str = "") -> Go:
    """Return the way to one request after some acts of the office."""

    def go(page: Page, site: Site) -> None:
        from prefs.services.casework import Right
        from prefs.services.requests import NewRequest

        office = site.services.requests
        said = "Please send me all that you have about me.\nThank you."
        wanted = NewRequest(kind=Right(kind), channel=Channel.EMAIL, to=site.person(), about=said)
        item = office.record(wanted, actor="staff:1")
        steps = {
            "proof": lambda: office.record_proof(item.number, "staff:1", "Called back on the number we have."),
            "time": lambda: office.extend(item.number, "staff:1", "Two archives have to be searched."),
            "pause": lambda: office.pause(item.number, "staff:1", "Which account is meant?"),
            "confirm": lambda: office.confirm_restriction(item.number, "staff:1", "The address is disputed."),
            "answer": lambda: office.answer(item.number, "staff:1", "Here is what you asked for."),
            "ask": lambda: _ask(site, item.number),
            "approve": lambda: _approve(site, item.number),
            "erase": lambda: site.services.erasures.carry_out(item.number, "staff:1"),
        }
        for act in acts:
            steps[act]()
        at(f"/admin/requests/{item.reference}{page_of}", Role.PRIVACY)(page, site)

    return go


def _ask(site: Site, number: int) -> int:
    asker = site.services.team.create(f"asker{next(site.numbers)}@staff.example", Role.PRIVACY, by="tests")
    question: int = site.services.erasures.ask(asker, number)
    return question


def _approve(site: Site, number: int) -> None:
    approver = site.services.team.create(f"second{next(site.numbers)}@staff.example", Role.PRIVACY, by="tests")
    site.services.approvals.decide(approver, _ask(site, number), yes=True)


def _no_kind(page: Page, site: Site) -> None:
    at("/admin/requests/new", Role.PRIVACY)(page, site)
    press(page, "Record the request")


def _no_proof(page: Page, site: Site) -> None:
    _request("access")(page, site)
    page.get_by_text("Record how it was checked").click()
    press(page, "Record the check")


def _key_made(page: Page, site: Site) -> None:
    at("/admin/keys")(page, site)
    page.fill("#name", "campaigns")
    page.check("input[value=decide]")
    press(page, "Make the key")


def _resume(page: Page, site: Site) -> None:
    number = next(site.numbers)
    email, password = f"staff{number}@staff.example", "correct horse battery staple"
    user = site.services.team.create(email, Role.ENGINEER, by="tests", password=password)
    opened = site.services.sessions.open_for(user)
    page.context.add_cookies([{"name": "prefs-staff", "value": opened.token, "url": site.url}])
    page.goto(f"{site.url}/admin/keys")
    with site.services.kit.store.write() as connection:
        old = datetime.now(UTC) - timedelta(minutes=11)
        connection.execute(staff_session.update().where(staff_session.c.user_id == user.id).values(proved_at=old))
    page.fill("#name", "campaigns")
    page.check("input[value=decide]")
    press(page, "Make the key")
    page.fill("#password", password)
    press(page, "Continue")


def _team_problems(page: Page, site: Site) -> None:
    at("/admin/team")(page, site)
    press(page, "Add, and make a set-up link")


def _held(page: Page, site: Site) -> None:
    enter(page, site)
    page.goto(f"{site.url}/admin/providers/outbox/hold")
    press(page, "Hold sends")
    site.services.providers.release("outbox", site.services.team.everyone()[0])


def _busy_overview(page: Page, site: Site) -> None:
    """An overview with figures of a month, put where the worker adds them up."""
    fill_figures(site)
    at("/admin/")(page, site)


def fill_figures(site: Site) -> None:
    """Put a month of made-up counts into the tables the overview reads."""
    from prefs.storage.tables import decision_count, send_count, stop_count

    today = datetime.now(UTC).date()
    topics = {one.slug: one.number for one in site.services.kit.catalogue.topics}
    sources = {"email": "one_click", "sms": "sms_keyword", "push": "api", "postal": "letter"}
    with site.services.kit.store.write() as connection:
        for table in (stop_count, send_count, decision_count):
            connection.execute(table.delete())
        for back in range(60):
            day = (today - timedelta(days=back)).isoformat()
            weekend = 0.4 if (today - timedelta(days=back)).weekday() > 4 else 1.0
            peak = 2.5 if back == 12 else 1.0
            for channel, number in (("email", 22), ("sms", 8), ("push", 3), ("postal", 1)):
                value = int(number * weekend * peak) or (back % 3 == 0)
                row = {"day": day, "channel": channel, "source": sources[channel], "topic": topics["events"]}
                connection.execute(stop_count.insert(), {**row, "campaign": "spring-events", "number": value})
                if channel == "email":
                    page_row = {**row, "source": "unsubscribe_page", "topic": topics["product-offers"]}
                    connection.execute(
                        stop_count.insert(), {**page_row, "campaign": "may-offers", "number": value // 2}
                    )
            for topic, campaign, number in (("events", "spring-events", 2600), ("product-offers", "may-offers", 5200)):
                sends = {"day": day, "channel": "email", "topic": topics[topic], "campaign": campaign}
                connection.execute(send_count.insert(), {**sends, "number": int(number * weekend)})
            reasons = (("unsubscribed", 610), ("no_consent", 330), ("hard_bounce", 130), ("restricted", 40))
            counted = [("allowed", "", 10_800), *(("blocked", reason, number) for reason, number in reasons)]
            for outcome, reason, number in counted:
                row = {"day": day, "channel": "email", "topic": "events", "outcome": outcome, "reason": reason}
                connection.execute(decision_count.insert(), {**row, "number": int(number * weekend)})


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
    "requests": _requests,
    "requests-mine": at("/admin/requests?tab=mine", Role.PRIVACY),
    "request-new": at("/admin/requests/new", Role.PRIVACY),
    "request-new-error": _no_kind,
    "request-unchecked": _request("access"),
    "request-error": _no_proof,
    "request-checked": _request("access", "proof"),
    "request-more-time": _request("access", "proof", "time", "pause"),
    "request-correct": _request("rectification", "proof"),
    "request-restriction": _request("restriction", "confirm", "answer"),
    "request-objection": _request("objection"),
    "request-answered": _request("access", "proof", "answer"),
    "request-erasure": _request("erasure", "proof", page_of="/erase"),
    "request-erasure-asked": _request("erasure", "proof", "ask", page_of="/erase"),
    "request-erasure-approved": _request("erasure", "proof", "approve", page_of="/erase"),
    "request-erased": _request("erasure", "proof", "approve", "erase"),
    **console_people.states(at),
    **console_transfer.states(at, enter),
    "overview": _busy_overview,
    "providers": at("/admin/providers", Role.MARKETING),
    "provider": at("/admin/providers/outbox", Role.ENGINEER),
    "provider-hold": at("/admin/providers/outbox/hold", Role.ENGINEER),
    "provider-held": _held,
    "topics": at("/admin/topics", Role.MARKETING),
    "topic": at("/admin/topics/events", Role.MARKETING),
    "topic-new": at("/admin/topics/new", Role.MARKETING),
    "topic-read": at("/admin/topics/account", Role.PRIVACY),
    "topic-retire": at("/admin/topics/events/retire", Role.MARKETING),
    "channels": at("/admin/channels"),
    "words": at("/admin/words"),
    "words-short": at("/admin/words/texts?language=ar"),
    "words-pages": at("/admin/words/pages?language=de"),
    "words-versions": at("/admin/words/versions"),
    "team": at("/admin/team"),
    "team-problems": _team_problems,
    "member": at("/admin/team/1"),
    "audit": at("/admin/audit"),
    "audit-nothing": at("/admin/audit?about=nothing"),
    "keys": at("/admin/keys", Role.ENGINEER),
    "key-made": _key_made,
    "resume": _resume,
}
