"""The audit log: appended to only, by one writer, and never an address in it (reliability.md item 25)."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prefs.storage.audit import AuditFilter
from tests.make import World


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry"])
def test_the_database_itself_refuses_to_change_or_remove_entries(world: World, statement: str) -> None:
    world.services.audit.note("cli", "exported", "everything")

    with pytest.raises(DBAPIError, match="append-only"), world.services.kit.store.write() as connection:
        connection.execute(text(statement))

    assert len(world.services.audit.page(AuditFilter(action="exported"), 10)) == 1


def test_what_looks_like_an_address_is_struck_out(world: World) -> None:
    world.services.audit.note(
        "cli",
        "person_searched",
        "ada@example.com",
        typed="find Ada <ada@example.com>",
        more=["+1 415 555-0123", "4155550123", {"deep": "x@y.example"}],
        rows=12_480_000_000,
        at="2026-11-24T12:00:00Z",
    )

    entry = world.services.audit.page(AuditFilter(), 1)[0].entry
    assert entry.about == "•••"
    assert entry.detail == {
        "typed": "find Ada <•••>",
        "more": ["•••", "•••", {"deep": "•••"}],
        "rows": 12_480_000_000,
        "at": "2026-11-24T12:00:00Z",
    }


def test_an_action_nobody_listed_is_a_fault_of_ours(world: World) -> None:
    with pytest.raises(ValueError, match="ACTIONS"):
        world.services.audit.note("cli", "danced")


def test_pages_go_back_and_forth_without_gaps(world: World) -> None:
    for number in range(7):
        world.services.audit.note("cli", "exported", f"file:{number}")
    audit = world.services.audit

    newest = audit.page(AuditFilter(), 3)
    older = audit.page(AuditFilter(), 3, before=newest[-1].entry.id)
    back = audit.page(AuditFilter(), 3, after=older[0].entry.id)

    assert [one.entry.about for one in newest] == ["file:6", "file:5", "file:4"]
    assert [one.entry.about for one in older] == ["file:3", "file:2", "file:1"]
    assert back == newest


@pytest.mark.parametrize("value", ["' OR 1=1 --", "%", "_", "exported'; DROP TABLE audit_entry; --"])
def test_filters_are_literal(world: World, value: str) -> None:  # V19
    world.services.audit.note("cli", "exported")

    for wanted in (AuditFilter(actor=value), AuditFilter(action=value), AuditFilter(about=value)):
        assert world.services.audit.page(wanted, 10) == []
    assert len(world.services.audit.page(AuditFilter(action="exported"), 10)) == 1
