"""Mails that came in: what became of each, and those a person must look at."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, select, update

from prefs.storage.people import add_new
from prefs.storage.tables import inbound_mail

QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class KeptMail:
    """A mail as stored; ``kind`` says what became of it: ``link``, ``sender``, ``automatic`` or ``queue``."""

    id: int
    mail_key: str
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


def waiting(connection: Connection, limit: int = 50, *, after: int = 0) -> list[KeptMail]:
    """Return the mails nobody has dealt with yet, oldest first."""
    query = select(inbound_mail).where(_OPEN, inbound_mail.c.id > after).order_by(inbound_mail.c.id).limit(limit)
    return [_mail(row) for row in connection.execute(query)]


def count_waiting(connection: Connection) -> int:
    """Return how many mails wait for a person."""
    number: int = connection.execute(select(func.count()).select_from(inbound_mail).where(_OPEN)).scalar_one()
    return number


def read(connection: Connection, number: int, *, lock: bool = False) -> KeptMail | None:
    """Return one mail, or None."""
    query = select(inbound_mail).where(inbound_mail.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _mail(row) if row else None


def settle(connection: Connection, number: int, by: str, now: datetime) -> None:
    """Note that a person dealt with a mail."""
    values = {"handled_at": now, "handled_by": by}
    connection.execute(update(inbound_mail).where(inbound_mail.c.id == number).values(values))


_OPEN = (inbound_mail.c.kind == QUEUE) & inbound_mail.c.handled_at.is_(None)


def _mail(row: Row[tuple[object, ...]]) -> KeptMail:
    return KeptMail(row.id, row.mail_key, row.kind, row.subject, row.sealed, row.received_at, row.handled_at)
