"""Privacy requests: what somebody asked the privacy office for, sealed, with its clock in the open."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from prefs.storage.tables import privacy_request

OPEN = ("received", "working")


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as stored; ``status`` is ``received``, ``working``, ``answered`` or ``withdrawn``."""

    id: int
    kind: str
    status: str
    subject: int | None
    sealed: bytes | None
    language: str
    received_by: str
    received_at: datetime
    due_on: date
    verified_at: datetime | None
    closed_at: datetime | None

    @property
    def reference(self) -> str:
        """What people read out, like ``PR-0442``."""
        return f"PR-{self.id:04}"


def add(connection: Connection, values: dict[str, Any], due_on: date) -> int:
    """Store a request and return its number."""
    statement = insert(privacy_request).returning(privacy_request.c.id)
    number: int = connection.execute(statement, {**values, "due_on": due_on.isoformat()}).scalar_one()
    return number


def read(connection: Connection, number: int, *, lock: bool = False) -> RequestRow | None:
    """Return a request, or None."""
    query = select(privacy_request).where(privacy_request.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _request(row) if row else None


def change(connection: Connection, number: int, **values: Any) -> None:
    """Change the status and times of a request."""
    connection.execute(update(privacy_request).where(privacy_request.c.id == number).values(values))


def open_restriction(connection: Connection, subjects: Iterable[int]) -> RequestRow | None:
    """Return the oldest open request to restrict the use of these subjects' data, or None."""
    mine = privacy_request.c.subject.in_(list(subjects)) & (privacy_request.c.kind == "restriction")
    query = select(privacy_request).where(mine, privacy_request.c.status.in_(OPEN)).order_by(privacy_request.c.id)
    row = connection.execute(query.limit(1)).one_or_none()
    return _request(row) if row else None


def _request(row: Row[Any]) -> RequestRow:
    return RequestRow(
        id=row.id,
        kind=row.kind,
        status=row.status,
        subject=row.subject,
        sealed=row.sealed,
        language=row.language,
        received_by=row.received_by,
        received_at=row.received_at,
        due_on=date.fromisoformat(row.due_on),
        verified_at=row.verified_at,
        closed_at=row.closed_at,
    )
