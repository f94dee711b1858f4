"""States of the console's people pages: a person with a history, stops recorded and ended, decisions, the queue."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page

from prefs.domain.references import message_reference
from prefs.domain.roles import Role
from prefs.domain.terms import Channel, Reason
from prefs.services.mailbox import InboundMail
from prefs.services.rights import Right
from prefs.services.sending import MessageRequest
from prefs.services.suppression import Agreement, Wish
from tests.browser.site import Site, press

Go = Callable[[Page, Site], None]


def reference_of(site: Site, address: str) -> str:
    """Return the reference of the person with an address."""
    return str(site.services.persons.find(address)[0].reference)


def somebody(site: Site) -> str:
    """Make a person with a history of each kind, and return their address."""
    address = site.person(country="DE", locale="de")
    made = site.services
    made.suppressions.record_consent(
        Agreement(
            channel=Channel.EMAIL, to=address, topic="product-offers", source="booking form", wording="Yes, offers"
        )
    )
    made.suppressions.add(
        Wish(channel=Channel.EMAIL, to=address, scope="topic:surveys", source="letter", note="Enough")
    )
    send(site, address, "Spring offer")
    made.suppressions.add(
        Wish(channel=Channel.EMAIL, to=address, reason=Reason.COMPLAINT, source="sendgrid_event", note="spam report")
    )
    send(site, address, "Spring reminder")
    return address


def send(site: Site, address: str, campaign: str) -> str:
    """Queue a marketing mail and return its reference."""
    request = MessageRequest(
        channel=Channel.EMAIL, to=address, topic="product-offers", subject="Spring", text="Hello", campaign=campaign
    )
    return message_reference(site.services.sending.accept(request).id)


def states(at: Callable[..., Go]) -> dict[str, Go]:
    """Return every page and state; ``at`` opens a path for somebody of a role."""

    def with_person(path: str, role: Role = Role.PRIVACY) -> Go:
        def go(page: Page, site: Site) -> None:
            at(path.format(person=reference_of(site, somebody(site))), role)(page, site)

        return go

    def restricted(page: Page, site: Site) -> None:
        address = somebody(site)
        site.services.rights.ask(Right.RESTRICTION, address, "", "en", f"192.0.2.{next(site.numbers)}")
        at(f"/admin/people/{reference_of(site, address)}", Role.PRIVACY)(page, site)

    def erased(page: Page, site: Site) -> None:
        from tests.admin.test_people import erase

        address = f"gone{next(site.numbers)}@example.com"
        erase(site, address)  # type: ignore[arg-type]  # asks for nothing but ``services``
        at(f"/admin/people/{reference_of(site, address)}", Role.PRIVACY)(page, site)

    def several(page: Page, site: Site) -> None:
        site.person(), site.person()
        at("/admin/people?q=person-", Role.MARKETING)(page, site)

    def record(page: Page, site: Site) -> None:
        day = datetime.now(UTC) - timedelta(days=3)
        at("/admin/optout/new", Role.PRIVACY)(page, site)
        page.fill("#addresses", f"{site.person()}\nstranger{next(site.numbers)}@example.org")
        page.check("input[name=scope][value=all]")
        page.select_option("#how", "letter")
        for name, value in (("day", day.day), ("month", day.month), ("year", day.year)):
            page.fill(f"input[name=received_{name}]", str(value))
        page.fill("#said", "No more advertising, please.")
        press(page, "Record and stop sending")

    def errors(page: Page, site: Site) -> None:
        at("/admin/optout/new", Role.PRIVACY)(page, site)
        page.fill("#addresses", "not an address")
        press(page, "Record and stop sending")

    def letter(page: Page, site: Site) -> None:
        record(page, site)
        page.get_by_role("link", name="Print a letter").first.click()

    def lift(number: int) -> Go:
        def go(page: Page, site: Site) -> None:
            ids = [
                site.services.suppressions.add(
                    Wish(channel=Channel.EMAIL, to=site.person(), source="letter")
                ).id.removeprefix("sup_")
                for _ in range(number)
            ]
            at("/admin/suppressions/lift?" + "&".join(f"id={one}" for one in ids), Role.PRIVACY)(page, site)

        return go

    def asked(page: Page, site: Site) -> None:
        lift(2)(page, site)
        page.check("input[name=why][value=asked]")
        page.fill("#evidence", "Their letters of today")
        press(page, "Ask someone to approve")

    def decision(page: Page, site: Site) -> None:
        at(f"/admin/decisions/{send(site, somebody(site), 'Open day')}", Role.MARKETING)(page, site)

    def again(page: Page, site: Site) -> None:
        from prefs.services.decisions import Asked

        receipt = site.services.decisions.ask(Asked(channel=Channel.EMAIL, topic="events"), somebody(site)).id
        at(f"/admin/decisions/{receipt}", Role.PRIVACY)(page, site)

    def mails(page: Page, site: Site) -> None:
        number = next(site.numbers)
        site.services.mailbox.take(
            InboundMail(
                mail_id=f"mail{number}",
                to=("privacy@northwind.example",),
                from_="someone.with.a.long.name@a-long-domain.example",
                subject="About your letters",
                text="Who gave you my address?",
                authentic=False,
                automatic=False,
            )
        )
        at("/admin/queue?tab=mails", Role.PRIVACY)(page, site)

    return {
        "people-find": at("/admin/people", Role.MARKETING),
        "people-nobody": at("/admin/people?q=nobody@example.net", Role.PRIVACY),
        "people-several": several,
        "person": with_person("/admin/people/{person}"),
        "person-check": with_person("/admin/people/{person}?channel=email&topic=transactional"),
        "person-masked": with_person("/admin/people/{person}", Role.MARKETING),
        "person-restricted": restricted,
        "person-erased": erased,
        "person-unknown": at("/admin/people/CT-2222222222222", Role.PRIVACY),
        "optout": at("/admin/optout/new", Role.PRIVACY),
        "optout-errors": errors,
        "optout-stopped": record,
        "optout-letter": letter,
        "suppressions": with_person("/admin/suppressions"),
        "suppressions-none": at("/admin/suppressions?reason=do_not_call", Role.MARKETING),
        "suppressions-new": at("/admin/suppressions/new", Role.MARKETING),
        "suppressions-lift": lift(1),
        "suppressions-lift-many": lift(2),
        "suppressions-asked": asked,
        "decisions": with_person("/admin/decisions", Role.MARKETING),
        "decisions-one": decision,
        "decisions-none": at("/admin/decisions?campaign=none", Role.MARKETING),
        "decisions-again": again,
        "decisions-unknown": at("/admin/decisions/DE-000000000000000000000000", Role.PRIVACY),
        "queue": at("/admin/queue", Role.MARKETING),
        "queue-mails": mails,
        "queue-items": at("/admin/queue?tab=items", Role.PRIVACY),
    }
