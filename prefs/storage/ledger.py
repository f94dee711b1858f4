"""The only writer of facts. Nothing else inserts into ``ledger_entry`` or touches ``standing``.

Facts and their effect move in one transaction: no reader sees a fact without its effect.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from prefs.domain.ledger import Entry, Standing, fold, with_id
from prefs.domain.references import act_number
from prefs.domain.terms import CHANNELS_OF_KIND, Act, Channel, ConsentKind, Reason
from prefs.storage import people
from prefs.storage.people import CHUNK, KnownAddress, insert_new
from prefs.storage.tables import act_reference, address, contact, ledger_entry, standing

_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Book:
    """What is on record about some addresses and their contacts, with their locks held.

    ``addresses`` are by subject. Entries stay in ledger order. Good for one transaction only.
    """

    addresses: dict[int, KnownAddress]
    entries: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def of(self, known: KnownAddress) -> list[Entry]:
        """Return the entries that bear on an address: its own and its contact's."""
        own = self.entries[known.subject]
        return own + self.entries[known.contact] if known.contact is not None else list(own)

    def standing(self, known: KnownAddress) -> list[Standing]:
        """Return what stands about an address, its contact's facts included."""
        theirs = fold(self.entries[known.contact]) if known.contact is not None else frozenset()
        return [*fold(self.entries[known.subject]), *theirs]

    def receipt_time(self, subject: int, now: datetime) -> datetime:
        """Return the moment an act received now counts at.

        Under the lock each act counts after the one before it, even when the clock stood
        still or was set back (contract D7).
        """
        latest = max((entry.effective_at for entry in self.entries[subject]), default=None)
        return now if latest is None or latest < now else latest + _TICK


def open_book(connection: Connection, known: Iterable[KnownAddress], contacts: Iterable[int] = ()) -> Book:
    """Return the record of addresses (locked by the caller) and of whole contacts, locked here."""
    addresses = {one.subject: one for one in known}
    whole = sorted(set(contacts))
    if whole:
        connection.execute(
            select(contact.c.subject).where(contact.c.subject.in_(whole)).order_by(contact.c.subject).with_for_update()
        ).all()
        addresses |= {one.subject: one for one in people.of_contact(connection, whole, lock=True)}
    book = Book(addresses)
    theirs = {one.contact for one in addresses.values() if one.contact is not None}
    for entry in _load(connection, addresses.keys() | theirs | set(whole)):
        book.entries[entry.subject].append(entry)
    return book


def append(connection: Connection, book: Book, entries: Sequence[Entry]) -> list[Entry]:
    """Write facts and return those that were new.

    A fact already there (same ``entry_key``) is skipped, so a webhook delivered twice changes
    nothing the second time. The standing of every address they bear on moves with them.
    """
    if not entries:
        return []
    statement = insert_new(connection, ledger_entry).returning(ledger_entry.c.id, ledger_entry.c.entry_key)
    rows = connection.execute(statement, [_row(entry) for entry in entries]).all()
    numbers: dict[str, int] = {row.entry_key: row.id for row in rows}
    added: list[Entry] = []
    for entry in entries:
        number = numbers.pop(entry.entry_key, None)
        if number is not None:
            added.append(with_id(entry, number))
    for entry in added:
        book.entries[entry.subject].append(entry)
    _mark_last(connection, added)
    _note_references(connection, added)
    restate(connection, book, _touched(book, {entry.subject for entry in added}))
    return added


def join(connection: Connection, book: Book, known: KnownAddress, contact_subject: int) -> KnownAddress:
    """Make an address belong to a contact, and let it stand as the two together say."""
    people.join_contact(connection, known.subject, contact_subject)
    joined = replace(known, contact=contact_subject)
    book.addresses[known.subject] = joined
    restate(connection, book, [joined])
    return joined


def restate(connection: Connection, book: Book, known: Sequence[KnownAddress]) -> None:
    """Write what stands about these addresses afresh from the book."""
    if not known:
        return
    keys = [one.key for one in known]
    for start in range(0, len(keys), CHUNK):
        connection.execute(delete(standing).where(standing.c.address_key.in_(keys[start : start + CHUNK])))
    rows = [row for one in known for row in standing_rows(one, book.entries)]
    if rows:
        connection.execute(standing.insert(), rows)


