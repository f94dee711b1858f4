"""Counts for the overview: added up behind the writers, so that a page reads a few rows and no ledger."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from prefs.domain.ledger import ALL
from prefs.domain.terms import Act, MessageClass
from prefs.storage import seals
from prefs.storage.people import CHUNK, insert_new
from prefs.storage.tables import (
    decision_count,
    job,
    ledger_entry,
    message,
    message_event,
    meta,
    privacy_request,
    quarantine,
    send_count,
    stop_count,
)

BATCH = 5_000
_BLAMED_FOR = timedelta(days=7)
_EVENTS_SETTLE_AFTER = timedelta(minutes=2)
"""Events get their numbers before they commit; none is under way for as long as this."""

StopSlot = tuple[str, str, str, int, str]
SendSlot = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign's (or topic's) sends, and the stops that followed one of them within seven days."""

    name: str
    sends: int
    stops: int


def mark(connection: Connection, name: str) -> int:
    """Return how far ``name`` was counted."""
    value = connection.execute(select(meta.c.value).where(meta.c.name == f"counted:{name}")).scalar()
    return int(value or 0)


def move_mark(connection: Connection, name: str, old: int, new: int) -> bool:
    """Move the mark of ``name``; False where another worker counted meanwhile."""
    key = f"counted:{name}"
    connection.execute(insert_new(connection, meta), {"name": key, "value": "0"})
    there = (meta.c.name == key) & (meta.c.value == str(old))
    return connection.execute(update(meta).where(there).values(value=str(new))).rowcount == 1


def stops_behind(connection: Connection, after: int) -> tuple[Counter[StopSlot], int]:
    """Return counts of the sealed opt-outs behind a place in the ledger, and the last place looked at.

    Only what is sealed is counted: nothing commits before it any more (contract D23).
    """
    sealed = seals.newest(connection).last_entry
    columns = ("id", "act", "subject", "channel", "scope", "source", "recorded_at")
    query = select(*(ledger_entry.c[name] for name in columns)).where(
        ledger_entry.c.id > after, ledger_entry.c.id <= sealed
    )
    rows = connection.execute(query.order_by(ledger_entry.c.id).limit(BATCH)).all()
    stops = [row for row in rows if row.act == Act.OPT_OUT]
    blamed = _last_campaigns(connection, stops)
    counted: Counter[StopSlot] = Counter()
    for row in stops:
        topic, campaign = blamed.get(row.id, (ALL, ""))
        slot = (row.recorded_at.date().isoformat(), row.channel or "any", row.source, row.scope or topic, campaign)
        counted[slot] += 1
    return counted, rows[-1].id if rows else after


def add_stops(connection: Connection, counted: Counter[StopSlot]) -> None:
    """Add to the counts of opt-outs."""
    _add(connection, stop_count, ("day", "channel", "source", "topic", "campaign"), counted)


def sends_behind(connection: Connection, after: int, now: datetime) -> tuple[Counter[SendSlot], int]:
    """Return counts of the marketing messages that left, behind a place in the history, and the last one looked at."""
    query = (
        select(message_event.c.id, message_event.c.status, message_event.c.at, message.c.channel)
        .add_columns(message.c.topic, message.c.campaign, message.c.message_class)
        .join(message, message.c.id == message_event.c.message_id)
        .where(message_event.c.id > after, message_event.c.at < now - _EVENTS_SETTLE_AFTER)
    )
    rows = connection.execute(query.order_by(message_event.c.id).limit(BATCH)).all()
    counted: Counter[SendSlot] = Counter()
    for row in rows:
        if row.status == "sent" and row.message_class == MessageClass.MARKETING:
            counted[row.at.date().isoformat(), row.channel, row.topic or ALL, row.campaign or ""] += 1
    return counted, rows[-1].id if rows else after


def add_sends(connection: Connection, counted: Counter[SendSlot]) -> None:
    """Add to the counts of messages."""
    _add(connection, send_count, ("day", "channel", "topic", "campaign"), counted)


def stops_by_day(connection: Connection, since: str) -> list[tuple[str, str, int]]:
    """Return (day, channel, number) of opt-outs since a day."""
    columns = (stop_count.c.day, stop_count.c.channel)
    query = select(*columns, func.sum(stop_count.c.number).label("number")).where(stop_count.c.day >= since)
    return [(row.day, row.channel, int(row.number)) for row in connection.execute(query.group_by(*columns))]


