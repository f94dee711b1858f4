"""A copy of one channel's standing that a scrub can join with: key, and number of the shape it stands in.

The copy lies in the data directory, holds keyed hashes only, and may be deleted at any time. It
is never trusted to be fresh: each use reads from the database what changed since its position,
and lays that over it. A copy of another ledger, or one too far behind, is made anew.
"""

import fcntl
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from prefs.domain.decision import RecipientState
from prefs.domain.shapes import NOTHING, next_change, shape_of
from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel
from prefs.services.engine import Engine, Fraction, literal, opened, plainly, quoted
from prefs.storage import facts, ledger
from prefs.storage.base import Store
from prefs.storage.states import load_states_within
from prefs.storage.tables import to_microseconds

VERSION = 1
SHAPES = "shapes"
"""Work table: cls, shape, country, zone. ``cls`` 0 is "nothing known"."""
FRESH = "fresh"
"""Work table: key, cls, ends of every address that changed since the copy was made."""

_TOO_FAR_BEHIND = 50_000
_PART_ROWS = 4_000_000
_AT_ONCE = 20_000
_TELL_SECONDS = 0.5
_MARK = re.compile(r"[0-9a-f]{12}\.")
"""What the names of a run's own files begin with."""
_CSV = "auto_detect=false, header=false, delim=',', quote='\"', escape='\"'"
_FACT_TYPES = dict(
    zip(
        facts.FACT_COLUMNS,
        ("VARCHAR", "INTEGER", "INTEGER", "VARCHAR", "BIGINT", "BIGINT", "BIGINT", "INTEGER", "VARCHAR"),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class About:
    """What a copy says about itself; ``made_at`` in microseconds."""

    version: int
    position: int
    entry_key: str
    made_at: int
    rows: int


@dataclass(frozen=True, slots=True)
class StandingIndex:
    """The copies of a data directory, one a channel."""

    store: Store
    folder: Path

    def path(self, channel: Channel) -> Path:
        """Return where a channel's copy lies."""
        return self.folder / f"standing-{channel}.duckdb"

    def refresh(
        self, channel: Channel, at: datetime, memory: str, told: Fraction | None = None, beside: Engine | None = None
    ) -> About:
        """Make the copy unless there is one that a few changes bring up to date; return what it says.

        ``told`` hears about how far the reading is; the ledger's length stands for the number of facts.
        ``beside`` is the caller's own engine, which rests while a copy is made: one limit of memory holds for both.

        Raises:
            StoreUnavailable: The store cannot be asked, or a writer did not end in time.
            InvalidInput: The memory limit is too small, or the disk full.
        """
        about = self._read(channel)
        if about is None or not self._usable(about, at):
            with self._copying(), plainly(), beside.resting() if beside else nullcontext():
                self._make(channel, at, memory, told)
            about = self._read(channel)
        assert about is not None  # made a line above
        return about

    @contextmanager
    def attached(self, engine: Engine, connection: Connection, channel: Channel, at: datetime) -> Iterator[None]:
        """Lay the copy before an engine as ``copied.base``, with ``shapes`` and ``fresh``, as of this connection.

        ``standing_now`` is the view to join with: key, cls, and ``ends``, when that changes by itself.
        """
        about = self._read(channel)
        assert about is not None  # the caller refreshed it
        engine.run(f"ATTACH {quoted(self.path(channel))} AS copied (READ_ONLY)")
        try:
            engine.run(f"CREATE OR REPLACE TEMP TABLE {SHAPES} AS FROM copied.shape")
            engine.run(f"CREATE OR REPLACE TEMP TABLE {FRESH} (key UUID, cls INTEGER, ends BIGINT)")
            changed = set(facts.changed_since(connection, about.position))
            ended = engine.rows("SELECT key FROM copied.base WHERE ends <= ?", [to_microseconds(at)])
            lay_over(engine, connection, channel, at, changed | {row[0].bytes for row in ended})
            engine.run(
                "CREATE OR REPLACE TEMP VIEW standing_now AS SELECT key, cls, ends FROM copied.base "
                f"ANTI JOIN {FRESH} USING (key) UNION ALL FROM {FRESH}"
                if engine.value(f"SELECT count(*) FROM {FRESH}")
                else "CREATE OR REPLACE TEMP VIEW standing_now AS FROM copied.base"
            )
            yield
        finally:
            engine.run("DROP VIEW IF EXISTS standing_now")
            engine.run("DETACH copied")

    def _read(self, channel: Channel) -> About | None:
        if not self.path(channel).exists():
            return None
        import duckdb  # noqa: PLC0415  the copy was made with it

        try:
            with duckdb.connect(str(self.path(channel)), read_only=True) as connection:
                row = connection.execute("SELECT version, position, entry_key, made_at, rows FROM about").fetchone()
        except duckdb.Error:
            # Cut off, or written by a newer DuckDB: a copy can always be made again.
            return None
        return About(*row) if row else None

    def _usable(self, about: About, at: datetime) -> bool:
        if about.version != VERSION or about.position == 0 or about.made_at > to_microseconds(at):
            return False
        with self.store.read() as connection:
            behind = ledger.position(connection) - about.position
            same_ledger = facts.entry_key_at(connection, about.position) == about.entry_key
            restated = facts.count_restated(connection, about.position)
        return same_ledger and behind >= 0 and behind + restated <= max(_TOO_FAR_BEHIND, about.rows // 20)

    def _make(self, channel: Channel, at: datetime, memory: str, told: Fraction | None) -> None:
        """Copy the channel into a file beside the old one, and put it in its place once it is whole."""
        mark = secrets.token_hex(6)
        fresh, work = self.folder / f"{mark}.new", self.folder / f"{mark}.work"
        lines, places = self.folder / f"{mark}.facts.csv", self.folder / f"{mark}.places.csv"
        try:
            position, at = facts.settled_position(self.store), min(at, self.store.now())
            with facts.one_moment(self.store) as connection, _private(lines) as one, _private(places) as two:
                facts.copy_facts(connection, channel, _counting(one.write, position, told))
                facts.copy_places(connection, KIND_OF_CHANNEL[channel], two.write)
                entry_key = facts.entry_key_at(connection, position) or ""
            with opened(work, memory=memory, spill=self.folder / f"{mark}.spill") as engine:
                engine.run(f"ATTACH {quoted(fresh)} AS copied")
                _shape(engine, lines, places, at)
                about = (VERSION, position, entry_key, to_microseconds(at))
                engine.run(
                    "CREATE TABLE copied.about AS SELECT ?::INTEGER AS version, ?::BIGINT AS position, "
                    "?::VARCHAR AS entry_key, ?::BIGINT AS made_at, (SELECT count(*) FROM copied.base) AS rows",
                    about,
                )
                engine.run("DETACH copied")
            fresh.chmod(0o600)
            fresh.replace(self.path(channel))
        finally:
            self._remove(mark)

    @contextmanager
    def _copying(self) -> Iterator[None]:
        """Hold the lock of those who copy; whoever finds nobody else there removes what killed runs left behind."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "copying.lock").open("w") as file:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for mark in {one.name.partition(".")[0] for one in self.folder.iterdir() if _MARK.match(one.name)}:
                    self._remove(mark)
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def _remove(self, mark: str) -> None:
        for path in self.folder.glob(f"{mark}.*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def lay_over(engine: Engine, connection: Connection, channel: Channel, at: datetime, keys: set[bytes]) -> None:
    """Read how these addresses stand now and add them to ``fresh``."""
    ordered = iter(sorted(keys))
    while chunk := list(islice(ordered, _AT_ONCE)):
        states = load_states_within(connection, channel, [[key] for key in chunk]).states
        numbers = classes(engine, states, channel, at)
        changes = [next_change(state.facts, at) for state in states]
        engine.run(
            f"INSERT INTO {FRESH} SELECT unnest(?::VARCHAR[])::UUID, unnest(?::INTEGER[]), unnest(?::BIGINT[])",
            [[key.hex() for key in chunk], numbers, [to_microseconds(one) if one else None for one in changes]],
        )


def classes(engine: Engine, states: Sequence[RecipientState], channel: Channel, at: datetime) -> list[int]:
    """Return the number of each state's shape, new shapes numbered as they come."""
    known = {tuple(row[1:]): row[0] for row in engine.rows(f"SELECT cls, shape, country, zone FROM {SHAPES}")}
    by_telephone = KIND_OF_CHANNEL[channel] is AddressKind.PHONE
    found = []
    added: list[tuple[Any, ...]] = []
    for state in states:
        shape = (shape_of(state.facts, at), state.country, state.time_zone if by_telephone else None)
        if shape not in known:
            known[shape] = len(known)
            added.append((known[shape], *shape))
        found.append(known[shape])
    for row in added:
        engine.run(f"INSERT INTO {SHAPES} VALUES (?, ?, ?, ?)", row)
    return found


def _shape(engine: Engine, lines: Path, places: Path, at: datetime) -> None:
    """Turn the copied facts into ``copied.base`` and ``copied.shape``: ``shapes.shape_of`` in SQL."""
    engine.run("SET preserve_insertion_order = false")
    types = "{" + ", ".join(f"{name}: {quoted(kind)}" for name, kind in _FACT_TYPES.items()) + "}"
    engine.run(
        f"""
        CREATE TABLE fact AS
        SELECT key::UUID AS key, effective_at, entry_id, CASE WHEN until > $at THEN until END AS ends,
               concat_ws('|', everywhere, scope, fact, CASE WHEN until <= $at THEN 0 ELSE 1 END,
                         coalesce(sender::VARCHAR, ''), coalesce(flag, '')) AS described
        FROM read_csv({literal(lines)}, {_CSV}, columns={types})
        """.replace("$at", str(to_microseconds(at)))
    )
    lines.unlink()
    engine.run("CREATE TABLE keyed (key UUID, shape VARCHAR, ends BIGINT)")
    parts = 1 + int(engine.value("SELECT count(*) FROM fact")) // _PART_ROWS
    for part in range(parts):
        _shape_part(engine, f"hash(key) % {parts} = {part}" if parts > 1 else "true")
    engine.run("DROP TABLE fact")
    engine.run(
        f"CREATE TABLE place AS SELECT key::UUID AS key, country, zone FROM read_csv({literal(places)}, {_CSV}, "
        "columns={key: 'VARCHAR', country: 'VARCHAR', zone: 'VARCHAR'})"
    )
    engine.run(
        "CREATE TABLE copied.shape AS SELECT (row_number() OVER ())::INTEGER AS cls, * FROM (SELECT DISTINCT "
        f"coalesce(shape, {quoted(NOTHING)}) AS shape, country, zone FROM keyed FULL JOIN place USING (key)) "
        f"WHERE NOT (shape = {quoted(NOTHING)} AND country IS NULL AND zone IS NULL)"
    )
    engine.run(f"INSERT INTO copied.shape VALUES (0, {quoted(NOTHING)}, NULL, NULL)")
    engine.run(
        f"""
        CREATE TABLE copied.base AS
        SELECT key, s.cls, ends
        FROM (SELECT key, coalesce(k.shape, {quoted(NOTHING)}) AS shape, p.country, p.zone, k.ends
              FROM keyed AS k FULL JOIN place AS p USING (key)) AS one
        JOIN copied.shape AS s ON s.shape = one.shape AND s.country IS NOT DISTINCT FROM one.country
             AND s.zone IS NOT DISTINCT FROM one.zone
        """
    )


def _shape_part(engine: Engine, part: str) -> None:
    """Add the shapes of one part of the keys; most addresses have one fact, and need no sorting."""
    engine.run(
        f"CREATE TABLE counted AS SELECT key, min(described) AS described, min(ends) AS ends, count(*) AS facts "
        f"FROM fact WHERE {part} GROUP BY key"
    )
    engine.run("INSERT INTO keyed SELECT key, described || '~1', ends FROM counted WHERE facts = 1")
    engine.run(
        """
        INSERT INTO keyed
        SELECT key, string_agg(described || '~' || step, ';' ORDER BY effective_at, entry_id), min(ends)
        FROM (SELECT f.*, dense_rank() OVER (PARTITION BY f.key ORDER BY f.effective_at) AS step
              FROM fact AS f WHERE f.key IN (SELECT key FROM counted WHERE facts > 1)) AS stepped
        GROUP BY key
        """
    )
    engine.run("DROP TABLE counted")


def _counting(write: facts.Write, expected: int, told: Fraction | None) -> facts.Write:
    """Return a writer that tells how many lines of the expected number went through it."""
    if told is None:
        return write
    lines, heard = 0, time.monotonic()

    def counted(block: bytes) -> None:
        nonlocal lines, heard
        write(block)
        lines += block.count(b"\n")
        if time.monotonic() - heard > _TELL_SECONDS:
            heard = time.monotonic()
            told(min(lines / max(expected, 1), 1.0))

    return counted


@contextmanager
def _private(path: Path) -> Iterator[Any]:
    """Open a new file that only we can read."""
    path.touch(0o600, exist_ok=False)
    with path.open("wb") as file:
        yield file