def standing_rows(known: KnownAddress, entries: dict[int, list[Entry]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``standing`` that follow from the entries about one address."""
    latest: dict[tuple[Channel, int, str, bool], dict[str, Any]] = {}
    for fact in Book({known.subject: known}, entries).standing(known):
        everywhere = fact.channel is None
        for channel in CHANNELS_OF_KIND[known.kind] if fact.channel is None else (fact.channel,):
            slot = (channel, fact.scope, fact.fact, everywhere)
            row = _standing_row(known, channel, fact)
            if slot not in latest or latest[slot]["entry_id"] < row["entry_id"]:
                latest[slot] = row
    yield from latest.values()


def history(connection: Connection, subjects: Iterable[int], *, up_to: int | None = None) -> list[Entry]:
    """Return every entry about these subjects in ledger order, or those up to a position."""
    return [entry for entry in _load(connection, set(subjects)) if up_to is None or entry.id <= up_to]


def entry_numbered(connection: Connection, number: int) -> Entry | None:
    """Return one entry by its place in the ledger, or None."""
    row = connection.execute(select(ledger_entry).where(ledger_entry.c.id == number)).one_or_none()
    return _entry(row) if row else None


def entries_numbered(connection: Connection, numbers: Iterable[int]) -> dict[int, Entry]:
    """Return entries by their place in the ledger; what there is not is absent."""
    query = select(ledger_entry).where(ledger_entry.c.id.in_(list(numbers)))
    return {row.id: _entry(row) for row in connection.execute(query)}


def referred(connection: Connection, number: int) -> list[Entry]:
    """Return the first entry about each subject of the acts that share this reference's number."""
    query = (
        select(ledger_entry)
        .join(act_reference, act_reference.c.entry_id == ledger_entry.c.id)
        .where(act_reference.c.number == number)
        .order_by(ledger_entry.c.id)
    )
    return [_entry(row) for row in connection.execute(query)]


def page_of(
    connection: Connection,
    subjects: Iterable[int],
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
) -> list[Entry]:
    """Return entries about these subjects newest first: older than ``before``, or the next newer than ``after``."""
    query = select(ledger_entry).where(ledger_entry.c.subject.in_(list(subjects))).limit(limit)
    if after is not None:
        newer = query.where(ledger_entry.c.id > after).order_by(ledger_entry.c.id)
        return [_entry(row) for row in connection.execute(newer)][::-1]
    if before is not None:
        query = query.where(ledger_entry.c.id < before)
    return [_entry(row) for row in connection.execute(query.order_by(ledger_entry.c.id.desc()))]


def count_of(connection: Connection, subjects: Iterable[int]) -> int:
    """Return how many entries there are about these subjects."""
    query = select(func.count()).where(ledger_entry.c.subject.in_(list(subjects)))
    number: int = connection.execute(query).scalar_one()
    return number


def known_keys(connection: Connection, entry_keys: Sequence[str]) -> set[str]:
    """Return which of these entry keys the ledger already has."""
    found: set[str] = set()
    for start in range(0, len(entry_keys), CHUNK):
        chunk = entry_keys[start : start + CHUNK]
        query = select(ledger_entry.c.entry_key).where(ledger_entry.c.entry_key.in_(chunk))
        found.update(connection.execute(query).scalars())
    return found


def position(connection: Connection) -> int:
    """Return the highest entry number there is, 0 for an empty ledger."""
    highest: int = connection.execute(select(func.coalesce(func.max(ledger_entry.c.id), 0))).scalar_one()
    return highest


def after(connection: Connection, number: int, limit: int) -> list[Entry]:
    """Return up to ``limit`` entries behind a position, oldest first."""
    query = select(ledger_entry).where(ledger_entry.c.id > number).order_by(ledger_entry.c.id).limit(limit)
    return [_entry(row) for row in connection.execute(query)]


def _touched(book: Book, subjects: set[int]) -> list[KnownAddress]:
    return [one for one in book.addresses.values() if one.subject in subjects or one.contact in subjects]


def _mark_last(connection: Connection, added: Sequence[Entry]) -> None:
    """Note each subject's last entry: receipts fold exactly up to there (contract D23)."""
    last = {entry.subject: entry.id for entry in sorted(added, key=lambda entry: entry.id)}
    values = [{"who": subject, "number": number} for subject, number in last.items()]
    for table in (address, contact):
        statement = update(table).where(table.c.subject == bindparam("who")).values(last_entry=bindparam("number"))
        if values:
            connection.execute(statement, values)


def _note_references(connection: Connection, added: Sequence[Entry]) -> None:
    """Let the reference of each act lead back to it: one row an act and subject."""
    first = {(entry.act_id, entry.subject): entry.id for entry in sorted(added, key=lambda entry: -entry.id)}
    rows = [{"number": act_number(act_id), "entry_id": number} for (act_id, _), number in first.items()]
    if rows:
        connection.execute(act_reference.insert(), rows)


def _load(connection: Connection, subjects: set[int]) -> Iterator[Entry]:
    ordered = sorted(subjects)
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        query = select(ledger_entry).where(ledger_entry.c.subject.in_(chunk)).order_by(ledger_entry.c.id)
        for row in connection.execute(query):
            yield _entry(row)


COLUMNS = [one.name for one in fields(Entry) if one.name != "id"]


def _row(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in COLUMNS}


def _entry(row: Row[Any]) -> Entry:
    values = {name: getattr(row, name) for name in COLUMNS}
    values["act"] = Act(row.act)
    values["channel"] = Channel(row.channel) if row.channel else None
    values["reason"] = Reason(row.reason) if row.reason else None
    values["consent"] = ConsentKind(row.consent) if row.consent else None
    return Entry(id=row.id, **values)


def _standing_row(known: KnownAddress, channel: Channel, fact: Standing) -> dict[str, Any]:
    return {
        "address_key": known.key,
        "channel": channel,
        "scope": fact.scope,
        "fact": fact.fact,
        "everywhere": fact.channel is None,
        "entry_id": fact.entry_id,
        "effective_at": fact.effective_at,
        "until": fact.until,
        "sender": fact.sender,
        "source": fact.source,
        "flag": fact.flag,
    }
