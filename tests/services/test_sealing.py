"""The chain over the ledger (reliability.md item 48, I18; contract D23)."""

import pytest
from sqlalchemy import text

from tests.make import World


def fill(world: World, number: int = 5) -> None:
    for one in range(number):
        world.client.post(world.link(f"p{one}@example.com"))


def tamper(world: World, statement: str) -> None:
    """Change the ledger as somebody would who owns the database: guards off first."""
    store = world.services.kit.store
    off = (
        ["DROP TRIGGER ledger_entry_keeps_updates_out", "DROP TRIGGER ledger_entry_keeps_deletes_out"]
        if store.is_sqlite
        else ["ALTER TABLE ledger_entry DISABLE TRIGGER USER"]
    )
    with store.write() as connection:
        for one in (*off, statement):
            connection.execute(text(one))


def test_a_clean_ledger_holds_and_names_its_unsealed_tail(world: World) -> None:
    fill(world)
    world.services.sealing.seal()
    fill(world, 7)

    found = world.services.sealing.verify()

    assert (found.entries, found.unsealed, found.problems) == (7, 2, [])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET source = 'x' WHERE id = 3",
        "UPDATE ledger_entry SET effective_at = effective_at + 1 WHERE id = 5",
        "DELETE FROM ledger_entry WHERE id = 2",
        "DELETE FROM ledger_entry WHERE id = 5",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_entry SET id = 99 WHERE id = 1",
    ],
)
def test_whatever_was_done_to_a_sealed_entry_is_found(world: World, statement: str) -> None:
    fill(world)
    world.services.sealing.seal()

    tamper(world, statement)

    assert world.services.sealing.verify().problems != []


def test_the_feed_ends_at_the_newest_seal_and_goes_on_from_there(world: World) -> None:
    fill(world)
    assert world.get("/v1/changes").json == {"data": [], "next": None}
    world.services.upkeep.run_once()

    first = world.get("/v1/changes?limit=3").json
    rest = world.get(f"/v1/changes?limit=3&after={first['next']}").json

    assert [one["position"] for one in first["data"] + rest["data"]] == [1, 2, 3, 4, 5]
    assert rest["next"] is None
    assert "example.com" not in str(first)
    assert world.get("/v1/changes?after=x").status_code == 422


def test_sealing_again_changes_nothing(world: World) -> None:
    fill(world)

    assert world.services.sealing.seal() == world.services.sealing.seal()
