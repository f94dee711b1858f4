"""Many rows in one statement: arrays on PostgreSQL, lists of values on SQLite.

A row each costs a round trip or a tenth of a millisecond of SQLAlchemy; a thousand rows in one
statement cost little more than one (docs/decisions/0009). Errors are SQLAlchemy's, as everywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, String, Table

from prefs.storage.tables import UtcDateTime, to_microseconds

_SQLITE_PARAMETERS = 30_000

Row = Mapping[str, Any]


def stored(value: Any) -> Any:
    """Return a value as it lies in a table: words as text, times as microseconds."""
    if isinstance(value, datetime):
        return to_microseconds(value)
    return value.value if isinstance(value, Enum) else value


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Row], returning: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    """Insert the rows that are not there yet, all with the same columns, and return these columns of the new ones."""
    if not rows:
        return []
    names = tuple(rows[0])
    back = f" RETURNING {', '.join(returning)}" if returning else ""
    if connection.dialect.name != "sqlite":
        statement = f"{_from_arrays(table, names)} ON CONFLICT DO NOTHING{back}"
        given = {name: _column(table, name, rows) for name in names}
        return _rows(connection, statement, given, bool(returning))
    found: list[tuple[Any, ...]] = []
    for chunk in _chunks(rows, _SQLITE_PARAMETERS // len(names)):
        marks = ", ".join([f"({', '.join('?' * len(names))})"] * len(chunk))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {marks} ON CONFLICT DO NOTHING{back}"
        columns = [_column(table, name, chunk) for name in names]
        values = tuple(value for row in zip(*columns, strict=True) for value in row)
        found += _rows(connection, statement, values, bool(returning))
    return found


def select_by(
    connection: Connection, query: str, keys: Sequence[Any], *, tail: str = "", kind: str = "bytea"
) -> list[Any]:
    """Return the rows of a query that ends in ``… column``, where that is one of these keys; ``tail`` follows."""
    if connection.dialect.name != "sqlite":
        found = connection.exec_driver_sql(f"{query} = ANY(%(keys)s::{kind}[]) {tail}", {"keys": list(keys)})
        return list(found)
    rows: list[Any] = []
    for chunk in _chunks(keys, _SQLITE_PARAMETERS):
        marks = ", ".join("?" * len(chunk))
        rows += connection.exec_driver_sql(f"{query} IN ({marks}) {tail}", tuple(chunk))
    return rows


def set_numbers(connection: Connection, table: Table, key: str, column: str, numbers: Mapping[int, int]) -> None:
    """Set one whole number in each of the rows with these keys."""
    if not numbers:
        return
    if connection.dialect.name == "sqlite":
        statement = f"UPDATE {table.name} SET {column} = ? WHERE {key} = ?"
        connection.exec_driver_sql(statement, [(number, row) for row, number in numbers.items()])
        return
    connection.exec_driver_sql(
        f"UPDATE {table.name} AS t SET {column} = v.number"
        f" FROM unnest(%(keys)s::bigint[], %(numbers)s::bigint[]) AS v (key, number) WHERE t.{key} = v.key",
        {"keys": list(numbers), "numbers": list(numbers.values())},
    )


def delete_by_keys(connection: Connection, table: Table, column: str, keys: Sequence[bytes]) -> None:
    """Delete the rows under these keys."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE {column} = ANY(%(keys)s)", {"keys": list(keys)})
        return
    for chunk in _chunks(keys, _SQLITE_PARAMETERS):
        marks = ", ".join("?" * len(chunk))
        connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE {column} IN ({marks})", tuple(chunk))


def _column(table: Table, name: str, rows: Sequence[Row]) -> list[Any]:
    values = [row[name] for row in rows]
    kind = table.c[name].type
    if isinstance(kind, UtcDateTime):
        return [None if value is None else to_microseconds(value) for value in values]
    if isinstance(kind, String):
        return [value if value is None or type(value) is str else str(value) for value in values]
    return values


def _rows(connection: Connection, statement: str, given: Any, returns: bool) -> list[tuple[Any, ...]]:
    done = connection.exec_driver_sql(statement, given)
    return [tuple(row) for row in done] if returns else []


@lru_cache(maxsize=32)
def _from_arrays(table: Table, names: tuple[str, ...]) -> str:
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  only where that is the database

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    kinds = {name: table.c[name].type.compile(dialect) for name in names}
    arrays = ", ".join(f"%({name})s::{kinds[name].partition('(')[0]}[]" for name in names)
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
