"""The console's exports: masked or hashed for marketing, in full with a purpose, each on record (C-5; contract D31)."""

import csv
import hashlib
import io
from typing import Any

import pytest

from prefs.domain.roles import Role
from prefs.storage.audit import AuditFilter
from tests.make import ADA, BEN, World
from tests.staff import Staff, staff

WHY = {"recipient": "Adverts Ltd", "purpose": "suppression at our agency"}
ALL = ["channel", "to", "scope", "reason", "source", "since", "until"]


@pytest.fixture
def stopped(world: World) -> World:
    """Three people who left, one of them with an address that a spreadsheet takes for a formula."""
    for channel, to, reason in (
        ("email", ADA, "unsubscribed"),
        ("sms", BEN, "unsubscribed"),
        ("email", "=cmd@example.com", "complaint"),
    ):
        world.post("/v1/suppressions", {"channel": channel, "to": to, "reason": reason})
    return world


def made(world: World, person: Staff, path: str = "new", **form: Any) -> str:
    """Have a file made, and return the path of its page."""
    answer = person.post(f"/admin/exports/{path}", columns=form.pop("columns", ALL), **form)
    assert answer.status_code == 303, answer.text[:2000]
    world.work()
    return str(answer.location)


def rows_of(person: Staff, page: str) -> list[list[str]]:
    with person.get(f"{page}/file.csv") as answer:
        assert answer.status_code == 200
        assert "for-suppression-only" in answer.headers["Content-Disposition"]
        return list(csv.reader(io.StringIO(answer.text)))


def noted(world: World, action: str) -> list[dict[str, Any]]:
    return [one.entry.detail for one in world.services.audit.page(AuditFilter(action=action), 50)]


def test_a_masked_list_shows_no_address(stopped: World) -> None:
    person = staff(stopped, Role.MARKETING)

    page = made(stopped, person, form="masked")

    assert "Your file is ready for 24 hours" in person.page(page)
    rows = rows_of(person, page)
    assert rows[0] == ALL
    assert sorted(row[1] for row in rows[1:]) == ["'=••@example.com", "a••@example.com", "••• ••• 0123"]


def test_a_hashed_list_is_one_column_of_hashes(stopped: World) -> None:
    person = staff(stopped, Role.MARKETING)

    rows = rows_of(person, made(stopped, person, form="sha256", channel="email", reason="unsubscribed", **WHY))

    assert rows == [["sha256"], [hashlib.sha256(ADA.encode()).hexdigest()]]


@pytest.mark.parametrize("missing", ["recipient", "purpose"])
@pytest.mark.parametrize("path", ["new", "full"])
def test_hashes_and_addresses_leave_for_somebody_and_a_purpose(stopped: World, path: str, missing: str) -> None:  # C-5
    person = staff(stopped, Role.PRIVACY)

    answer = person.post(f"/admin/exports/{path}", form="md5", columns=ALL, **{**WHY, missing: " "})

    assert answer.status_code == 422
    assert "Say who gets the file" in answer.text or "Say what it is for" in answer.text
    assert noted(stopped, "exported") == []


def test_a_full_list_is_the_privacy_offices_and_on_record(stopped: World) -> None:  # C-5, item 25
    person = staff(stopped, Role.PRIVACY)

    page = made(stopped, person, "full", columns=["channel", "to"], channel="sms", **WHY)

    assert rows_of(person, page) == [["channel", "to"], ["sms", f"'{BEN}"]]
    assert noted(stopped, "exported") == [{"form": "full", **WHY}]
    assert noted(stopped, "export_taken") == [{"form": "full", "rows": 1}]
    listed = staff(stopped, Role.MARKETING).page("/admin/exports")
    assert "Addresses in full" in listed
    assert "Adverts Ltd" in listed
    assert "privacy@staff.example" in listed


def test_marketing_exports_no_address_in_full(stopped: World) -> None:  # contract D31
    person = staff(stopped, Role.MARKETING)

    assert person.get("/admin/exports/full").status_code == 403
    assert person.post("/admin/exports/full", columns=ALL, **WHY).status_code == 403
    assert person.post("/admin/exports/new", form="full", columns=ALL, **WHY).status_code == 422
    assert "Addresses in full are exported by the privacy office only." in person.page("/admin/exports/new")


def test_a_full_export_proves_again_who_it_is(stopped: World) -> None:
    person = staff(stopped, Role.PRIVACY).later()

    assert "/admin/confirm" in person.get("/admin/exports/full").location
    assert "/admin/confirm" in person.post("/admin/exports/full", columns=ALL, **WHY).location


def test_a_file_is_fetched_by_whoever_asked_and_for_a_day(stopped: World) -> None:
    person = staff(stopped, Role.PRIVACY)
    page = made(stopped, person, form="masked")
    assert staff(stopped, Role.ADMIN).get(f"{page}/file.csv").status_code == 404
    number = page.rpartition("/")[2]
    desk = stopped.services.export_desk
    assert desk.forget() == 0

    stopped.clock.forward(hours=24)

    assert desk.view(number, person.user.actor).status == "gone"
    assert desk.view(number, person.user.actor).path is None
    assert desk.forget() == 1
    assert list(desk.folder.glob("*")) == []


def test_a_page_waits_for_the_worker_and_says_so(stopped: World) -> None:
    person = staff(stopped, Role.MARKETING)

    page = person.post("/admin/exports/new", columns=ALL, form="masked").location

    assert '<meta http-equiv="refresh" content="20">' in person.page(page)
    assert "http-equiv" not in person.page(f"{page}?still=1")
    assert person.get(f"{page}/file.csv").status_code == 404


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        pytest.param({"columns": ALL}, "Choose masked or hashed", id="no form"),
        pytest.param({"form": "masked"}, "Choose at least one column", id="no column"),
        pytest.param(
            {"form": "masked", "columns": ALL, "scope": "topic:none"}, "There is no such topic", id="no such scope"
        ),
    ],
)
def test_what_cannot_be_made_is_said(world: World, form: dict[str, Any], sentence: str) -> None:
    answer = staff(world, Role.MARKETING).post("/admin/exports/new", **form)

    assert answer.status_code == 422
    assert sentence in answer.text


@pytest.mark.parametrize("number", ["..", "ex_..", "ex_" + "0" * 24])
def test_an_export_that_is_none_is_not_found(world: World, number: str) -> None:
    assert staff(world, Role.MARKETING).get(f"/admin/exports/{number}").status_code == 404


def test_the_command_lines_exports_are_in_the_log_too(stopped: World, tmp_path: Any) -> None:
    from prefs.services.exports import ExportRequest

    given = {"actor": "cli:ana", "hashed": "md5", **WHY}
    stopped.services.exports.run(ExportRequest(path=tmp_path / "out.csv", **given))

    page = staff(stopped, Role.MARKETING).page("/admin/exports")

    assert "cli:ana" in page
    assert "MD5 of each address" in page
