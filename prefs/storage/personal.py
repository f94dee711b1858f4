"""Everything beside the ledger that is about a person: read for them, counted, and deleted (contract D3).

One table says what erasure does to each table that names a subject; a test holds it against the
schema, so that a new table cannot be forgotten.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, literal, select, update

from prefs.storage.people import KnownAddress, new_subject
from prefs.storage.tables import (
    UtcDateTime,
    address,
    address_alias,
    contact,
    evidence,
    idempotency,
    inbound_mail,
    inbound_text,
    job,
    ledger_entry,
    message,
    message_event,
    outbox,
    pending_choice,
    privacy_request,
    quarantine,
)

NOBODY = 0
"""The subject of a row whose person was erased: the row stays so that a repeat is still known as one."""


class Fate(StrEnum):
    """What erasure does to the rows of a table that name the person."""

    DELETED = "deleted"
    EMPTIED = "emptied"
    RENEWED = "renewed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Held:
    """A table that names subjects, and what erasure does to its rows."""

    table: Table
    fate: Fate


# Emptied rows lose words and person and keep the provider's id: a captured text played again
# must still be known as a repeat (contract D26, reliability.md V29). The address row gets a new
# subject under the same key; ledger entries keep the old one, which then leads to nobody.
HELD: dict[str, Held] = {
    "addresses": Held(address, Fate.RENEWED),
    "aliases": Held(address_alias, Fate.RENEWED),
    "contacts": Held(contact, Fate.DELETED),
    "evidence": Held(evidence, Fate.DELETED),
    "messages": Held(message, Fate.DELETED),
    "choices": Held(pending_choice, Fate.DELETED),
    "texts": Held(inbound_text, Fate.EMPTIED),
    "mails": Held(inbound_mail, Fate.EMPTIED),
    "requests": Held(privacy_request, Fate.EMPTIED),
    "entries": Held(ledger_entry, Fate.KEPT),
}


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text the person sent."""

    provider_id: str
    channel: str
    sealed: bytes | None
    kind: str
    rule: str
    rule_version: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail the person sent."""

    id: int
    mail_key: str
    sealed: bytes | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message to the person, with what became of it."""

    id: str
    channel: str
    message_class: str
    topic: int | None
    status: str
    campaign: str | None
    sealed: bytes
    provider_id: str | None
    created_at: datetime
    events: tuple[tuple[str, datetime], ...]


@dataclass(frozen=True, slots=True)
class StoredProof:
    """A sealed proof of an act, or of the device it was done with."""

    act_id: str
    subject: int
    part: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SealedRow:
    """Something sealed that does not say whose it is: its table, its place in it, and how to open it."""

    place: tuple[str, Any]
    sealed: bytes | None
    names: dict[str, Any]


def count(connection: Connection, subjects: Sequence[int]) -> dict[str, int]:
    """Return how many rows of each kind are about these subjects."""
    found = {}
    for name, held in HELD.items():
        query = select(func.count()).select_from(held.table).where(held.table.c.subject.in_(subjects))
        found[name] = int(connection.execute(query).scalar_one())
    return found


def forget(connection: Connection, subjects: Sequence[int], now: datetime) -> None:
    """Delete or empty what is about these subjects beside addresses, contacts and requests."""
    mine = select(message.c.id).where(message.c.subject.in_(subjects))
    connection.execute(delete(outbox).where(outbox.c.message_id.in_(mine)))
    for table in (message, evidence, pending_choice):
        connection.execute(delete(table).where(table.c.subject.in_(subjects)))
    handled = func.coalesce(inbound_text.c.handled_at, literal(now, UtcDateTime()))
    nothing_left = {"subject": NOBODY, "sealed": None, "act_id": None, "handled_at": handled}
    connection.execute(update(inbound_text).where(inbound_text.c.subject.in_(subjects)).values(nothing_left))
    empty_mails(connection, [mail.id for mail in mails(connection, subjects)], now)


def renew(connection: Connection, known: Sequence[KnownAddress], contact_subject: int | None, now: datetime) -> None:
    """Give each address row a new subject under its own key, and delete the contact.

    The rows are changed, not replaced: who waits for their lock finds the new subject, never nothing.
    """
    for one in known:
        aliases = select(address_alias.c.key).where(address_alias.c.subject == one.subject)
        keys = list(connection.execute(aliases).scalars())
        connection.execute(delete(address_alias).where(address_alias.c.subject == one.subject))
        fresh = {"subject": new_subject(), "sealed": None, "contact": None, "last_entry": 0, "created_at": now}
        connection.execute(update(address).where(address.c.key == one.key).values(fresh))
        if keys:
            connection.execute(insert(address_alias), [{"key": key, "subject": fresh["subject"]} for key in keys])
    if contact_subject is not None:
        connection.execute(delete(contact).where(contact.c.subject == contact_subject))


