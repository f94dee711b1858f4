"""Facts by the hundred thousand: what ``ledger.append`` would write, set by set and sorted by key.

Only facts that need no thought are written here: about an address nobody has a row for under
any of its keys. What is on record already is recognised; every other row goes to
``ledger.append`` one by one. A property test compares the two on random lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from prefs.domain.terms import CHANNELS_OF_KIND, Act, AddressKind, Channel
from prefs.storage.people import CHUNK
from prefs.storage.tables import to_microseconds


@dataclass(frozen=True, slots=True)
class Shared:
    """What the facts of one import share."""

    id: str
    actor: str
    effective_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Fresh:
    """A fact about one address, and the rows it would get. ``others`` are its further possible keys.

    ``subject`` is a number nobody has yet and ``entry_key`` was made with it.
    """

    key: bytes
    others: tuple[bytes, ...]
    kind: AddressKind
    sealed: bytes | None
    subject: int
    entry_key: str
    act: Act
    channel: Channel | None
    scope: int
    reason: str
    source: str
    occurred_at: int


@dataclass(frozen=True, slots=True)
class Merged:
    """Places in the given list: ``added`` is how many were new, ``left`` needs the one-by-one writer.

    ``standing`` are entries that already say the same.
    """

    added: int
    standing: list[int]
    left: list[int]


def merge(connection: Connection, act: Shared, facts: Sequence[Fresh]) -> Merged:
    """Write the facts about unknown addresses, and sort out the rest. ``facts`` has each key once, sorted."""
    if not facts:
        return Merged(0, [], [])
    if connection.dialect.name == "sqlite":
        return _sqlite(connection, act, facts)
    return _postgres(connection, act, facts)


_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS import_part (
  place int NOT NULL, key bytea NOT NULL, kind text NOT NULL, sealed bytea, subject bigint NOT NULL,
  entry_key text NOT NULL, act text NOT NULL, channel text, scope int NOT NULL, reason text NOT NULL,
  source text NOT NULL, occurred_at bigint NOT NULL, shown text NOT NULL
) ON COMMIT DELETE ROWS
"""
_STAGE_OTHERS = """
CREATE TEMP TABLE IF NOT EXISTS import_other (subject bigint NOT NULL, key bytea NOT NULL) ON COMMIT DELETE ROWS
"""

# The same fact stands, came through the same door, and nothing was let in again since:
# ``domain.ledger.still_in_force`` as a query.
_ALREADY = """
FROM import_part AS p JOIN standing AS s
  ON s.address_key = p.key AND s.channel = p.shown AND s.scope = p.scope AND s.fact = p.reason
 AND s.everywhere = (p.channel IS NULL)
WHERE s.source = p.source AND s.sender IS NULL AND s.flag IS NULL AND s.until IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM standing AS c
    WHERE c.address_key = p.key AND c.fact IN ('own_act', 'express') AND c.effective_at > s.effective_at)
"""
_POSTGRES_ALREADY = """
WITH same AS (SELECT p.place, s.entry_id {already}),
gone AS (DELETE FROM import_part AS p USING same WHERE p.place = same.place)
SELECT place, entry_id FROM same
""".format(already=_ALREADY)  # noqa: UP032  S608 cannot tell fixed text from input

_UNKNOWN = """
NOT EXISTS (SELECT 1 FROM address_alias AS a WHERE a.key = p.key)
"""
_OTHERS_UNKNOWN = """
AND NOT EXISTS (
  SELECT 1 FROM import_other AS o WHERE o.subject = p.subject AND (
    EXISTS (SELECT 1 FROM address AS a WHERE a.key = o.key)
    OR EXISTS (SELECT 1 FROM address_alias AS a WHERE a.key = o.key)))
"""
# One statement: whoever else makes the same address at this moment, it is made once, and its
# entry and standing only by the one that made it.
_POSTGRES_MERGE = """
WITH made AS (
  INSERT INTO address (subject, key, kind, sealed, last_entry, created_at)
  SELECT p.subject, p.key, p.kind, p.sealed, nextval(pg_get_serial_sequence('ledger_entry', 'id')), %(now)s
  FROM import_part AS p WHERE {unknown}
  ORDER BY p.key
  ON CONFLICT DO NOTHING
  RETURNING subject, last_entry
), facts AS MATERIALIZED (
  SELECT p.*, made.last_entry AS id FROM import_part AS p JOIN made ON made.subject = p.subject
), entries AS (
  INSERT INTO ledger_entry (id, entry_key, act_id, act, subject, channel, scope, reason, source, actor,
                            effective_at, occurred_at, recorded_at)
  SELECT id, entry_key, %(act_id)s, act, subject, channel, scope, reason, source, %(actor)s,
         %(effective)s, occurred_at, %(now)s
  FROM facts ORDER BY id
), stands AS (
  INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source)
  SELECT f.key, coalesce(f.channel, k.channel), f.scope, f.reason, f.channel IS NULL, f.id, %(effective)s, f.source
  FROM facts AS f
  LEFT JOIN unnest(%(kinds)s::text[], %(channels)s::text[]) AS k(kind, channel)
    ON f.channel IS NULL AND k.kind = f.kind
  ORDER BY f.key
)
SELECT place FROM facts
"""


