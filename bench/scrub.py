"""A scrub of a big file against a big list, beside DuckDB's bare read, hash, anti-join and write of the same.

    python -m bench.scrub --rows 1000000 --list 5000000
    python -m bench.scrub --rows 10000000 --list 50000000 --database postgres --staged
    python -m bench.scrub --rows 10000000 --list 50000000 --mixed

Loads the list (what a scrub reads: ``standing`` and its place in the ledger), then runs both in
turn, each in a process of its own. The floor reads the same audience and the same keys from
Parquet, and knows neither reasons nor odd addresses. Judge the ratio. ``--rows 10000000 --list
50000000`` takes about 8 GB of disk and a quarter of an hour, most of it for loading. With
``--staged`` the list is loaded as an office loads it, by ``prefs import``, address, entry and all. With
``--mixed`` it holds what a list holds after some years (``MIX``); the floor gets the keys of those that
block, and both are held against a count that knows neither keys nor facts.
"""

import argparse
import base64
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefs.crypto import AddressKeys
from prefs.domain.terms import Channel
from prefs.services.audience import digest, keyed_in_sql
from prefs.services.engine import opened, quoted
from prefs.storage import migrate
from prefs.wiring import build
from tests.make import make_settings
from tests.postgres import PostgresServer

KEY = b"k" * 32
DAY = 86_400_000_000
LONG_AGO = 1_700_000_000_000_000
ASKED, OTHER = "product-offers", "events"


@dataclass(frozen=True)
class Kind:
    """How ``share`` of a hundred addresses stand: facts as word, topic (None for all) and day; whether they block."""

    share: int
    facts: tuple[tuple[str, str | None, int], ...]
    blocks: bool


MIX = (
    Kind(80, (("unsubscribed", None, 0),), blocks=True),
    Kind(5, (("hard_bounce", None, 0),), blocks=True),
    Kind(5, (("unsubscribed", ASKED, 0),), blocks=True),
    Kind(5, (("unsubscribed", OTHER, 0),), blocks=False),
    Kind(3, (("express", ASKED, 0),), blocks=False),
    Kind(1, (("unsubscribed", None, 0), ("express", ASKED, 1)), blocks=False),
    Kind(1, (("express", ASKED, 0), ("unsubscribed", None, 1)), blocks=True),
)
ONE_KIND = (Kind(100, MIX[0].facts, blocks=True),)

