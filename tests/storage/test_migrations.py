"""The schema goes up and down, fits the tables, and guards the ledger, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prefs.storage import migrate
from prefs.storage.base import Store
from prefs.storage.tables import metadata
from tests.make import World


def test_every_revision_goes_down_and_up_again(database_url: str) -> None:
    store = Store(database_url)
    migrate.downgrade(database_url)
    assert migrate.current(store) is None

    migrate.upgrade(database_url)
    migrate.upgrade(database_url)

    assert migrate.current(store) == migrate.head()
    store.dispose()


def test_the_schema_is_what_the_tables_say(database_url: str) -> None:
    store = Store(database_url)
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    store.dispose()


@pytest.mark.parametrize("statement", ["UPDATE ledger_entry SET source = 'x'", "DELETE FROM ledger_entry"])
def test_the_database_itself_refuses_to_change_or_remove_entries(world: World, statement: str) -> None:
    world.client.post(world.link())

    with pytest.raises(DBAPIError, match="append-only"), world.services.kit.store.write() as connection:
        connection.execute(text(statement))

    assert len(world.entries()) == 1


def test_g2_open_requests_that_a_press_alone_had_verified_wait_for_staff_again(database_url: str) -> None:
    store = Store(database_url)
    migrate.downgrade(database_url, "0008_people")
    row = (
        "INSERT INTO privacy_request"
        " (kind, status, language, received_by, received_at, due_on, verified_at, verified_by)"
        " VALUES ('access', :status, 'en', 'web', 1, '2026-12-24', 7, :by)"
    )
    written = [("working", "link"), ("answered", "link"), ("working", "staff:1")]
    with store.engine.begin() as connection:
        connection.execute(text(row), [{"status": status, "by": by} for status, by in written])

    migrate.upgrade(database_url)

    asked = "SELECT verified_at, verified_by, link_pressed_at FROM privacy_request ORDER BY id"
    with store.read() as connection:
        found = [tuple(one) for one in connection.execute(text(asked))]
    assert found == [(None, None, 7), (7, "link", 7), (7, "staff:1", None)]
    store.dispose()
