"""How providers keep up: each comparison with what came of it, refusals, and what is held."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from prefs.domain.terms import Channel
from prefs.storage.people import insert_new
from prefs.storage.tables import message, message_event, meta, provider_check

_HOLD = "hold:"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison; ``kind`` is ``sync`` or ``compare`` (which changes nothing); no ``error`` means it went well."""

    id: int
    provider: str
    kind: str
    began_at: datetime
    ended_at: datetime
    error: str | None
    found: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message a provider did not take."""

    message_id: str
    channel: str
    reason: str | None
    provider_code: str | None
    at: datetime


def add(connection: Connection, values: dict[str, Any]) -> None:
    """Store a comparison."""
    connection.execute(insert(provider_check), values)


def since(connection: Connection, provider: str, moment: datetime) -> list[Check]:
    """Return a provider's comparisons since a moment, oldest first."""
    mine = (provider_check.c.provider == provider) & (provider_check.c.ended_at >= moment)
    return [_check(row) for row in connection.execute(select(provider_check).where(mine).order_by(provider_check.c.id))]


def latest(connection: Connection, provider: str, kind: str, *, well: bool) -> Check | None:
    """Return the newest comparison of a kind, any or only one that went well."""
    mine = (provider_check.c.provider == provider) & (provider_check.c.kind == kind)
    if well:
        mine &= provider_check.c.error.is_(None)
    query = select(provider_check).where(mine).order_by(provider_check.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return _check(row) if row else None


def newest(connection: Connection, provider: str, limit: int) -> list[Check]:
    """Return a provider's newest comparisons that went well, of either kind, newest first."""
    mine = (provider_check.c.provider == provider) & provider_check.c.error.is_(None)
    query = select(provider_check).where(mine).order_by(provider_check.c.id.desc()).limit(limit)
    return [_check(row) for row in connection.execute(query)]


def errors(connection: Connection, provider: str, limit: int) -> list[Check]:
    """Return the newest comparisons that failed."""
    failed = (provider_check.c.provider == provider) & provider_check.c.error.is_not(None)
    query = select(provider_check).where(failed).order_by(provider_check.c.id.desc()).limit(limit)
    return [_check(row) for row in connection.execute(query)]


def forget(connection: Connection, before: datetime) -> int:
    """Delete comparisons older than a moment."""
    return connection.execute(delete(provider_check).where(provider_check.c.ended_at < before)).rowcount


def waiting(connection: Connection, channels: Iterable[Channel], now: datetime) -> tuple[int, datetime | None]:
    """Return how many messages of some channels are due and not handed over, and since when the oldest is."""
    due = message.c.status.in_(("queued", "deferred")) & (message.c.due_at <= now)
    query = select(func.count(), func.min(message.c.due_at)).where(due, message.c.channel.in_(list(channels)))
    number, oldest = connection.execute(query).one()
    return int(number), oldest


def refusals(connection: Connection, channels: Iterable[Channel], limit: int) -> list[Refusal]:
    """Return the newest messages of some channels that a provider refused or did not answer about."""
    mine = message.c.channel.in_(list(channels))
    rows: list[Any] = []
    for status in ("failed", "unknown"):  # one status at a time, so that the index gives the newest first
        query = select(message).where(message.c.status == status, mine).order_by(message.c.due_at.desc()).limit(limit)
        rows += connection.execute(query).all()
    found = []
    for row in sorted(rows, key=lambda row: row.due_at, reverse=True)[:limit]:
        last = (
            select(message_event.c.detail, message_event.c.at)
            .where(message_event.c.message_id == row.id, message_event.c.status.in_(("failed", "unknown")))
            .order_by(message_event.c.id.desc())
            .limit(1)
        )
        event = connection.execute(last).one_or_none()
        code = event.detail.get("provider_code") if event else None
        found.append(Refusal(row.id, row.channel, row.reason, code, event.at if event else row.due_at))
    return found


def retry_now(connection: Connection, channels: Iterable[Channel], now: datetime) -> int:
    """Make the messages that wait for another try due at once; returns how many there were."""
    later = (message.c.status == "queued") & (message.c.attempts > 0) & (message.c.due_at > now)
    mine = later & message.c.channel.in_(list(channels))
    return connection.execute(update(message).where(mine).values(due_at=now)).rowcount


def hold(connection: Connection, channel: Channel, by: str, now: datetime) -> None:
    """Hand over nothing on a channel until ``release``."""
    note = json.dumps({"by": by, "at": now.isoformat()})
    connection.execute(insert_new(connection, meta), {"name": _HOLD + channel, "value": note})


def release(connection: Connection, channel: Channel) -> None:
    """End a hold."""
    connection.execute(delete(meta).where(meta.c.name == _HOLD + channel))


def held(connection: Connection) -> dict[Channel, dict[str, str]]:
    """Return the channels that are held, with who held them and when."""
    rows = connection.execute(select(meta).where(meta.c.name.in_([_HOLD + channel for channel in Channel])))
    return {Channel(row.name.removeprefix(_HOLD)): json.loads(row.value) for row in rows}


def _check(row: Row[Any]) -> Check:
    return Check(row.id, row.provider, row.kind, row.began_at, row.ended_at, row.error, row.found)
