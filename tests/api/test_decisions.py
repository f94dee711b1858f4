"""Decisions over HTTP: answers, batches, refusals (contract section 6, D28)."""

import json
from typing import Any

import pytest
from sqlalchemy import event

from tests.make import ADA, World

QUESTION = {"channel": "email", "to": ADA, "topic": "product-offers"}


def test_an_answer_has_every_field_of_the_contract(world: World) -> None:
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})

    answer = world.decide()

    assert list(answer) == [
        "id", "allowed", "outcome", "reason", "channel", "to", "topic", "message_class", "scope", "since",
        "not_before", "alternative", "suppression_id", "ledger_position", "policy_version",
    ]  # fmt: skip
    assert answer | {"id": 0, "policy_version": 0} == {
        "id": 0, "allowed": False, "outcome": "blocked", "reason": "unsubscribed", "channel": "email", "to": ADA,
        "topic": "product-offers", "message_class": "marketing", "scope": "all", "since": "2026-11-24T17:00:00Z",
        "not_before": None, "alternative": None, "suppression_id": "sup_1", "ledger_position": 1, "policy_version": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status", "field", "code"),
    [
        pytest.param({"topic": "nope"}, 422, "topic", "unknown_topic", id="unknown topic"),
        pytest.param({"channel": "fax"}, 422, "channel", "invalid", id="unknown channel"),
        pytest.param({"message_class": "transactional"}, 422, "message_class", "conflicting_class", id="conflict"),
        pytest.param({"topic": None, "message_class": "marketing"}, 422, "topic", "missing", id="a class alone"),
        pytest.param({"brand": "nope"}, 422, "brand", "unknown_topic", id="unknown brand"),
        pytest.param({"sender": "nope"}, 422, "sender", "unknown_topic", id="unknown sender"),
        pytest.param({"sender": "sms-marketing"}, 422, "sender", "wrong_channel", id="a sender of another channel"),
        pytest.param({"to": 7}, 422, "to", "invalid", id="wrong type"),
        pytest.param({"to": None}, 422, "to", "missing", id="nobody"),
        pytest.param({"contact": "x"}, 422, "to", "missing", id="both an address and a contact"),
        pytest.param({"at": 0}, 422, "at", "invalid", id="a time as a number"),
        pytest.param({"at": "yesterday"}, 422, "at", "invalid", id="a time in words"),
        pytest.param({"country": "Germany"}, 422, "country", "invalid", id="a country in words"),
        pytest.param({"country": "UK"}, 422, "country", "invalid", id="a country that is none"),
        pytest.param({"colour": "red"}, 422, "colour", "unknown_field", id="an unknown field"),
        pytest.param({"explain": "yes"}, 422, "explain", "invalid", id="a word for a yes"),
    ],
)
def test_bad_fields_are_422_and_name_their_place(
    world: World, change: dict[str, Any], status: int, field: str, code: str
) -> None:
    body = {name: value for name, value in {**QUESTION, **change}.items() if value is not None}

    answer = world.post("/v1/decisions", body)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert [(one["field"], one["code"]) for one in answer.json["errors"]] == [(field, code)]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b'{"channel": "email", "channel": "sms", "to": "a@b.org"}',
        b'{"channel": NaN}',
        b'{"channel": 1' + b"0" * 5000 + b"}",
        b'{"to": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"to": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"to": "\\ud800"}',
        b'{"to": "a\\u0000b"}',
        b"\xff\xfe",
        b'{"to": "' + b"x" * 20_000 + b'"}',
    ],
)
def test_malformed_json_is_400_and_never_500(world: World, raw: bytes) -> None:  # reliability.md V40
    headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/json"}

    answer = world.client.post("/v1/decisions", data=raw, headers=headers)

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_the_wrong_media_type_is_415_and_a_huge_body_413(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.key}"}
    assert world.client.post("/v1/decisions", data=b"{}", headers=headers).status_code == 415

    huge = json.dumps({"to": "x" * 2_000_000})
    answer = world.client.post("/v1/decisions", data=huge, headers=headers, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")


@pytest.mark.parametrize("key", [None, "", "prf_live_x", "Bearer", "prf_test_" + "0" * 80])
def test_no_key_or_a_made_up_one_is_401(world: World, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    answer = world.client.post("/v1/decisions", json=QUESTION, headers=headers)

    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


def test_a_key_does_only_what_its_scopes_say_and_nothing_once_revoked(world: World) -> None:
    key = world.services.keys.create("narrow", ["decide"])
    assert world.post("/v1/decisions", QUESTION, key=key).status_code == 200
    assert world.post("/v1/suppressions", {"channel": "email", "to": ADA}, key=key).status_code == 403

    world.services.keys.revoke(key.split("_")[2])

    assert world.post("/v1/decisions", QUESTION, key=key).status_code == 401


@pytest.mark.parametrize("to", ["not an address", "", "@", "a@b@c.org", "\u202e@x.org", "%@example.com"])
def test_text_that_is_no_address_is_blocked_and_never_an_error(world: World, to: str) -> None:
    answer = world.decide(to=to)

    assert answer["allowed"] is False or "%" in to  # a wildcard is a letter like any other (V13)
    assert answer["to"] == to


def test_a_batch_answers_in_order_and_one_bad_address_never_fails_it(world: World) -> None:
    world.client.post(world.link())
    to = [ADA, "bob@example.com", 7, "nobody", None, ADA.upper()]

    answer = world.post("/v1/decisions/batch", {"channel": "email", "topic": "product-offers", "to": to}).json

    assert [one["to"] for one in answer["decisions"]] == to
    assert [one["reason"] for one in answer["decisions"]] == [
        "unsubscribed", None, "invalid_address", "invalid_address", "invalid_address", "unsubscribed",
    ]  # fmt: skip
    assert answer["counts"] == {"allowed": 1, "blocked": 5, "deferred": 0}
    assert answer["ledger_position"] == 1


@pytest.mark.parametrize(("only", "expected"), [("blocked", [ADA]), ("allowed", ["bob@example.com"])])
def test_a_batch_can_be_trimmed(world: World, only: str, expected: list[str]) -> None:
    world.client.post(world.link())
    body = {"channel": "email", "topic": "product-offers", "to": [ADA, "bob@example.com"], "only": only}

    assert [one["to"] for one in world.post("/v1/decisions/batch", body).json["decisions"]] == expected


def test_the_number_of_statements_does_not_grow_with_the_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        world.client.post(world.link(f"p{number}@example.com"))
    asked: list[int] = []
    store = type(world.services.kit.store)
    really = store.ask
    monkeypatch.setattr(store, "ask", lambda self, *questions: asked.append(len(questions)) or really(self, *questions))
    others: list[str] = []
    event.listen(world.services.kit.store.engine, "before_cursor_execute", lambda *call: others.append(call[2]))

    for size in (1, 10, 10_000):
        to = [f"p{number}@example.com" for number in range(size)]
        answer = world.post("/v1/decisions/batch", {"channel": "email", "topic": "product-offers", "to": to})
        assert answer.json["counts"]["blocked"] == min(size, 30)

    assert asked == [1, 1, 1]
    assert [one for one in others if "address" in one] == []


def test_a_batch_of_fifty_thousand_is_taken_and_one_more_refused(world: World) -> None:
    body = {"channel": "sms", "topic": "events", "to": ["+14155550123"] * 50_000}
    assert world.post("/v1/decisions/batch", body).json["counts"]["blocked"] == 50_000

    body["to"].append("+14155550123")  # type: ignore[attr-defined]
    assert world.post("/v1/decisions/batch", body).status_code == 422


def test_a_receipt_of_somebody_elses_making_is_404(world: World) -> None:
    receipt = world.decide()["id"]

    for made_up in ("dec_", "dec_AAAA", receipt[:-1], receipt[:-2] + "xx", "é"):
        assert world.get(f"/v1/decisions/{made_up}").status_code == 404


def test_the_openapi_document_is_valid_and_names_every_endpoint(world: World) -> None:
    from openapi_spec_validator import validate

    document = world.client.get("/v1/openapi.json").json

    validate(document)
    assert {"/v1/decisions", "/v1/decisions/batch", "/v1/messages", "/v1/suppressions"} <= set(document["paths"])


def test_health_and_readiness(world: World) -> None:
    assert world.client.get("/healthz").status_code == 200
    assert world.client.get("/readyz").status_code == 200


def test_errors_carry_an_id_that_is_ours_or_the_callers(world: World) -> None:
    answer = world.post("/v1/decisions", {}, **{"X-Request-Id": "abc-1"})
    assert (answer.headers["X-Request-Id"], answer.json["request_id"]) == ("abc-1", "abc-1")

    answer = world.post("/v1/decisions", {}, **{"X-Request-Id": "a b\tc"})
    assert answer.headers["X-Request-Id"] != "a b\tc"
