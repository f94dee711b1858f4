"""Facts by the hundred thousand: what ``ledger.append`` would write, set by set and sorted by key.

Only facts that need no thought are written here: about an address nobody has a row for under
any of its keys. What is on record already is recognised; every other row goes to
``ledger.append`` one by one. A property test compares the two on random lists.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from prefs.domain.terms import CHANNELS_OF_KIND, Act, AddressKind, Channel
from prefs.storage import ledger, people
from prefs.storage.tables import to_microseconds


@dataclass(frozen=True, slots=True)
class Shared:
    """What the facts of one import share."""

    id: str
    actor: str
    effective_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Form:
    """What many facts of an import have in common."""

    kind: AddressKind
    act: Act
    channel: Channel | None
    scope: int
    reason: str
    source: str

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels such a fact stands on."""
        return (self.channel,) if self.channel else CHANNELS_OF_KIND[self.kind]


class Fresh(NamedTuple):
    """A fact about one address, and the rows it would get. ``others`` are its further possible keys.

    ``form`` is a place in the list of forms, ``subject`` a number nobody has yet, and
    ``entry_key`` was made with it. ``occurred_at`` is stored time (``tables.to_microseconds``).
    """

    key: bytes
    form: int
    sealed: bytes | None
    subject: int
    entry_key: str
    occurred_at: int
    others: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """``added`` is how many were new; ``left`` are places in the given list for the one-by-one writer.

    ``standing`` are entries that already say the same, ``already`` the places of what they say.
    """

    added: int
    standing: list[int]
    left: list[int]
    already: Sequence[int] = ()


def merge(connection: Connection, shared: Shared, forms: Sequence[Form], facts: Sequence[Fresh]) -> Merged:
    """Write the facts about unknown addresses, and sort out the rest. ``facts`` has each key once, sorted."""
    if not facts:
        return Merged(0, [], [])
    if connection.dialect.name == "sqlite":
        return _sqlite(connection, shared, forms, facts)
    return _postgres(connection, shared, forms, facts)


_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS import_part (
  place int NOT NULL, key bytea NOT NULL, form int NOT NULL, sealed bytea, subject bigint NOT NULL,
  entry_key text NOT NULL, occurred_at bigint NOT NULL
) ON COMMIT DELETE ROWS
"""
_STAGE_OTHERS = """
CREATE TEMP TABLE IF NOT EXISTS import_other (subject bigint NOT NULL, key bytea NOT NULL) ON COMMIT DELETE ROWS
"""
_FORMS = """
forms AS (
  SELECT * FROM unnest(%(numbers)s::int[], %(kinds)s::text[], %(acts)s::text[], %(channels)s::text[],
                       %(scopes)s::int[], %(reasons)s::text[], %(sources)s::text[], %(shown)s::text[])
           AS f (number, kind, act, channel, scope, reason, source, shown)
)
"""
_OTHERS_UNKNOWN = """
AND NOT EXISTS (
  SELECT 1 FROM import_other AS o WHERE o.subject = p.subject AND (
    EXISTS (SELECT 1 FROM address AS a WHERE a.key = o.key)
    OR EXISTS (SELECT 1 FROM address_alias AS a WHERE a.key = o.key)))
"""
# One statement: whoever else makes the same address at this moment, it is made once, and its
# entry and standing only by the one that made it. It returns the places it did not write.
_POSTGRES_MERGE = """
WITH {forms}, made AS (
  INSERT INTO address (subject, key, kind, sealed, last_entry, created_at)
  SELECT p.subject, p.key, f.kind, p.sealed, nextval(%(sequence)s::regclass), %(now)s
  FROM (SELECT * FROM import_part ORDER BY key) AS p JOIN forms AS f ON f.number = p.form
  WHERE NOT EXISTS (SELECT 1 FROM address_alias AS a WHERE a.key = p.key) {others_unknown}
  ON CONFLICT DO NOTHING
  RETURNING subject, last_entry
), facts AS MATERIALIZED (
  SELECT p.key, p.subject, p.entry_key, p.occurred_at, made.last_entry AS id, f.*
  FROM import_part AS p JOIN made ON made.subject = p.subject JOIN forms AS f ON f.number = p.form
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
  LEFT JOIN unnest(%(every_kind)s::text[], %(every_channel)s::text[]) AS k(kind, channel)
    ON f.channel IS NULL AND k.kind = f.kind
  ORDER BY f.key
)
SELECT p.place FROM import_part AS p WHERE NOT EXISTS (SELECT 1 FROM made WHERE made.subject = p.subject)
"""

# The same fact stands, came through the same door, and nothing was let in again since:
# ``domain.ledger.still_in_force`` as a query.
_SAME = """
  ON s.address_key = p.key AND s.channel = f.shown AND s.scope = f.scope AND s.fact = f.reason
 AND s.everywhere = (f.channel IS NULL)
WHERE s.source = f.source AND s.sender IS NULL AND s.flag IS NULL AND s.until IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM standing AS c
    WHERE c.address_key = p.key AND c.fact IN ('own_act', 'express') AND c.effective_at > s.effective_at)