def stops_by_source(connection: Connection, since: str) -> list[tuple[str, int]]:
    """Return (source, number) of opt-outs since a day, largest first."""
    total = func.sum(stop_count.c.number).label("number")
    query = select(stop_count.c.source, total).where(stop_count.c.day >= since).group_by(stop_count.c.source)
    ranked = connection.execute(query.order_by(total.desc(), stop_count.c.source))
    return [(row.source, int(row.number)) for row in ranked]


def stops_between(connection: Connection, since: str, before: str) -> int:
    """Return how many opt-outs were counted from one day up to another."""
    total = func.coalesce(func.sum(stop_count.c.number), 0)
    query = select(total).where(stop_count.c.day >= since, stop_count.c.day < before)
    return int(connection.execute(query).scalar_one())


def decisions(connection: Connection, since: str) -> list[tuple[str, str, str, int]]:
    """Return (day, outcome, reason, number) of decisions since a day."""
    columns = (decision_count.c.day, decision_count.c.outcome, decision_count.c.reason)
    query = select(*columns, func.sum(decision_count.c.number).label("number")).where(decision_count.c.day >= since)
    rows = connection.execute(query.group_by(*columns))
    return [(row.day, row.outcome, row.reason, int(row.number)) for row in rows]


def decisions_between(connection: Connection, since: str, before: str) -> int:
    """Return how many decisions were counted from one day up to another."""
    total = func.coalesce(func.sum(decision_count.c.number), 0)
    query = select(total).where(decision_count.c.day >= since, decision_count.c.day < before)
    return int(connection.execute(query).scalar_one())


def by_campaign(connection: Connection, since: str) -> list[Campaign]:
    """Return each campaign that went out since a day, with the stops that followed."""
    return _rates(connection, since, "campaign")


def by_topic(connection: Connection, since: str) -> list[Campaign]:
    """Return each topic, by number as text, that went out since a day, with the stops that followed."""
    return _rates(connection, since, "topic")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person."""

    dead_jobs: int
    quarantined: int
    overdue_requests: int
    due_today: int


def waiting(connection: Connection, today: str) -> Waiting:
    """Return what waits for a person, each from an index."""
    open_one = privacy_request.c.status.in_(("received", "working"))

    def number(table: Table, *where: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    return Waiting(
        number(job, job.c.status == "dead"),
        number(quarantine),
        number(privacy_request, open_one, privacy_request.c.due_on < today),
        number(privacy_request, open_one, privacy_request.c.due_on == today),
    )


def _rates(connection: Connection, since: str, name: str) -> list[Campaign]:
    def totals(table: Table) -> dict[str, int]:
        column = table.c[name]
        query = select(column, func.sum(table.c.number)).where(table.c.day >= since).group_by(column)
        return {str(row[0]): int(row[1]) for row in connection.execute(query) if row[0] not in ("", ALL)}

    sends, stops = totals(send_count), totals(stop_count)
    return [Campaign(one, number, stops.get(one, 0)) for one, number in sends.items()]


def _last_campaigns(connection: Connection, stops: Sequence[Any]) -> dict[int, tuple[int, str]]:
    """Return, per opt-out, topic and campaign of the last marketing message to that address in the week before."""
    subjects = sorted({row.subject for row in stops if row.channel})
    sent: dict[tuple[int, str], list[Any]] = {}
    marketing = (message.c.message_class == MessageClass.MARKETING) & message.c.status.in_(("sent", "delivered"))
    for start in range(0, len(subjects), CHUNK):
        chunk = subjects[start : start + CHUNK]
        columns = (message.c.subject, message.c.channel, message.c.topic, message.c.campaign, message.c.due_at)
        for row in connection.execute(select(*columns).where(message.c.subject.in_(chunk), marketing)):
            sent.setdefault((row.subject, row.channel), []).append(row)
    found: dict[int, tuple[int, str]] = {}
    for stop in stops:
        before = [
            one
            for one in sent.get((stop.subject, stop.channel), [])
            if stop.recorded_at - _BLAMED_FOR <= one.due_at <= stop.recorded_at
        ]
        if before:
            last = max(before, key=lambda one: one.due_at)
            found[stop.id] = (last.topic or ALL, last.campaign or "")
    return found


def _add(connection: Connection, table: Table, names: tuple[str, ...], counted: Counter[Any]) -> None:
    if not counted:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    rows = [{**dict(zip(names, slot, strict=True)), "number": number} for slot, number in sorted(counted.items())]
    more = {"number": table.c.number + statement.excluded.number}
    connection.execute(statement.on_conflict_do_update(index_elements=list(names), set_=more), rows)
