"""``/v1/imports``: a list as a file, imported by the worker (contract section 6)."""

import io
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.make import ADA, World

LIST = f"email,name\n{ADA},Ada\nnobody,=cmd()\n"


def upload(world: World, text: str | bytes = LIST, *, key: str | None = None, **fields: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {key or world.key}", **fields.pop("headers", {})}
    content = text.encode() if isinstance(text, str) else text
    form = {"file": (io.BytesIO(content), fields.pop("name", "list.csv")), **fields}
    return world.client.post("/v1/imports", data=form, headers=headers)


def test_an_uploaded_list_is_imported_by_the_worker(world: World) -> None:
    answer = upload(world)
    assert (answer.status_code, answer.json["status"]) == (202, "queued")
    assert world.decide()["allowed"]

    world.work()

    found = world.get(f"/v1/imports/{answer.json['id']}").json
    assert (found["status"], found["format"], found["progress"]) == ("done", "plain", 1.0)
    assert found["counts"] == {"added": 1, "already": 0, "invalid": 1, "ignored": 0}
    assert world.decide()["reason"] == "unsubscribed"
    assert world.entries()[0].actor is not None


def test_rejected_rows_come_back_with_what_is_wrong_and_how_to_fix_it(world: World) -> None:  # ux.md A5, V20
    number = upload(world).json["id"]
    world.work()
    link = world.get(f"/v1/imports/{number}").json["rejects"]

    answer = world.get(link.removeprefix(world.services.base_url))

    assert answer.mimetype == "text/csv"
    assert answer.text.splitlines() == [
        "email,name,what_is_wrong,how_to_fix",
        'nobody,\'=cmd(),Not an email address: no @ sign,"An email address has an @ sign, like name@example.com."',
    ]
    answer.close()


def test_mended_rejects_can_be_sent_back_as_they_are(world: World) -> None:
    number = upload(world).json["id"]
    world.work()
    rejects = world.get(f"/v1/imports/{number}/rejects")
    mended = rejects.text.replace("nobody", "nobody@example.com")
    rejects.close()

    again = upload(world, mended).json["id"]
    world.work()

    assert world.get(f"/v1/imports/{again}").json["counts"]["added"] == 1


def test_a_dry_run_changes_nothing(world: World) -> None:
    number = upload(world, dry_run="true").json["id"]
    world.work()

    found = world.get(f"/v1/imports/{number}").json
    assert (found["dry_run"], found["counts"]["added"]) == (True, 1)
    assert world.entries() == []


def test_the_same_request_again_is_the_same_import(world: World) -> None:  # D26
    headers = {"Idempotency-Key": "k1"}
    first, again = (upload(world, headers=dict(headers)) for _ in range(2))
    other = upload(world, "email\nbob@example.com\n", headers=headers)

    assert first.json == again.json
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("content", "fields", "field"),
    [
        pytest.param(b"PK\x03\x04....", {}, "file", id="excel"),
        pytest.param("phone\n+14155550142\n", {}, "channel", id="which channel"),
        pytest.param(LIST, {"channel": "fax"}, "channel", id="no such channel"),
        pytest.param(LIST, {"format": "nope"}, "format", id="no such format"),
        pytest.param(LIST, {"dry_run": "maybe"}, "dry_run", id="no such word"),
        pytest.param(LIST, {"colour": "red"}, "colour", id="unknown field"),
        pytest.param("email,status\na@example.com,x\n", {}, "format", id="a column about consent"),
    ],
)
def test_what_cannot_be_imported_is_refused_at_once_and_nothing_is_kept(
    world: World, content: str | bytes, fields: dict[str, str], field: str
) -> None:
    answer = upload(world, content, **fields)

    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["field"] == field
    folder = world.services.imports.folder
    assert not folder.exists() or list(folder.iterdir()) == []


def test_only_multipart_is_taken_and_the_scope_is_needed(world: World) -> None:
    reader = world.services.keys.create("reader", ["read"])

    assert world.post("/v1/imports", {"file": "x"}).status_code == 415
    assert upload(world, key=reader).status_code == 403
    assert world.get("/v1/imports/imp_unknown").status_code == 404
    assert world.client.post("/v1/imports").status_code == 401


def test_a_file_name_never_becomes_a_path(world: World) -> None:  # V22
    answer = upload(world, name="../../../../tmp/prefs-escaped.csv")
    folder = world.services.imports.folder

    assert answer.status_code == 202
    assert {path.name for path in folder.iterdir()} == {answer.json["id"]}
    assert world.get("/v1/imports/..%2f..%2fetc").status_code == 404


def test_files_of_an_import_are_gone_after_a_day(world: World) -> None:  # items 37, 43
    number = upload(world).json["id"]
    world.work()
    place = world.services.imports.folder / number
    assert {path.name for path in place.iterdir()} == {"lock", "rejects.csv", "state.json"}

    world.clock.forward(hours=25)
    world.work()

    assert not place.exists()
    assert world.get(f"/v1/imports/{number}").json["rejects"] is None
    assert world.get(f"/v1/imports/{number}/rejects").status_code == 404