"""
_POSTGRES_ALREADY = """
WITH {forms} SELECT p.place, s.entry_id
FROM unnest(%(left)s::int[]) AS l (place) JOIN import_part AS p ON p.place = l.place
JOIN forms AS f ON f.number = p.form JOIN standing AS s {same}
"""


def _postgres(connection: Connection, shared: Shared, forms: Sequence[Form], facts: Sequence[Fresh]) -> Merged:
    others = any(fact.others for fact in facts)
    connection.exec_driver_sql(_STAGE)
    _copy(connection, "import_part", map(_stage_line, range(len(facts)), facts))
    if others:
        connection.exec_driver_sql(_STAGE_OTHERS)
        _copy(connection, "import_other", (f"{one.subject}\t{_hex(key)}\n" for one in facts for key in one.others))
    sequence = connection.exec_driver_sql("SELECT pg_get_serial_sequence('ledger_entry', 'id')").scalar_one()
    values = {**_form_values(forms), **_shared_values(shared), "sequence": sequence}
    merging = _POSTGRES_MERGE.format(forms=_FORMS, others_unknown=_OTHERS_UNKNOWN if others else "")
    left = set(connection.exec_driver_sql(merging, values).scalars())
    added = len(facts) - len(left)
    if not left:
        return Merged(added, [], [])
    asking = _POSTGRES_ALREADY.format(forms=_FORMS, same=_SAME)
    found = connection.exec_driver_sql(asking, {**_form_values(forms), "left": sorted(left)})
    already = {row.place: row.entry_id for row in found}
    return Merged(added, list(already.values()), sorted(left - already.keys()), list(already))


def _form_values(forms: Sequence[Form]) -> dict[str, object]:
    return {
        "numbers": list(range(len(forms))),
        "kinds": [str(form.kind) for form in forms],
        "acts": [str(form.act) for form in forms],
        "channels": [form.channel and str(form.channel) for form in forms],
        "scopes": [form.scope for form in forms],
        "reasons": [str(form.reason) for form in forms],
        "sources": [str(form.source) for form in forms],
        "shown": [str(form.channels[0]) for form in forms],
    }


def _shared_values(shared: Shared) -> dict[str, object]:
    everywhere = [(kind, channel) for kind, channels in CHANNELS_OF_KIND.items() for channel in channels]
    return {
        "now": to_microseconds(shared.recorded_at),
        "effective": to_microseconds(shared.effective_at),
        "act_id": shared.id,
        "actor": shared.actor,
        "every_kind": [str(kind) for kind, _ in everywhere],
        "every_channel": [str(channel) for _, channel in everywhere],
    }


def _stage_line(place: int, fact: Fresh) -> str:
    key, form, sealed, subject, entry_key, occurred_at, _ = fact
    closed = _HEX + sealed.hex() if sealed is not None else _NULL
    return f"{place}\t{_HEX}{key.hex()}\t{form}\t{closed}\t{subject}\t{entry_key}\t{occurred_at}\n"


# Bytes and nothing, as COPY's text format has them.
_HEX, _NULL = "\\\\x", "\\N"


def _hex(value: bytes) -> str:
    return _HEX + value.hex()


def _copy(connection: Connection, table: str, lines: Iterable[str]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write("".join(lines))


_SQLITE_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS import_part (
  place INTEGER PRIMARY KEY, key BLOB, channel TEXT, scope INTEGER, reason TEXT, source TEXT, shown TEXT)
"""

_SQLITE_ALREADY = " ".join(("SELECT p.place, s.entry_id FROM import_part AS p JOIN standing AS s", _SAME)).replace(
    "f.", "p."
)


def _sqlite(connection: Connection, shared: Shared, forms: Sequence[Form], facts: Sequence[Fresh]) -> Merged:
    taken = people.taken(connection, [key for fact in facts for key in (fact.key, *fact.others)])
    fresh = []
    left = []
    for place, fact in enumerate(facts):
        if fact.key in taken or any(key in taken for key in fact.others):
            left.append(place)
        else:
            fresh.append(fact)
    already = _sqlite_already(connection, forms, facts, left) if left else {}
    _insert(connection, shared, forms, fresh)
    return Merged(len(fresh), list(already.values()), [place for place in left if place not in already], list(already))


def _sqlite_already(
    connection: Connection, forms: Sequence[Form], facts: Sequence[Fresh], left: Sequence[int]
) -> dict[int, int]:
    """Return the entry that says the same already, by place."""
    connection.exec_driver_sql(_SQLITE_STAGE)
    connection.exec_driver_sql("DELETE FROM import_part")
    values = [
        (place, facts[place].key, form.channel, form.scope, form.reason, form.source, form.channels[0])
        for place in left
        for form in (forms[facts[place].form],)
    ]
    connection.exec_driver_sql("INSERT INTO import_part VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    found = connection.exec_driver_sql(_SQLITE_ALREADY)
    return {row.place: row.entry_id for row in found}


def _insert(connection: Connection, shared: Shared, forms: Sequence[Form], facts: Sequence[Fresh]) -> None:
    if not facts:
        return
    last = ledger.highest_given(connection)
    now, effective = to_microseconds(shared.recorded_at), to_microseconds(shared.effective_at)
    numbered = [(number, fact, forms[fact.form]) for number, fact in enumerate(facts, start=last + 1)]
    driver: Any = connection.connection.driver_connection
    driver.executemany(
        "INSERT INTO address (subject, key, kind, sealed, last_entry, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        ((fact.subject, fact.key, form.kind, fact.sealed, number, now) for number, fact, form in numbered),
    )
    driver.executemany(
        "INSERT INTO ledger_entry (id, entry_key, act_id, act, subject, channel, scope, reason, source, actor, "
        "effective_at, occurred_at, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                *(number, fact.entry_key, shared.id, form.act, fact.subject, form.channel, form.scope, form.reason),
                *(form.source, shared.actor, effective, fact.occurred_at, now),
            )
            for number, fact, form in numbered
        ),
    )
    driver.executemany(
        "INSERT INTO standing (address_key, channel, scope, fact, everywhere, entry_id, effective_at, source) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (fact.key, channel, form.scope, form.reason, form.channel is None, number, effective, form.source)
            for number, fact, form in numbered
            for channel in form.channels
        ),
    )
