"""Inbound texts, kept with how they were read (rules.md S-5), and what could not be read at all."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from prefs.storage.people import insert_new
from prefs.storage.tables import inbound_text, quarantine


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text as stored: the exact words sealed, the reading in the open."""

    provider_id: str
    subject: int
    channel: str
    sender: int | None
    sealed: bytes
    kind: str
    rule: str
    rule_version: str
    changed: bool
    received_at: datetime


def is_new(connection: Connection, provider_id: str) -> bool:
    """False where the provider delivered this very text before (the address lock is held)."""
    query = select(inbound_text.c.id).where(inbound_text.c.provider_id == provider_id)
    return connection.execute(query).first() is None


def keep_text(connection: Connection, text: KeptText) -> None:
    """Store a text. Its provider id is unique for ever (reliability.md item 11)."""
    connection.execute(insert(inbound_text), asdict(text))


def provider_ids(connection: Connection, subject: int, kind: str) -> list[str]:
    """Return the provider's ids of a person's texts of one kind, newest first, ten at most."""
    query = select(inbound_text.c.provider_id).where(inbound_text.c.subject == subject, inbound_text.c.kind == kind)
    return list(connection.execute(query.order_by(inbound_text.c.id.desc()).limit(10)).scalars())


def last_of(connection: Connection, subject: int, kind: str, sender: int | None) -> datetime | None:
    """Return when a person's last text of one kind reached a sender, or None."""
    query = select(func.max(inbound_text.c.received_at)).where(
        inbound_text.c.subject == subject, inbound_text.c.kind == kind, inbound_text.c.sender == sender
    )
    found: datetime | None = connection.execute(query).scalar()
    return found


def set_aside(connection: Connection, item_key: str, provider: str, problem: str, sealed: bytes, now: datetime) -> None:
    """Keep an item that could not be applied, once, for a person to look at."""
    values = {"item_key": item_key, "provider": provider, "problem": problem, "sealed": sealed, "received_at": now}
    connection.execute(insert_new(connection, quarantine), values)
