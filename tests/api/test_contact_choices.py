"""A contact's choices and history over HTTP (contract D28)."""

from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.make import ADA, BEN, NOON, World


def patch(world: World, *changes: dict[str, Any], key: str | None = None, contact: str = "ada", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {key or world.key}"}
    body = {"changes": changes, "source": "phone", **more}
    answer: TestResponse = world.client.patch(f"/v1/contacts/{contact}/preferences", json=body, headers=headers)
    return answer


def results(world: World, *changes: dict[str, Any], **more: Any) -> list[tuple[str, str | None]]:
    answer = patch(world, *changes, **more)
    assert answer.status_code == 200, answer.text
    return [(one["result"], one["code"]) for one in answer.json["data"]]


def choices(world: World) -> dict[tuple[str, str], tuple[bool, str | None]]:
    answer = world.get("/v1/contacts/ada/preferences")
    assert answer.status_code == 200, answer.text
    return {(one["channel"], one["topic"]): (one["send"], one["reason"]) for one in answer.json["data"]}


def test_choices_say_what_is_sent_and_why_not(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:surveys"})

    found = choices(world)

    assert found["email", "events"] == (True, None)
    assert found["email", "surveys"] == (False, "unsubscribed")
    assert found["sms", "events"] == (False, "no_consent")
    assert all(topic != "account" for _, topic in found)


def test_a_bounced_address_is_no_choice(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "reason": "hard_bounce"})

    assert choices(world)["email", "events"] == (True, None)
    assert world.decide()["reason"] == "hard_bounce"


def test_a_stop_counts_at_once_for_its_topic_only(world: World) -> None:
    world.know()

    assert results(world, {"channel": "email", "topic": "events", "send": False}) == [("stopped", None)]

    assert world.decide(topic="events")["reason"] == "unsubscribed"
    assert world.decide(topic="product-offers")["allowed"] is True


def test_a_stop_without_a_topic_is_all_marketing_of_the_channel_on_every_address(world: World) -> None:
    world.know(("email", ADA), ("email", "ada@work.example"))

    assert results(world, {"channel": "email", "send": False}) == [("stopped", None)] * 2

    assert world.decide()["scope"] == "all"
    assert world.decide(to="ada@work.example")["allowed"] is False
    assert world.decide(topic="account")["allowed"] is True


def test_a_stop_on_one_address_leaves_the_other(world: World) -> None:
    world.know(("email", ADA), ("email", "ada@work.example"))

    results(world, {"channel": "email", "to": "ADA@example.com", "send": False})

    assert world.decide()["allowed"] is False
    assert world.decide(to="ada@work.example")["allowed"] is True


def test_a_start_needs_the_scope_consent_and_nothing_is_stored_without(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    key = world.services.keys.create("crm", ["contacts"])

    refused = patch(
        world,
        {"channel": "email", "send": False},
        {"channel": "sms", "topic": "events", "send": True},
        key=key,
    )

    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert world.entries() == []
    assert patch(world, {"channel": "email", "send": False}, key=key).status_code == 200


def test_a_start_is_an_express_consent(world: World) -> None:
    world.know(("sms", BEN))

    assert results(world, {"channel": "sms", "topic": "events", "send": True}) == [("started", None)]

    assert world.decide("sms", BEN, "events")["allowed"] is True
    assert world.decide("sms", BEN, "surveys")["reason"] == "no_consent"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(None, ("refused", "later_opt_out"), id="no time"),
        pytest.param(-1, ("refused", "later_opt_out"), id="told before the stop"),
        pytest.param(1, ("started", None), id="told after the stop"),
    ],
)
def test_a_start_never_outranks_a_later_stop(world: World, told: int | None, expected: Any) -> None:  # contract D7
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    world.clock.forward(hours=2)
    stated = {} if told is None else {"occurred_at": (NOON + timedelta(hours=told)).isoformat()}

    assert results(world, {"channel": "email", "topic": "events", "send": True}, **stated) == [expected]

    assert world.decide(topic="events")["allowed"] is (expected[0] == "started")


def test_a_complaint_is_not_taken_back_by_a_caller(world: World) -> None:  # contract D9
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "reason": "complaint"})
    world.clock.forward(hours=2)
    told = (NOON + timedelta(hours=1)).isoformat()

    found = results(world, {"channel": "email", "topic": "events", "send": True}, occurred_at=told)

    assert found == [("refused", "later_opt_out")]


def test_a_refused_start_keeps_no_stop_from_counting(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.post("/v1/suppressions", {"channel": "sms", "to": BEN})

    found = results(
        world,
        {"channel": "sms", "topic": "events", "send": True},
        {"channel": "email", "topic": "events", "send": False},
    )

    assert found == [("stopped", None), ("refused", "later_opt_out")]
    assert world.decide(topic="events")["allowed"] is False


def test_only_events_please_is_one_report(world: World) -> None:
    world.know()

    found = results(
        world,
        {"channel": "email", "topic": "events", "send": True},
        {"channel": "email", "send": False},
    )

    assert found == [("stopped", None), ("started", None)]
    assert world.decide(topic="events")["allowed"] is True
    assert world.decide(topic="surveys")["allowed"] is False


def test_the_same_report_again_changes_nothing(world: World) -> None:  # promise 5
    world.know()
    change = {"channel": "email", "send": False}
    results(world, change)
    entries = world.entries()

    assert results(world, change) == [("unchanged", None)]
    assert world.entries() == entries


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channel": "email", "send": True}, "changes.0.topic"),
        ({"channel": "email", "send": False, "topic": "no-such"}, "changes.0.topic"),
        ({"channel": "email", "send": False, "topic": "account"}, "changes.0.topic"),
        ({"channel": "email", "send": False, "to": "ben@example.com"}, "changes.0.to"),
        ({"channel": "email", "send": False, "to": "nobody"}, "changes.0.to"),
        ({"channel": "postal", "send": False}, "changes.0.channel"),
        ({"channel": "email", "send": "no"}, "changes.0.send"),
    ],
)
def test_a_change_that_cannot_be_is_named_and_nothing_is_stored(
    world: World, change: dict[str, Any], field: str
) -> None:
    world.know()

    answer = patch(world, change)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field
    assert world.entries() == []


def test_a_report_from_the_future_is_refused(world: World) -> None:
    world.know()

    answer = patch(world, {"channel": "email", "send": False}, occurred_at="2027-01-01T00:00:00Z")

    assert answer.json["errors"][0]["field"] == "occurred_at"


def test_history_has_every_entry_oldest_first_in_parts(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    patch(world, {"channel": "email", "send": False}, evidence={"call": "4711"})
    world.consent()
    world.post("/v1/suppressions", {"channel": "any", "contact": "ada"})
    world.post("/v1/suppressions", {"channel": "email", "to": "else@example.com"})

    first = world.get("/v1/contacts/ada/history?limit=2").json
    rest = world.get(f"/v1/contacts/ada/history?limit=2&after={first['next']}").json

    lines = first["data"] + rest["data"]
    assert [(one["act"], one["channel"], one["to"]) for one in lines] == [
        ("opt_out", "email", ADA),
        ("opt_in", "sms", BEN),
        ("opt_out", "any", None),
    ]
    assert rest["next"] is None
    assert "subject" not in lines[0]


@pytest.mark.parametrize("what", ["preferences", "history"])
def test_an_unknown_contact_is_404(world: World, what: str) -> None:
    assert world.get(f"/v1/contacts/nobody/{what}").status_code == 404
    assert patch(world, {"channel": "email", "send": False}, contact="nobody").status_code == 404
