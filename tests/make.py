"""Makes what tests need: a clock, a world, entries; every argument optional."""

import base64
import itertools
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from prefs import simulate
from prefs.config import Settings
from prefs.domain.ledger import Entry
from prefs.domain.terms import Act, Channel, ConsentKind, Reason
from prefs.services.keys import SCOPES
from prefs.services.passwords import Passwords
from prefs.wiring import Services, build

QUICK = Passwords(memory_kib=8, passes=1, lanes=1)
NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
"""Noon in New York: nine in California, eighteen in Berlin, so that no quiet hours disturb."""
SECRETS = simulate.new_webhook_secrets()
ADA, BEN = "ada@example.com", "+14155550123"
MARKETING_NUMBER, SERVICE_NUMBER = "+15550100001", "+15550100002"


@dataclass
class Clock:
    """Stands still until a test moves it."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class World:
    """The service as callers and providers see it."""

    services: Services
    client: FlaskClient
    clock: Clock
    key: str
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> TestResponse:
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer {key or self.key}", **headers})

    def get(self, path: str, *, key: str | None = None) -> TestResponse:
        return self.client.get(path, headers={"Authorization": f"Bearer {key or self.key}"})

    def decide(self, channel: str = "email", to: str = ADA, topic: str | None = "product-offers", **more: Any) -> Any:
        body = {"channel": channel, "to": to, **({"topic": topic} if topic else {}), **more}
        answer = self.post("/v1/decisions", body)
        assert answer.status_code == 200, answer.text
        return answer.json

    def link(self, to: str = ADA, topic: str | None = "product-offers", channel: str = "email") -> str:
        body = {"channel": channel, "to": to, **({"topic": topic} if topic else {})}
        url: str = self.post("/v1/links", body).json["links"]["unsubscribe"]
        return url.removeprefix(self.services.base_url)

    def choices_link(self, to: str = ADA, channel: str = "email") -> str:
        """Return the preferences link a message to this address would carry."""
        url: str = self.post("/v1/links", {"channel": channel, "to": to}).json["links"]["preferences"]
        return url.removeprefix(self.services.base_url)

    def know(self, *addresses: tuple[str, str], contact: str = "ada", **more: Any) -> None:
        """Make a contact with these addresses; Ada's email where none is named."""
        listed = [{"channel": channel, "value": value} for channel, value in addresses or [("email", ADA)]]
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = self.client.put(f"/v1/contacts/{contact}", json={"addresses": listed, **more}, headers=headers)
        assert answer.status_code == 200, answer.text

    def work(self) -> None:
        """Let the worker do all that is due."""
        while self.services.worker.run_once():
            pass

    def mails(self, to: str = ADA) -> list[Any]:
        """Return what was sent to an address, newest first."""
        return [one for one in self.services.outbox.messages() if one.to == to]

    def link_in(self, mail: Any, path: str) -> str:
        """Return the first link in a mail to a path like ``/p/``, without the origin."""
        found = re.search(re.escape(self.services.base_url) + f'({path}[^\\s"<]+)', mail.text)
        assert found, mail.text
        return found[1]

    def asked_link(self, to: str = ADA) -> str:
        """Ask for a link at ``/stop`` and return the one that was mailed."""
        self.client.post("/stop", data={"address": to, "want": "link"})
        self.work()
        return self.link_in(self.mails(to)[0], "/p/")

    def form(self, page: str) -> dict[str, str]:
        """Return the fields of the form on a page that carries the choices, as a browser would post them."""
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
        checked = re.findall(r'<input type="radio" name="([^"]+)" value="([^"]+)" checked>', page)
        return {**fields, **dict(checked)}

    def text(self, body: str, from_: str = BEN, to: str = MARKETING_NUMBER, **more: str) -> TestResponse:
        form = simulate.text_form(SECRETS["TWILIO_ACCOUNT_SID"], from_, to, body, **more)
        return self.post_text(form)

    def post_text(self, form: dict[str, str]) -> TestResponse:
        url = self.services.base_url + simulate.TEXTS_PATH
        headers = simulate.sign_text(SECRETS["TWILIO_AUTH_TOKEN"], url, form)
        return self.client.post(simulate.TEXTS_PATH, data=form, headers=headers)

    def events(self, *events: Any) -> TestResponse:
        body, headers = simulate.sign_events(SECRETS["SENDGRID_WEBHOOK_PRIVATE_KEY"], events)
        return self.client.post(simulate.EVENTS_PATH, data=body, headers=headers)

    def event(self, name: str, email: str = ADA, **more: Any) -> dict[str, Any]:
        return simulate.event(name, email, timestamp=int(self.clock.at.timestamp()), **more)

    def consent(self, channel: str = "sms", to: str = BEN, topic: str = "events", **more: Any) -> TestResponse:
        return self.post("/v1/consents", {"channel": channel, "to": to, "topic": topic, "source": "form", **more})

    def entries(self) -> list[Entry]:
        from prefs.storage import ledger

        with self.services.kit.store.read() as connection:
            return ledger.after(connection, 0, 100_000)


def environment_for(database_url: str, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment the service of a test lives in."""
    return {
        "PREFS_DATA_DIR": str(folder / "var"),
        "DATABASE_URL": database_url,
        "PREFS_BASE_URL": "http://127.0.0.1:8080",
        "PREFS_SECRET_KEYS": "t1:" + base64.b64encode(b"s" * 32).decode(),
        "PREFS_ADDRESS_KEY": base64.b64encode(b"a" * 32).decode(),
        "SENDGRID_INBOUND_SECRET": "inbound-secret",
        **{name: value for name, value in SECRETS.items() if name != "SENDGRID_WEBHOOK_PRIVATE_KEY"},
        **more,
    }


def make_settings(database_url: str, folder: Path, **more: str) -> Settings:
    return Settings.from_env(environment_for(database_url, folder, **more))


def make_world(database_url: str, clock: Clock, folder: Path, **more: str) -> World:
    services = build(make_settings(database_url, folder, **more), now=clock, passwords=QUICK)
    services.kit.catalogues.ensure_default()
    app = create_app(services=services)
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return World(services, app.test_client(), clock, services.keys.create("tests", SCOPES))


_numbers = itertools.count(1)


def make_entry(
    act: Act = Act.OPT_OUT,
    *,
    at: int = 0,
    key: str | None = None,
    act_id: str | None = None,
    subject: int = 1,
    channel: Channel | None = Channel.EMAIL,
    scope: int = 0,
    reason: Reason | None = None,
    consent: ConsentKind | None = None,
    sender: int | None = None,
    until: datetime | None = None,
    lifts: str | None = None,
    flag: str | None = None,
) -> Entry:
    """Return an entry ``at`` seconds after noon; an opt-out is ``unsubscribed`` unless it says otherwise."""
    number = next(_numbers)
    moment = NOON + timedelta(seconds=at)
    return Entry(
        entry_key=key or f"key-{number}",
        act_id=act_id or f"act-{number}",
        act=act,
        subject=subject,
        channel=channel,
        source="test",
        effective_at=moment,
        occurred_at=moment,
        recorded_at=moment,
        scope=scope,
        reason=reason or (Reason.UNSUBSCRIBED if act is Act.OPT_OUT else None),
        consent=consent or (ConsentKind.EXPRESS if act is Act.OPT_IN else None),
        sender=sender,
        until=until,
        lifts=lifts,
        flag=flag,
        id=number,
    )
