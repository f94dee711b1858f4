"""Counts of decisions per day, channel, topic, outcome and reason; single decisions leave no row."""

from collections import Counter

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from prefs.storage.tables import decision_count


def add(connection: Connection, counted: Counter[tuple[str, str, str, str, str]]) -> None:
    """Add to the counts in one statement."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(decision_count)
    names = ("day", "channel", "topic", "outcome", "reason")
    rows = [{**dict(zip(names, slot, strict=True)), "number": number} for slot, number in sorted(counted.items())]
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(names), set_={"number": decision_count.c.number + statement.excluded.number}
        ),
        rows,
    )
