"""Scrubs that were asked for over the API: who asked what, and what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from prefs.storage.tables import scrub

LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class ScrubRow:
    """One scrub; ``status`` is ``queued``, ``running``, ``done``, ``failed`` or ``expired``."""

    id: str
    caller: str
    status: str
    asked: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime


def add(connection: Connection, number: str, caller: str, asked: dict[str, Any], now: datetime) -> None:
    """Note a scrub that waits for the worker."""
    values = {"id": number, "caller": caller, "status": "queued", "asked": asked, "created_at": now}
    connection.execute(scrub.insert(), values)


def find(connection: Connection, number: str) -> ScrubRow | None:
    """Return a scrub, or None."""
    row = connection.execute(select(scrub).where(scrub.c.id == number)).one_or_none()
    return _read(row) if row else None


def claim(connection: Connection, number: str, now: datetime) -> bool:
    """Take a scrub that waits, or whose worker died; False where somebody is at it or it is over."""
    free = (scrub.c.status == "queued") | ((scrub.c.status == "running") & (scrub.c.lease_until < now))
    statement = update(scrub).where(scrub.c.id == number, free)
    return connection.execute(statement.values(status="running", lease_until=now + LEASE)).rowcount == 1


def renew(connection: Connection, number: str, now: datetime) -> None:
    """Say that its worker lives."""
    connection.execute(update(scrub).where(scrub.c.id == number).values(lease_until=now + LEASE))


def settle(
    connection: Connection,
    number: str,
    status: str,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """Note how a scrub ended, or that it waits again."""
    values = {"status": status, "result": result, "error": error, "lease_until": None}
    connection.execute(update(scrub).where(scrub.c.id == number).values(values))


def expire(connection: Connection, before: datetime) -> Iterator[str]:
    """Mark scrubs asked for before a moment as expired, and yield their numbers; running ones stay."""
    old = (scrub.c.created_at < before) & scrub.c.status.not_in(("expired", "running"))
    numbers = list(connection.execute(select(scrub.c.id).where(old)).scalars())
    connection.execute(update(scrub).where(scrub.c.id.in_(numbers)).values(status="expired"))
    yield from numbers


def forget(connection: Connection, before: datetime) -> int:
    """Delete scrubs asked for before a moment, their counts with them, and return how many."""
    return connection.execute(delete(scrub).where(scrub.c.created_at < before, scrub.c.status != "running")).rowcount


def _read(row: Row[Any]) -> ScrubRow:
    return ScrubRow(row.id, row.caller, row.status, row.asked, row.result, row.error, row.created_at)
