"""The hash chain over the ledger, laid behind the writers by whoever holds the lock alone (contract D23)."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from prefs.storage.ledger import COLUMNS
from prefs.storage.tables import UtcDateTime, from_microseconds, ledger_entry, seal

GENESIS = hashlib.sha256(b"prefs ledger chain 1").digest()


@dataclass(frozen=True, slots=True)
class Seal:
    """The chain's state behind one entry: the digest covers everything up to it."""

    last_entry: int
    entries: int
    digest: bytes


def newest(connection: Connection) -> Seal:
    """Return the newest seal; an empty ledger has the one everything starts from."""
    row = connection.execute(select(seal).order_by(seal.c.last_entry.desc()).limit(1)).one_or_none()
    return Seal(row.last_entry, row.entries, row.digest) if row else Seal(0, 0, GENESIS)


@dataclass(frozen=True, slots=True)
class Covering:
    """The first seal behind an entry: it shows that the entry was not changed since."""

    digest: str
    last_entry: int


def covering(connection: Connection, numbers: Sequence[int]) -> dict[int, Covering]:
    """Return the seal that covers each of these entries; what is not sealed yet is absent."""
    later = seal.alias()
    behind = select(func.min(later.c.last_entry)).where(later.c.last_entry >= ledger_entry.c.id)
    following = behind.correlate(ledger_entry).scalar_subquery()
    query = (
        select(ledger_entry.c.id, seal.c.last_entry, seal.c.digest)
        .select_from(ledger_entry)
        .join(seal, seal.c.last_entry == following)
        .where(ledger_entry.c.id.in_(list(numbers)))
    )
    return {row.id: Covering(row.digest.hex(), row.last_entry) for row in connection.execute(query)}


def every(connection: Connection) -> list[Seal]:
    """Return all seals, oldest first."""
    rows = connection.execute(select(seal).order_by(seal.c.last_entry))
    return [Seal(row.last_entry, row.entries, row.digest) for row in rows]


def add(connection: Connection, made: Seal, now: datetime) -> None:
    """Store a seal."""
    values = {"last_entry": made.last_entry, "entries": made.entries, "digest": made.digest, "sealed_at": now}
    connection.execute(insert(seal), values)


def chained(start: Seal, rows: Iterable[Sequence[Any]]) -> Seal:
    """Return the seal behind these rows (``ledger.stored_after``), which follow ``start`` in ledger order."""
    last, number, digest = start.last_entry, start.entries, start.digest
    for row in rows:
        plain = list(row)
        for place in _TIMES:
            if plain[place] is not None:
                plain[place] = str(from_microseconds(plain[place]))
        digest = hashlib.sha256(digest + json.dumps(plain).encode()).digest()
        last, number = plain[0], number + 1
    return Seal(last, number, digest)


_TIMES = [1 + place for place, name in enumerate(COLUMNS) if isinstance(ledger_entry.c[name].type, UtcDateTime)]
