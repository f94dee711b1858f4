"""How often something was asked for, counted in the database so that every process agrees (D27)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from prefs.storage.tables import rate_limit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def take(connection: Connection, bucket: str, *, most: int, within: timedelta, now: datetime) -> bool:
    """Count one more in a bucket; False once it holds more than ``most`` in this window."""
    start = _EPOCH + (now - _EPOCH) // within * within
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(rate_limit).values(bucket=bucket, window_start=start, used=1)
    counted = statement.on_conflict_do_update(
        index_elements=["bucket", "window_start"], set_={"used": rate_limit.c.used + 1}
    ).returning(rate_limit.c.used)
    used: int = connection.execute(counted).scalar_one()
    return used <= most


def forget(connection: Connection, before: datetime) -> int:
    """Delete counts of windows that began before a moment, and return how many."""
    return connection.execute(delete(rate_limit).where(rate_limit.c.window_start < before)).rowcount


def give_back(connection: Connection, bucket: str, *, within: timedelta, now: datetime) -> None:
    """Count one less in a bucket's present window: what was counted turned out to be no try."""
    start = _EPOCH + (now - _EPOCH) // within * within
    mine = (rate_limit.c.bucket == bucket) & (rate_limit.c.window_start == start) & (rate_limit.c.used > 0)
    connection.execute(update(rate_limit).where(mine).values(used=rate_limit.c.used - 1))
