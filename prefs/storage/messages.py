"""The gateway's queue: one row a message, its history beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, literal, or_, select, tuple_, update

from prefs.domain.terms import Channel, MessageClass
from prefs.storage import merging
from prefs.storage.people import add_new
from prefs.storage.tables import message, message_event

LEASE = timedelta(seconds=60)
STATUSES = ("queued", "sending", "sent", "delivered", "blocked", "deferred", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Queued:
    """A message as stored; ``fence`` counts its claims, and only the newest claim may report."""

    id: str
    subject: int
    channel: Channel
    message_class: MessageClass
    topic: int | None
    sender: int
    status: str
    reason: str | None
    sealed: bytes
    fence: int
    attempts: int
    campaign: str | None
    provider_id: str | None
    due_at: datetime
    created_at: datetime


def add(connection: Connection, values: dict[str, Any], detail: dict[str, Any]) -> bool:
    """Queue a message with its first history line; False where it is there already."""
    if not add_new(connection, message, values):
        return False
    _note(connection, values["id"], values["status"], detail, values["created_at"])
    return True


def read(connection: Connection, message_id: str) -> Queued | None:
    """Return one message, or None."""
    row = connection.execute(select(message).where(message.c.id == message_id)).one_or_none()
    return _queued(row) if row else None


def history(connection: Connection, message_id: str) -> list[dict[str, Any]]:
    """Return what happened to a message, oldest first: ``status``, ``at`` and details."""
    query = select(message_event).where(message_event.c.message_id == message_id).order_by(message_event.c.id)
    return [{"status": row.status, "at": row.at, **row.detail} for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What to look for; None means any. ``statuses`` are the gateway's own words."""

    statuses: tuple[str, ...] = STATUSES
    channel: Channel | None = None
    campaign: str | None = None
    since: datetime | None = None
    subjects: tuple[int, ...] | None = None


Place = tuple[datetime, str]
"""Where a message stands in the list: when it was made, and its id."""


def page(
    connection: Connection,
    wanted: MessageFilter,
    limit: int,
    *,
    before: Place | None = None,
    after: Place | None = None,
) -> list[Queued]:
    """Return messages newest first: older than ``before``, or the next newer than ``after``."""
    if wanted.subjects is not None:
        ranges = [_range(wanted, None, None, before, after)]
    else:
        channels = [wanted.channel] if wanted.channel else list(Channel)
        ranges = [_range(wanted, *slot, before, after) for slot in product(wanted.statuses, channels)]
    places = merging.newest(connection, ranges, ["created_at", "id"], limit, forward=after is not None)
    query = select(message).where(message.c.id.in_([place[1] for place in places]))
    found = {row.id: _queued(row) for row in connection.execute(query)}
    return [found[place[1]] for place in places if place[1] in found]


def _range(
    wanted: MessageFilter, status: str | None, channel: Channel | None, before: Place | None, after: Place | None
) -> Select[Any]:
    row = message.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.subjects is not None:
        conditions += [row.subject.in_(wanted.subjects), row.status.in_(wanted.statuses)]
        conditions += [row.channel == str(wanted.channel)] if wanted.channel else []
    else:
        conditions += [row.status == status, row.channel == str(channel)]
    if wanted.campaign:
        conditions.append(row.campaign == wanted.campaign)
    if wanted.since:
        conditions.append(row.created_at >= wanted.since)
    place = tuple_(row.created_at, row.id)
    if before is not None:
        conditions.append(place < tuple_(*_bound(before)))
    if after is not None:
        conditions.append(place > tuple_(*_bound(after)))
    return select(row.created_at, row.id).where(*conditions)


def _bound(place: Place) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return literal(place[0], message.c.created_at.type), literal(place[1], message.c.id.type)


