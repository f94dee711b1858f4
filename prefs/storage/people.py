"""Who an address key leads to: subjects, contacts, and the lock that orders their facts.

Lock order is contact first, then addresses by ascending key (reliability.md R6).
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Row, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import Table

from prefs.domain.terms import AddressKind, Reason
from prefs.storage import many
from prefs.storage.tables import address, address_alias, contact, standing

_ADDRESS = "a.subject, a.key, a.kind, a.sealed, a.contact"

CHUNK = 5_000
"""Keys a statement; both drivers take several times as many parameters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address to be found or made: its possible keys, own one first (contract D2).

    ``seal`` encrypts the address for the row with the given key; None where only the key is known.
    """

    keys: tuple[bytes, ...]
    kind: AddressKind
    seal: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """An address row: the subject it leads to, and the sealed address where we have it."""

    subject: int
    key: bytes
    kind: AddressKind
    sealed: bytes | None
    contact: int | None


@dataclass(frozen=True, slots=True)
class KnownContact:
    """A contact row."""

    subject: int
    external_id: str
    locale: str | None
    country: str | None
    time_zone: str | None


def insert_new(connection: Connection, table: Table) -> Insert:
    """Return an insert that skips rows already there; what it returns is what was new."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return cast(Insert, dialect.insert(table).on_conflict_do_nothing())


def add_new(connection: Connection, table: Table, values: dict[str, object]) -> bool:
    """Insert one row and say whether it was new."""
    statement = insert_new(connection, table).returning(*table.primary_key.columns)
    return connection.execute(statement, values).first() is not None


def new_subject() -> int:
    """Return a random subject number: it says nothing about when or whose (contract D1)."""
    return secrets.randbits(62)


def find(connection: Connection, keys: Sequence[bytes], *, lock: bool = False) -> dict[bytes, KnownAddress]:
    """Return what is known under these keys, aliases included; locked in key order if asked."""
    wanted = sorted(set(keys))
    tail = "ORDER BY a.key" + (" FOR UPDATE OF a" if lock and connection.dialect.name != "sqlite" else "")
    rows = many.select_by(connection, f"SELECT {_ADDRESS} FROM address AS a WHERE a.key", wanted, tail=tail)
    found = {row.key: _known(row) for row in rows}
    missing = [key for key in wanted if key not in found]
    aliased = f"SELECT l.key AS alias, {_ADDRESS} FROM address_alias AS l JOIN address AS a ON a.subject = l.subject"
    for row in many.select_by(connection, f"{aliased} WHERE l.key", missing, tail=tail) if missing else ():
        found[row.alias] = _known(row)
    return found


def open_addresses(connection: Connection, wanted: Sequence[Wanted], now: datetime) -> list[KnownAddress]:
    """Return the wanted addresses in order, locked, made where there was none.

    An address seen here for the first time in clear text is kept, sealed, unless its person was
    erased: then the key alone goes on standing for it (rules.md G-3, invariant I14). One that
    was found under an older key gets an alias, so that links of either make lead to it.

    Several are made in the order of keys, and only then locked in it: who held some while making
    others could wait for one who does the same (reliability.md R6).
    """
    keys = [key for one in wanted for key in one.keys]
    alone = len(wanted) == 1
    known = find(connection, keys, lock=alone)
    missing = {one.keys[0]: one for one in wanted if not any(key in known for key in one.keys)}
    if missing:
        _add(connection, [missing[key] for key in sorted(missing)], now)
    if missing or not alone:
        known = find(connection, keys, lock=True)
    opened = []
    for one in wanted:
        row = next(known[key] for key in one.keys if key in known)
        if one.keys[0] not in known:
            connection.execute(insert_new(connection, address_alias), {"key": one.keys[0], "subject": row.subject})
            known[one.keys[0]] = row
        if one.seal is not None and row.sealed is None and not is_erased(connection, row.key):
            row = replace(row, sealed=one.seal(row.key))
            connection.execute(update(address).where(address.c.subject == row.subject).values(sealed=row.sealed))
        opened.append(row)
    return opened


