"""A running service with people in it, and a real browser to look at it with."""

import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel, Reason
from prefs.links import ASKED_FOR, IN_A_MESSAGE, LinkTarget, Purpose
from prefs.services.suppression import Agreement, Wish
from tests.faults.service import Running, running

MISSING = "no Chromium: install Debian's chromium-headless-shell, or name one in PREFS_CHROMIUM"
ACCOUNT, TOKEN = "AC" + "0" * 32, "not-a-token"
"""Of the quiet site, with a provider that does not exist."""

_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
# A browser in a closed network, possibly as root, that talks to nobody but us.
_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    named = os.environ.get("PREFS_CHROMIUM")
    return named or next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield a browser. Raises ``FileNotFoundError`` where there is none."""
    path = find_chromium()
    if path is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@dataclass
class Site:
    """The service as people meet it; every person made here has an address of their own."""

    service: Running
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    folder: Path = Path()
    later: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return self.service.url

    @cached_property
    def quiet(self) -> "Site":
        """A second site, started when first asked for: nobody is on record, and two providers do not answer."""
        nobody_there = "http://127.0.0.1:9"
        providers = {
            "PREFS_EMAIL_TRANSPORT": "sendgrid",
            "SENDGRID_API_KEY": "SG.not-a-key",
            "SENDGRID_API_BASE_URL": nobody_there,
            "PREFS_SMS_TRANSPORT": "twilio",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_BASE_URL": nobody_there,
        }
        with mock.patch.dict(os.environ, providers):
            return self.later.enter_context(open_site(self.folder / "quiet"))

    def owns(self, url: str) -> bool:
        """True for what comes from this site or the quiet one."""
        quiet = self.__dict__.get("quiet")
        return url.startswith(self.url) or (quiet is not None and url.startswith(quiet.url))

    @property
    def services(self) -> Any:
        return self.service.services()

    def visit(self, browser: Browser, **options: Any) -> BrowserContext:
        """Return a fresh browser window, as somebody else at an address of their own on the net."""
        client = {"X-Forwarded-For": f"192.0.2.{next(self.numbers) % 250}"}
        usual = {"viewport": {"width": 1280, "height": 900}, "extra_http_headers": client}
        return browser.new_context(**{**usual, **options})

    def person(self, *, phone: bool = True, locale: str | None = None, country: str | None = None, **more: Any) -> str:
        """Make a contact with an email address and a number, and return the email address."""
        number = next(self.numbers)
        address = f"ada{number}@example.com"
        addresses = [(Channel.EMAIL, address)]
        if phone:
            addresses.append((Channel.SMS, f"+1415555{number:04}"))
        self.services.contacts.save(f"person-{number}", addresses, locale=locale, country=country, **more)
        return address

    def number_of(self, address: str) -> str:
        """Return the telephone number of a person made here."""
        return f"+1415555{int(address.removeprefix('ada').partition('@')[0]):04}"

    def key(self, address: str, channel: Channel = Channel.EMAIL) -> bytes:
        key: bytes = self.services.kit.address_keys.key(parse_address(channel, address))
        return key

    def unsubscribe(self, address: str, topic: str | None = "product-offers") -> str:
        """Return the unsubscribe link of a message about a topic."""
        number = self.services.kit.catalogue.topic(topic).number if topic else 0
        return str(self.services.linking.for_address(Channel.EMAIL, self.key(address), number).unsubscribe)

    def choices(self, address: str, *, days_old: int = 0, asked_for: bool = False) -> str:
        """Return a link to the preference center, made some days ago."""
        made = datetime.now(UTC) - timedelta(days=days_old)
        kind = ASKED_FOR if asked_for else IN_A_MESSAGE
        target = LinkTarget(Purpose.MANAGE, Channel.EMAIL, 0, self.key(address), made, kind)
        return f"{self.url}/p/{self.services.kit.links.make(target)}"

    def confirmation(self, address: str, *, days_old: int = 0) -> str:
        """Ask for a double opt-in and return its link, as if it was made some days ago."""
        given = Agreement(channel=Channel.EMAIL, to=address, topic="events", source="form", double_opt_in=True)
        self.services.suppressions.record_consent(given)
        url = self.mailed(address, "/confirm/")
        target = self.services.kit.links.read(url.rpartition("/")[2], Purpose.CONFIRM)
        made = datetime.now(UTC) - timedelta(days=days_old)
        old = LinkTarget(Purpose.CONFIRM, target.channel, target.scope, target.address_key, made, target.number)
        return f"{self.url}/confirm/{self.services.kit.links.make(old)}"

    def mailed(self, address: str, path: str) -> str:
        """Wait for a mail to an address with a link to a path, and return the link."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for mail in self.services.outbox.messages():
                if mail.to == address and f"{self.url}{path}" in mail.text:
                    return str(f"{self.url}{path}" + mail.text.partition(f"{self.url}{path}")[2].split()[0])
            time.sleep(0.1)  # polls another process's worker; there is nothing to wait on
        raise AssertionError(f"no mail to {address} with {path}")

    def stop(self, address: str, scope: str = "all", reason: Reason = Reason.UNSUBSCRIBED) -> None:
        """Put a stop on record, as a letter would."""
        wish = Wish(channel=Channel.EMAIL, to=address, scope=scope, reason=reason, source="letter")
        self.services.suppressions.add(wish)

    def entries(self) -> int:
        """Return how many facts the ledger holds."""
        from prefs.storage import ledger

        with self.services.kit.store.read() as connection:
            return ledger.position(connection)

    @contextmanager
    def database_busy(self) -> Iterator[None]:
        """Hold the database's one write lock, as a database that is away would look."""
        path = self.service.environment["DATABASE_URL"].removeprefix("sqlite:///")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")
            holder.close()


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Yield a running site on an embedded database, behind one proxy that says who asks."""
    with mock.patch.dict(os.environ, {"PREFS_TRUSTED_PROXY_HOPS": "1"}), running("sqlite", folder) as service:
        site = Site(service, folder=folder)
        with site.later:
            yield site


def press(page: Page, text: str) -> None:
    """Press the button with this text and wait for the page that follows."""
    follow(page, page.get_by_role("button", name=text, exact=True).first)


def follow(page: Page, target: Locator) -> None:
    """Click on something and wait for the page that follows; a click alone waits for none."""
    with page.expect_navigation():
        target.click()
