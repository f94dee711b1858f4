"""An import beside the bare pipeline that writes the same rows, in the same run.

    python -m bench.imports --rows 1000000 --into 0
    python -m bench.imports --rows 10000000 --into 20000000 --overlap 0.05

The bare pipeline reads the CSV, lower-cases, makes the keyed hash, copies into an unlogged
staging table (SQLite: a temporary one) and merges sorted by key into the same three tables with
the same indexes, in one transaction: no format, no check of an address, no encryption, no
comparison with what is known, nothing to go on from. For information ``--keyed`` also merges the
keys alone into one keyed table. Judge the ratio.
"""

import argparse
import csv
import hashlib
import os
import random
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from bench import tables
from prefs.crypto import AddressKeys
from prefs.services.imports import ImportRequest
from prefs.storage import migrate
from prefs.wiring import Services, build
from tests.make import make_settings
from tests.postgres import PostgresServer

KEY = b"a" * 32
SAME, KEYED = "bare, the same rows", "bare, one keyed table"
NOW = 1_764_000_000_000_000
FIELDS = "key, line, subject, entry_key"
ADDRESS = "INSERT INTO address (subject, key, kind, last_entry, created_at) SELECT subject, key, 'email', line, {now} "
ENTRY = (
    "INSERT INTO ledger_entry (id, entry_key, act_id, act, subject, channel, scope, reason, source, actor, "
    "effective_at, occurred_at, recorded_at) SELECT line, entry_key, 'bare', 'opt_out', subject, 'email', 0, "
    "'unsubscribed', 'import', 'bench', {now}, {now}, {now} "
)
STANDING = (
    "INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source) "
    "SELECT key, 'email', 0, 'unsubscribed', {no}, line, {now}, 'import' "
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--into", type=int, default=0, help="addresses that are on the list already")
    parser.add_argument("--overlap", type=float, default=0.0, help="share of the rows that are among those")
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--keyed", action="store_true", help="also merge into one keyed table")
    parser.add_argument("--folder", type=Path, help="where the databases lie; a temporary folder otherwise")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "list.csv"
        _write_list(file, wanted.rows, wanted.into, wanted.overlap)
        run = _postgres if wanted.database == "postgres" else _sqlite
        run(stack, folder, file, wanted)


def _write_list(file: Path, rows: int, into: int, overlap: float) -> None:
    known = int(rows * overlap) if into else 0
    numbers = [*random.sample(range(into), known), *range(into, into + rows - known)]
    random.shuffle(numbers)
    with file.open("w") as out:
        out.write("email\n")
        out.writelines(
            f"P{number}@Example.com\n" if number < into else f"Person.{number}@example{number % 97}.com\n"
            for number in numbers
        )


def _fill(url: str, rows: int) -> None:
    if rows:
        began = time.perf_counter()
        tables.fill(url, rows, KEY, ledger=True)
        print(f"          {rows:,} rows filled in, indexes last, in {time.perf_counter() - began:.0f} s", flush=True)


def _addresses(file: Path) -> Iterator[str]:
    with file.open(newline="") as rows:
        reader = csv.reader(rows)
        next(reader)
        for (address,) in reader:
            yield address.strip().lower()


def _hashed(addresses: Iterator[str], first: int) -> Iterator[tuple[bytes, int, int, str]]:
    """Yield the least a row needs: its key, its number, a subject, an entry key."""
    inner, outer = map(hashlib.sha256, AddressKeys([KEY]).pads()[0])
    for line, address in enumerate(addresses, start=first):
        begun, ended = inner.copy(), outer.copy()
        begun.update(address.encode())
        ended.update(begun.digest())
        digest = ended.digest()
        yield digest[:16], line, secrets.randbits(62), hashlib.sha256(digest).hexdigest()


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of processor time: this process and the database's."""

    wall: float
    cpu: float


def _timed(run: Callable[[], Any], server: PostgresServer | None = None) -> Spent:
    began, used = time.perf_counter(), time.process_time() + _database_seconds(server)
    run()
    return Spent(time.perf_counter() - began, time.process_time() + _database_seconds(server) - used)


def _database_seconds(server: PostgresServer | None) -> float:
    """Return the processor time the server's processes have had so far, those that ended included."""
    if server is None:
        return 0.0
    master = (server.data / "postmaster.pid").read_text().splitlines()[0]
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if master in (process.name, fields[1]):
                # Children are counted while they live; the master's own count has them once they ended.
                total += int(fields[11]) + int(fields[12])
                total += int(fields[13]) + int(fields[14]) if process.name == master else 0
    return total / os.sysconf("SC_CLK_TCK")


def _report(database: str, rows: int, into: int, times: dict[str, Spent]) -> None:
    ours = times["import"]
    for name, one in times.items():
        rate = f"{rows / one.wall:9,.0f} rows/s   {one.cpu / rows * 1e6:6.1f} µs of processor a row"
        print(f"{database:9} {rows:>11,} rows into {into:>11,}  {name:24} {one.wall:8.1f} s {rate}")
    for name, one in list(times.items())[1:]:
        print(
            f"{database:9} import beside {name:24} {one.wall / ours.wall:.2f} of its rows/s   "
            f"{one.cpu / ours.cpu:.2f} by processor"
        )


def _import(made: Services, file: Path) -> None:
    imports = made.imports
    begun = imports.begin(ImportRequest(path=file, actor="cli:bench"))
    marks = [time.perf_counter()]
    found = imports.advance(
        begun.id, progress=lambda what, done: marks.append(time.perf_counter()) if done == 1 else None
    )
    assert found.status == "done"
    read, merged = marks[1] - marks[0], marks[-1] - marks[1]
    print(
        f"          import: read {read:.1f} s, merged {merged:.1f} s; {found.added:,} added, {found.already:,} already"
    )


def _services(url: str, folder: Path) -> Services:
    made = build(make_settings(url, folder))
    made.kit.catalogues.ensure_default()
    return made


def _postgres(stack: ExitStack, folder: Path, file: Path, wanted: argparse.Namespace) -> None:
    server = stack.enter_context(PostgresServer.launch(durable=True))
    migrate.upgrade(server.create_database("bare"))
    _fill(server.url("bare"), wanted.into)
    for name in ("ours", "keyed") if wanted.keyed else ("ours",):
        server.create_database(name, "bare")
    made = _services(server.url("ours"), folder)
    times = {"import": _timed(lambda: _import(made, file), server)}
    made.kit.store.dispose()
    hashed = lambda: _hashed(_addresses(file), wanted.into + 1)  # noqa: E731
    times[SAME] = _timed(lambda: _postgres_bare(server.url("bare"), hashed()), server)
    if wanted.keyed:
        times[KEYED] = _timed(lambda: _postgres_keyed(server.url("keyed"), hashed()), server)
    _report("postgres", wanted.rows, wanted.into, times)


def _connect(url: str) -> "psycopg.Connection[Any]":
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def _stage(cursor: "psycopg.Cursor[Any]", rows: Iterator[tuple[bytes, int, int, str]]) -> None:
    cursor.execute("CREATE UNLOGGED TABLE stage (key bytea, line bigint, subject bigint, entry_key text)")
    with cursor.copy(f"COPY stage ({FIELDS}) FROM STDIN") as copy:
        while block := "".join(
            f"\\\\x{key.hex()}\t{line}\t{subject}\t{entry}\n" for key, line, subject, entry in islice(rows, 10_000)
        ):
            copy.write(block)
    cursor.execute("ANALYZE stage")


def _postgres_bare(url: str, rows: Iterator[tuple[bytes, int, int, str]]) -> None:
    with _connect(url) as connection, connection.cursor() as cursor:
        _stage(cursor, rows)
        for statement, order in ((ADDRESS, "key"), (ENTRY, "line"), (STANDING, "key")):
            cursor.execute(
                statement.format(now=NOW, no="false") + f"FROM stage ORDER BY {order} ON CONFLICT DO NOTHING"
            )
        cursor.execute("DROP TABLE stage")
        cursor.execute("SELECT setval('ledger_entry_id_seq', (SELECT coalesce(max(id), 1) FROM ledger_entry))")


def _postgres_keyed(url: str, rows: Iterator[tuple[bytes, int, int, str]]) -> None:
    with _connect(url) as connection, connection.cursor() as cursor:
        _stage(cursor, rows)
        cursor.execute("DELETE FROM import_confirmation")
        cursor.execute(
            "INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source) "
            f"SELECT key, 'email', 0, 'unsubscribed', false, line, {NOW}, 'import' FROM stage ORDER BY key "
            "ON CONFLICT DO NOTHING"
        )
        cursor.execute("DROP TABLE stage")


def _sqlite(stack: ExitStack, folder: Path, file: Path, wanted: argparse.Namespace) -> None:
    bare = folder / "bare.db"
    migrate.upgrade(f"sqlite:///{bare}")
    _fill(f"sqlite:///{bare}", wanted.into)
    for name in ("ours", "keyed") if wanted.keyed else ("ours",):
        shutil.copy(bare, folder / f"{name}.db")
    os.sync()
    made = _services(f"sqlite:///{folder}/ours.db", folder)
    times = {"import": _timed(lambda: _import(made, file))}
    made.kit.store.dispose()
    hashed = lambda: _hashed(_addresses(file), wanted.into + 1)  # noqa: E731
    times[SAME] = _timed(lambda: _sqlite_bare(bare, hashed(), keyed=False))
    if wanted.keyed:
        times[KEYED] = _timed(lambda: _sqlite_bare(folder / "keyed.db", hashed(), keyed=True))
    _report("sqlite", wanted.rows, wanted.into, times)


def _sqlite_bare(path: Path, rows: Iterator[tuple[bytes, int, int, str]], *, keyed: bool) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TEMP TABLE stage (key BLOB, line INTEGER, subject INTEGER, entry_key TEXT)")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO stage VALUES (?, ?, ?, ?)", rows)
    steps = ((STANDING, "key"),) if keyed else ((ADDRESS, "key"), (ENTRY, "line"), (STANDING, "key"))
    for statement, order in steps:
        text = statement.format(now=NOW, no=0).replace("INSERT", "INSERT OR IGNORE", 1)
        connection.execute(text + f"FROM stage ORDER BY {order}")
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


if __name__ == "__main__":
    main()
