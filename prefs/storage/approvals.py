"""What waits for a second person (reliability.md item 24)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from prefs.storage.tables import approval

WAITING, APPROVED, REFUSED, WITHDRAWN, DONE = "waiting", "approved", "refused", "withdrawn", "done"


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One question to a second person; ``sealed`` is what is to be done."""

    id: int
    kind: str
    about: str
    sealed: bytes
    status: str
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    done_at: datetime | None


def add(connection: Connection, values: dict[str, Any]) -> int:
    """Store a question and return its number."""
    number: int = connection.execute(insert(approval).returning(approval.c.id), values).scalar_one()
    return number


def seal(connection: Connection, number: int, sealed: bytes) -> None:
    """Store what is to be done, sealed for its row."""
    connection.execute(update(approval).where(approval.c.id == number).values(sealed=sealed))


def read(connection: Connection, number: int, *, lock: bool = False) -> ApprovalRow | None:
    """Return a question, or None."""
    query = select(approval).where(approval.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _approval(row) if row else None


def latest(connection: Connection, kind: str, about: str) -> ApprovalRow | None:
    """Return the newest question of a kind about a thing, or None."""
    mine = (approval.c.kind == kind) & (approval.c.about == about)
    row = connection.execute(select(approval).where(mine).order_by(approval.c.id.desc()).limit(1)).one_or_none()
    return _approval(row) if row else None


def with_status(connection: Connection, status: str) -> list[ApprovalRow]:
    """Return every question in a status, oldest first."""
    query = select(approval).where(approval.c.status == status).order_by(approval.c.id)
    return [_approval(row) for row in connection.execute(query)]


def move(connection: Connection, number: int, old: str, new: str, **values: Any) -> bool:
    """Move a question from one status to another; False where it is not in the first any more."""
    there = (approval.c.id == number) & (approval.c.status == old)
    return connection.execute(update(approval).where(there).values(status=new, **values)).rowcount == 1


def _approval(row: Row[Any]) -> ApprovalRow:
    values = row._mapping
    return ApprovalRow(*(values[name] for name in ApprovalRow.__slots__))
