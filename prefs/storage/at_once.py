"""One person's opt-out in one statement, written only if nothing came between.

The general way locks the address, reads, and writes in a dozen statements. Most opt-outs concern one
address without a contact, and then two round trips do: a look without a lock, the fold in
between, and a write that holds only if the address is still as it was (its last entry is the
version). Where it is not, nothing was written and the caller goes the general way. Locks are
taken in the general order: the writers' shared lock, then the address (reliability.md R6).

Most are about somebody nobody knew: that is tried first, and then one round trip does. What many
people ask for at the same moment goes in one transaction (``together``): strangers on both
databases, on SQLite those we know as well, since it has one writer.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from prefs.domain.ledger import Entry, with_id
from prefs.domain.references import act_number
from prefs.storage import first_facts, ledger, many, tables
from prefs.storage.base import WRITERS_LOCK, Store
from prefs.storage.first_facts import Newcomer
from prefs.storage.ledger import Book
from prefs.storage.many import stored
from prefs.storage.people import KnownAddress
from prefs.storage.readers import Conflicting
from prefs.storage.tables import to_microseconds

_PROVISIONAL = 1 << 62
"""Numbers that entries have until the database gives them theirs: above every real one."""

_ENTRY = ledger.COLUMNS
_STANDING = (
    "address_key",
    "channel",
    "scope",
    "fact",
    "everywhere",
    "entry_id",
    "effective_at",
    "until",
    "sender",
    "source",
    "flag",
)
_SLOT = _STANDING[:5]
_NO_LONG_WAIT = "SET LOCAL lock_timeout = 100"
"""Milliseconds: many people's opt-outs do not wait for one of them whose address somebody holds, say an import."""
_LOCK_NOT_AVAILABLE = "55P03"

_LOOK = f"""
SELECT a.subject, a.key, a.kind, a.sealed, a.contact, a.last_entry, e.id, {", ".join(f"e.{name}" for name in _ENTRY)}
FROM address AS a LEFT JOIN ledger_entry AS e ON e.subject = a.subject
WHERE a.subject = COALESCE((SELECT subject FROM address WHERE key = {{key}}),
                           (SELECT subject FROM address_alias WHERE key = {{key}}))
ORDER BY e.id
"""
_LOOK_POSTGRES = _LOOK.format(key="%(key)b")
_LOOK_SQLITE = _LOOK.format(key="?1")


class _Apart(Exception):
    """These pieces cannot go in one transaction."""


@dataclass(frozen=True, slots=True)
class Look:
    """An address as it was when looked at; ``last_entry`` is its version. ``is_new`` where we did not know it."""

    known: KnownAddress
    book: Book
    last_entry: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """A row that goes into another table with the same commit."""

    table: str
    values: dict[str, Any]


@dataclass(slots=True)
class Writing:
    """What is to be written: the entries of one act about one address, and rows beside them."""

    look: Look
    entries: Sequence[Entry]
    beside: Sequence[Beside] = field(default_factory=tuple)


def looks(store: Store, key: bytes, new: KnownAddress) -> Iterator[Look]:
    """Yield ``new``, as though nobody knew the address, and then, should that prove wrong, what ``look`` returns."""
    yield Look(new, Book({new.subject: new}), 0, True)
    if seen := look(store, key, new):
        yield seen


def look(store: Store, key: bytes, new: KnownAddress) -> Look | None:
    """Return what is on record about the address under a key, or ``new`` with nothing on record.

    None where it belongs to a contact: then the contact's facts count too, and the general way
    locks both. Raises ``StoreUnavailable``.
    """
    question = (_LOOK_SQLITE, (key,)) if store.is_sqlite else (_LOOK_POSTGRES, {"key": key})
    rows = store.ask(question)
    if not rows:
        return Look(new, Book({new.subject: new}), 0, True)
    subject, own_key, kind, sealed, contact, last_entry = rows[0][:6]
    if contact is not None:
        return None
    known = KnownAddress(subject, own_key, type(new.kind)(kind), sealed, None)
    book = Book({subject: known})
    book.entries[subject] = [
        ledger.entry_of(row[6], ledger.times_of(dict(zip(_ENTRY, row[7:], strict=True))))
        for row in rows
        if row[6] is not None
    ]
    return Look(known, book, last_entry, False)


def write(store: Store, wanted: Writing) -> bool:
    """Write it all, on disk when this returns; False: the address is no longer as it was, and nothing was written.

    What several threads write at the same time goes in one transaction.

    Raises:
        StoreUnavailable: As ``Store.write``.
    """
    if store.is_sqlite or wanted.look.is_new:
        written: bool | None = store.together.do(wanted, partial(_write_all, store))
        if written is not None:
            return written
    return _write_alone(store, wanted)


