"""What stands, address by address: the rows an export is made from."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select, tuple_

from prefs.domain.terms import AddressKind, Channel
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

    ``after`` leaves out facts up to a ledger position.
    """
    place = tuple_(standing.c.address_key, standing.c.channel, standing.c.scope, standing.c.fact, standing.c.everywhere)
    wanted = [standing.c.fact.in_(sorted(reasons)), standing.c.entry_id > after]
    wanted.append(or_(standing.c.until.is_(None), standing.c.until > now))
    if channel is not None:
        wanted.append(standing.c.channel == str(channel))
    if scope is not None:
        wanted.append(standing.c.scope == scope)
    query = (
        select(standing, address.c.subject, address.c.kind, address.c.sealed, address.c.contact)
        .join(address, address.c.key == standing.c.address_key)
        .where(*wanted)
        .order_by(standing.c.address_key, standing.c.channel, standing.c.scope, standing.c.fact, standing.c.everywhere)
        .limit(CHUNK)
    )
    last = None
    while True:
        rows = connection.execute(query.where(place > last) if last is not None else query).all()
        for row in rows:
            yield Stands(
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
        if len(rows) < CHUNK:
            return
        end = rows[-1]
        last = tuple_(end.address_key, end.channel, end.scope, end.fact, end.everywhere)
