"""What a copy of the standing reads to catch up: the entries behind its position, never the whole ledger."""

from pathlib import Path

from sqlalchemy import event

from prefs.storage import facts, migrate
from prefs.storage.base import Store


def test_catching_up_reads_the_newest_entries_and_not_the_whole_ledger(tmp_path: Path) -> None:
    """With fifty million entries a scrub took three seconds longer, for nothing new."""
    url = f"sqlite:///{tmp_path / 'prefs.db'}"
    migrate.upgrade(url)
    store = Store(url)
    asked: list[tuple[str, object]] = []
    event.listen(
        store.engine, "before_cursor_execute", lambda _c, _cursor, sql, values, *_: asked.append((sql, values))
    )

    with facts.one_moment(store) as connection:
        list(facts.changed_since(connection, 5))
        ((sql, values),) = [one for one in asked if "ledger_entry" in one[0]]
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all())

    assert "SCAN ledger_entry" not in plan
    assert "SEARCH ledger_entry USING INTEGER PRIMARY KEY" in plan
    store.dispose()
