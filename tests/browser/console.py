"""Every page of the staff console in every state, and how to get there: used by tests and screenshots."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyotp
from playwright.sync_api import Page

from prefs.domain.roles import Role
from prefs.domain.terms import Channel
from prefs.storage.staff import StaffUser
from prefs.storage.tables import job, quarantine, staff_session
from tests.browser import console_people, console_quiet, console_transfer
from tests.browser.site import Site, follow, press

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


def _request(kind: str, *acts: str, page_of: str = "", days: int = 0) -> Go:
    """Return the way to one request that came some days ago, after some acts of the office."""

    def go(page: Page, site: Site) -> None:
        from prefs.services.casework import Right
        from prefs.services.requests import NewRequest

        office = site.services.requests
        said = "Please send me all that you have about me.\nThank you."
        came = site.services.kit.now() - timedelta(days=days)
        address = site.person()
        wanted = NewRequest(kind=Right(kind), channel=Channel.EMAIL, to=address, about=said, received_at=came)
        item = office.record(wanted, actor="staff:1")
        steps = {
            "proof": lambda: office.record_proof(item.number, "staff:1", "Called back on the number we have."),
            "time": lambda: office.extend(item.number, "staff:1", "Two archives have to be searched."),
            "pause": lambda: office.pause(item.number, "staff:1", "Which account is meant?"),
            "confirm": lambda: office.confirm_restriction(item.number, "staff:1", "The address is disputed."),
            "answer": lambda: office.answer(item.number, "staff:1", "Here is what you asked for."),
            "press": lambda: site.services.rights.confirm(_mailed_token(site, address)),
            "link": lambda: office.send_link(item.number, "staff:1"),
            "refuse": lambda: office.refuse(item.number, "staff:1", "We cannot tell that it is you."),
            "withdraw": lambda: office.withdraw(item.number, "staff:1", "They called and took it back."),
            "nobody": lambda: office.release(item.number, "staff:1"),
            "ask": lambda: _ask(site, item.number),
            "approve": lambda: _approve(site, item.number),
            "erase": lambda: site.services.erasures.carry_out(item.number, "staff:1"),
        }
        for act in acts:
            steps[act]()
        at(f"/admin/requests/{item.reference}{page_of}", Role.PRIVACY)(page, site)

    return go


def _mailed_token(site: Site, address: str) -> str:
    return site.mailed(address, "/rights/").rpartition("/")[2]


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


def _locked_out(page: Page, site: Site) -> None:
    for _ in range(6):
        _refused_sign_in(page, site)


def _signed_out(page: Page, site: Site) -> None:
    page.context.add_cookies([{"name": "prefs-staff", "value": "ended", "url": site.url}])
    page.goto(f"{site.url}/admin/audit")


def _enrol(page: Page, site: Site, password: str | None = None) -> str:
    """Sign somebody in, set their second factor up on the page, and return their address."""
    email = f"staff{next(site.numbers)}@staff.example"
    user = site.services.team.create(email, Role.ENGINEER, by="tests", password=password)
    opened = site.services.sessions.open_for(user)
    page.context.add_cookies([{"name": "prefs-staff", "value": opened.token, "url": site.url}])
    page.goto(f"{site.url}/admin/second-factor")
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.fill("#code", pyotp.TOTP(secret).now())
    press(page, "Use this second factor")
    return email


def _code(page: Page, site: Site) -> None:
    password = "correct horse battery staple"
    email = _enrol(page, site, password)
    page.context.clear_cookies()
    page.goto(f"{site.url}/admin/sign-in")
    page.fill("#email", email)
    page.fill("#password", password)
    press(page, "Sign in")


def _used_link(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/admin/set-up/used-before")


def _no_approval(page: Page, site: Site) -> None:
    _approvals(page, site)
    follow(page, page.get_by_role("button", name="Refuse").first)


def _key_problems(page: Page, site: Site) -> None:
    at("/admin/keys", Role.ENGINEER)(page, site)
    press(page, "Make the key")


def _key_to_revoke(page: Page, site: Site) -> None:
    site.services.keys.create("old-campaigns", ["decide"])
    at("/admin/keys", Role.ENGINEER)(page, site)
    follow(page, page.locator("tr", has_text="old-campaigns").first.get_by_role("link"))


def _key_revoked(page: Page, site: Site) -> None:
    _key_to_revoke(page, site)
    follow(page, page.locator("main form button").last)


def _given_up(page: Page, site: Site) -> None:
    """Keys and webhooks with a job that was given up and an item nobody could read."""
    number, now = next(site.numbers), datetime.now(UTC)
    dead = {"job_key": f"given-up-{number}", "kind": "send", "payload": {}, "status": "dead", "due_at": now}
    odd = {"item_key": f"odd-{number}", "provider": "sendgrid", "problem": "unreadable_event", "sealed": b""}
    with site.services.kit.store.write() as connection:
        connection.execute(job.insert(), {**dead, "last_error": "ProviderError", "created_at": now})
        connection.execute(quarantine.insert(), {**odd, "received_at": now})
    at("/admin/keys", Role.ENGINEER)(page, site)


def _topic_saved(page: Page, site: Site) -> None:
    at("/admin/topics/events", Role.MARKETING)(page, site)
    press(page, "Save")


def _topic_problems(page: Page, site: Site) -> None:
    at("/admin/topics/new", Role.MARKETING)(page, site)
    press(page, "Add this topic")


def _topic_retired(page: Page, site: Site) -> None:
    """Retire a topic of its own, and leave it retired: no other state asks for it."""
    slug = f"fairs-{next(site.numbers)}"
    at("/admin/topics/new", Role.MARKETING)(page, site)
    page.fill("#slug", slug)
    page.fill("#name", "Trade fairs")
    page.check("input[name=message_class][value=marketing]")
    press(page, "Add this topic")
    page.goto(f"{site.url}/admin/topics/{slug}/retire")
    press(page, "Retire this topic")


def _version(page: Page, site: Site) -> None:
    """Show a version of a page's words that somebody acted on."""
    page.goto(site.unsubscribe(site.person()))
    follow(page, page.locator("button[value=all]"))
    at("/admin/words/versions")(page, site)
    follow(page, page.locator("td a, th a").first)


