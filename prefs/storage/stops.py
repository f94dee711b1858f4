"""The suppression list: opt-outs that stand, newest first, by reason, source and channel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, exists, literal_column, or_, select

from prefs.domain.ledger import Entry
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.terms import Channel, Reason
from prefs.storage import ledger, merging
from prefs.storage.tables import ledger_entry, standing

EVERY_CHANNEL = "any"


@dataclass(frozen=True, slots=True)
class StopFilter:
    """What to look for; None means any. ``channel`` ``any`` is a stop on every channel at once.

    ``subjects`` are one person's; then the other filters only leave rows out.
    """

    reason: Reason | None = None
    source: str | None = None
    channel: str | None = None
    subjects: tuple[int, ...] | None = None


def page(
    connection: Connection,
    wanted: StopFilter,
    now: datetime,
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
) -> list[Entry]:
    """Return the entries whose stop stands, newest first: older than ``before``, or the next newer than ``after``."""
    reasons = [wanted.reason] if wanted.reason else sorted(SUPPRESSION_REASONS)
    channels = [wanted.channel] if wanted.channel else [EVERY_CHANNEL, *Channel]
    behind = _behind(connection, before, after)
    ranges = [_range(wanted, _of(reason, channel), now, behind) for reason, channel in product(reasons, channels)]
    if wanted.subjects is not None:
        # One person has few entries: the index of subjects finds them, and the rest is left out.
        theirs = or_(*(_of(reason, channel) for reason, channel in product(reasons, channels)))
        ranges = [_range(wanted, ledger_entry.c.subject.in_(wanted.subjects) & theirs, now, behind)]
    numbers = [place[0] for place in merging.newest(connection, ranges, ["id"], limit, forward=after is not None)]
    found = {entry.id: entry for entry in ledger.entries_numbered(connection, list(numbers))}
    return [found[number] for number in numbers]


def standing_numbers(connection: Connection, numbers: Iterable[int]) -> set[int]:
    """Return which of these entries still stand."""
    query = select(standing.c.entry_id).where(standing.c.entry_id.in_(list(numbers)))
    return set(connection.execute(query).scalars())


def held_back(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, dict[str, datetime]]:
    """Return since when addresses are ``erased`` or ``restricted``, by key; others are absent."""
    found: dict[bytes, dict[str, datetime]] = {}
    marked = standing.c.fact.in_((str(Reason.ERASED), str(Reason.RESTRICTED)))
    query = select(standing.c.address_key, standing.c.fact, standing.c.effective_at)
    for row in connection.execute(query.where(standing.c.address_key.in_(list(keys)), marked)):
        found.setdefault(row.address_key, {})[row.fact] = row.effective_at
    return found


def sources(connection: Connection) -> list[str]:
    """Return each source that entries came from, in order: one short read a source, however many entries."""
    found: list[str] = []
    while True:
        query = select(ledger_entry.c.source).order_by(ledger_entry.c.source).limit(1)
        following = connection.execute(query.where(ledger_entry.c.source > found[-1]) if found else query).scalar()
        if following is None:
            return found
        found.append(following)


def _of(reason: str, channel: str) -> ColumnElement[bool]:
    of_channel = ledger_entry.c.channel
    fitting = of_channel.is_(None) if channel == EVERY_CHANNEL else of_channel == str(channel)
    return (ledger_entry.c.reason == str(reason)) & fitting


def _behind(connection: Connection, before: int | None, after: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a place in the list.

    SQLite takes ``id > 5`` as a reason to walk the whole table from row 5 on, for every range
    whose channel is common, however rare its reason: measured at ten times the cost with
    300,000 entries. The plus keeps it to the range's own index, in whose order it reads anyway.
    """
    number: ColumnElement[int] = ledger_entry.c.id
    if connection.dialect.name == "sqlite":
        number = literal_column("+ledger_entry.id", BigInteger)
    conditions = []
    if before is not None:
        conditions.append(number < before)
    if after is not None:
        conditions.append(number > after)
    return conditions


def _range(
    wanted: StopFilter, within: ColumnElement[bool], now: datetime, behind: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    row = ledger_entry.c
    conditions = [within, *behind]
    if wanted.source:
        conditions.append(row.source == wanted.source)
    conditions.append(row.until.is_(None) | (row.until > now))
    conditions.append(exists().where(standing.c.entry_id == row.id))
    return select(row.id).where(*conditions)
