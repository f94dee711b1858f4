"""Counts of decisions per day, channel, topic, outcome and reason; single decisions leave no row."""

from collections import Counter

from sqlalchemy import Connection, func, select
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


def of_day(connection: Connection, day: str) -> dict[str, int]:
    """Return how many questions of a day had each outcome, whoever asked."""
    query = select(decision_count.c.outcome, func.sum(decision_count.c.number)).where(decision_count.c.day == day)
    return {outcome: int(number) for outcome, number in connection.execute(query.group_by(decision_count.c.outcome))}
