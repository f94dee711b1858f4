"""What stands, address by address: the rows an export is made from."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select, tuple_

from prefs.domain.ledger import Entry
from prefs.domain.terms import AddressKind, Channel
from prefs.storage import facts, ledger
from prefs.storage.people import CHUNK, KnownAddress
from prefs.storage.tables import address, standing


@dataclass(frozen=True, slots=True)
class Stands:
    """One standing fact about one address on one channel."""

    known: KnownAddress
    channel: Channel
    everywhere: bool
    scope: int
    fact: str
    source: str
    since: datetime
    until: datetime | None
    entry_id: int


def standing_facts(
    connection: Connection,
    now: datetime,
    *,
    reasons: Collection[str],
    channel: Channel | None = None,
    scope: int | None = None,
    after: int = 0,
) -> Iterator[Stands]:
    """Yield what is in force, ordered by address key, from the snapshot of this connection.

    ``after`` leaves out facts up to a ledger position, save those of addresses that were restated
    behind it: an address that joins a contact takes over facts older than that.
    """
    place = tuple_(standing.c.address_key, standing.c.channel, standing.c.scope, standing.c.fact, standing.c.everywhere)
    wanted = [standing.c.fact.in_(sorted(reasons)), _in_force(now)]
    if after:
        wanted.append(or_(standing.c.entry_id > after, standing.c.address_key.in_(facts.restated_since(after))))
    if channel is not None:
        wanted.append(standing.c.channel == str(channel))
    if scope is not None:
        wanted.append(standing.c.scope == scope)
    query = (
        _WITH_ADDRESS.where(*wanted)
        .order_by(standing.c.address_key, standing.c.channel, standing.c.scope, standing.c.fact, standing.c.everywhere)
        .limit(CHUNK)
    )
    last = None
    while True:
        rows = connection.execute(query.where(place > last) if last is not None else query).all()
        yield from map(_stands, rows)
        if len(rows) < CHUNK:
            return
        end = rows[-1]
        last = tuple_(end.address_key, end.channel, end.scope, end.fact, end.everywhere)


def folded_facts(
    known: KnownAddress,
    entries: Iterable[Entry],
    now: datetime,
    *,
    reasons: Collection[str],
    channel: Channel | None = None,
    scope: int | None = None,
) -> Iterator[Stands]:
    """Yield what these entries of an address and its contact make stand: ``standing_facts`` of an earlier moment."""
    by_subject: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_subject[entry.subject].append(entry)
    for row in ledger.standing_rows(known, by_subject):
        in_force = row["until"] is None or row["until"] > now
        here = channel in {None, row["channel"]} and scope in {None, row["scope"]}
        if in_force and here and row["fact"] in reasons:
            same = ("channel", "everywhere", "scope", "fact", "source", "until", "entry_id")
            yield Stands(known, since=row["effective_at"], **{name: row[name] for name in same})


Place = tuple[int, bytes]
"""An entry's number and an address key."""


def newer_facts(
    connection: Connection, now: datetime, behind: Place, limit: int, *, reasons: Collection[str], channel: Channel
) -> list[Stands]:
    """Return what is in force of the entries behind a place, in ledger order: the next ``limit``."""
    place = tuple_(standing.c.entry_id, standing.c.address_key)
    theirs = standing.c.fact.in_(sorted(reasons)) & (standing.c.channel == str(channel))
    query = _WITH_ADDRESS.where(place > tuple_(*behind), theirs, _in_force(now))
    ordered = query.order_by(standing.c.entry_id, standing.c.address_key).limit(limit)
    return [_stands(row) for row in connection.execute(ordered)]


_WITH_ADDRESS = select(standing, address.c.subject, address.c.kind, address.c.sealed, address.c.contact).join(
    address, address.c.key == standing.c.address_key
)


def _in_force(now: datetime) -> ColumnElement[bool]:
    return or_(standing.c.until.is_(None), standing.c.until > now)


def _stands(row: Row[Any]) -> Stands:
    return Stands(
        known=KnownAddress(row.subject, row.address_key, AddressKind(row.kind), row.sealed, row.contact),
        channel=Channel(row.channel),
        everywhere=row.everywhere,
        scope=row.scope,
        fact=row.fact,
        source=row.source,
        since=row.effective_at,
        until=row.until,
        entry_id=row.entry_id,
    )
