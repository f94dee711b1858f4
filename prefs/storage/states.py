"""What is true now, for one address or fifty thousand, in a fixed number of queries.

The hot path: the driver's cursor alone, one prepared statement, keys sorted (the measured
design, see docs/decisions/0005 and 0009).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, func, select

from prefs.domain.decision import RecipientState
from prefs.domain.ledger import Standing
from prefs.domain.terms import Channel
from prefs.storage.base import Store
from prefs.storage.tables import from_microseconds, standing

SQLITE_PARAMETERS = 30_000

_QUERY = """
SELECT p.position, a.key, a.last_entry, c.last_entry, s.entry_id, s.effective_at, s.source,
       c.country, c.time_zone, s.scope, s.fact, s.everywhere, s.until, s.sender, s.flag
FROM (SELECT COALESCE(MAX(id), 0) AS position FROM ledger_entry) AS p
LEFT JOIN address AS a ON a.key {keys}
LEFT JOIN contact AS c ON c.subject = a.contact
LEFT JOIN standing AS s ON s.address_key = a.key AND s.channel = {channel}
"""
POSTGRES_ONE = _QUERY.format(keys="= %(key)b", channel="%(channel)s")
POSTGRES_MANY = _QUERY.format(keys="= ANY(%(keys)b)", channel="%(channel)s")

_SHAPE = 7
"""The columns from here on are all that the outcome for an address with one fact hangs on."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """States in the order asked, as of one ledger position."""

    position: int
    states: list[RecipientState]


NOTHING_KNOWN = RecipientState()


def load_states(store: Store, channel: Channel, wanted: Sequence[Sequence[bytes]]) -> Snapshot:
    """Return the state behind each group of possible keys, from one snapshot.

    A group lists the keys one address may be stored under; what stands under any of them
    counts. An unknown address gets the empty state.

    Raises:
        StoreUnavailable: The database cannot be asked.
    """
    return _snapshot(load_rows(store, channel, {key for group in wanted for key in group}), channel, wanted)


def load_states_within(connection: Connection, channel: Channel, wanted: Sequence[Sequence[bytes]]) -> Snapshot:
    """Return what ``load_states`` returns, as a transaction that is open already sees it."""
    keys = sorted({key for group in wanted for key in group})
    rows: list[Row] = []
    for question, parameters in _questions(connection.dialect.name == "sqlite", channel, keys):
        cursor = connection.exec_driver_sql(question, parameters).cursor
        rows += cursor.fetchall() if cursor else []
    return _snapshot(_found(rows), channel, wanted)


def _snapshot(rows: "Found", channel: Channel, wanted: Sequence[Sequence[bytes]]) -> Snapshot:
    by_key = {key: state_of(found, channel) for key, found in rows.by_key.items()}
    states = [merged([by_key[key] for key in group if key in by_key]) for group in wanted]
    return Snapshot(rows.position, states)


def naming(connection: Connection, scope: int) -> int:
    """Return how many addresses have a stop or consent that names a scope. It reads the whole table.

    Counting what a subquery finds is five times as fast as counting distinct keys, which sorts them again.
    """
    keys = select(standing.c.address_key).where(standing.c.scope == scope).distinct().subquery()
    return int(connection.execute(select(func.count()).select_from(keys)).scalar_one())


@dataclass(frozen=True, slots=True)
class Found:
    """What is on record under some keys, as the database gave it, as of one ledger position."""

    position: int
    by_key: Mapping[bytes, Sequence[Row]]


def load_rows(store: Store, channel: Channel, keys: Iterable[bytes]) -> Found:
    """Return the rows about these keys, by key; unknown keys are absent. Raises as ``load_states``."""
    return _found(store.ask(*_questions(store.is_sqlite, channel, sorted(keys))))


def _found(rows: Sequence[Row]) -> Found:
    by_key: dict[bytes, Sequence[Row]] = {row[1]: (row,) for row in rows}
    if len(by_key) < len(rows):
        several: dict[bytes, list[Row]] = {}
        for row in rows:
            several.setdefault(row[1], []).append(row)
        by_key = dict(several)
    by_key.pop(None, None)  # type: ignore[call-overload]  # the row that tells the position where no key is known
    return Found(rows[0][0], by_key)


def shape_of(rows: Sequence[Row]) -> Row | None:
    """Return what the outcome of a question about this address hangs on, or None where it is not so simple.

    With a single fact there is nothing its time could come before or after: two addresses of
    the same shape are answered alike, whenever their facts began (see ``decision.decide``).
    """
    return rows[0][_SHAPE:] if len(rows) == 1 else None


def state_of(rows: Sequence[Row], channel: Channel) -> RecipientState:
    """Return the state of one address from its rows."""
    first = rows[0]
    facts = tuple(_fact(row, channel) for row in rows if row[10] is not None)
    return RecipientState(facts, first[7], first[8], first[2] or 0, first[3] or 0)


def _questions(is_sqlite: bool, channel: Channel, keys: list[bytes]) -> list[tuple[str, Any]]:
    if not is_sqlite:
        if len(keys) == 1:
            return [(POSTGRES_ONE, {"key": keys[0], "channel": channel.value})]
        return [(POSTGRES_MANY, {"keys": keys, "channel": channel.value})]
    if len(keys) <= SQLITE_PARAMETERS:
        return [(sqlite_query(len(keys)), (*keys, channel.value))]
    chunks = (keys[at : at + SQLITE_PARAMETERS] for at in range(0, len(keys), SQLITE_PARAMETERS))
    return [(sqlite_query(len(chunk)), (*chunk, channel.value)) for chunk in chunks]


@lru_cache(maxsize=64)
def sqlite_query(number: int) -> str:
    """Return the question for so many keys."""
    marks = f"IN ({','.join('?' * number)})" if number != 1 else "= ?"
    return _QUERY.format(keys=marks, channel="?")


def _fact(row: Row, channel: Channel) -> Standing:
    return Standing(
        channel=None if row[11] else channel,
        scope=row[9],
        fact=row[10],
        entry_id=row[4],
        effective_at=from_microseconds(row[5]),
        until=None if row[12] is None else from_microseconds(row[12]),
        sender=row[13],
        source=row[6],
        flag=row[14],
    )


def merged(found: list[RecipientState]) -> RecipientState:
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