def _write_alone(store: Store, wanted: Writing) -> bool:
    try:
        if not store.is_sqlite:
            return _write_postgres(store, wanted)
        with store.write() as connection:
            return _write_sqlite(connection, wanted)
    except (Conflicting, sqlite3.IntegrityError):
        return False  # somebody wrote the very same meanwhile


def _write_all(store: Store, pieces: Sequence[Writing]) -> Sequence[bool | None]:
    """Write many in one transaction and say of each what ``write`` would; None where it has to go alone."""
    if len(pieces) == 1:
        return [_write_alone(store, pieces[0])]
    try:
        with store.write() as connection:
            return _write_together(connection, pieces, store.now())
    except _Apart:
        return [None] * len(pieces)


def _write_together(connection: Connection, pieces: Sequence[Writing], now: datetime) -> list[bool]:
    newcomers = {one.look.known.key: one for one in reversed(pieces) if one.look.is_new}
    try:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql(_NO_LONG_WAIT)
        made = first_facts.write(connection, [Newcomer(one.look.known, one.entries) for one in newcomers.values()], now)
        _write_beside(connection, [one for one in newcomers.values() if one.look.known.subject in made])
        return [one.look.known.subject in made if one.look.is_new else _write_sqlite(connection, one) for one in pieces]
    except (IntegrityError, sqlite3.IntegrityError) as error:
        raise _Apart from error
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise _Apart from error


def _write_beside(connection: Connection, written: Sequence[Writing]) -> None:
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in written:
        for beside in one.beside:
            rows.setdefault((beside.table, *beside.values), []).append(beside.values)
    for (table, *_), values in rows.items():
        many.insert(connection, tables.metadata.tables[table], values)