def texts(connection: Connection, subjects: Sequence[int]) -> list[StoredText]:
    """Return the texts these subjects sent, oldest first."""
    query = select(inbound_text).where(inbound_text.c.subject.in_(subjects)).order_by(inbound_text.c.id)
    return [
        StoredText(r.provider_id, r.channel, r.sealed, r.kind, r.rule, r.rule_version, r.received_at)
        for r in connection.execute(query)
    ]


def mails(connection: Connection, subjects: Sequence[int]) -> list[StoredMail]:
    """Return the mails these subjects sent, oldest first."""
    query = select(inbound_mail).where(inbound_mail.c.subject.in_(subjects)).order_by(inbound_mail.c.id)
    return [StoredMail(r.id, r.mail_key, r.sealed, r.received_at) for r in connection.execute(query)]


def mails_of_strangers(connection: Connection) -> list[StoredMail]:
    """Return the mails that were kept though nobody we knew could be shown to have sent them."""
    strange = inbound_mail.c.subject.is_(None) & inbound_mail.c.sealed.is_not(None)
    query = select(inbound_mail).where(strange).order_by(inbound_mail.c.id)
    return [StoredMail(r.id, r.mail_key, r.sealed, r.received_at) for r in connection.execute(query)]


def empty_mails(connection: Connection, numbers: Sequence[int], now: datetime) -> None:
    """Take words and person out of mails; that one came stays, so that a repeat is known as one."""
    values = {
        "subject": None,
        "sealed": None,
        "handled_at": func.coalesce(inbound_mail.c.handled_at, literal(now, UtcDateTime())),
    }
    connection.execute(update(inbound_mail).where(inbound_mail.c.id.in_(numbers)).values(values))


def messages(connection: Connection, subjects: Sequence[int]) -> list[StoredMessage]:
    """Return the messages to these subjects, oldest first."""
    mine = message.c.subject.in_(subjects)
    events: dict[str, list[tuple[str, datetime]]] = {}
    happened = (
        select(message_event.c.message_id, message_event.c.status, message_event.c.at)
        .join(message, message.c.id == message_event.c.message_id)
        .where(mine)
        .order_by(message_event.c.id)
    )
    for row in connection.execute(happened):
        events.setdefault(row.message_id, []).append((row.status, row.at))
    query = select(message).where(mine).order_by(message.c.created_at, message.c.id)
    return [
        StoredMessage(
            r.id,
            r.channel,
            r.message_class,
            r.topic,
            r.status,
            r.campaign,
            r.sealed,
            r.provider_id,
            r.created_at,
            tuple(events.get(r.id, ())),
        )
        for r in connection.execute(query)
    ]


def forget_message(connection: Connection, message_id: str) -> None:
    """Delete one message with its history."""
    connection.execute(delete(message).where(message.c.id == message_id))


def proofs(connection: Connection, subjects: Sequence[int]) -> list[StoredProof]:
    """Return the sealed proofs of these subjects' acts, oldest first."""
    query = select(evidence).where(evidence.c.subject.in_(subjects)).order_by(evidence.c.id)
    return [StoredProof(r.act_id, r.subject, r.part, r.sealed) for r in connection.execute(query)]


def loose_rows(connection: Connection) -> Iterator[SealedRow]:
    """Yield what is sealed and names no subject: kept answers, errands, items a provider spoilt."""
    kept = select(idempotency).where(idempotency.c.sealed.is_not(None))
    for row in connection.execute(kept):
        yield SealedRow(("idempotency", (row.caller, row.key)), row.sealed, {"caller": row.caller, "key": row.key})
    errands = select(job.c.id, job.c.payload).where(job.c.kind.in_(("record", "link", "confirm", "twilio_times")))
    for row in connection.execute(errands):
        yield SealedRow(("job", row.id), None, row.payload)
    for row in connection.execute(select(quarantine)):
        yield SealedRow(("quarantine", row.id), row.sealed, {"item_key": row.item_key})


def drop_loose(connection: Connection, places: Sequence[tuple[str, Any]]) -> None:
    """Delete rows that ``loose_rows`` named."""
    for name, where in places:
        if name == "idempotency":
            mine = (idempotency.c.caller == where[0]) & (idempotency.c.key == where[1])
            connection.execute(delete(idempotency).where(mine))
        elif name == "job":
            connection.execute(delete(job).where(job.c.id == where, job.c.status != "running"))
        else:
            connection.execute(delete(quarantine).where(quarantine.c.id == where))
