"""Choices that wait for the person to confirm them (contract D20)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from prefs.domain.terms import Channel
from prefs.storage.tables import pending_choice


@dataclass(frozen=True, slots=True)
class PendingChoice:
    """A choice to start topics on one address.

    ``version`` is the last ledger entry about the person when it was made: a stop recorded
    behind it makes the choice void (invariant I07).
    """

    id: int
    subject: int
    channel: Channel
    topics: tuple[int, ...]
    version: int
    act_id: str
    language: str
    created_at: datetime
    spent_at: datetime | None


def add(
    connection: Connection,
    *,
    subject: int,
    channel: Channel,
    topics: Sequence[int],
    version: int,
    act_id: str,
    language: str,
    now: datetime,
) -> int:
    """Store a choice and return its number, which links carry."""
    number = secrets.randbits(62)
    values = {"id": number, "subject": subject, "channel": channel, "topics": list(topics), "version": version}
    connection.execute(insert(pending_choice), {**values, "act_id": act_id, "language": language, "created_at": now})
    return number


def read(connection: Connection, number: int) -> PendingChoice | None:
    """Return a choice, or None where there is none (any more)."""
    row = connection.execute(select(pending_choice).where(pending_choice.c.id == number)).one_or_none()
    return _choice(row) if row else None


def spend(connection: Connection, number: int, now: datetime) -> None:
    """Mark a choice as confirmed, the first time it is."""
    fresh = (pending_choice.c.id == number) & pending_choice.c.spent_at.is_(None)
    connection.execute(update(pending_choice).where(fresh).values(spent_at=now))


def asked_at(connection: Connection, subject: int, channel: Channel) -> datetime | None:
    """Return when the person was last asked to confirm something on a channel, or None."""
    query = select(func.max(pending_choice.c.created_at)).where(
        pending_choice.c.subject == subject, pending_choice.c.channel == channel
    )
    found: datetime | None = connection.execute(query).scalar()
    return found


def _choice(row: Row[tuple[object, ...]]) -> PendingChoice:
    return PendingChoice(
        row.id,
        row.subject,
        Channel(row.channel),
        tuple(row.topics),
        row.version,
        row.act_id,
        row.language,
        row.created_at,
        row.spent_at,
    )