def _changes(wanted: Writing) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of ``standing`` to put and the slots to clear; numbers of new entries are provisional."""
    known, before = wanted.look.known, wanted.look.book.entries
    numbered = [with_id(entry, _PROVISIONAL + place) for place, entry in enumerate(wanted.entries)]
    after = {known.subject: [*before[known.subject], *numbered]}
    old = {_slot(row): row for row in ledger.standing_rows(known, before)}
    new = {_slot(row): row for row in ledger.standing_rows(known, after)}
    return [row for slot, row in new.items() if old.get(slot) != row], [old[slot] for slot in old if slot not in new]


def _slot(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _SLOT)


def _write_postgres(store: Store, wanted: Writing) -> bool:
    put, clear = _changes(wanted)
    look = wanted.look
    places = tuple(row["entry_id"] - _PROVISIONAL if row["entry_id"] >= _PROVISIONAL else -1 for row in put)
    beside = tuple((one.table, tuple(one.values)) for one in wanted.beside)
    statement, names = _statement(look.is_new, len(wanted.entries), places, len(clear), beside)
    given: dict[str, Any] = {
        "lock": WRITERS_LOCK, "subject": look.known.subject, "key": look.known.key, "kind": look.known.kind.value,
        "sealed": look.known.sealed, "last": look.last_entry,
        "now": to_microseconds(wanted.entries[0].recorded_at), "act": act_number(wanted.entries[0].act_id),
    }  # fmt: skip
    for place, entry in enumerate(wanted.entries):
        given |= {f"e{place}_{name}": stored(getattr(entry, name)) for name in _ENTRY}
    for place, row in enumerate(put):
        given |= {f"s{place}_{name}": stored(row[name]) for name in _STANDING}
    for place, row in enumerate(clear):
        given |= {f"c{place}_{name}": stored(row[name]) for name in _SLOT}
    for place, one in enumerate(wanted.beside):
        given |= {f"b{place}_{name}": stored(value) for name, value in one.values.items()}
    return bool(store.write_at_once(statement, [given[name] for name in names]))


@lru_cache(maxsize=256)
def _statement(
    is_new: bool, entries: int, places: tuple[int, ...], clear: int, beside: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[str, list[str]]:
    """Return the one statement for PostgreSQL and the names of its parameters in order.

    Its parts see one snapshot and hang on ``who``, which has a row only where the address is
    still as it was: the database looks again after waiting for the row's lock.
    """
    numbers = ", ".join(f"nextval('ledger_entry_id_seq') AS n{place}" for place in range(entries))
    last = f"numbers.n{entries - 1}"
    who = (
        "INSERT INTO address (subject, key, kind, sealed, created_at, last_entry)"
        f" SELECT %(subject)s, %(key)s, %(kind)s, %(sealed)s, %(now)s, {last} FROM numbers"
        " WHERE NOT EXISTS (SELECT 1 FROM address_alias WHERE key = %(key)s)"
        " ON CONFLICT DO NOTHING RETURNING subject"
        if is_new
        else f"UPDATE address AS a SET last_entry = {last} FROM numbers"
        " WHERE a.subject = %(subject)s AND a.last_entry = %(last)s AND a.contact IS NULL RETURNING a.subject"
    )
    parts = [
        "gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%(lock)s))",
        f"numbers AS MATERIALIZED (SELECT {numbers} FROM gate)",
        f"who AS ({who})",
    ]
    for place in range(entries):
        values = ", ".join(f"%(e{place}_{name})s" for name in _ENTRY)
        parts.append(
            f"e{place} AS (INSERT INTO ledger_entry (id, {', '.join(_ENTRY)})"
            f" SELECT numbers.n{place}, {values} FROM who, numbers)"
        )
    parts.append("act AS (INSERT INTO act_reference (number, entry_id) SELECT %(act)s, numbers.n0 FROM who, numbers)")
    for row, place in enumerate(places):
        parts.append(f"s{row} AS ({_put(row, place)})")
    for row in range(clear):
        slot = " AND ".join(f"{name} = %(c{row}_{name})s" for name in _SLOT)
        parts.append(f"c{row} AS (DELETE FROM standing WHERE {slot} AND EXISTS (SELECT 1 FROM who))")
    for row, (table, names) in enumerate(beside):
        values = ", ".join(f"%(b{row}_{name})s" for name in names)
        parts.append(f"b{row} AS (INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM who)")
    found = ", ".join(f"numbers.n{place}" for place in range(entries))
    whole = f"WITH {', '.join(parts)} SELECT {found} FROM who, numbers"
    order: dict[str, str] = {}

    def numbered(mark: re.Match[str]) -> str:
        return order.setdefault(mark[1], f"${len(order) + 1}")

    return re.sub(r"%\((\w+)\)s", numbered, whole), list(order)


def _put(row: int, place: int) -> str:
    values = [f"%(s{row}_{name})s" if name != "entry_id" or place < 0 else f"numbers.n{place}" for name in _STANDING]
    changed = ", ".join(f"{name} = excluded.{name}" for name in _STANDING[5:])
    return (
        f"INSERT INTO standing ({', '.join(_STANDING)}) SELECT {', '.join(values)} FROM who, numbers"
        f" ON CONFLICT ({', '.join(_SLOT)}) DO UPDATE SET {changed}"
    )


def _write_sqlite(connection: Connection, wanted: Writing) -> bool:
    driver: Any = connection.connection.driver_connection
    run: Callable[..., Any] = driver.execute
    look = wanted.look
    known = look.known
    if look.is_new:
        made = (
            known.subject,
            known.key,
            known.kind.value,
            known.sealed,
            to_microseconds(wanted.entries[0].recorded_at),
        )
        if run(_NEW_ADDRESS, made).rowcount != 1:
            return False
    elif run(_AS_IT_WAS, (known.subject, look.last_entry)).fetchone() is None:
        return False
    numbers = [run(_NEW_ENTRY, [stored(getattr(entry, name)) for name in _ENTRY]).lastrowid for entry in wanted.entries]
    run(_NEW_REFERENCE, (act_number(wanted.entries[0].act_id), numbers[0]))
    put, clear = _changes(wanted)
    for row in put:
        if row["entry_id"] >= _PROVISIONAL:
            row["entry_id"] = numbers[row["entry_id"] - _PROVISIONAL]
        run(_PUT_STANDING, [stored(row[name]) for name in _STANDING])
    for row in clear:
        run(_CLEAR_STANDING, [stored(row[name]) for name in _SLOT])
    for one in wanted.beside:
        names = ", ".join(one.values)
        run(
            f"INSERT INTO {one.table} ({names}) VALUES ({', '.join('?' * len(one.values))})",
            [stored(value) for value in one.values.values()],
        )
    run("UPDATE address SET last_entry = ? WHERE subject = ?", (numbers[-1], known.subject))
    return True


_NEW_ADDRESS = (
    "INSERT INTO address (subject, key, kind, sealed, created_at) SELECT ?1, ?2, ?3, ?4, ?5"
    " WHERE NOT EXISTS (SELECT 1 FROM address_alias WHERE key = ?2) ON CONFLICT DO NOTHING"
)
_AS_IT_WAS = "SELECT 1 FROM address WHERE subject = ? AND last_entry = ? AND contact IS NULL"
_NEW_ENTRY = f"INSERT INTO ledger_entry ({', '.join(_ENTRY)}) VALUES ({', '.join('?' * len(_ENTRY))})"
_NEW_REFERENCE = "INSERT INTO act_reference (number, entry_id) VALUES (?, ?)"
_PUT_STANDING = f"INSERT OR REPLACE INTO standing ({', '.join(_STANDING)}) VALUES ({', '.join('?' * len(_STANDING))})"
_CLEAR_STANDING = "DELETE FROM standing WHERE " + " AND ".join(f"{name} = ?" for name in _SLOT)
