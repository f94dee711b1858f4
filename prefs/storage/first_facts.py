"""The first facts about addresses nobody knew, a thousand people in one statement.

What ``ledger.append`` would write after opening each address: the address, its entries, what
stands, and the references. Nothing has to be locked or read first, since a row that is only
now made can hold no earlier fact; an address that turns out to be known is left to the general
way. A property test compares the two (tests/storage/test_first_facts.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from prefs.domain.ledger import Entry, with_id
from prefs.domain.references import act_number
from prefs.storage import ledger, many, people
from prefs.storage.many import Row
from prefs.storage.people import KnownAddress
from prefs.storage.tables import act_reference, address, ledger_entry, standing, to_microseconds

_ADDRESS = ("subject", "key", "kind", "sealed")
_ENTRY = tuple(ledger.COLUMNS)
_STANDING = tuple(one.name for one in standing.columns if one.name != "entry_id")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An address as its row will be, and the entries that come with it, each once."""

    known: KnownAddress
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows to write. Entries have no numbers yet: ``place`` is where one stands in ``entries``, from 1."""

    addresses: list[Row]
    entries: list[Row]
    standing: list[Row]
    references: list[Row]


def write(connection: Connection, newcomers: Sequence[Newcomer], now: datetime) -> set[int]:
    """Write what is new and return the subjects it was written for; the addresses of the others are known.

    Those are untouched: somebody has a row for the key, or an alias. Goes by the order of keys,
    as every lock does (reliability.md R6).
    """
    if not newcomers:
        return set()
    if connection.dialect.name == "sqlite":
        return _write_sqlite(connection, newcomers, now)
    return _write_postgres(connection, _rows(newcomers), now)


def _rows(newcomers: Sequence[Newcomer]) -> _Rows:
    rows = _Rows([], [], [], [])
    for one in newcomers:
        known, first = one.known, len(rows.entries) + 1
        rows.addresses.append({name: getattr(known, name) for name in _ADDRESS})
        placed = [with_id(entry, first + at) for at, entry in enumerate(one.entries)]
        rows.entries.extend({**ledger.row_of(entry), "place": entry.id} for entry in placed)
        for stands in ledger.standing_rows(known, {known.subject: placed}):
            rows.standing.append({**stands, "place": stands["entry_id"]})
        acts = {entry.act_id: entry.id for entry in reversed(placed)}
        rows.references.extend({"number": act_number(act_id), "place": place} for act_id, place in acts.items())
    return rows


def _write_postgres(connection: Connection, rows: _Rows, now: datetime) -> set[int]:
    given = {
        "now": to_microseconds(now),
        **many.array_values(address, _ADDRESS, rows.addresses, "a_"),
        **many.array_values(ledger_entry, _ENTRY, rows.entries, "e_"),
        **many.array_values(standing, _STANDING, rows.standing, "s_"),
        "s_place": many.array(row["place"] for row in rows.standing),
        "r_number": many.array(row["number"] for row in rows.references),
        "r_place": many.array(row["place"] for row in rows.references),
    }
    return set(connection.exec_driver_sql(_statement(), given).scalars())


@lru_cache(maxsize=1)
def _statement() -> str:
    """Return the one statement for PostgreSQL: all hangs on ``made``, the addresses that were really new."""
    addresses, entries, stands = ", ".join(_ADDRESS), ", ".join(_ENTRY), ", ".join(_STANDING)
    return f"""
WITH entry AS MATERIALIZED (
  SELECT nextval('ledger_entry_id_seq') AS id, g.*
  FROM unnest({many.arrays(ledger_entry, _ENTRY, "e_")}) WITH ORDINALITY AS g ({entries}, place)
), last AS (
  SELECT subject, max(id) AS id FROM entry GROUP BY subject
), made AS (
  INSERT INTO address ({addresses}, created_at, last_entry)
  SELECT n.*, %(now)s, last.id
  FROM unnest({many.arrays(address, _ADDRESS, "a_")}) AS n ({addresses}) JOIN last USING (subject)
  WHERE NOT EXISTS (SELECT 1 FROM address_alias AS l WHERE l.key = n.key)
  ORDER BY n.key
  ON CONFLICT DO NOTHING
  RETURNING subject
), told AS MATERIALIZED (
  SELECT entry.* FROM entry JOIN made USING (subject)
), entries AS (
  INSERT INTO ledger_entry (id, {entries}) SELECT id, {entries} FROM told ORDER BY id
), stands AS (
  INSERT INTO standing ({stands}, entry_id)
  SELECT {", ".join(f"s.{name}" for name in _STANDING)}, told.id
  FROM unnest({many.arrays(standing, _STANDING, "s_")}, %(s_place)s::bigint[]) AS s ({stands}, place)
  JOIN told ON told.place = s.place
), referred AS (
  INSERT INTO act_reference (number, entry_id)
  SELECT r.number, told.id FROM unnest(%(r_number)s::bigint[], %(r_place)s::bigint[]) AS r (number, place)
  JOIN told ON told.place = r.place
)
SELECT subject FROM made
"""


def _write_sqlite(connection: Connection, newcomers: Sequence[Newcomer], now: datetime) -> set[int]:
    """Write with numbers worked out here; nobody else writes while this transaction is open."""
    taken = people.taken(connection, [one.known.key for one in newcomers])
    new = [one for one in newcomers if one.known.key not in taken]
    rows = _rows(new)
    before = ledger.highest_given(connection)
    last = {row["subject"]: before + row["place"] for row in rows.entries}
    made = to_microseconds(now)
    _insert(
        connection,
        "address",
        (*_ADDRESS, "created_at", "last_entry"),
        [(*row, made, last[row[0]]) for row in many.stored_rows(address, _ADDRESS, rows.addresses)],
    )
    numbered = [before + row["place"] for row in rows.entries]
    entries = many.stored_rows(ledger_entry, _ENTRY, rows.entries)
    _insert(connection, "ledger_entry", ("id", *_ENTRY), [(n, *r) for n, r in zip(numbered, entries, strict=True)])
    numbered = [before + row["place"] for row in rows.standing]
    stands = many.stored_rows(standing, _STANDING, rows.standing)
    _insert(connection, "standing", ("entry_id", *_STANDING), [(n, *r) for n, r in zip(numbered, stands, strict=True)])
    references = [(row["number"], before + row["place"]) for row in rows.references]
    _insert(connection, act_reference.name, ("number", "entry_id"), references)
    return {one.known.subject for one in new}


def _insert(connection: Connection, table: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join("?" * len(names))
        driver: Any = connection.connection.driver_connection
        driver.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)
