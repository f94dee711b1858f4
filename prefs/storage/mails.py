"""Mails that came in: what became of each, and those a person must look at."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, select

from prefs.storage.people import add_new
from prefs.storage.tables import inbound_mail

QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class KeptMail:
    """A mail as stored; ``kind`` says what became of it: ``link``, ``sender``, ``automatic`` or ``queue``."""

    id: int
    kind: str
    subject: int | None
    sealed: bytes | None
    received_at: datetime
    handled_at: datetime | None


def keep(
    connection: Connection, mail_key: str, *, kind: str, subject: int | None, sealed: bytes | None, now: datetime
) -> bool:
    """Store a mail once; False where it came before."""
    values: dict[str, object] = {
        "mail_key": mail_key,
        "kind": kind,
        "subject": subject,
        "sealed": sealed,
        "received_at": now,
    }
    return add_new(connection, inbound_mail, values)


def waiting(connection: Connection, limit: int = 50) -> list[KeptMail]:
    """Return the mails nobody has dealt with yet, oldest first."""
    open_ones = (inbound_mail.c.kind == QUEUE) & inbound_mail.c.handled_at.is_(None)
    query = select(inbound_mail).where(open_ones).order_by(inbound_mail.c.received_at).limit(limit)
    return [_mail(row) for row in connection.execute(query)]


def _mail(row: Row[tuple[object, ...]]) -> KeptMail:
    return KeptMail(row.id, row.kind, row.subject, row.sealed, row.received_at, row.handled_at)
