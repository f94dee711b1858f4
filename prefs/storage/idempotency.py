"""Answers kept for a repeated ``Idempotency-Key`` (contract D26)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from prefs.storage.people import add_new
from prefs.storage.tables import idempotency

KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known about a key: the request it came with, and the answer once there is one."""

    route: str
    body_hash: bytes
    status: int | None
    sealed: bytes | None
    created_at: datetime


def claim(connection: Connection, caller: str, key: str, route: str, body_hash: bytes, now: datetime) -> Kept | None:
    """Take a key for this request; None means it is ours, else what it was taken for."""
    values = {"caller": caller, "key": key, "route": route, "body_hash": body_hash, "created_at": now}
    if add_new(connection, idempotency, values):
        return None
    mine = (idempotency.c.caller == caller) & (idempotency.c.key == key)
    row = connection.execute(select(idempotency).where(mine)).one()
    return Kept(row.route, row.body_hash, row.status, row.sealed, row.created_at)


def finish(connection: Connection, caller: str, key: str, status: int, sealed: bytes) -> None:
    """Keep the answer."""
    mine = (idempotency.c.caller == caller) & (idempotency.c.key == key)
    connection.execute(update(idempotency).where(mine).values(status=status, sealed=sealed))


def release(connection: Connection, caller: str, key: str) -> None:
    """Give a key back whose request changed nothing."""
    mine = (idempotency.c.caller == caller) & (idempotency.c.key == key) & idempotency.c.status.is_(None)
    connection.execute(delete(idempotency).where(mine))


def forget(connection: Connection, before: datetime) -> int:
    """Delete keys older than a moment and return how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.created_at < before)).rowcount
