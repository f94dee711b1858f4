"""API keys at rest: only digests, with scopes and ends (reliability.md item 15)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from prefs.storage.tables import api_key


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as stored; the key itself was shown once and is gone."""

    id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None
    last_used_on: str | None = None


def add(connection: Connection, key_id: str, name: str, digest: bytes, scopes: Sequence[str], now: datetime) -> None:
    """Store a new key."""
    values = {"id": key_id, "name": name, "digest": digest, "scopes": sorted(scopes), "created_at": now}
    connection.execute(insert(api_key), values)


def by_digest(connection: Connection, digest: bytes) -> KeyRow | None:
    """Return the key with this digest, revoked or not, or None."""
    row = connection.execute(select(api_key).where(api_key.c.digest == digest)).one_or_none()
    return _key(row) if row else None


def every(connection: Connection) -> list[KeyRow]:
    """Return all keys, newest first."""
    return [_key(row) for row in connection.execute(select(api_key).order_by(api_key.c.created_at.desc()))]


def revoke(connection: Connection, key_id: str, now: datetime) -> bool:
    """End a key; False where there is no such live key."""
    live = (api_key.c.id == key_id) & api_key.c.revoked_at.is_(None)
    return connection.execute(update(api_key).where(live).values(revoked_at=now)).rowcount == 1


def note_use(connection: Connection, key_id: str, day: str) -> None:
    """Note the day a key was last used."""
    connection.execute(update(api_key).where(api_key.c.id == key_id).values(last_used_on=day))


def _key(row: Row[Any]) -> KeyRow:
    values = row._mapping
    return KeyRow(
        values["id"],
        values["name"],
        frozenset(values["scopes"]),
        values["created_at"],
        values["revoked_at"],
        values["expires_at"],
        values["last_used_on"],
    )
