"""The list goes out whole or in part, safe in spreadsheets, and comes back as it was; every time on record."""

import csv
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prefs.domain.listed import plain_cell, safe_cell
from prefs.domain.terms import Channel, Reason
from prefs.errors import InvalidInput, StoreUnavailable
from prefs.services.exports import Exported, ExportRequest
from prefs.services.imports import ImportRequest
from prefs.storage import imports
from tests.imports.making import STAFF, bring, counts
from tests.make import ADA, BEN, Clock, World, make_world


def export(world: World, path: Path, **more: object) -> Exported:
    given = {"actor": STAFF, "recipient": "Adverts Ltd", "purpose": "campaign 7", **more}
    return world.services.exports.run(ExportRequest(path=path, **given))  # type: ignore[arg-type]


def rows_in(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.fixture
def stopped(world: World) -> World:
    """Several people who left, each in another way."""
    world.know(("email", ADA), ("sms", BEN), contact="ada")
    world.client.post(world.link(topic="events"))
    world.text("STOP")
    for body in (
        {"channel": "email", "to": "=cmd|x@example.com", "reason": "complaint", "source": "letter"},
        {"channel": "any", "to": "cy@example.com"},
        {"channel": "any", "to": "+14155550199", "reason": "objection"},
        {"channel": "postal", "to": "+1 of 2, Main Street"},
        {"channel": "email", "to": "dee@example.com", "reason": "snoozed", "until": "2027-05-01T00:00:00Z"},
        {"channel": "email", "to": "ed@example.com", "reason": "hard_bounce"},
    ):
        assert world.post("/v1/suppressions", body).status_code == 201
    return world


def test_an_export_holds_who_is_suppressed_and_not_whose_address_is_bad(stopped: World, tmp_path: Path) -> None:  # D13
    path = tmp_path / "out.csv"

    done = export(stopped, path)

    rows = rows_in(path)
    assert done.rows == len(rows) == 7
    assert ["email", ADA, "topic:events", "unsubscribed"] in [row[:4] for row in rows]
    assert ["any", "cy@example.com", "all", "unsubscribed"] in [row[:4] for row in rows]
    assert all(row[3] != "hard_bounce" for row in rows)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == done.sha256
    assert json.loads((tmp_path / "out.csv.json").read_text())["sha256"] == done.sha256
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_cell_is_a_formula(stopped: World, tmp_path: Path) -> None:  # V20
    export(stopped, tmp_path / "out.csv")

    cells = [cell for row in rows_in(tmp_path / "out.csv") for cell in row]

    assert f"'{BEN}" in cells
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]


def test_export_and_import_again_is_the_identity(stopped: World, tmp_path: Path) -> None:  # V20, item 34
    path = tmp_path / "out.csv"
    export(stopped, path)
    before = len(stopped.entries())

    found = bring(stopped, tmp_path, path.read_bytes())

    assert found.format == "prefs"
    # The STOP came through a sender; the file does not say which, so that one is a fact of its own.
    assert counts(found) == (1, 6, 0, 0)
    assert len(stopped.entries()) == before + 1


def test_an_export_taken_into_an_empty_service_stops_the_same_people(
    stopped: World, tmp_path: Path, clock: Clock
) -> None:
    from prefs.storage import migrate

    export(stopped, tmp_path / "out.csv")
    url = f"sqlite:///{tmp_path}/other.db"
    migrate.upgrade(url)
    other = make_world(url, clock, tmp_path / "other")
    made = other.services.imports
    found = made.advance(made.begin(ImportRequest(path=tmp_path / "out.csv", actor=STAFF)).id)
    export(other, tmp_path / "again.csv")
    other.services.kit.store.dispose()

    assert counts(found) == (7, 0, 0, 0)
    assert sorted(row[:5] for row in rows_in(tmp_path / "again.csv")) == sorted(
        row[:5] for row in rows_in(tmp_path / "out.csv")
    )


@pytest.mark.parametrize("cell", ["=1+1", "+15555550100", "-5", "@me", "\tx", "'quoted", "'+1", "''", "'", "", "plain"])
def test_marking_a_cell_can_be_undone(cell: str) -> None:
    assert plain_cell(safe_cell(cell)) == cell
    assert safe_cell(cell)[:1] not in {"=", "+", "-", "@", "\t"}


