"""``POST /v1/privacy-requests`` (contract section 6, scope ``admin``)."""

import pytest

from tests.make import ADA, World

LETTER = {
    "kind": "erasure",
    "channel": "email",
    "to": ADA,
    "received_by": "letter",
    "received_at": "2026-01-31T09:00:00Z",
}


def test_a_request_comes_back_with_its_clock_and_what_it_waits_for(world: World) -> None:
    answer = world.post("/v1/privacy-requests", LETTER)

    assert answer.status_code == 201
    assert answer.json == {
        "id": "PR-0001",
        "kind": "erasure",
        "status": "pending_verification",
        "identity": "pending_verification",
        "received_by": "letter",
        "received_at": "2026-01-31T09:00:00Z",
        "due_on": "2026-02-28",
        "act_by": None,
        "acted_at": None,
    }


def test_an_objection_acts_in_the_same_moment(world: World) -> None:
    world.know()

    answer = world.post("/v1/privacy-requests", {"kind": "objection", "contact": "ada", "received_by": "phone"})

    assert (answer.json["status"], answer.json["identity"]) == ("received", "not_needed")
    assert answer.json["act_by"] == "2026-12-08"
    assert world.decide()["reason"] == "objection"


def test_the_same_key_is_the_same_request(world: World) -> None:  # D26
    first, again = (world.post("/v1/privacy-requests", LETTER, **{"Idempotency-Key": "k1"}) for _ in range(2))

    assert first.json == again.json
    assert world.services.requests.listing("open", "").counts["open"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "forget"}, "kind"),
        ({"received_by": "owl"}, "received_by"),
        ({"received_at": "2030-01-01T00:00:00Z"}, "received_at"),
        ({"contact": "ada"}, "to"),
        ({"to": None}, "to"),
        ({"to": "nobody"}, "to"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(world: World, change: dict[str, object], field: str) -> None:
    body = {name: value for name, value in {**LETTER, **change}.items() if value is not None}

    answer = world.post("/v1/privacy-requests", body)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field
    assert ADA not in answer.text


def test_only_an_admin_key_may(world: World) -> None:
    other = world.services.keys.create("other", ("suppress", "contacts", "read"))

    assert world.post("/v1/privacy-requests", LETTER, key=other).status_code == 403


def test_an_unknown_contact_is_not_found(world: World) -> None:
    assert world.post("/v1/privacy-requests", {"kind": "access", "contact": "x"}).status_code == 404
