"""Inbound texts, kept with how they were read (rules.md S-5), and what could not be read at all."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

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
    asked: str | None = None
    act_id: str | None = None

    def row(self) -> dict[str, Any]:
        """Return it as its row; ``dataclasses.asdict`` would copy every value."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class WaitingText:
    """A text that waits for a person; ``sealed`` is None once its words were forgotten."""

    id: int
    provider_id: str
    subject: int
    channel: str
    sender: int | None
    sealed: bytes | None
    rule: str
    changed: bool
    act_id: str | None
    received_at: datetime
    handled_at: datetime | None


def is_new(connection: Connection, provider_id: str) -> bool:
    """False where the provider delivered this very text before (the address lock is held)."""
    query = select(inbound_text.c.id).where(inbound_text.c.provider_id == provider_id)
    return connection.execute(query).first() is None


def keep_text(connection: Connection, text: KeptText) -> None:
    """Store a text. Its provider id is unique for ever (reliability.md item 11)."""
    connection.execute(insert(inbound_text), text.row())


def provider_ids(connection: Connection, subject: int, kind: str) -> list[str]:
    """Return the provider's ids of a person's texts of one kind, newest first, ten at most."""
    query = select(inbound_text.c.provider_id).where(inbound_text.c.subject == subject, inbound_text.c.kind == kind)
    return list(connection.execute(query.order_by(inbound_text.c.id.desc()).limit(10)).scalars())


def last_asked(connection: Connection, subject: int, question: str, sender: int | None) -> tuple[datetime, str] | None:
    """Return when a person's text was last answered with a question, and that text's act, or None."""
    query = (
        select(inbound_text.c.received_at, inbound_text.c.act_id)
        .where(inbound_text.c.subject == subject, inbound_text.c.asked == question, inbound_text.c.sender == sender)
        .order_by(inbound_text.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return (row.received_at, row.act_id or "") if row else None


def waiting(connection: Connection, kind: str, *, after: int = 0, limit: int = 50) -> list[WaitingText]:
    """Return texts of one kind that nobody has looked at yet, oldest first."""
    query = (
        select(inbound_text)
        .where(inbound_text.c.kind == kind, inbound_text.c.handled_at.is_(None), inbound_text.c.id > after)
        .order_by(inbound_text.c.id)
        .limit(limit)
    )
    return [_waiting(row) for row in connection.execute(query)]


def count_waiting(connection: Connection, kind: str) -> int:
    """Return how many texts of one kind wait for a person."""
    query = select(func.count()).where(inbound_text.c.kind == kind, inbound_text.c.handled_at.is_(None))
    number: int = connection.execute(query).scalar_one()
    return number


def read_text(connection: Connection, number: int) -> WaitingText | None:
    """Return one text, locked, or None."""
    query = select(inbound_text).where(inbound_text.c.id == number).with_for_update()
    row = connection.execute(query).one_or_none()
    return _waiting(row) if row else None


def settle_text(connection: Connection, number: int, verdict: str, actor: str, now: datetime) -> None:
    """Note what a person made of a text."""
    values = {"verdict": verdict, "handled_by": actor, "handled_at": now}
    connection.execute(update(inbound_text).where(inbound_text.c.id == number).values(values))


def _waiting(row: Row[Any]) -> WaitingText:
    return WaitingText(**{one.name: getattr(row, one.name) for one in fields(WaitingText)})


def set_aside(connection: Connection, item_key: str, provider: str, problem: str, sealed: bytes, now: datetime) -> None:
    """Keep an item that could not be applied, once, for a person to look at."""
    values = {"item_key": item_key, "provider": provider, "problem": problem, "sealed": sealed, "received_at": now}
    connection.execute(insert_new(connection, quarantine), values)


@dataclass(frozen=True, slots=True)
class SetAside:
    """An item of a provider that could not be applied, as stored."""

    id: int
    item_key: str
    provider: str
    problem: str
    sealed: bytes
    received_at: datetime
    handled_at: datetime | None


def set_aside_waiting(connection: Connection, *, after: int = 0, limit: int = 50) -> list[SetAside]:
    """Return the items that nobody has looked at, oldest first."""
    query = select(quarantine).where(quarantine.c.handled_at.is_(None), quarantine.c.id > after)
    return [_set_aside(row) for row in connection.execute(query.order_by(quarantine.c.id).limit(limit))]


def count_set_aside(connection: Connection) -> int:
    """Return how many items nobody has looked at."""
    query = select(func.count()).select_from(quarantine).where(quarantine.c.handled_at.is_(None))
    number: int = connection.execute(query).scalar_one()
    return number


def settle_set_aside(connection: Connection, number: int, by: str, now: datetime) -> bool:
    """Note that a person looked at an item; False where somebody did before, or there is none."""
    mine = (quarantine.c.id == number) & quarantine.c.handled_at.is_(None)
    return connection.execute(update(quarantine).where(mine).values(handled_at=now, handled_by=by)).rowcount == 1


def _set_aside(row: Row[Any]) -> SetAside:
    return SetAside(**{one.name: getattr(row, one.name) for one in fields(SetAside)})
