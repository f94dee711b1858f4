"""Jobs that were given up, and webhook items that could not be read."""

from datetime import datetime

from sqlalchemy import Connection, select

from prefs.storage.tables import job, quarantine


def dead_jobs(connection: Connection, limit: int) -> list[tuple[int, str, str | None, datetime]]:
    """Return number, kind, error and beginning of jobs that were given up, newest first."""
    query = select(job.c.id, job.c.kind, job.c.last_error, job.c.created_at).where(job.c.status == "dead")
    return [tuple(row) for row in connection.execute(query.order_by(job.c.id.desc()).limit(limit))]


def quarantined(connection: Connection, limit: int) -> list[tuple[int, str, str, datetime]]:
    """Return number, provider, problem and time of items that could not be read, newest first."""
    columns = (quarantine.c.id, quarantine.c.provider, quarantine.c.problem, quarantine.c.received_at)
    return [tuple(row) for row in connection.execute(select(*columns).order_by(quarantine.c.id.desc()).limit(limit))]
