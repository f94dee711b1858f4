"""The words people saw, once per version, so that evidence can name them (rules.md G-7)."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a page's words, in one language."""

    version: str
    page: str
    language: str
    texts: list[str]
    first_shown_at: datetime


def versions(connection: Connection, version: str | None = None) -> list[Version]:
    """Return every version people acted on, by page, newest first; or one of them."""
    query = select(wording).order_by(wording.c.page, wording.c.first_shown_at.desc(), wording.c.language)
    if version is not None:
        query = query.where(wording.c.version == version)
    names = Version.__slots__
    return [Version(*(row._mapping[name] for name in names)) for row in connection.execute(query)]