def _postgres(connection: Connection, act: Shared, facts: Sequence[Fresh]) -> Merged:
    others = any(fact.others for fact in facts)
    connection.exec_driver_sql(_STAGE)
    _copy(connection, "import_part", map(_stage_line, range(len(facts)), facts))
    if others:
        connection.exec_driver_sql(_STAGE_OTHERS)
        lines = (f"{fact.subject}\t{_hex(key)}\n" for fact in facts for key in fact.others)
        _copy(connection, "import_other", lines)
    already = connection.exec_driver_sql(_POSTGRES_ALREADY).all()
    everywhere = [(kind, channel) for kind, channels in CHANNELS_OF_KIND.items() for channel in channels]
    values = {
        "now": to_microseconds(act.recorded_at),
        "effective": to_microseconds(act.effective_at),
        "act_id": act.id,
        "actor": act.actor,
        "kinds": [str(kind) for kind, _ in everywhere],
        "channels": [str(channel) for _, channel in everywhere],
    }
    statement = _POSTGRES_MERGE.format(unknown=_UNKNOWN + (_OTHERS_UNKNOWN if others else ""))
    made = connection.exec_driver_sql(statement, values).scalars().all()
    left = set(range(len(facts))).difference(made, (row.place for row in already))
    return Merged(len(made), [row.entry_id for row in already], sorted(left))


def _stage_line(place: int, fact: Fresh) -> str:
    sealed = _hex(fact.sealed) if fact.sealed is not None else _NULL
    shown = fact.channel or CHANNELS_OF_KIND[fact.kind][0]
    return (
        f"{place}\t{_hex(fact.key)}\t{fact.kind}\t{sealed}\t{fact.subject}\t{fact.entry_key}\t{fact.act}\t"
        f"{fact.channel or _NULL}\t{fact.scope}\t{fact.reason}\t{fact.source}\t{fact.occurred_at}\t{shown}\n"
    )


_NULL = "\\N"


def _hex(value: bytes) -> str:
    """Return bytes as COPY's text format has them."""
    return "\\\\x" + value.hex()


def _copy(connection: Connection, table: str, lines: Any) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write("".join(lines))


_SQLITE_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS import_part (
  place INTEGER PRIMARY KEY, key BLOB, channel TEXT, scope INTEGER, reason TEXT, source TEXT, shown TEXT)
"""


def _sqlite(connection: Connection, act: Shared, facts: Sequence[Fresh]) -> Merged:
    connection.exec_driver_sql(_SQLITE_STAGE)
    connection.exec_driver_sql("DELETE FROM import_part")
    rows = [
        (
            *(place, fact.key, fact.channel and str(fact.channel), fact.scope, fact.reason, fact.source),
            str(fact.channel or CHANNELS_OF_KIND[fact.kind][0]),
        )
        for place, fact in enumerate(facts)
    ]
    connection.exec_driver_sql("INSERT INTO import_part VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    already = connection.exec_driver_sql(f"SELECT p.place, s.entry_id {_ALREADY}").all()
    taken = _known_keys(connection, facts)
    done = {row.place for row in already}
    fresh, left = [], []
    for place, fact in enumerate(facts):
        if place not in done:
            known = fact.key in taken or any(key in taken for key in fact.others)
            (left.append(place) if known else fresh.append(fact))
    _insert(connection, act, fresh)
    return Merged(len(fresh), [row.entry_id for row in already], left)


def _known_keys(connection: Connection, facts: Sequence[Fresh]) -> set[bytes]:
    """Return which keys have a row or an alias; nobody else writes while this transaction is open."""
    keys = [key for fact in facts for key in (fact.key, *fact.others)]
    found: set[bytes] = set()
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        for table in ("address", "address_alias"):
            query = f"SELECT key FROM {table} WHERE key IN ({marks})"  # noqa: S608  two fixed names
            found.update(bytes(key) for key in connection.exec_driver_sql(query, tuple(chunk)).scalars())
    return found


def _insert(connection: Connection, act: Shared, facts: Sequence[Fresh]) -> None:
    if not facts:
        return
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'ledger_entry'").scalar() or 0
    now, effective = to_microseconds(act.recorded_at), to_microseconds(act.effective_at)
    numbered = list(enumerate(facts, start=last + 1))
    connection.exec_driver_sql(
        "INSERT INTO address (subject, key, kind, sealed, last_entry, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        [(fact.subject, fact.key, str(fact.kind), fact.sealed, number, now) for number, fact in numbered],
    )
    connection.exec_driver_sql(
        "INSERT INTO ledger_entry (id, entry_key, act_id, act, subject, channel, scope, reason, source, actor, "
        "effective_at, occurred_at, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(number, fact.entry_key, act.id, str(fact.act), fact.subject, fact.channel and str(fact.channel)),
                *(fact.scope, fact.reason, fact.source, act.actor, effective, fact.occurred_at, now),
            )
            for number, fact in numbered
        ],
    )
    connection.exec_driver_sql(
        "INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (fact.key, str(channel), fact.scope, fact.reason, fact.channel is None, number, effective, fact.source)
            for number, fact in numbered
            for channel in ((fact.channel,) if fact.channel else CHANNELS_OF_KIND[fact.kind])
        ],
    )
