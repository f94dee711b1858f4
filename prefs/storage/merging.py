"""The newest rows of a list whose filters leave several index ranges open.

An index on (reason, channel, id) gives the newest rows of one reason and channel at once, but
not of all channels together: a database would read and sort everything. So each range gives
its newest, and the newest of those is the answer: a fixed number of short reads, however rare
what is looked for is among a million rows.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, union_all


def newest(
    connection: Connection, ranges: Sequence[Select[Any]], places: Sequence[str], limit: int, *, forward: bool = False
) -> list[tuple[Any, ...]]:
    """Return the places (like ``id``) of up to ``limit`` rows of some ranges together, newest first.

    Each range is a select of exactly the columns ``places``, ordered by them. With ``forward``
    these are the oldest of the ranges instead, still given newest first.
    """

    def ordered(columns: Any) -> list[ColumnElement[Any]]:
        return [columns[name].asc() if forward else columns[name].desc() for name in places]

    if not ranges:
        return []
    # SQLite takes a LIMIT inside a compound select only within a subquery.
    parts = [one.order_by(*ordered(one.selected_columns)).limit(limit).subquery() for one in ranges]
    together = union_all(*(select(part) for part in parts)).subquery()
    rows = connection.execute(select(together).order_by(*ordered(together.c)).limit(limit))
    found = [tuple(row) for row in rows]
    return found[::-1] if forward else found