def _set_up_link(page: Page, site: Site) -> None:
    at("/admin/team")(page, site)
    page.fill("#email", f"new{next(site.numbers)}@staff.example")
    page.check("input[name=role][value=privacy]")
    press(page, "Add, and make a set-up link")


def _disabled(page: Page, site: Site) -> None:
    user = site.services.team.create(f"leaver{next(site.numbers)}@staff.example", Role.ENGINEER, by="tests")
    at(f"/admin/team/{user.id}")(page, site)
    press(page, "Disable")


def _outbox(page: Page, site: Site) -> None:
    site.confirmation(site.person())
    at("/dev/outbox", Role.ENGINEER)(page, site)


def _mail_in_outbox(page: Page, site: Site) -> None:
    _outbox(page, site)
    follow(page, page.locator("td a").first)
    page.wait_for_load_state("networkidle")


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
    "sign-in-locked": _locked_out,
    "sign-in-away": _signed_out,
    "set-up": _set_up,
    "set-up-used": _used_link,
    "code": _code,
    "recovery-codes": lambda page, site: (_enrol(page, site), None)[1],
    "second-factor": at("/admin/second-factor"),
    "account": at("/admin/account", Role.ENGINEER),
    "confirm": at("/admin/confirm?next=/admin/account/password"),
    "password": at("/admin/account/password"),
    "refused": at("/admin/approvals", Role.ENGINEER),
    "approvals": _approvals,
    "approvals-answered": _no_approval,
    "nothing-here": at("/admin/people/CT-0", Role.PRIVACY),
    "find-nothing": at("/admin/find"),
    "find-reference": at("/admin/find?q=NW-7K3M-92QD"),
    "requests": _requests,
    "requests-mine": at("/admin/requests?tab=mine", Role.PRIVACY),
    "requests-nobodys": at("/admin/requests?tab=nobody", Role.PRIVACY),
    "requests-answered": at("/admin/requests?tab=answered", Role.PRIVACY),
    "requests-refused": at("/admin/requests", Role.MARKETING),
    "request-new": at("/admin/requests/new", Role.PRIVACY),
    "request-new-error": _no_kind,
    "request-unchecked": _request("access"),
    "request-link-sent": _request("access", "link"),
    "request-link-pressed": _request("access", "press"),
    "request-nobodys": _request("access", "proof", "nobody"),
    "request-overdue": _request("access", "proof", days=33),
    "request-error": _no_proof,
    "request-checked": _request("access", "proof"),
    "request-more-time": _request("access", "proof", "time", "pause"),
    "request-correct": _request("rectification", "proof"),
    "request-restriction": _request("restriction", "confirm", "answer"),
    "request-objection": _request("objection"),
    "request-answered": _request("access", "proof", "answer"),
    "request-refused": _request("access", "refuse"),
    "request-withdrawn": _request("access", "withdraw"),
    "request-erasure": _request("erasure", "proof", page_of="/erase"),
    "request-erasure-asked": _request("erasure", "proof", "ask", page_of="/erase"),
    "request-erasure-approved": _request("erasure", "proof", "approve", page_of="/erase"),
    "request-erased": _request("erasure", "proof", "approve", "erase"),
    **console_people.states(at),
    **console_transfer.states(at, enter),
    **console_quiet.states(at),
    "overview": _busy_overview,
    "overview-90-days": at("/admin/?days=90", Role.MARKETING),
    "providers": at("/admin/providers", Role.MARKETING),
    "provider": at("/admin/providers/outbox", Role.ENGINEER),
    "provider-hold": at("/admin/providers/outbox/hold", Role.ENGINEER),
    "provider-held": _held,
    "topics": at("/admin/topics", Role.MARKETING),
    "topic": at("/admin/topics/events", Role.MARKETING),
    "topic-saved": _topic_saved,
    "topic-problems": _topic_problems,
    "topic-retired": _topic_retired,
    "topic-new": at("/admin/topics/new", Role.MARKETING),
    "topic-read": at("/admin/topics/account", Role.PRIVACY),
    "topic-retire": at("/admin/topics/events/retire", Role.MARKETING),
    "channels": at("/admin/channels"),
    "words": at("/admin/words"),
    "words-short": at("/admin/words/texts?language=ar"),
    "words-pages": at("/admin/words/pages?language=de"),
    "words-no-match": at("/admin/words/pages?language=de&q=xyzzy"),
    "words-version": _version,
    "words-versions": at("/admin/words/versions"),
    "team": at("/admin/team"),
    "team-problems": _team_problems,
    "team-refused": at("/admin/team", Role.PRIVACY),
    "team-link": _set_up_link,
    "member": at("/admin/team/1"),
    "member-disabled": _disabled,
    "audit": at("/admin/audit"),
    "audit-nothing": at("/admin/audit?about=nothing"),
    "keys": at("/admin/keys", Role.ENGINEER),
    "keys-problems": _key_problems,
    "keys-refused": at("/admin/keys", Role.MARKETING),
    "keys-given-up": _given_up,
    "key-made": _key_made,
    "key-revoke": _key_to_revoke,
    "key-revoked": _key_revoked,
    "resume": _resume,
    "dev-outbox": _outbox,
    "dev-message": _mail_in_outbox,
}
