"""Telephone numbers with a consent on record, for the checks that go by number."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select

from prefs.domain.ledger import CONSENT_WORDS
from prefs.domain.terms import AddressKind, Channel
from prefs.storage.people import KnownAddress
from prefs.storage.tables import address, standing

_PAGE = 1_000
_BY_TELEPHONE = (Channel.SMS, Channel.VOICE)


def with_consent(connection: Connection) -> Iterator[tuple[KnownAddress, datetime]]:
    """Yield each number that agreed to texts or calls, with the time it last did; one query a thousand."""
    behind = b""
    while page := _page(connection, behind):
        yield from page
        behind = page[-1][0].key


def _page(connection: Connection, behind: bytes) -> list[tuple[KnownAddress, datetime]]:
    last = func.max(standing.c.effective_at)
    query = (
        select(address.c.subject, address.c.key, address.c.kind, address.c.sealed, address.c.contact, last)
        .join(standing, standing.c.address_key == address.c.key)
        .where(standing.c.channel.in_(_BY_TELEPHONE), standing.c.fact.in_(sorted(CONSENT_WORDS)))
        .where(address.c.sealed.is_not(None), address.c.key > behind)
        .group_by(address.c.subject)
        .order_by(address.c.key)
        .limit(_PAGE)
    )
    return [
        (KnownAddress(row.subject, row.key, AddressKind(row.kind), row.sealed, row.contact), row[5])
        for row in connection.execute(query)
    ]
