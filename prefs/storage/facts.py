"""Everything that stands on one channel, streamed out for those who decide about millions at once.

Readers here keep one transaction open, so that a position, the facts and what changed since are
of one moment however long the reading takes.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, Row, Select, func, select, text, union

from prefs.domain.terms import Act, AddressKind, Channel
from prefs.storage import ledger
from prefs.storage.base import Store, alone
from prefs.storage.people import insert_new
from prefs.storage.tables import address, ledger_entry, restated, standing

Write = Callable[[bytes], object]

_ROWS_AT_ONCE = 20_000
_POSTGRES_FACTS = """
COPY (SELECT encode(address_key, 'hex'), everywhere::int, scope, fact, entry_id, effective_at, until, sender, flag
      FROM standing WHERE channel = '{channel}') TO STDOUT (FORMAT csv)
"""
_SQLITE_FACTS = """
SELECT lower(hex(address_key)) || ',' || everywhere || ',' || scope || ',' || fact || ',' || entry_id || ','
       || effective_at || ',' || coalesce(until, '') || ',' || coalesce(sender, '') || ',' || coalesce(flag, '')
FROM standing WHERE channel = '{channel}'
"""
_POSTGRES_PLACES = """
COPY (SELECT encode(a.key, 'hex'), c.country, {zone}
      FROM contact AS c JOIN address AS a ON a.contact = c.subject
      WHERE (c.country IS NOT NULL OR {zone} IS NOT NULL) AND a.kind = '{kind}') TO STDOUT (FORMAT csv)
"""
_SQLITE_PLACES = """
SELECT lower(hex(a.key)) || ',' || coalesce(c.country, '') || ',' || coalesce({zone}, '')
FROM contact AS c JOIN address AS a ON a.contact = c.subject
WHERE (c.country IS NOT NULL OR {zone} IS NOT NULL) AND a.kind = '{kind}'
"""
FACT_COLUMNS = ("key", "everywhere", "scope", "fact", "entry_id", "effective_at", "until", "sender", "flag")


@contextmanager
def one_moment(store: Store) -> Iterator[Connection]:
    """Open a reading transaction in which every statement sees the same moment, without a time limit.

    Raises:
        StoreUnavailable: The database cannot be asked.
    """
    with store.asking(), store.engine.connect() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        yield connection
        connection.rollback()


def settled_position(store: Store) -> int:
    """Return a position below which nothing is still on its way: every entry up to it is visible (contract D23, I18).

    Take it before what is read up to it: what comes in between is then newer, and told again.

    Raises:
        StoreUnavailable: The database cannot be asked, or a writer takes over five seconds.
    """
    with alone(store) as connection:
        return ledger.position(connection)


def entry_key_at(connection: Connection, position: int) -> str | None:
    """Return the key of the entry at a position: it tells one ledger from another."""
    entry = ledger.entry_numbered(connection, position) if position else None
    return entry.entry_key if entry else None


def copy_facts(connection: Connection, channel: Channel, write: Write) -> None:
    """Write every standing fact of a channel as CSV lines (``FACT_COLUMNS``, no header; times in microseconds)."""
    _copy(connection, _POSTGRES_FACTS, _SQLITE_FACTS, write, channel=str(channel))


def copy_places(connection: Connection, kind: AddressKind, write: Write) -> None:
    """Write key, country and time zone of every address whose contact has either, as CSV lines.

    Only of telephones the time zone: nothing else keeps quiet hours (contract D15).
    """
    zone = "c.time_zone" if kind is AddressKind.PHONE else "NULL"
    _copy(connection, _POSTGRES_PLACES, _SQLITE_PLACES, write, kind=str(kind), zone=zone)


def restated_since(position: int) -> Select[tuple[bytes]]:
    """Return the query for the keys of addresses that were restated behind a position without an entry of their own."""
    return select(restated.c.address_key).where(restated.c.position >= position)


def changed_since(connection: Connection, position: int, acts: Collection[Act] = ()) -> Iterator[bytes]:
    """Yield the key of every address whose standing may have changed behind a position; some twice.

    With ``acts`` only entries of these kinds count; what was restated without an entry always does.
    """
    # Not distinct: SQLite would then walk the whole index on (subject, id) instead of the newest ids.
    newer = select(ledger_entry.c.subject).where(ledger_entry.c.id > position)
    if acts:
        newer = newer.where(ledger_entry.c.act.in_(sorted(acts)))
    query = union(
        select(address.c.key).where(address.c.subject.in_(newer)),
        select(address.c.key).where(address.c.contact.in_(newer)),
        restated_since(position),
    )
    for row in _stream(connection, query):
        yield bytes(row[0])


def count_restated(connection: Connection, position: int) -> int:
    """Return how many addresses were restated without an entry behind a position."""
    query = select(func.count()).select_from(restated_since(position).subquery())
    number: int = connection.execute(query).scalar_one()
    return number


def ended_between(
    connection: Connection, channels: Collection[Channel], after: datetime, until: datetime
) -> Iterator[bytes]:
    """Yield the keys of addresses about which something ended by itself on these channels between two moments."""
    ended = standing.c.until.is_not(None) & (standing.c.until > after) & (standing.c.until <= until)
    query = select(standing.c.address_key).where(standing.c.channel.in_(sorted(channels)), ended)
    for row in _stream(connection, query):
        yield bytes(row[0])


def mark_restated(connection: Connection, keys: Sequence[bytes]) -> None:
    """Note that these addresses stand differently though no entry was added: a repair."""
    position = ledger.position(connection)
    connection.execute(restated.delete().where(restated.c.address_key.in_(list(keys))))
    rows = [{"address_key": key, "position": position} for key in set(keys)]
    if rows:
        connection.execute(insert_new(connection, restated), rows)


def count_keys_only(connection: Connection, channel: Channel, kind: AddressKind) -> int:
    """Return how many addresses of a kind have something standing on the channel while we hold only their key."""
    query = text(
        "SELECT COUNT(DISTINCT a.key) FROM address AS a JOIN standing AS s ON s.address_key = a.key "
        "WHERE a.sealed IS NULL AND a.kind = :kind AND s.channel = :channel"
    )
    number: int = connection.execute(query, {"kind": str(kind), "channel": str(channel)}).scalar_one()
    return number


def sealed_addresses(connection: Connection, kind: AddressKind) -> Iterator[tuple[bytes, bytes]]:
    """Yield the key and the sealed text of every address of a kind that we hold."""
    query = select(address.c.key, address.c.sealed).where(address.c.kind == str(kind), address.c.sealed.is_not(None))
    for row in _stream(connection, query):
        yield bytes(row.key), row.sealed


def _stream(connection: Connection, query: Executable) -> Iterator[Row[Any]]:
    """Yield rows as they come; the option is this statement's alone."""
    with connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as rows:
        yield from rows


def _copy(connection: Connection, postgres: str, sqlite: str, write: Write, **names: str) -> None:
    """Stream a query's rows as CSV lines; ``names`` are words of our own enums, never a caller's text."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        with driver.cursor() as cursor, cursor.copy(postgres.format(**names)) as copy:
            for block in copy:
                write(bytes(block))
        return
    cursor = driver.execute(sqlite.format(**names))
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        write(("\n".join(row[0] for row in rows) + "\n").encode())