ADDRESS = "'user' || {number} || '@example' || ({number} % 1000) || '.com'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--list", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--staged", action="store_true", help="load the list by prefs import")
    parser.add_argument("--mixed", action="store_true", help="of all kinds, not unsubscribed alone")
    parser.add_argument("--folder", type=Path, help="Where the files go; default: a temporary folder.")
    parser.add_argument("--floor", nargs=3, metavar=("AUDIENCE", "KEYS", "OUT"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.mixed and wanted.staged:
        parser.error("prefs import takes one kind at a time: --mixed or --staged")
    if wanted.floor:
        floor(*map(Path, wanted.floor))
        return
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        compare(Path(name), wanted)


def compare(folder: Path, wanted: argparse.Namespace) -> None:
    if wanted.database == "sqlite":
        return measure(folder, f"sqlite:///{folder / 'prefs.db'}", wanted)
    with PostgresServer.launch() as server:
        return measure(folder, server.create_database("bench"), wanted)


def measure(folder: Path, url: str, wanted: argparse.Namespace) -> None:
    audience, keys, kinds = folder / "audience.csv", folder / "keys.parquet", MIX if wanted.mixed else ONE_KIND
    started = time.monotonic()
    expected = make_files(folder, audience, keys, wanted, kinds)
    say(f"files made in {time.monotonic() - started:.0f} s: audience {size(audience)}, keys {size(keys)}")
    settings = {"PREFS_ADDRESS_KEY": base64.b64encode(KEY).decode(), "DATABASE_URL": url}
    started = time.monotonic()
    environment = {**os.environ, "PREFS_DATA_DIR": str(folder / "var"), **settings}
    if wanted.staged:
        import_list(url, folder, wanted.list, environment)
    else:
        load_list(url, folder, wanted.database, kinds)
    say(
        f"{wanted.list:,} addresses loaded into {wanted.database} in {time.monotonic() - started:.0f} s, "
        f"{disk(url)} of disk"
    )
    command = ["scrub", str(audience), "--channel", "email", "--topic", ASKED]
    command += ["--out", str(folder / "kept.csv"), "--blocked", str(folder / "blocked.csv")]
    command = [sys.executable, "-m", "prefs", *command, "--memory-limit", wanted.memory_limit]
    say(f"first scrub, which copies the standing: {run(command, environment)}; copy {size(folder / 'var/scrub')}")
    walls, cpus = [], []
    for _ in range(wanted.rounds):
        bare, ours = run(floor_command(audience, keys, folder / "bare.csv"), environment), run(command, environment)
        walls.append(ours.wall / bare.wall)
        cpus.append(ours.cpu / bare.cpu)
        say(f"bare {bare}   scrub {ours}   ratio {walls[-1]:.2f}, of CPU {cpus[-1]:.2f}")
    same = (folder / "bare.csv").stat().st_size == (folder / "kept.csv").stat().st_size
    kept = digest(folder / "kept.csv")[1] - 1
    spread = f"from {min(walls):.2f} to {max(walls):.2f}"
    say(f"ratio {statistics.median(walls):.2f} ({spread}), of CPU {statistics.median(cpus):.2f}")
    say(f"kept the same: {same}; kept {kept:,}, by another count {expected:,}: {kept == expected}")


def kind_of(kinds: tuple[Kind, ...], number: str) -> str:
    """Return SQL for the place of a listed number's kind; the audience's listed numbers are all tens."""
    cases, share = [], 0
    for at, kind in enumerate(kinds):
        share += kind.share
        cases.append(f"WHEN {number} // 10 % 100 < {share} THEN {at}")
    return f"CASE {' '.join(cases)} END"


def make_files(folder: Path, audience: Path, keys: Path, wanted: argparse.Namespace, kinds: tuple[Kind, ...]) -> int:
    """Make an audience of which a tenth is listed, the list with each key's kind, and the keys that block.

    Returns how many of the audience are to be kept, counted by number alone.
    """
    key = keyed_in_sql(Channel.EMAIL, AddressKeys([KEY]))[0]
    listed = f"CASE WHEN i % 10 = 0 THEN (i * 7919) % {wanted.list} ELSE {wanted.list} + i END"
    blocking = ", ".join(str(at) for at, kind in enumerate(kinds) if kind.blocks)
    with opened(folder / "make.duckdb", memory="2GB") as engine:
        engine.run(
            f"COPY (SELECT i AS id, {ADDRESS.format(number=f'({listed})')} AS email, 'Given Name ' || i AS name, "
            f"'DE' AS country FROM range({wanted.rows}) AS t(i)) TO {quoted(audience)} (FORMAT csv, HEADER)"
        )
        engine.run(
            f"COPY (SELECT {key.format(value='value')} AS key, kind "
            f"FROM (SELECT {ADDRESS.format(number='i')} AS value, {kind_of(kinds, 'i')} AS kind "
            f"FROM range({wanted.list}) AS t(i))) TO {quoted(folder / 'list.parquet')} (FORMAT parquet)"
        )
        engine.run(
            f"COPY (SELECT key FROM read_parquet({quoted(folder / 'list.parquet')}) WHERE kind IN ({blocking})) "
            f"TO {quoted(keys)} (FORMAT parquet)"
        )
        blocked = f"i % 10 = 0 AND {kind_of(kinds, f'((i * 7919) % {wanted.list})')} IN ({blocking})"
        return int(engine.value(f"SELECT count(*) FROM range({wanted.rows}) AS t(i) WHERE NOT ({blocked})"))


def import_list(url: str, folder: Path, rows: int, environment: dict[str, str]) -> None:
    """Write the list as a file and put it on record by ``prefs import``."""
    migrate.upgrade(url)
    file = folder / "list.csv"
    with opened(folder / "list.duckdb") as engine:
        addresses = f"SELECT {ADDRESS.format(number='i')} AS email FROM range({rows}) AS t(i)"
        engine.run(f"COPY ({addresses}) TO {quoted(file)} (FORMAT csv, HEADER)")
    say(f"list written: {size(file)}")
    say(f"prefs import: {run([sys.executable, '-m', 'prefs', 'import', str(file)], environment)}")
    file.unlink()


def disk(url: str) -> str:
    """Return what a database takes of the disk."""
    if url.startswith("sqlite"):
        return size(Path(url.removeprefix("sqlite:///")))
    import psycopg

    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        (taken,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        return f"{taken / 1e6:,.0f} MB"


def load_list(url: str, folder: Path, database: str, kinds: tuple[Kind, ...]) -> None:
    """Put every key's facts on record, in the order of the keys, and one entry into the ledger."""
    migrate.upgrade(url)
    made = build(make_settings(url, folder, PREFS_ADDRESS_KEY=base64.b64encode(KEY).decode()))
    made.kit.catalogues.ensure_default()
    from prefs.services.suppression import Wish

    made.suppressions.add(Wish(channel=Channel.EMAIL, to="first@example.com"))
    scopes = {None: 0, **{slug: made.kit.catalogue.topic(slug).number for slug in (ASKED, OTHER)}}
    made.kit.store.dispose()
    with opened(folder / "load.duckdb", memory="2GB") as engine:
        engine.run("CREATE TABLE fact (kind INTEGER, fact VARCHAR, scope INTEGER, effective_at BIGINT)")
        for at, kind in enumerate(kinds):
            for word, topic, days in kind.facts:
                engine.run("INSERT INTO fact VALUES (?, ?, ?, ?)", [at, word, scopes[topic], LONG_AGO + days * DAY])
        sql = (
            "SELECT replace(key::VARCHAR, '-', ''), scope, fact, effective_at "
            f"FROM read_parquet({quoted(folder / 'list.parquet')}) JOIN fact USING (kind) ORDER BY key"
        )
        found = engine.connection.execute(sql)
        batches = iter(lambda: found.fetchmany(100_000), [])
        if database == "sqlite":
            load_sqlite(folder / "prefs.db", batches)
        else:
            load_postgres(url, batches)


def load_sqlite(path: Path, batches: Iterator[list[Any]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for rows in batches:
        connection.executemany(
            "INSERT INTO standing "
            "(address_key, channel, scope, fact, everywhere, entry_id, effective_at, source) "
            "VALUES (?, 'email', ?, ?, 0, 1, ?, 'import')",
            ((bytes.fromhex(key), *fact) for key, *fact in rows),
        )
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def load_postgres(url: str, batches: Iterator[list[Any]]) -> None:
    import psycopg

    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True) as connection:
        connection.execute("ALTER TABLE standing DROP CONSTRAINT pk_standing")
        with connection.cursor().copy("COPY standing FROM STDIN (FORMAT csv)") as copy:
            for rows in batches:
                copy.write(
                    "".join(f"\\x{key},email,{scope},{fact},false,1,{at},,,import,\n" for key, scope, fact, at in rows)
                )
        connection.execute(
            "ALTER TABLE standing ADD CONSTRAINT pk_standing PRIMARY KEY "
            "(address_key, channel, scope, fact, everywhere)"
        )


def floor(audience: Path, keys: Path, out: Path) -> None:
    """DuckDB alone: read, trim, lower, hash, anti-join, write."""
    key = keyed_in_sql(Channel.EMAIL, AddressKeys([KEY]))[0]
    with opened(out.parent / "floor.duckdb", memory="20GB") as engine:
        source = f"read_csv({quoted(audience)}, all_varchar=true, header=true)"
        hashed = f"SELECT *, {key.format(value='lower(trim(email))')} AS key FROM {source}"
        engine.run(
            f"COPY (SELECT * EXCLUDE (key) FROM ({hashed}) "
            f"ANTI JOIN read_parquet({quoted(keys)}) USING (key)) TO {quoted(out)} (FORMAT csv, HEADER)"
        )


def floor_command(audience: Path, keys: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "bench.scrub", "--floor", str(audience), str(keys), str(out)]


@dataclass(frozen=True)
class Run:
    """What a process took: seconds of the clock and of the processors, and its peak memory in GiB."""

    wall: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.wall:6.1f} s ({self.cpu:.1f} s of CPU, {self.peak:.2f} GiB)"


def run(command: list[str], environment: dict[str, str]) -> Run:
    """Run a process to its end."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, used = 0, None
    while used is None:
        time.sleep(0.02)
        peak = max(peak, peak_of(process.pid))
        pid, status, seen = os.wait4(process.pid, os.WNOHANG)
        used = seen if pid else None
    assert status == 0, command
    process.returncode = 0
    return Run(time.monotonic() - started, used.ru_utime + used.ru_stime, peak / 2**20)


def peak_of(pid: int) -> int:
    """Return a process's highest resident memory so far, in KiB; what wait4 says includes its parent's."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), default=0)


def size(path: Path) -> str:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return f"{sum(one.stat().st_size for one in files) / 1e6:,.0f} MB"


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
