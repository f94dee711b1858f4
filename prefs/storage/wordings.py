"""The words people saw, once per version, so that evidence can name them (rules.md G-7)."""

from datetime import datetime

from sqlalchemy import Connection, select

from prefs.storage.people import insert_new
from prefs.storage.tables import wording


def keep(connection: Connection, version: str, *, page: str, language: str, texts: list[str], now: datetime) -> None:
    """Store the texts of a version, once."""
    values = {"version": version, "page": page, "language": language, "texts": texts, "first_shown_at": now}
    connection.execute(insert_new(connection, wording), values)


def read(connection: Connection, version: str) -> list[str] | None:
    """Return the texts of a version, or None."""
    texts: list[str] | None = connection.execute(select(wording.c.texts).where(wording.c.version == version)).scalar()
    return texts