def taken(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Return which of these keys have a row or an alias."""
    return {
        bytes(row.key)
        for table in ("address", "address_alias")
        for row in many.select_by(connection, f"SELECT key FROM {table} WHERE key", keys)
    }


def is_erased(connection: Connection, key: bytes) -> bool:
    """True where the person behind an address was erased: it must not be kept in clear again."""
    query = select(standing.c.entry_id).where(standing.c.address_key == key, standing.c.fact == Reason.ERASED)
    return connection.execute(query.limit(1)).first() is not None


def whole_person(
    connection: Connection, subject: int, *, lock: bool = False
) -> tuple[list[KnownAddress], KnownContact | None]:
    """Return every address of the person behind an address or contact, and the contact; contact locked first."""
    own = connection.execute(select(address).where(address.c.subject == subject)).one_or_none()
    wanted = own.contact if own else subject
    query = select(contact).where(contact.c.subject == wanted)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is not None:
        return of_contact(connection, [row.subject], lock=lock), _known_contact(row)
    alone = select(address).where(address.c.subject == subject)
    found = connection.execute(alone.with_for_update() if lock else alone).one_or_none()
    return ([_known(found)] if found else []), None


def of_contact(connection: Connection, contacts: Iterable[int], *, lock: bool = False) -> list[KnownAddress]:
    """Return the addresses of these contacts, by key."""
    query = select(address).where(address.c.contact.in_(list(contacts))).order_by(address.c.key)
    return [_known(row) for row in connection.execute(query.with_for_update() if lock else query)]


def find_contact(connection: Connection, external_id: str, *, lock: bool = False) -> KnownContact | None:
    """Return the contact a caller knows by this id, or None."""
    query = select(contact).where(contact.c.external_id == external_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _known_contact(row) if row else None


def find_contacts(connection: Connection, external_ids: Collection[str]) -> dict[str, KnownContact]:
    """Return contacts by the caller's own ids; unknown ones are absent."""
    wanted = sorted(external_ids)
    found: dict[str, KnownContact] = {}
    for start in range(0, len(wanted), CHUNK):
        query = select(contact).where(contact.c.external_id.in_(wanted[start : start + CHUNK]))
        found |= {row.external_id: _known_contact(row) for row in connection.execute(query)}
    return found


def lock_contacts(connection: Connection, subjects: Collection[int]) -> None:
    """Lock contacts in their order, before any address of theirs."""
    if subjects:
        query = select(contact.c.subject).where(contact.c.subject.in_(subjects)).order_by(contact.c.subject)
        connection.execute(query.with_for_update()).all()


def contact_of(connection: Connection, subject: int) -> KnownContact | None:
    """Return the contact with this subject, or None."""
    row = connection.execute(select(contact).where(contact.c.subject == subject)).one_or_none()
    return _known_contact(row) if row else None


def contacts_by_subject(connection: Connection, subjects: Iterable[int]) -> dict[int, KnownContact]:
    """Return contact rows by subject; subjects that are addresses or erased are absent."""
    query = select(contact).where(contact.c.subject.in_(list(subjects)))
    return {row.subject: _known_contact(row) for row in connection.execute(query)}


def contacts_beginning(connection: Connection, prefix: str, limit: int) -> list[KnownContact]:
    """Return contacts whose external id begins with these very letters, in order of it; nothing is a wildcard."""
    column, end = contact.c.external_id, prefix + "\U0010ffff"
    if connection.dialect.name == "sqlite":
        query = select(contact).where(column >= prefix, column < end).order_by(column)
    else:
        # Byte by byte, as the prefix index is: a collation would find ids that merely sort alike.
        within = column.bool_op("~>=~")(prefix) & column.bool_op("~<~")(end)
        query = select(contact).where(within).order_by(text("contact.external_id USING ~<~"))
    return [_known_contact(row) for row in connection.execute(query.limit(limit))]


def save_contact(
    connection: Connection,
    external_id: str,
    *,
    locale: str | None,
    country: str | None,
    time_zone: str | None,
    now: datetime,
) -> KnownContact:
    """Make the contact or bring it up to date, and return it locked."""
    values = {"locale": locale, "country": country, "time_zone": time_zone}
    fresh = {"subject": new_subject(), "external_id": external_id, "created_at": now, **values}
    connection.execute(insert_new(connection, contact), fresh)
    connection.execute(update(contact).where(contact.c.external_id == external_id).values(values))
    saved = find_contact(connection, external_id, lock=True)
    assert saved is not None  # made two statements above, in this transaction
    return saved


def join_contact(connection: Connection, subject: int, contact_subject: int | None) -> None:
    """Make an address belong to a contact, or to none."""
    connection.execute(update(address).where(address.c.subject == subject).values(contact=contact_subject))


def keep_sealed(connection: Connection, subject: int, sealed: bytes) -> None:
    """Keep the address of a row that had only its key, unless its person was erased (rules.md G-3, I14)."""
    erased = select(standing.c.address_key).where(
        standing.c.address_key == address.c.key, standing.c.fact == Reason.ERASED
    )
    statement = update(address).where(address.c.subject == subject, ~erased.exists())
    connection.execute(statement.values(sealed=sealed))


def by_subject(connection: Connection, subjects: Iterable[int]) -> dict[int, KnownAddress]:
    """Return address rows by subject; subjects that are contacts or erased are absent."""
    query = select(address).where(address.c.subject.in_(list(subjects)))
    return {row.subject: _known(row) for row in connection.execute(query)}


def locate(connection: Connection, subject: int) -> KnownAddress | None:
    """Return one address row by subject, locked, or None."""
    row = connection.execute(select(address).where(address.c.subject == subject).with_for_update()).one_or_none()
    return _known(row) if row else None


def _add(connection: Connection, wanted: Iterable[Wanted], now: datetime) -> None:
    rows = [
        {
            "subject": new_subject(),
            "key": one.keys[0],
            "kind": one.kind,
            "sealed": one.seal(one.keys[0]) if one.seal else None,
            "created_at": now,
        }
        for one in wanted
    ]
    many.insert_new(connection, address, rows)


def _known(row: Row[tuple[object, ...]]) -> KnownAddress:
    return KnownAddress(row.subject, row.key, AddressKind(row.kind), row.sealed, row.contact)


def _known_contact(row: Row[tuple[object, ...]]) -> KnownContact:
    return KnownContact(row.subject, row.external_id, row.locale, row.country, row.time_zone)
