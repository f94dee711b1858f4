"""Fills a database with any number of addresses that opted out of marketing email, quickly.

    python -m bench.tables --database postgres --rows 20000000

PostgreSQL makes the rows itself, by SQL, into tables without indexes and adds those last; SQLite
takes them sorted by key. The ledger stays empty unless asked for: a decision reads no more of it
than its last number. Printed are rows a second and bytes a row.
"""

import argparse
import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel

if TYPE_CHECKING:
    import psycopg

_CHUNK = 1_000_000
_MOMENT = 1_764_000_000_000_000  # 2025-11-24 in microseconds
_SEALED = 44
"""Bytes of a sealed address of sixteen letters, so that rows are as wide as in earnest."""

_PUT_BACK = """
ALTER TABLE address ADD CONSTRAINT pk_address PRIMARY KEY (subject);
ALTER TABLE address ADD CONSTRAINT uq_address_key UNIQUE (key);
CREATE INDEX ix_address_contact ON address (contact);
ALTER TABLE address_alias ADD CONSTRAINT fk_address_alias_subject_address
    FOREIGN KEY (subject) REFERENCES address (subject) ON DELETE CASCADE;
ALTER TABLE standing ADD CONSTRAINT pk_standing PRIMARY KEY (address_key, channel, scope, fact, everywhere);
CREATE INDEX ix_standing_entry_id ON standing (entry_id);
"""
_TAKE_AWAY = """
ALTER TABLE address_alias DROP CONSTRAINT fk_address_alias_subject_address;
ALTER TABLE address DROP CONSTRAINT pk_address;
ALTER TABLE address DROP CONSTRAINT uq_address_key;
DROP INDEX ix_address_contact;
ALTER TABLE standing DROP CONSTRAINT pk_standing;
DROP INDEX ix_standing_entry_id;
"""
# HMAC-SHA-256 from its definition (RFC 2104), because PostgreSQL has none without an extension.
_MAKE = """
INSERT INTO address (subject, key, kind, sealed, last_entry, created_at)
SELECT number,
       substring(sha256(%(outer)s || sha256(%(inner)s || convert_to('p' || number || '@example.com', 'UTF8'))) FOR 16),
       'email', %(sealed)s, number + 1, %(moment)s
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number;
"""
_STAND = """
INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source)
SELECT key, 'email', 0, 'unsubscribed', false, last_entry, created_at, 'import' FROM address;
"""
_ENTER = (
    "INSERT INTO ledger_entry (id, entry_key, act_id, act, subject, channel, scope, reason, source, "
    "effective_at, occurred_at, recorded_at) SELECT last_entry, {hashed}, 'filled', 'opt_out', subject, 'email', 0, "
    "'unsubscribed', 'import', created_at, created_at, created_at FROM address ORDER BY last_entry"
)


def fill(url: str, size: int, address_key: bytes, *, ledger: bool = False) -> None:
    """Put ``p0@example.com`` and on into a migrated, empty database, all of them opted out.

    With ``ledger`` each has its entry too, for benches that write: indexes cost what they cost in earnest.
    """
    if make_url(url).get_backend_name() == "sqlite":
        _fill_sqlite(make_url(url).database or "", size, address_key, ledger=ledger)
    else:
        _fill_postgres(url.replace("+psycopg", ""), size, address_key, ledger=ledger)


def _fill_postgres(url: str, size: int, address_key: bytes, *, ledger: bool) -> None:
    import psycopg

    block = address_key.ljust(64, b"\0")
    constant = {
        "inner": bytes(byte ^ 0x36 for byte in block),
        "outer": bytes(byte ^ 0x5C for byte in block),
        "sealed": bytes(_SEALED),
        "moment": _MOMENT,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TAKE_AWAY)
        for first in range(0, size, _CHUNK):
            connection.execute(_MAKE, {**constant, "first": first, "last": min(first + _CHUNK, size) - 1})
        connection.execute(_STAND)
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(_PUT_BACK)
        if ledger:
            with _without_indexes(connection, "ledger_entry"):
                connection.execute(_ENTER.format(hashed="encode(sha256(key), 'hex')"))
            connection.execute("SELECT setval('ledger_entry_id_seq', (SELECT max(id) FROM ledger_entry))")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


@contextmanager
def _without_indexes(connection: "psycopg.Connection[Any]", table: str) -> Iterator[None]:
    """Take the constraints and indexes away that nothing refers to, and make them again afterwards."""
    constraints = connection.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
        [table],
    ).fetchall()
    for name, _ in constraints:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = connection.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", [table]).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for name, definition in constraints:
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        connection.execute(definition)


def _fill_sqlite(path: str, size: int, address_key: bytes, *, ledger: bool) -> None:
    keyed = sorted(_keyed(size, address_key))
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    sealed = bytes(_SEALED)
    connection.executemany(
        "INSERT INTO address (subject, key, kind, sealed, last_entry, created_at) VALUES (?, ?, 'email', ?, ?, ?)",
        ((place, key, sealed, number + 1, _MOMENT) for place, (key, number) in enumerate(keyed)),
    )
    connection.executemany(
        "INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source)"
        " VALUES (?, 'email', 0, 'unsubscribed', 0, ?, ?, 'import')",
        ((key, number + 1, _MOMENT) for key, number in keyed),
    )
    if ledger:
        connection.create_function("hashed", 1, lambda key: hashlib.sha256(key).hexdigest(), deterministic=True)
        connection.execute(_ENTER.format(hashed="hashed(key)"))
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _keyed(size: int, address_key: bytes) -> Iterator[tuple[bytes, int]]:
    block = address_key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    for number in range(size):
        one, two = inner.copy(), outer.copy()
        one.update(b"p%d@example.com" % number)
        two.update(one.digest())
        yield two.digest()[:16], number


def main() -> None:
    from bench import service

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="postgres")
    parser.add_argument("--rows", type=int, default=1_000_000)
    wanted = parser.parse_args()
    started = time.monotonic()
    with service.measured(wanted.database, wanted.rows) as found:
        seconds = time.monotonic() - started
        expected = service.KEYS.key(parse_address(Channel.EMAIL, service.address(0)))
        print(f"{wanted.database}: {wanted.rows} addresses filled in and a server started in {seconds:.1f} s")
        print(f"{_bytes_a_row(found.service.environment['DATABASE_URL'], wanted.rows, expected):.0f} bytes a row")


def _bytes_a_row(url: str, rows: int, expected: bytes) -> float:
    if url.startswith("sqlite"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size / rows
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        known = connection.execute("SELECT 1 FROM standing WHERE address_key = %s", [expected]).fetchone()
        assert known, "the database and the service do not agree on the key of an address"
        sizes = "SELECT pg_total_relation_size('address') + pg_total_relation_size('standing')"
        found = connection.execute(sizes).fetchone()
        return float(found[0]) / rows if found else 0.0


if __name__ == "__main__":
    main()