def test_hashes_follow_the_convention_and_come_back_as_a_list_of_hashes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    bring(world, tmp_path, "email\n  User@Example.COM \n")

    export(world, tmp_path / "sha.csv", hashed="sha256")
    export(world, tmp_path / "md5.csv", hashed="md5")

    wanted = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"
    assert (tmp_path / "sha.csv").read_text() == f"sha256\n{wanted}\n"
    assert (tmp_path / "md5.csv").read_text() == "md5\nb58996c504c5638798eb6b511e6f49af\n"
    for name in ("sha", "md5"):
        found = bring(world, tmp_path, (tmp_path / f"{name}.csv").read_bytes(), channel="email")
        assert counts(found) == (1, 0, 0, 0)


def test_numbers_are_hashed_in_e164_with_their_plus(world: World, tmp_path: Path) -> None:  # rules.md 7.5
    world.post("/v1/suppressions", {"channel": "any", "to": BEN})

    export(world, tmp_path / "out.csv", hashed="sha256")

    assert rows_in(tmp_path / "out.csv") == [[hashlib.sha256(BEN.encode()).hexdigest()]]


def test_filters_and_the_delta_behind_a_position(stopped: World, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert export(stopped, path, channel=Channel.SMS).rows == 2
    assert {row[0] for row in rows_in(path)} == {"sms"}
    assert export(stopped, path, reasons=(Reason.COMPLAINT, Reason.HARD_BOUNCE)).rows == 2
    assert export(stopped, path, scope="topic:events").rows == 1
    position = export(stopped, path).position
    stopped.post("/v1/suppressions", {"channel": "email", "to": "new@example.com"})

    assert export(stopped, path, since=position).rows == 1
    assert rows_in(path)[0][1] == "new@example.com"


def test_a_pause_that_is_over_is_not_exported(stopped: World, tmp_path: Path) -> None:
    stopped.clock.forward(days=300)

    export(stopped, tmp_path / "out.csv")

    assert "snoozed" not in (tmp_path / "out.csv").read_text()


def test_people_of_whom_only_a_key_is_kept_are_counted_and_said(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    bring(world, tmp_path, "d" * 64 + "\n", channel="email")

    done = export(world, tmp_path / "out.csv")

    assert (done.rows, done.unnamed) == (0, 1)


def test_each_export_is_on_record_with_who_for_whom_and_why(stopped: World, tmp_path: Path) -> None:  # C-5
    done = export(stopped, tmp_path / "out.csv", channel=Channel.EMAIL, hashed="sha256")

    with stopped.services.kit.store.read() as connection:
        (row,) = imports.exports(connection)
    assert (row["actor"], row["recipient"], row["purpose"]) == (STAFF, "Adverts Ltd", "campaign 7")
    assert (row["number"], row["checksum"], row["position"]) == (done.rows, done.sha256, done.position)
    assert row["options"]["hashed"] == "sha256"
    assert "suppression only" in done.notice


def test_an_export_without_a_recipient_or_onto_a_lost_record_leaves_no_file(stopped: World, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="who gets the list"):
        export(stopped, tmp_path / "out.csv", recipient=" ")
    with stopped.services.kit.store.write() as connection:
        connection.execute(text("DROP TABLE export_log"))
    with pytest.raises((StoreUnavailable, DBAPIError)):
        export(stopped, tmp_path / "out.csv")

    assert list(tmp_path.glob("out.csv*")) == []


def test_a_stop_during_an_export_does_not_tear_it(
    build_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is one moment of the list: what comes behind its position comes in the next delta."""
    from prefs.storage import listing

    monkeypatch.setattr(listing, "CHUNK", 10)
    world = build_world()
    bring(world, tmp_path, "email\n" + "".join(f"p{n}@example.com\n" for n in range(100)))
    path, late = tmp_path / "out.csv", []

    def tell(rows: int) -> None:
        late.append(world.post("/v1/suppressions", {"channel": "email", "to": f"late{len(late)}@example.com"}))

    monkeypatch.setattr("prefs.services.exports._TELL_EVERY", 10)
    request = ExportRequest(path=path, actor=STAFF, recipient="x", purpose="y")
    done = world.services.exports.run(request, tell)

    assert (done.rows, done.position, len(late)) == (100, 100, 10)
    assert export(world, path, since=done.position).rows == 10
