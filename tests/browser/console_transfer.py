"""States of the console's import and export pages."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from prefs.domain.references import import_reference
from prefs.domain.roles import Role
from prefs.domain.terms import Channel
from prefs.services.export_desk import Ordered, Wanted
from prefs.services.import_wizard import Choice, Draft
from prefs.services.imports import ImportRequest
from prefs.services.suppression import Wish
from prefs.storage.imports import Import
from prefs.storage.staff import StaffUser
from tests.browser.site import Site, press

Go = Callable[[Page, Site], None]
Enter = Callable[..., StaffUser]

HEADER = "EmailAddress,SuppressionReason,Origin,CreatedAt,Notes\n"
BROKEN = (
    "jo@@example.com,ManualSuppression,Customer,2026-04-03,\n"
    "kim.example.com,ManualSuppression,Customer,2026-04-03,\n"
    "lee@example.com,Paused,Customer,2026-04-03,called the desk\n"
    ",ManualSuppression,Customer,2026-04-03,\n"
)


def make_list(site: Site, rows: int = 40) -> str:
    """Return a list of people nobody has imported before, with some rows that cannot be."""
    number = next(site.numbers)
    good = [f"p{number}-{row}@example.com,ManualSuppression,Customer,0{row % 9 + 1}/04/2026,\n" for row in range(rows)]
    return HEADER + "".join(good) + BROKEN * 2 + "x@y@example.com,ManualSuppression,Customer,2026-04-03,\n"


AGREED = "email,topic,kind,agreed_at,source,wording,sale_reference,product_family,refusal_offered_at\n"
YES = 'booking form,"Yes, tell me about events by email",,,\n'


def make_agreed(site: Site) -> str:
    """Return a list of people who agreed: one has opted out since, some rows have no proof."""
    number, stopped = next(site.numbers), site.person()
    site.services.suppressions.add(Wish(channel=Channel.EMAIL, to=stopped, source="letter"))
    good = [f"q{number}-{row}@example.com,events,express,2026-03-0{row % 9 + 1},{YES}" for row in range(30)]
    soft = f"r{number}@example.org,product-offers,soft_opt_in,2026-04-03,web shop,,order 1234,check-ups,2026-04-03\n"
    broken = "lee@example.com,events,express,2026-03-02,booking form,,,,\nkim@example.com,events,,2026-03-02,shop,,,,\n"
    return f"{AGREED}{''.join(good)}{soft}{stopped},events,express,2026-03-02,{YES}{broken}"


def states(at: Callable[..., Go], enter: Enter) -> dict[str, Go]:
    """Return every page and state; ``at`` opens a path for a role, ``enter`` signs somebody in."""

    def show(page: Page, site: Site, path: str) -> None:
        page.goto(f"{site.url}/admin/{path}")

    def draft(site: Site, user: StaffUser, text: str, name: str = "spring-events.csv") -> Draft:
        made: Draft = site.services.import_wizard.keep(name, user.actor, lambda path: Path(path).write_text(text))
        return made

    def chosen(file: str, text: bytes) -> Go:
        def go(page: Page, site: Site) -> None:
            at("/admin/imports/new", Role.MARKETING)(page, site)
            page.set_input_files("#file", {"name": file, "mimeType": "text/csv", "buffer": text})
            press(page, "Send the file")

        return go

    def match(text: str | None = None, button: str | None = None) -> Go:
        def go(page: Page, site: Site) -> None:
            made = draft(site, enter(page, site, Role.MARKETING), text or make_list(site))
            show(page, site, f"imports/{made.id}/match")
            if button:
                press(page, button)

        return go

    def check(page: Page, site: Site) -> None:
        show(page, site, f"imports/{checked(site, enter(page, site, Role.MARKETING)).id}/check")

    def checked(site: Site, user: StaffUser) -> Draft:
        made = draft(site, user, make_list(site))
        ended(site, site.services.import_wizard.check(made, Choice()))
        return made

    def agreed(site: Site, user: StaffUser) -> Draft:
        """Send a list of people who agreed, and wait for the end of its check."""
        made = draft(site, user, make_agreed(site), "agreed-in-spring.csv")
        found = site.services.import_wizard.check(made, Choice(rows="consents"))
        ended(site, found)
        again: Draft = site.services.import_wizard.draft(made.id, user.actor)
        return again

    def ended(site: Site, found: Import) -> None:
        end = time.monotonic() + 20
        while site.services.imports.view(found.id).finished_at is None and time.monotonic() < end:
            time.sleep(0.1)  # polls another process's worker; there is nothing to wait on

    def consents(path: str, *steps: str) -> Go:
        """Return the way to a page about a list of people who agreed, as far as ``steps`` go."""

        def go(page: Page, site: Site) -> None:
            user, wizard = enter(page, site, Role.PRIVACY), site.services.import_wizard
            made = agreed(site, user)
            names = {"draft": made.id}
            if "ask" in steps:
                wizard.ask_consents(made, user)
                names["question"] = wizard.consent_question(made).id
            if "approve" in steps:
                email = f"second{next(site.numbers)}@staff.example"
                second = site.services.team.create(email, Role.PRIVACY, by="tests")
                site.services.approvals.decide(second, names["question"], yes=True)
            if "run" in steps:
                found = wizard.run_consents(made, user)
                ended(site, found)
                names["import"] = import_reference(found.id)
            if "other" in steps:
                enter(page, site, Role.PRIVACY)
            show(page, site, path.format(**names))

        return go

    def imported(site: Site, user: StaffUser) -> Import:
        made = draft(site, user, make_list(site))
        request = ImportRequest(path=made.path, actor=user.actor, name=made.name)
        found: Import = site.services.imports.advance(site.services.imports.begin(request).id)
        return found

    def running(page: Page, site: Site) -> None:
        """Show an import that nobody works on, held still so that the page is not loaded again meanwhile."""
        user = enter(page, site, Role.MARKETING)
        made = draft(site, user, make_list(site))
        request = ImportRequest(path=made.path, actor=user.actor, name=made.name)
        found = site.services.imports.begin(request)
        show(page, site, f"imports/{import_reference(found.id)}/run?still=1")

    def checking(page: Page, site: Site) -> None:
        """Show a check that nobody works on, held still."""
        user = enter(page, site, Role.MARKETING)
        made = draft(site, user, make_list(site))
        request = ImportRequest(path=made.path, actor=user.actor, name=made.name, dry_run=True)
        found = site.services.imports.begin(request)
        site.services.import_wizard._save(replace(made, check=found.id))
        show(page, site, f"imports/{made.id}/check?still=1")

    def whole(page: Page, site: Site) -> None:
        user = enter(page, site, Role.MARKETING)
        made = draft(site, user, f"email\nwhole{next(site.numbers)}@example.com\n", "agency.csv")
        request = ImportRequest(path=made.path, actor=user.actor, name=made.name)
        found = site.services.imports.advance(site.services.imports.begin(request).id)
        show(page, site, f"imports/{import_reference(found.id)}/report")

    def report(page: Page, site: Site) -> None:
        found = imported(site, enter(page, site, Role.MARKETING))
        show(page, site, f"imports/{import_reference(found.id)}/report")

    def undo(*steps: str) -> Go:
        def go(page: Page, site: Site) -> None:
            user = enter(page, site, Role.MARKETING)
            found, wizard = imported(site, user), site.services.import_wizard
            reference = import_reference(found.id)
            if "ask" in steps:
                wizard.ask_undo(found, user)
            if "approve" in steps:
                email = f"second{next(site.numbers)}@staff.example"
                second = site.services.team.create(email, Role.PRIVACY, by="tests")
                site.services.approvals.decide(second, wizard.undo_question(found).id, yes=True)
            if "undo" in steps:
                site.services.imports.undo(found.id, "staff:0")
                reference += "/report"
            show(page, site, f"imports/{reference}" + ("" if "undo" in steps else "/undo"))

        return go

    def exported(role: Role, path: str, **fields: Any) -> Go:
        def go(page: Page, site: Site) -> None:
            at(f"/admin/exports/{path}", role)(page, site)
            for name, value in fields.items():
                page.fill(f"#{name}", value)
            if path == "new":
                page.check("input[name=form][value=masked]")
            press(page, "Make the file")
            page.wait_for_selector("text=Your file is")
            while "ready" not in page.inner_text("h1"):
                page.reload()

        return go

    def ordered(status: str, until: timedelta | None = None) -> Go:
        """Return the way to an export that is held at a status, as if made that long ago."""

        def go(page: Page, site: Site) -> None:
            user, desk = enter(page, site, Role.MARKETING), site.services.export_desk
            number, now = f"ex_{next(site.numbers):024x}", datetime.now(UTC)
            (desk.folder / number).mkdir(parents=True)
            why = "looked through, masked"
            wanted = Wanted(form="masked", recipient=user.actor, purpose=why, columns=("channel", "address"))
            made = Ordered(id=number, actor=user.actor, asked_at=now, wanted=wanted, status=status)
            desk._save(replace(made, until=now + until if until else None))
            show(page, site, f"exports/{number}?still=1")

        return go

    def no_purpose(page: Page, site: Site) -> None:
        at("/admin/exports/full", Role.PRIVACY)(page, site)
        press(page, "Make the file")

    why = {"recipient": "Adverts Ltd", "purpose": "suppression at our agency"}

    def imports(page: Page, site: Site) -> None:
        undo("undo")(page, site)
        report(page, site)
        show(page, site, "imports")

    def exports(page: Page, site: Site) -> None:
        exported(Role.PRIVACY, "full", **why)(page, site)
        show(page, site, "exports")

    return {
        "imports": imports,
        "import-choose": at("/admin/imports/new", Role.MARKETING),
        "import-excel": chosen("people.xlsx", b"PK\x03\x04" + b"x" * 60),
        "import-match": match(),
        "import-match-nothing-said": match(button="Check the rows"),
        "import-match-unclear": match("email,status\nada@example.com,paused\n"),
        "import-checking": checking,
        "import-check": check,
        "import-running": running,
        "import-report": report,
        "import-report-whole": whole,
        "import-refused": at("/admin/imports", Role.ENGINEER),
        "import-undo": undo(),
        "import-undo-asked": undo("ask"),
        "import-undo-approved": undo("ask", "approve"),
        "import-undone": undo("undo"),
        "consents-match": consents("imports/{draft}/match"),
        "consents-check": consents("imports/{draft}/check"),
        "consents-ask": consents("imports/{draft}/consents"),
        "consents-asked": consents("imports/{draft}/consents", "ask"),
        "consents-second-person": consents("imports/asked/{question}", "ask", "other"),
        "consents-approvals": consents("approvals", "ask", "other"),
        "consents-approved": consents("imports/{draft}/consents", "ask", "approve"),
        "consents-report": consents("imports/{import}/report", "ask", "approve", "run"),
        "consents-undo": consents("imports/{import}/undo", "ask", "approve", "run"),
        "exports": exports,
        "export-new": at("/admin/exports/new", Role.MARKETING),
        "export-full": at("/admin/exports/full", Role.PRIVACY),
        "export-full-no-purpose": no_purpose,
        "export-full-refused": at("/admin/exports/full", Role.MARKETING),
        "export-making": ordered("waiting"),
        "export-ready": exported(Role.MARKETING, "new"),
        "export-expired": ordered("ready", -timedelta(minutes=1)),
    }
