"""The only writer of facts. Nothing else inserts into ``ledger_entry`` or touches ``standing``.

Facts and their effect move in one transaction: no reader sees a fact without its effect.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from prefs.domain.ledger import Entry, Standing, fold, with_id
from prefs.domain.references import act_number
from prefs.domain.terms import CHANNELS_OF_KIND, Act, Channel, ConsentKind, Reason
from prefs.storage import many, people
from prefs.storage.people import CHUNK, KnownAddress
from prefs.storage.tables import act_reference, address, contact, from_microseconds, ledger_entry, standing

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
    rows = many.insert_new(connection, ledger_entry, [row_of(entry) for entry in entries], ("entry_key", "id"))
    numbers: dict[str, int] = dict(rows)
    added: list[Entry] = []
    for entry in entries:
        number = numbers.pop(entry.entry_key, None)
        if number is not None:
            added.append(with_id(entry, number))
    for entry in added:
        book.entries[entry.subject].append(entry)
    _mark_last(connection, book, added)
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
    many.delete_by_keys(connection, standing, "address_key", [one.key for one in known])
    many.insert_new(connection, standing, [row for one in known for row in standing_rows(one, book.entries)])


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


def entries_numbered(connection: Connection, numbers: Sequence[int]) -> list[Entry]:
    """Return the entries with these numbers, in ledger order."""
    found: list[Entry] = []
    for start in range(0, len(numbers), CHUNK):
        query = select(ledger_entry).where(ledger_entry.c.id.in_(numbers[start : start + CHUNK]))
        found += [_entry(row) for row in connection.execute(query.order_by(ledger_entry.c.id))]
    return found


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


def highest_given(connection: Connection) -> int:
    """Return the last number SQLite gave an entry, under its write lock: the next one is one more."""
    query = "SELECT seq FROM sqlite_sequence WHERE name = 'ledger_entry'"
    number: int = connection.exec_driver_sql(query).scalar() or 0
    return number


def after(connection: Connection, number: int, limit: int) -> list[Entry]:
    """Return up to ``limit`` entries behind a position, oldest first."""
    query = select(ledger_entry).where(ledger_entry.c.id > number).order_by(ledger_entry.c.id).limit(limit)
    return [_entry(row) for row in connection.execute(query)]


def stored_after(connection: Connection, number: int, limit: int, *, up_to: int) -> Sequence[Row[Any]]:
    """Return up to ``limit`` entries behind a position as they are stored: ``id``, then ``COLUMNS``; oldest first."""
    query = f"SELECT id, {', '.join(COLUMNS)} FROM ledger_entry WHERE id > {{}} AND id <= {{}} ORDER BY id LIMIT {{}}"
    marks = ("?",) * 3 if connection.dialect.name == "sqlite" else ("%s",) * 3
    return connection.exec_driver_sql(query.format(*marks), (number, up_to, limit)).all()


def stops(
    connection: Connection,
    *,
    before: int | None,
    limit: int,
    channel: Channel | None = None,
    reason: Reason | None = None,
    scope: int | None = None,
) -> list[Entry]:
    """Return up to ``limit`` opt-outs before a position, newest first, whether they still stand or not.

    One about every channel bears on each.
    """
    query = select(ledger_entry).where(ledger_entry.c.act == Act.OPT_OUT)
    if before is not None:
        query = query.where(ledger_entry.c.id < before)
    if channel is not None:
        query = query.where(or_(ledger_entry.c.channel == channel, ledger_entry.c.channel.is_(None)))
    if reason is not None:
        query = query.where(ledger_entry.c.reason == reason)
    if scope is not None:
        query = query.where(ledger_entry.c.scope == scope)
    return [_entry(row) for row in connection.execute(query.order_by(ledger_entry.c.id.desc()).limit(limit))]


def _touched(book: Book, subjects: set[int]) -> list[KnownAddress]:
    return [one for one in book.addresses.values() if one.subject in subjects or one.contact in subjects]


def _mark_last(connection: Connection, book: Book, added: Sequence[Entry]) -> None:
    """Note each subject's last entry: receipts fold exactly up to there (contract D23)."""
    last = {entry.subject: entry.id for entry in sorted(added, key=lambda entry: entry.id)}
    theirs = {subject: number for subject, number in last.items() if subject in book.addresses}
    many.set_numbers(connection, address, "subject", "last_entry", theirs)
    others = {subject: number for subject, number in last.items() if subject not in book.addresses}
    # Not in the book as an address: a contact, or an address that was not opened.
    for table in (contact, address) if others else ():
        many.set_numbers(connection, table, "subject", "last_entry", others)


def _note_references(connection: Connection, added: Sequence[Entry]) -> None:
    """Let the reference of each act lead back to it: one row an act and subject."""
    first = {(entry.act_id, entry.subject): entry.id for entry in sorted(added, key=lambda entry: -entry.id)}
    rows = [{"number": act_number(act_id), "entry_id": number} for (act_id, _), number in first.items()]
    many.insert_new(connection, act_reference, rows)


def _load(connection: Connection, subjects: set[int]) -> Iterator[Entry]:
    wanted = f"SELECT id, {', '.join(COLUMNS)} FROM ledger_entry WHERE subject"
    rows = many.select_by(connection, wanted, sorted(subjects), tail="ORDER BY id", kind="bigint") if subjects else ()
    # SQLite takes very many subjects in several statements, so the order of all is made here.
    for row in sorted(rows, key=lambda row: int(row[0])):
        yield entry_of(row[0], times_of(dict(zip(COLUMNS, row[1:], strict=True))))


COLUMNS = [one.name for one in fields(Entry) if one.name != "id"]


_values_of = attrgetter(*COLUMNS)


def row_of(entry: Entry) -> dict[str, Any]:
    """Return an entry as its row, without its number."""
    return dict(zip(COLUMNS, _values_of(entry), strict=True))


def _entry(row: Row[Any]) -> Entry:
    return entry_of(row.id, {name: getattr(row, name) for name in COLUMNS})


_TIMES = ("effective_at", "occurred_at", "recorded_at", "until")


def times_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return columns as the driver gave them with their times as times."""
    for name in _TIMES:
        values[name] = None if values[name] is None else from_microseconds(values[name])
    return values


def entry_of(number: int, values: dict[str, Any]) -> Entry:
    """Return an entry from its columns; its words become terms."""
    words = {"channel": Channel, "reason": Reason, "consent": ConsentKind}
    terms = {name: kind(values[name]) if values[name] else None for name, kind in words.items()}
    return Entry(id=number, **{**values, **terms, "act": Act(values["act"])})


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
