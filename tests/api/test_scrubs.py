"""``/v1/scrubs``: up, split by the worker, down again, gone after a day."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.make import ADA, World

PEOPLE = f"id,email\n1,{ADA}\n2,ben@example.com\n3,nobody\n".encode()


def upload(world: World, content: bytes = PEOPLE, *, key: str | None = None, **fields: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {key or world.key}", **fields.pop("headers", {})}
    form = {"channel": "email", "topic": "events", "file": (io.BytesIO(content), "people.csv"), **fields}
    sent = {name: value for name, value in form.items() if value is not None}
    return world.client.post("/v1/scrubs", data=sent, headers=headers)


def work(world: World) -> None:
    world.work()
    world.services.scrub_jobs.wait()


def test_a_file_goes_up_and_its_parts_come_down(world: World, tmp_path: Path) -> None:
    world.client.post(world.link(topic=None))

    started = upload(world)
    assert started.status_code == 202, started.text
    assert list(started.json) == ["id", "status"]
    path = f"/v1/scrubs/{started.json['id']}"
    assert world.get(path).json["status"] == "queued"
    work(world)

    found = world.get(path).json
    assert (found["status"], found["error"], found["ledger_position"]) == ("done", None, 1)
    assert found["counts"] == {"rows": 3, "kept": 1, "blocked": 1, "rejected": 1}
    assert found["reasons"] == {"unsubscribed": 1, "no_at_sign": 1}
    assert (found["columns"], found["key_only"], found["progress"]) == (["email"], 0, None)
    parts = {part: world.get(url.removeprefix(world.services.base_url)) for part, url in found["links"].items()}
    assert parts["kept"].data == b"id,email\n2,ben@example.com\n"
    assert parts["kept"].headers["Content-Disposition"] == "attachment; filename=kept.csv"
    assert parts["kept"].headers["Cache-Control"] == "no-store"
    assert b"1,ada@example.com,blocked,unsubscribed,email," in parts["blocked"].data
    assert b'4,no_at_sign,email,"3,nobody"' in parts["rejected"].data
    assert json.loads(parts["certificate"].data)["files"]["kept"]["rows"] == 1
    for answer in parts.values():
        answer.close()


def test_a_parquet_file_comes_back_as_parquet(world: World, tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "people.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS id, 'ben@example.com' AS email) TO '{path}' (FORMAT parquet)")
    number = upload(world, path.read_bytes()).json["id"]
    work(world)

    kept = world.get(f"/v1/scrubs/{number}/kept")
    (tmp_path / "kept.parquet").write_bytes(kept.data)
    kept.close()
    assert duckdb.sql(f"FROM '{tmp_path / 'kept.parquet'}'").fetchall() == [(1, "ben@example.com")]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"topic": "nope"}, "topic"),
        ({"topic": None}, "topic"),
        ({"channel": None}, "channel"),
        ({"channel": "fax"}, "channel"),
        ({"column": "mail"}, "column"),
        ({"hashed": "crc"}, "hashed"),
        ({"country": "Germany"}, "country"),
        ({"country": "UK"}, "country"),
        ({"at": "tomorrow"}, "at"),
        ({"at": "2026-11-24T13:00:00"}, "at"),
        ({"at": "2020-01-01T00:00:00Z"}, "at"),
        ({"sender": "nope"}, "sender"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_scrubbed_is_422_at_once_and_leaves_nothing(
    world: World, tmp_path: Path, fields: dict[str, Any], field: str
) -> None:
    answer = upload(world, **fields)

    assert answer.status_code == 422, answer.text
    assert [one["field"] for one in answer.json["errors"]] == [field]
    assert [one for one in (tmp_path / "var").rglob("*") if "people" in one.name or "audience" in one.name] == []
    assert list((tmp_path / "var" / "uploads").glob("*")) == []


def test_json_is_415_and_a_narrow_key_403(world: World) -> None:
    key = world.services.keys.create("narrow", ["read"])

    assert world.post("/v1/scrubs", {"channel": "email"}).status_code == 415
    assert upload(world, key=key).status_code == 403


def test_another_key_sees_no_scrub_of_ours_and_no_part_of_it(world: World) -> None:
    mine, theirs = (world.services.keys.create(name, ["decide"]) for name in ("mine", "theirs"))
    number = upload(world, key=mine).json["id"]
    work(world)

    for path in (f"/v1/scrubs/{number}", f"/v1/scrubs/{number}/kept"):
        assert world.get(path, key=theirs).status_code == 404
        found = world.get(path, key=mine)
        assert found.status_code == 200
        found.close()
    for path in ("/v1/scrubs/scr_0", f"/v1/scrubs/{number}/audience", f"/v1/scrubs/{number}/..%2f..%2fprefs.db"):
        assert world.get(path, key=mine).status_code == 404


def test_the_same_upload_with_its_key_is_one_scrub(world: World) -> None:
    first, again = (upload(world, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    other = upload(world, PEOPLE + b"4,x@example.com\n", headers={"Idempotency-Key": "k1"})

    assert first.json == again.json
    assert other.status_code == 409


def test_after_a_day_the_files_are_gone(world: World, tmp_path: Path) -> None:
    number = upload(world).json["id"]
    work(world)
    world.clock.forward(hours=25)
    work(world)

    found = world.get(f"/v1/scrubs/{number}").json
    assert (found["status"], found["links"]) == ("expired", {})
    assert world.get(f"/v1/scrubs/{number}/kept").status_code == 404
    assert list((tmp_path / "var" / "scrubs").iterdir()) == []
    world.clock.forward(days=30)
    work(world)
    assert world.get(f"/v1/scrubs/{number}").status_code == 404


def test_a_scrub_whose_worker_died_is_gone_on_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    number = upload(world).json["id"]
    with monkeypatch.context() as broken:
        broken.setattr("prefs.services.scrub_jobs.ScrubJobs._run", lambda *_: None)  # claimed, and then killed
        work(world)
    world.services.scrub_jobs._turn.release()
    assert world.get(f"/v1/scrubs/{number}").json["status"] == "running"

    world.clock.forward(seconds=60)
    work(world)
    assert world.get(f"/v1/scrubs/{number}").json["status"] == "running"
    world.clock.forward(seconds=61)
    work(world)

    assert world.get(f"/v1/scrubs/{number}").json["status"] == "done"


def test_an_outage_is_waited_out_and_a_broken_file_fails_with_a_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefs.errors import InvalidInput, StoreUnavailable

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    waiting = upload(world).json["id"]
    with monkeypatch.context() as broken:
        broken.setattr("prefs.services.scrub.Scrub.run", away)
        work(world)
    assert world.get(f"/v1/scrubs/{waiting}").json["status"] == "running"
    world.clock.forward(seconds=121)
    work(world)
    assert world.get(f"/v1/scrubs/{waiting}").json["status"] == "done"

    def bad(*_: object) -> None:
        raise InvalidInput("This is not a Parquet file.")

    failing = upload(world).json["id"]
    monkeypatch.setattr("prefs.services.scrub.Scrub.run", bad)
    work(world)
    found = world.get(f"/v1/scrubs/{failing}").json
    assert (found["status"], found["error"]) == ("failed", "This is not a Parquet file.")


def test_a_database_that_stays_away_ends_a_scrub_after_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefs.errors import StoreUnavailable

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr("prefs.services.scrub.Scrub.run", away)
    number = upload(world).json["id"]
    for _ in range(24):
        work(world)
        assert world.get(f"/v1/scrubs/{number}").json["status"] == "running"
        world.clock.forward(hours=1)
    work(world)

    found = world.get(f"/v1/scrubs/{number}").json
    assert (found["status"], found["error"]) == (
        "failed",
        "The database could not be asked for a day. Send the file again.",
    )


def test_a_database_cut_off_in_the_middle_of_a_copy_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    import psycopg

    error = sqlite3.OperationalError if world.services.kit.store.is_sqlite else psycopg.OperationalError

    def cut_off(*_: object) -> None:
        raise error("the connection is lost")

    number = upload(world).json["id"]
    with monkeypatch.context() as broken:
        broken.setattr("prefs.storage.facts.copy_facts", cut_off)
        work(world)
    assert world.get(f"/v1/scrubs/{number}").json["status"] == "running"
    world.clock.forward(seconds=121)
    work(world)

    assert world.get(f"/v1/scrubs/{number}").json["status"] == "done"


def test_while_a_scrub_runs_it_tells_how_far_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefs.errors import StoreUnavailable

    def half(_self: object, _order: object, told: Any) -> None:
        for fraction in (0.5, 0.6):  # the second comes too soon to be noted
            told("reading", fraction, 10)
        raise StoreUnavailable("away")

    number = upload(world).json["id"]
    assert world.get(f"/v1/scrubs/{number}").json["progress"] is None
    monkeypatch.setattr("prefs.services.scrub.Scrub.run", half)
    work(world)

    assert world.get(f"/v1/scrubs/{number}").json["progress"] == {"step": "reading", "rows_done": 5, "rows": 10}


def test_a_caller_learns_why_unknown_hashes_are_unavailable(world: World) -> None:
    import hashlib

    world.client.post(world.link())  # a link names a key only
    content = f"h\n{hashlib.md5(b'new@example.com').hexdigest()}\n".encode()
    number = upload(world, content, topic="product-offers", hashed="md5").json["id"]
    work(world)

    found = world.get(f"/v1/scrubs/{number}").json
    assert (found["reasons"], found["key_only"]) == ({"unavailable": 1}, 1)
