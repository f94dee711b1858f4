"""The audit log at rest: appended to, read, never changed (a trigger sees to it)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, true

from prefs.storage.tables import audit_entry


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did or saw what, and when."""

    id: int
    at: datetime
    actor: str
    action: str
    about: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; empty means everything."""

    actor: str | None = None
    action: str | None = None
    about: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def add(connection: Connection, values: dict[str, Any]) -> None:
    """Append one entry; ``services.audit`` is the only caller."""
    connection.execute(insert(audit_entry), values)


def page(
    connection: Connection, wanted: AuditFilter, limit: int, *, before: int | None = None, after: int | None = None
) -> list[AuditEntry]:
    """Return entries newest first: those older than ``before``, or the next newer than ``after``."""
    query = select(audit_entry).where(_matches(wanted))
    if after is not None:
        newer = query.where(audit_entry.c.id > after).order_by(audit_entry.c.id).limit(limit)
        return [_entry(row) for row in connection.execute(newer)][::-1]
    if before is not None:
        query = query.where(audit_entry.c.id < before)
    return [_entry(row) for row in connection.execute(query.order_by(audit_entry.c.id.desc()).limit(limit))]


def every(connection: Connection, wanted: AuditFilter) -> Iterator[AuditEntry]:
    """Yield all entries, oldest first."""
    for row in connection.execute(select(audit_entry).where(_matches(wanted)).order_by(audit_entry.c.id)):
        yield _entry(row)


def actions(connection: Connection) -> list[str]:
    """Return each kind of action there is, in order."""
    return list(connection.execute(select(audit_entry.c.action).distinct().order_by(audit_entry.c.action)).scalars())


def _matches(wanted: AuditFilter) -> ColumnElement[bool]:
    found: ColumnElement[bool] = true()
    for name in ("actor", "action", "about"):
        value = getattr(wanted, name)
        if value:
            found &= audit_entry.c[name] == value
    if wanted.since:
        found &= audit_entry.c.at >= wanted.since
    if wanted.until:
        found &= audit_entry.c.at < wanted.until
    return found


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(row.id, row.at, row.actor, row.action, row.about, row.detail)
