"""The staff queue: mails nobody could be matched to, and items of providers that could not be applied.

Unclear texts are ``services.texts``. A mail may hold a wish to stop, so its clock runs from the
day it came: ten business days (rules.md T-9).
"""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from prefs.domain.address import masked, parse_address
from prefs.domain.deadlines import REVOCATION_DAYS, business_days_after, business_days_between
from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidAddress, NotFound
from prefs.services import audit
from prefs.services.kit import Kit
from prefs.storage import inbound, mails
from prefs.storage.mails import KeptMail


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A mail of the queue. ``due_on`` is the last day to act on a wish to stop in it; ``late`` counts business days."""

    id: int
    from_: str
    masked: str
    subject: str
    text: str
    authentic: bool
    known: bool
    received_at: datetime
    due_on: date
    late: int


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """An item that could not be applied; ``raw`` is what the provider sent, as text."""

    id: int
    provider: str
    problem: str
    raw: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """The use cases of the queue, texts apart."""

    kit: Kit

    def mails(self, *, after: int = 0, limit: int = 50) -> list[WaitingMail]:
        """Return mails nobody has dealt with, oldest first."""
        with self.kit.store.read() as connection:
            rows = mails.waiting(connection, limit, after=after)
        return [self._mail(row) for row in rows]

    def mail(self, number: int) -> WaitingMail:
        """Return one mail that waits. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            row = mails.read(connection, number)
        if row is None or row.kind != mails.QUEUE or row.handled_at is not None:
            raise NotFound("There is no such mail in the queue.")
        return self._mail(row)

    def settle_mail(self, number: int, *, actor: str) -> None:
        """Note that somebody dealt with a mail.

        Raises:
            NotFound: There is no such mail in the queue.
            Conflict: Somebody else dealt with it already.
        """
        with self.kit.store.write() as connection:
            row = mails.read(connection, number, lock=True)
            if row is None or row.kind != mails.QUEUE:
                raise NotFound("There is no such mail in the queue.")
            if row.handled_at is not None:
                raise Conflict("Somebody has dealt with this mail already.", code="already_decided")
            mails.settle(connection, number, actor, self.kit.now())
            audit.note(connection, self.kit.now(), actor, "queue_decided", f"mail:{number}")

    def items(self, *, after: int = 0, limit: int = 50) -> list[WaitingItem]:
        """Return items of providers that were set aside, oldest first."""
        with self.kit.store.read() as connection:
            rows = inbound.set_aside_waiting(connection, after=after, limit=limit)
        return [
            WaitingItem(row.id, row.provider, row.problem, self._raw(row.item_key, row.sealed), row.received_at)
            for row in rows
        ]

    def settle_item(self, number: int, *, actor: str) -> None:
        """Note that somebody looked at an item. Raises ``NotFound`` where there is none that waits."""
        with self.kit.store.write() as connection:
            if not inbound.settle_set_aside(connection, number, actor, self.kit.now()):
                raise NotFound("There is no such item in the queue. Somebody may have dealt with it.")
            audit.note(connection, self.kit.now(), actor, "queue_decided", f"item:{number}")

    def counts(self) -> tuple[int, int]:
        """Return how many mails and how many items wait."""
        with self.kit.store.read() as connection:
            return mails.count_waiting(connection), inbound.count_set_aside(connection)

    def _mail(self, row: KeptMail) -> WaitingMail:
        context = f"mail:{row.mail_key}".encode()
        said: dict[str, Any] = self.kit.vault.open_json(row.sealed, context=context) if row.sealed else {}
        from_ = str(said.get("from_") or "")
        received, today = row.received_at.date(), self.kit.now().date()
        due = business_days_after(received, REVOCATION_DAYS)
        return WaitingMail(
            row.id,
            from_,
            _masked(from_),
            str(said.get("subject") or ""),
            str(said.get("text") or ""),
            bool(said.get("authentic")),
            row.subject is not None,
            row.received_at,
            due,
            business_days_between(due, today),
        )

    def _raw(self, item_key: str, sealed: bytes) -> str:
        context = f"quarantine:{item_key.partition(':')[2]}".encode()
        try:
            return json.dumps(self.kit.vault.open_json(sealed, context=context), indent=1, ensure_ascii=False)
        except ValueError:
            return ""


def _masked(from_: str) -> str:
    try:
        return masked(parse_address(Channel.EMAIL, from_))
    except InvalidAddress:
        return ""
