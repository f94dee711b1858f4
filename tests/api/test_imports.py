"""``/v1/imports``: a list as a file, imported by the worker (contract section 6)."""

import os
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from prefs.services.imports import ImportRequest
from tests.make import ADA, World

LIST = f"email,name\n{ADA},Ada\nnobody,=cmd()\n"


def upload(world: World, text: str | bytes = LIST, *, key: str | None = None, **fields: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {key or world.key}", **fields.pop("headers", {})}
    content = text.encode() if isinstance(text, str) else text
    disposition = f'form-data; name="file"; filename="{fields.pop("name", "list.csv")}"'
    parts = [(disposition, content), *((f'form-data; name="{name}"', one.encode()) for name, one in fields.items())]
    body = b"".join(b"--cut\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (d.encode(), c) for d, c in parts)
    return world.client.post(
        "/v1/imports", data=body + b"--cut--\r\n", content_type="multipart/form-data; boundary=cut", headers=headers
    )


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


def test_a_dry_run_shows_what_would_change(world: World) -> None:
    number = upload(world, dry_run="true").json["id"]
    world.work()

    found = world.get(f"/v1/imports/{number}").json
    assert found["difference"] == {
        "facts": [{"channel": "email", "reason": "unsubscribed", "scope": "all", "new": 1, "already": 0}],
        "first": [{"line": 2, "to": "a••@example.com", "channel": "email", "reason": "unsubscribed", "scope": "all"}],
    }
    assert world.get(f"/v1/imports/{upload(world).json['id']}").json["difference"] is None


def test_scope_column_and_region_mean_what_they_mean_to_the_command(world: World) -> None:
    text = "work,private\n+491701111111,0170 2222222\n"
    upload(world, text, channel="sms", column="private", region="de", scope="topic:events")
    world.work()

    (entry,) = world.entries()
    assert world.services.kit.catalogue.scope_name(entry.scope) == "topic:events"
    assert world.decide("sms", "+491702222222", "events")["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("email,phone\na@example.com,+14155550142\n", "`channel` or `column`", id="which column"),
        pytest.param("phone\n+14155550142\n", "like `channel=sms`", id="which channel"),
        pytest.param("email,status\na@example.com,x\n", "add `format=plain`, or name the format", id="about consent"),
        pytest.param(
            "created,email,reason,status\n1,a@example.com,x,5\n",
            "Add `format=sendgrid-bounces` or `format=sendgrid-blocks`.",
            id="which format",
        ),
    ],
)
def test_a_refusal_names_the_fields_of_a_request(world: World, text: str, words: str) -> None:
    answer = upload(world, text).json

    assert words in answer["errors"][0]["detail"] + answer["detail"]
    assert "--" not in answer["errors"][0]["detail"] + answer["detail"]


def test_an_import_is_shown_to_the_key_that_started_it_and_to_admins(world: World) -> None:
    """Rejected rows are personal data; any key that may suppress could fetch everybody's."""
    mine, others = (world.services.keys.create(name, ["suppress"]) for name in ("mine", "others"))
    number = upload(world, key=mine).json["id"]
    staff = world.services.imports.begin(ImportRequest(path=_file(world, "email\nx@example.com\n"), actor="cli:ana"))
    world.work()

    for path in (f"/v1/imports/{number}", f"/v1/imports/{number}/rejects"):
        answers = [world.get(path, key=key) for key in (mine, others, world.key)]
        assert [answer.status_code for answer in answers] == [200, 404, 200]
        for answer in answers:
            answer.close()
    assert world.get(f"/v1/imports/{staff.id}", key=mine).status_code == 404
    assert world.services.imports.view(number).status == "done"


def test_the_same_list_of_two_keys_is_two_imports_of_which_each_sees_its_own(world: World) -> None:
    keys = [world.services.keys.create(name, ["suppress"]) for name in ("one", "two")]

    numbers = [upload(world, key=key).json["id"] for key in keys]
    world.work()

    found = [world.get(f"/v1/imports/{number}", key=key).json for number, key in zip(numbers, keys, strict=True)]
    assert sorted(one["counts"]["added"] for one in found) == [0, 1]
    assert {one["status"] for one in found} == {"done"}


def _file(world: World, text: str) -> Path:
    path = world.services.imports.folder.parent / "list.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


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
        pytest.param("email,a\na@example.com,ja\n", {}, "format", id="a column of answers"),
        pytest.param(LIST, {"column": "mail"}, "column", id="no such column"),
        pytest.param(LIST, {"region": "Germany"}, "region", id="no such region"),
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


def test_an_import_that_cannot_go_on_says_why_and_what_it_merged_stays(world: World) -> None:
    endless = "email\n" + "a@example.com\n" * 300 + "b" * (1024 * 1024 + 2) + "\n"
    answer = upload(world, endless)
    assert answer.status_code == 202, answer.text
    number = answer.json["id"]
    world.work()

    found = world.get(f"/v1/imports/{number}").json
    assert found["status"] == "failed"
    assert "longer than 1 MB" in found["error"]


def test_an_import_nobody_went_on_with_is_given_up_after_a_day(world: World, tmp_path: Path) -> None:  # item 37
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    begun = world.services.imports.begin(ImportRequest(path=path, actor="cli:ana"))
    leftover = world.services.imports.folder / "incoming-x"
    leftover.touch()
    os.utime(leftover, (0, 0))

    world.clock.forward(hours=25)
    assert world.services.imports.forget_files() == 1

    assert world.services.imports.view(begun.id).status == "failed"
    assert list(world.services.imports.folder.iterdir()) == []
    assert path.exists()


def test_a_list_of_some_megabytes_is_taken(world: World) -> None:
    text = "email,note\n" + "".join(f"p{number}@example.com,{'x' * 200}\n" for number in range(10_000))

    number = upload(world, text).json["id"]
    world.work()

    assert world.get(f"/v1/imports/{number}").json["counts"]["added"] == 10_000


# Werkzeug drops the spooled file of a body it could not parse without closing it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("missing", [1, 5, 9, 12, 40, 70])
def test_a_body_that_was_cut_off_is_never_acted_upon(world: World, missing: int) -> None:  # V37
    content = "email\na@example.com\nb@example.com\nc@example.com\n"
    body = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="l.csv"\r\n\r\n{content}\r\n--cut--'

    answer = world.client.post(
        "/v1/imports",
        data=body[:-missing].encode(),
        content_type="multipart/form-data; boundary=cut",
        headers={"Authorization": f"Bearer {world.key}"},
    )

    assert answer.status_code in {400, 422}
