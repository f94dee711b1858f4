"""What is true now, for one address or fifty thousand, in a fixed number of queries.

The hot path: the driver's cursor through SQLAlchemy's pool, no ORM, one statement, keys
sorted (the measured design, see docs/decisions/0005).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from prefs.domain.decision import RecipientState
from prefs.domain.ledger import Standing
from prefs.domain.terms import Channel
from prefs.storage.tables import from_microseconds, standing

_SQLITE_PARAMETERS = 30_000

_QUERY = """
SELECT p.position, a.key, a.last_entry, a.contact, c.last_entry, c.country, c.time_zone,
       s.scope, s.fact, s.everywhere, s.entry_id, s.effective_at, s.until, s.sender, s.source, s.flag
FROM (SELECT COALESCE(MAX(id), 0) AS position FROM ledger_entry) AS p
LEFT JOIN address AS a ON a.key {keys}
LEFT JOIN contact AS c ON c.subject = a.contact
LEFT JOIN standing AS s ON s.address_key = a.key AND s.channel = {channel}
"""
_POSTGRES_QUERY = _QUERY.format(keys="= ANY(%(keys)s)", channel="%(channel)s")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """States in the order asked, as of one ledger position."""

    position: int
    states: list[RecipientState]


NOTHING_KNOWN = RecipientState()


def load_states(connection: Connection, channel: Channel, wanted: Sequence[Sequence[bytes]]) -> Snapshot:
    """Return the state behind each group of possible keys, from one snapshot.

    A group lists the keys one address may be stored under; what stands under any of them
    counts. An unknown address gets the empty state.
    """
    keys = sorted({key for group in wanted for key in group})
    rows = _ask(connection, channel, keys)
    by_key = _gather(rows, channel)
    states = [_merge([by_key[key] for key in group if key in by_key]) for group in wanted]
    return Snapshot(rows[0][0], states)


def naming(connection: Connection, scope: int) -> int:
    """Return how many addresses have a stop or consent that names a scope. It reads the whole table."""
    query = select(func.count(func.distinct(standing.c.address_key))).where(standing.c.scope == scope)
    return int(connection.execute(query).scalar_one())


def _ask(connection: Connection, channel: Channel, keys: list[bytes]) -> list[tuple[Any, ...]]:
    if connection.dialect.name != "sqlite":
        cursor = connection.exec_driver_sql(_POSTGRES_QUERY, {"keys": keys, "channel": str(channel)})
        return list(cursor.cursor.fetchall()) if cursor.cursor else []
    if len(keys) <= _SQLITE_PARAMETERS:
        return _ask_sqlite(connection, channel, keys)
    # Several statements, one snapshot: a reading transaction around them.
    connection.exec_driver_sql("BEGIN")
    try:
        chunks = (keys[at : at + _SQLITE_PARAMETERS] for at in range(0, len(keys), _SQLITE_PARAMETERS))
        return [row for chunk in chunks for row in _ask_sqlite(connection, channel, chunk)]
    finally:
        connection.exec_driver_sql("COMMIT")


def _ask_sqlite(connection: Connection, channel: Channel, keys: list[bytes]) -> list[tuple[Any, ...]]:
    marks = ",".join("?" * len(keys))
    query = _QUERY.format(keys=f"IN ({marks})", channel="?")
    cursor = connection.exec_driver_sql(query, (*keys, str(channel)))
    return list(cursor.cursor.fetchall()) if cursor.cursor else []


def _gather(rows: list[tuple[Any, ...]], channel: Channel) -> dict[bytes, RecipientState]:
    facts: dict[bytes, list[Standing]] = {}
    heads: dict[bytes, tuple[Any, ...]] = {}
    for row in rows:
        if row[1] is None:
            continue
        key = bytes(row[1])
        heads[key] = row
        held = facts.setdefault(key, [])
        if row[8] is not None:
            held.append(_fact(row, channel))
    return {
        key: RecipientState(tuple(facts[key]), row[5], row[6], row[2] or 0, row[4] or 0) for key, row in heads.items()
    }


def _fact(row: tuple[Any, ...], channel: Channel) -> Standing:
    return Standing(
        channel=None if row[9] else channel,
        scope=row[7],
        fact=row[8],
        entry_id=row[10],
        effective_at=from_microseconds(row[11]),
        until=None if row[12] is None else from_microseconds(row[12]),
        sender=row[13],
        source=row[14],
        flag=row[15],
    )


def _merge(found: list[RecipientState]) -> RecipientState:
    """One address stored under several keys: whatever stands under any of them counts."""
    if not found:
        return NOTHING_KNOWN
    if len(found) == 1:
        return found[0]
    return RecipientState(
        facts=tuple(fact for state in found for fact in state.facts),
        country=next((state.country for state in found if state.country), None),
        time_zone=next((state.time_zone for state in found if state.time_zone), None),
        address_last=max(state.address_last for state in found),
        contact_last=max(state.contact_last for state in found),
    )
