"""Work the state out again from the ledger, and compare (contract section 7, promise 7)."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from prefs.storage import facts, ledger, people
from prefs.storage.base import Store
from prefs.storage.tables import address, standing

_AT_ONCE = 2_000


@dataclass(slots=True)
class Replayed:
    """What a replay saw; ``differing`` holds the subjects whose state was not what the ledger says."""

    addresses: int = 0
    entries: int = 0
    differing: list[int] = field(default_factory=list)


def replay(store: Store, *, repair: bool = False) -> Replayed:
    """Compare every address's standing with a fresh fold, in chunks; put it right if asked."""
    found = Replayed()
    last = -1
    while True:
        with store.write() as connection:
            query = select(address.c.subject).where(address.c.subject > last).order_by(address.c.subject)
            subjects = list(connection.execute(query.limit(_AT_ONCE)).scalars())
            if not subjects:
                return found
            last = subjects[-1]
            _compare(connection, subjects, found, repair=repair)


def _compare(connection: Connection, subjects: list[int], found: Replayed, *, repair: bool) -> None:
    known = people.by_subject(connection, subjects)
    book = ledger.open_book(connection, known.values())
    found.addresses += len(known)
    found.entries += sum(len(book.entries[subject]) for subject in subjects)
    query = select(standing).where(standing.c.address_key.in_([one.key for one in known.values()]))
    stored: dict[bytes, set[tuple[Any, ...]]] = {}
    for row in connection.execute(query):
        stored.setdefault(row.address_key, set()).add(tuple(row))
    names = [column.name for column in standing.columns]
    for one in known.values():
        folded = {tuple(row[name] for name in names) for row in ledger.standing_rows(one, book.entries)}
        if folded != stored.get(one.key, set()):
            found.differing.append(one.subject)
            if repair:
                ledger.restate(connection, book, [one])
                facts.mark_restated(connection, [one.key])