def due(connection: Connection, now: datetime, limit: int, *, but: Iterable[Channel] = ()) -> Sequence[str]:
    """Return the ids of messages whose time has come, oldest first."""
    waiting = message.c.status.in_(("queued", "deferred")) & (message.c.due_at <= now)
    if held := list(but):
        waiting &= message.c.channel.not_in(held)
    query = select(message.c.id).where(waiting).order_by(message.c.due_at).limit(limit)
    return list(connection.execute(query).scalars())


def lost(connection: Connection, now: datetime) -> list[Queued]:
    """Return claimed messages whose lease ran out: the worker died or hung."""
    query = select(message).where(message.c.status == "sending", message.c.lease_until < now)
    return [_queued(row) for row in connection.execute(query.with_for_update(skip_locked=True))]


def claim(connection: Connection, queued: Queued, now: datetime, *, decision: str | None = None) -> Queued | None:
    """Take a message for one hand-over; None where another worker was quicker (reliability.md R7).

    ``decision`` is the receipt of the decision that let it go.
    """
    free = or_(message.c.status == "queued", message.c.status == "deferred")
    statement = (
        update(message)
        .where(message.c.id == queued.id, message.c.fence == queued.fence, free)
        .values(status="sending", lease_until=now + LEASE, fence=queued.fence + 1, attempts=queued.attempts + 1)
        .returning(message)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    _note(connection, queued.id, "sending", {"attempt": queued.attempts + 1, "decision": decision}, now)
    return _queued(row)


def settle(
    connection: Connection,
    queued: Queued,
    status: str,
    now: datetime,
    *,
    reason: str | None = None,
    provider_id: str | None = None,
    due_at: datetime | None = None,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Record what became of a claim or of a decision; False where a newer claim took over (the fence)."""
    values: dict[str, Any] = {"status": status, "reason": reason, "lease_until": None}
    if provider_id is not None:
        values["provider_id"] = provider_id
    if due_at is not None:
        values["due_at"] = due_at
    mine = (message.c.id == queued.id) & (message.c.fence == queued.fence)
    if connection.execute(update(message).where(mine).values(values)).rowcount != 1:
        return False
    _note(connection, queued.id, status, {"reason": reason, **(detail or {})}, now)
    return True


def by_provider_id(connection: Connection, provider_id: str) -> Queued | None:
    """Return the message a provider's report is about, locked, or None."""
    query = select(message).where(message.c.provider_id == provider_id).with_for_update()
    row = connection.execute(query).first()
    return _queued(row) if row else None


def note(connection: Connection, message_id: str, status: str, detail: dict[str, Any], now: datetime) -> None:
    """Set a message's status with a history line."""
    connection.execute(update(message).where(message.c.id == message_id).values(status=status))
    _note(connection, message_id, status, detail, now)


def days_with_codes(connection: Connection, subject: int, codes: set[str], since: datetime) -> set[date]:
    """Return the days on which a person's messages met one of these provider codes."""
    query = (
        select(message_event.c.at, message_event.c.detail)
        .join(message, message.c.id == message_event.c.message_id)
        .where(message.c.subject == subject, message_event.c.at >= since)
    )
    return {row.at.date() for row in connection.execute(query) if row.detail.get("provider_code") in codes}


def _note(connection: Connection, message_id: str, status: str, detail: dict[str, Any], now: datetime) -> None:
    known = {name: value for name, value in detail.items() if value is not None}
    values = {"message_id": message_id, "status": status, "detail": known, "at": now}
    connection.execute(insert(message_event), values)


def _queued(row: Row[Any]) -> Queued:
    return Queued(
        id=row.id,
        subject=row.subject,
        channel=Channel(row.channel),
        message_class=MessageClass(row.message_class),
        topic=row.topic,
        sender=row.sender,
        status=row.status,
        reason=row.reason,
        sealed=row.sealed,
        fence=row.fence,
        attempts=row.attempts,
        campaign=row.campaign,
        provider_id=row.provider_id,
        due_at=row.due_at,
        created_at=row.created_at,
    )
