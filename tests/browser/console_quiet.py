"""States of a console where nothing has happened yet, with two real providers that are compared.

They live on a site of their own: on the shared one, somebody has always been there before.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from playwright.sync_api import Page

from prefs import simulate
from prefs.domain.roles import Role
from prefs.domain.terms import Channel
from prefs.services.mail_sync import ENDED_HERE
from prefs.storage import checks
from prefs.storage.tables import provider_check
from tests.browser.site import ACCOUNT, TOKEN, Site, press

Go = Callable[[Page, Site], None]

_DRIFT = {"lines_read": 10_497, "bad_addresses_missed": 3, "ended_here": 1, "only_ours": 12, "in_both": 10_482}


def states(at: Callable[..., Go]) -> dict[str, Go]:
    """Return every page and state; ``at`` opens a path for somebody of a role."""

    def quiet(path: str, role: Role = Role.ADMIN) -> Go:
        return lambda page, site: at(path, role)(page, site.quiet)

    def day(path: str, role: Role = Role.ENGINEER) -> Go:
        def go(page: Page, site: Site) -> None:
            fill_day(site.quiet)
            at(path, role)(page, site.quiet)

        return go

    def conflicts(page: Page, site: Site) -> None:
        fill_day(site.quiet)
        subject = site.quiet.services.persons.find(site.quiet.person())[0].addresses[0].known.subject
        since = datetime.now(UTC).isoformat()
        items = [{"kind": ENDED_HERE, "subject": subject, "since": since, "suppression": None}]
        _line(site.quiet, "sendgrid", timedelta(minutes=1), found={"conflicts": items})
        at("/admin/queue?tab=conflicts", Role.PRIVACY)(page, site.quiet)

    def unclear_text(page: Page, site: Site) -> None:
        there, number = site.quiet, f"+1415556{next(site.quiet.numbers):04}"
        there.services.contacts.save(f"texter-{number}", [(Channel.SMS, number)])
        form = simulate.text_form(ACCOUNT, number, "+15550100001", "I think you have the wrong number")
        url = f"{there.url}{simulate.TEXTS_PATH}"
        requests.post(url, data=form, headers=simulate.sign_text(TOKEN, url, form), timeout=10).raise_for_status()
        at("/admin/queue", Role.MARKETING)(page, there)

    def tried(page: Page, site: Site) -> None:
        day("/admin/providers/twilio")(page, site)
        press(page, "Try now")

    def compared(page: Page, site: Site) -> None:
        fill_day(site.quiet)
        _line(site.quiet, "sendgrid", timedelta(minutes=2), kind="compare", found=_DRIFT)
        at("/admin/providers/sendgrid", Role.ENGINEER)(page, site.quiet)

    return {
        "overview-new": quiet("/admin/"),
        "overview-provider-fails": day("/admin/", Role.ADMIN),
        "requests-none": quiet("/admin/requests", Role.PRIVACY),
        "queue-none": quiet("/admin/queue?tab=mails", Role.PRIVACY),
        "queue-texts": unclear_text,
        "queue-conflicts": conflicts,
        "approvals-none": quiet("/admin/approvals", Role.PRIVACY),
        "decisions-nothing-sent": quiet("/admin/decisions", Role.MARKETING),
        "suppressions-nobody": quiet("/admin/suppressions", Role.PRIVACY),
        "imports-none": quiet("/admin/imports", Role.MARKETING),
        "exports-none": quiet("/admin/exports", Role.PRIVACY),
        "words-versions-none": quiet("/admin/words/versions"),
        "dev-outbox-empty": quiet("/dev/outbox", Role.ENGINEER),
        "providers-compared": day("/admin/providers"),
        "provider-fails": day("/admin/providers/twilio"),
        "provider-read": day("/admin/providers/sendgrid", Role.MARKETING),
        "provider-tried": tried,
        "provider-drift": compared,
    }


def fill_day(site: Site) -> None:
    """Put a day of comparisons where the worker leaves them: mail in step but for an hour, texts failing at the end."""
    with site.services.kit.store.write() as connection:
        connection.execute(provider_check.delete())
    for back in range(48, -1, -1):
        ago = timedelta(minutes=30 * back + 5)
        if back not in range(20, 25):
            _line(site, "sendgrid", ago)
        _line(site, "twilio", ago, error="ProviderError" if back < 4 else "StoreUnavailable" if back == 30 else None)


def _line(
    site: Site, provider: str, ago: timedelta, *, kind: str = "sync", error: str | None = None, found: Any = None
) -> None:
    moment = datetime.now(UTC) - ago
    line = {"provider": provider, "kind": kind, "began_at": moment, "ended_at": moment}
    with site.services.kit.store.write() as connection:
        checks.add(connection, {**line, "error": error, "found": found or {}})
