"""The chain over the ledger (reliability.md item 48, I18; contract D23)."""

import hashlib
import json
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import text

from prefs.services.sealing import Sealing, Verified
from prefs.storage import seals
from tests.make import ADA, World


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


def test_the_chain_is_laid_over_what_each_entry_says(world: World) -> None:
    """Whoever has the entries can lay it again: SHA-256 of the digest before and the entry as JSON."""
    fill(world)
    pause = {"channel": "email", "to": ADA, "reason": "snoozed", "until": "2099-01-01T00:00:00.5Z"}
    assert world.post("/v1/suppressions", pause).status_code == 201

    sealed = world.services.sealing.seal()

    digest = hashlib.sha256(b"prefs ledger chain 1").digest()
    for entry in world.entries():
        said = [entry.id, *(getattr(entry, one.name) for one in fields(entry) if one.name != "id")]
        digest = hashlib.sha256(digest + json.dumps(said, default=str).encode()).digest()
    assert (sealed.digest, sealed.entries) == (digest, 6)


def test_writers_go_on_while_entries_are_read_and_hashed_and_of_two_sealers_one_stores(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    real, told = seals.chained, []

    def slow(*given: Any) -> seals.Seal:
        monkeypatch.setattr(seals, "chained", real)
        world.client.post(world.link("late@example.com"))
        other.seal()
        return real(*given)

    heard = Sealing(world.services.kit.store, told.append)
    other = Sealing(world.services.kit.store, told.append)
    monkeypatch.setattr(seals, "chained", slow)

    assert heard.seal().entries == 6
    assert [len(rows) for rows in told] == [6]
    assert world.services.sealing.verify() == Verified(6, 0, [])


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
