"""A durable queue in the database: the job commits with the change that asks for it.

Claimed by lease in one statement that serves both databases (SQLite leaves SKIP LOCKED out,
and needs it not: it has one writer).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from prefs.storage.people import insert_new
from prefs.storage.tables import job

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job; ``attempts`` counts this one."""

    id: int
    kind: str
    payload: dict[str, Any]
    attempts: int


def add(
    connection: Connection,
    kind: str,
    payload: dict[str, Any],
    *,
    key: str,
    now: datetime,
    due_at: datetime | None = None,
) -> None:
    """Queue a job, once per key; it runs at once or from ``due_at`` on."""
    due = due_at or now
    values = {"job_key": key, "kind": kind, "payload": payload, "status": "queued", "due_at": due, "created_at": now}
    connection.execute(insert_new(connection, job), values)


def exists(connection: Connection, key: str) -> bool:
    """True where a job was queued under this key, whatever became of it."""
    return connection.execute(select(job.c.id).where(job.c.job_key == key)).first() is not None


def forget(connection: Connection, before: datetime) -> int:
    """Delete finished jobs that were queued before a moment, and return how many."""
    return connection.execute(delete(job).where(job.c.status == "done", job.c.created_at < before)).rowcount


def forget_payload(connection: Connection, key: str) -> None:
    """Take out of a job what it was about; that it was queued stays."""
    connection.execute(update(job).where(job.c.job_key == key).values(payload={}))


def claim(connection: Connection, now: datetime, limit: int) -> list[Job]:
    """Take up to ``limit`` due jobs for a minute; a job whose worker died is due again after that."""
    free = or_(job.c.status == "queued", (job.c.status == "running") & (job.c.lease_until < now))
    due = select(job.c.id).where(free, job.c.due_at <= now).order_by(job.c.due_at).limit(limit)
    statement = (
        update(job)
        .where(job.c.id.in_(due.with_for_update(skip_locked=True)))
        .values(status="running", lease_until=now + LEASE, attempts=job.c.attempts + 1)
        .returning(job.c.id, job.c.kind, job.c.payload, job.c.attempts)
    )
    return [Job(row.id, row.kind, row.payload, row.attempts) for row in connection.execute(statement)]


def done(connection: Connection, number: int) -> None:
    """Mark a job as done."""
    connection.execute(update(job).where(job.c.id == number).values(status="done", lease_until=None))


def again(connection: Connection, claimed: Job, error: str, now: datetime) -> None:
    """Put a failed job back, later each time; after eight tries it is left for a person."""
    dead = claimed.attempts >= MOST_ATTEMPTS
    wait = timedelta(seconds=min(5 * 3**claimed.attempts, 3600))
    values = {"status": "dead" if dead else "queued", "due_at": now + wait, "last_error": error[:200]}
    connection.execute(update(job).where(job.c.id == claimed.id).values(lease_until=None, **values))
