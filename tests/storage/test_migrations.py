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
