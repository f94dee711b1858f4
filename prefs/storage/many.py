"""Many rows in one statement: arrays on PostgreSQL, lists of values on SQLite.

A row each costs a round trip or a tenth of a millisecond of SQLAlchemy; a thousand rows in one
statement cost little more than one (docs/decisions/0009). Errors are SQLAlchemy's, as everywhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, all with the same columns; one that is there already breaks its constraint."""
    _insert(connection, table, rows, "")


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Row], returning: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    """Insert the rows that are not there yet, all with the same columns, and return these columns of the new ones."""
    back = f" RETURNING {', '.join(returning)}" if returning else ""
    return _insert(connection, table, rows, f" ON CONFLICT DO NOTHING{back}", bool(returning))


def _insert(
    connection: Connection, table: Table, rows: Sequence[Row], tail: str, returns: bool = False
) -> list[tuple[Any, ...]]:
    if not rows:
        return []
    names = tuple(rows[0])
    start = f"INSERT INTO {table.name} ({', '.join(names)})"
    if connection.dialect.name != "sqlite":
        statement = f"{start} SELECT * FROM unnest({arrays(table, names)}){tail}"
        return _rows(connection, statement, array_values(table, names, rows), returns)
    found: list[tuple[Any, ...]] = []
    for chunk in _chunks(rows, _SQLITE_PARAMETERS // len(names)):
        marks = ", ".join([f"({', '.join('?' * len(names))})"] * len(chunk))
        values = tuple(value for row in stored_rows(table, names, chunk) for value in row)
        found += _rows(connection, f"{start} VALUES {marks}{tail}", values, returns)
    return found


def select_by(
    connection: Connection, query: str, keys: Sequence[Any], *, tail: str = "", kind: str = "bytea"
) -> list[Any]:
    """Return the rows of a query that ends in ``… column``, where that is one of these keys; ``tail`` follows."""
    if connection.dialect.name != "sqlite":
        found = connection.exec_driver_sql(f"{query} = ANY(%(keys)s::{kind}[]) {tail}", {"keys": array(keys)})
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
        {"keys": array(numbers), "numbers": array(numbers.values())},
    )


def delete_by_keys(connection: Connection, table: Table, column: str, keys: Sequence[bytes]) -> None:
    """Delete the rows under these keys."""
    if connection.dialect.name != "sqlite":
        statement = f"DELETE FROM {table.name} WHERE {column} = ANY(%(keys)s::bytea[])"
        connection.exec_driver_sql(statement, {"keys": array(keys)})
        return
    for chunk in _chunks(keys, _SQLITE_PARAMETERS):
        marks = ", ".join("?" * len(chunk))
        connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE {column} IN ({marks})", tuple(chunk))


def stored_rows(table: Table, names: Sequence[str], rows: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
    """Return these columns of the rows as a driver takes them."""
    return zip(*(_column(table, name, rows) for name in names), strict=True)


def array(values: Iterable[Any]) -> str:
    """Return values as PostgreSQL writes an array (its manual, 8.15.6): a tenth of what the driver takes for a list."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


@lru_cache(maxsize=64)
def arrays(table: Table, names: tuple[str, ...], prefix: str = "") -> str:
    """Return what ``unnest`` is given for these columns: ``%(name)s::kind[]``, joined by commas."""
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  only where that is the database

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    kinds = (table.c[name].type.compile(dialect).partition("(")[0] for name in names)
    return ", ".join(f"%({prefix}{name})s::{kind}[]" for name, kind in zip(names, kinds, strict=True))


def array_values(table: Table, names: Sequence[str], rows: Sequence[Row], prefix: str = "") -> dict[str, str]:
    """Return the parameters of ``arrays``."""
    return {prefix + name: array(_column(table, name, rows)) for name in names}


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if type(value) is str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f'"\\\\x{value.hex()}"' if type(value) is bytes else str(value)


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


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
