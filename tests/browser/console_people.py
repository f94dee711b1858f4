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
from tests.browser.site import Site, follow, press

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


def night() -> str:
    """Return a time zone where it is about three in the night now."""
    ahead = (3 - datetime.now(UTC).hour) % 24
    return f"Etc/GMT-{ahead}" if ahead <= 12 else f"Etc/GMT+{24 - ahead}"


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

    def joined(page: Page, site: Site) -> None:
        """An address that was nobody's and then joined a person."""
        number = next(site.numbers)
        alone = f"alone{number}@example.com"
        site.stop(alone)
        reference = reference_of(site, alone)
        site.services.contacts.save(f"person-{number}", [(Channel.EMAIL, alone)])
        at(f"/admin/people/{reference}", Role.PRIVACY)(page, site)

    def fresh(page: Page, site: Site) -> None:
        at(f"/admin/people/{reference_of(site, site.person())}", Role.PRIVACY)(page, site)

    def long_history(page: Page, site: Site) -> None:
        address = site.person()
        for number in range(51):
            given = Agreement(channel=Channel.EMAIL, to=address, topic="surveys", source=f"form {number}")
            site.services.suppressions.record_consent(given)
        at(f"/admin/people/{reference_of(site, address)}", Role.PRIVACY)(page, site)

    def waits(page: Page, site: Site) -> None:
        """A text that is allowed, asked about where it is night."""
        address = site.person(country="US", time_zone=night())
        given = Agreement(channel=Channel.SMS, to=site.number_of(address), topic="events", source="form")
        site.services.suppressions.record_consent(given)
        at(f"/admin/people/{reference_of(site, address)}?channel=sms&topic=events", Role.PRIVACY)(page, site)

    def reference_read_out(page: Page, site: Site) -> None:
        record(page, site)
        follow(page, page.locator("td a").first)

    def future(page: Page, site: Site) -> None:
        at("/admin/optout/new", Role.PRIVACY)(page, site)
        page.fill("#addresses", site.person())
        page.check("input[name=scope][value=all]")
        page.select_option("#how", "phone")
        for name, value in (("day", "1"), ("month", "1"), ("year", "2999")):
            page.fill(f"input[name=received_{name}]", value)
        press(page, "Record and stop sending")

    def lifted(page: Page, site: Site) -> None:
        lift(1)(page, site)
        page.check("input[name=why][value=mistake]")
        page.fill("#evidence", "Typed twice, see the letter")
        press(page, "Remove this opt-out")

    def unproven(page: Page, site: Site) -> None:
        lift(1)(page, site)
        follow(page, page.locator("main form button").last)

    def errors(page: Page, site: Site) -> None:
        at("/admin/optout/new", Role.PRIVACY)(page, site)
        page.fill("#addresses", "not an address")
        press(page, "Record and stop sending")

    def letter(page: Page, site: Site) -> None:
        record(page, site)
        follow(page, page.get_by_role("link", name="Print a letter").first)

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
        "people-refused": at("/admin/people", Role.ENGINEER),
        "person": with_person("/admin/people/{person}"),
        "person-check": with_person("/admin/people/{person}?channel=email&topic=transactional"),
        "person-export": with_person("/admin/people/{person}/export"),
        "person-masked": with_person("/admin/people/{person}", Role.MARKETING),
        "person-waits": waits,
        "person-new": fresh,
        "person-long": long_history,
        "person-joined": joined,
        "person-restricted": restricted,
        "person-erased": erased,
        "person-unknown": at("/admin/people/CT-2222222222222", Role.PRIVACY),
        "optout": at("/admin/optout/new", Role.PRIVACY),
        "optout-errors": errors,
        "optout-future": future,
        "optout-stopped": record,
        "optout-reference": reference_read_out,
        "optout-letter": letter,
        "suppressions": with_person("/admin/suppressions"),
        "suppressions-none": at("/admin/suppressions?reason=do_not_call", Role.MARKETING),
        "suppressions-stranger": at("/admin/suppressions?person=stranger@example.net", Role.PRIVACY),
        "suppressions-read": with_person("/admin/suppressions?reason=complaint", Role.MARKETING),
        "suppressions-new": at("/admin/suppressions/new", Role.MARKETING),
        "suppressions-lift": lift(1),
        "suppressions-lift-unproven": unproven,
        "suppressions-lift-many": lift(2),
        "suppressions-lifted": lifted,
        "suppressions-asked": asked,
        "decisions": with_person("/admin/decisions", Role.MARKETING),
        "decisions-one": decision,
        "decisions-none": at("/admin/decisions?campaign=none", Role.MARKETING),
        "decisions-again": again,
        "decisions-bad-id": at("/admin/decisions?id=no-such-id", Role.PRIVACY),
        "decisions-unknown": at("/admin/decisions/DE-000000000000000000000000", Role.PRIVACY),
        "queue-mails": mails,
        "queue-items": at("/admin/queue?tab=items", Role.PRIVACY),
    }
