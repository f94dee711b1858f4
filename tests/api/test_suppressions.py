"""Suppressions, consents, links and idempotency over HTTP."""

from typing import Any

import pytest

from tests.make import ADA, BEN, World


def suppress(world: World, **more: Any) -> Any:
    return world.post("/v1/suppressions", {"channel": "email", "to": ADA, **more})


def test_a_new_suppression_is_201_and_the_same_again_200(world: World) -> None:
    first, second = suppress(world, source="letter"), suppress(world, source="letter")

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json["id"] == second.json["id"]
    assert world.decide()["suppression_id"] == first.json["id"]


def test_any_reaches_every_channel_the_address_can_carry(world: World) -> None:  # contract D4
    for channel in ("sms", "voice", "whatsapp"):
        world.consent(channel)

    world.post("/v1/suppressions", {"channel": "any", "to": BEN})

    for channel in ("sms", "voice", "whatsapp"):
        assert world.decide(channel, BEN, "events")["reason"] == "unsubscribed"


def test_a_bad_address_is_kept_apart_and_never_listed_as_a_suppression(world: World) -> None:  # contract D13
    suppress(world, reason="hard_bounce")

    assert world.decide()["reason"] == "hard_bounce"
    assert world.get(f"/v1/suppressions?channel=email&to={ADA}").json["data"] == []


def test_a_pause_needs_its_end_and_nothing_else_has_one(world: World) -> None:
    assert suppress(world, reason="snoozed").status_code == 422
    assert suppress(world, until="2027-01-01T00:00:00Z").status_code == 422
    assert suppress(world, reason="snoozed", until="2026-12-01T00:00:00Z").status_code == 201

    assert world.decide()["reason"] == "snoozed"
    assert world.decide(at="2026-12-01T00:00:00Z")["allowed"] is True


@pytest.mark.parametrize("reason", ["erased", "restricted", "quiet_hours", "no_consent", "nonsense"])
def test_reasons_that_are_not_for_callers_are_refused(world: World, reason: str) -> None:
    assert suppress(world, reason=reason).status_code == 422


def test_a_lift_needs_evidence_and_the_admin_scope_and_restores(world: World) -> None:
    made = suppress(world).json
    assert world.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter"}).status_code == 422

    lifted = world.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter", "evidence": "Letter of 3 May"})

    assert lifted.status_code == 200
    assert world.decide()["allowed"] is True
    assert world.post("/v1/suppressions/sup_999/lift", {"source": "x", "evidence": "x"}).status_code == 404


def test_a_batch_says_per_item_what_became_of_it(world: World) -> None:
    items = [{"channel": "email", "to": ADA}, {"channel": "email", "to": "nobody"}, {"channel": "email", "to": ADA}]

    found = world.post("/v1/suppressions/batch", {"suppressions": items}).json["data"]

    assert [one["status"] for one in found] == ["created", "invalid", "already"]
    assert found[1]["errors"][0]["field"] == "suppressions.1.to"


def test_a_consent_never_outranks_a_later_opt_out(world: World) -> None:  # contract D7, rules.md T-10
    world.text("STOP")

    for occurred_at in (None, "2026-11-24T16:00:00Z", "2026-11-24T17:00:00Z"):
        answer = world.consent(**({"occurred_at": occurred_at} if occurred_at else {}))
        assert (answer.status_code, answer.json["code"]) == (409, "later_opt_out")

    world.clock.forward(days=1)
    assert world.consent(occurred_at="2026-11-25T11:00:00Z").status_code == 201
    assert world.decide("sms", BEN, "events")["allowed"] is True
    assert world.decide("sms", BEN, "surveys")["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"kind": "implied"}, 422),
        ({"kind": "implied", "evidence": {"basis": "purchase", "basis_date": "2026-01-01"}}, 201),
        ({"kind": "implied", "expires_at": "2027-01-01T00:00:00Z"}, 201),
        ({"kind": "soft_opt_in", "evidence": {"sale_reference": "7"}}, 422),
        ({"kind": "own_act"}, 422),
        ({"kind": "pending"}, 422),
        ({"occurred_at": "2030-01-01T00:00:00Z"}, 422),
    ],
)
def test_weak_consents_need_their_evidence(world: World, more: dict[str, Any], status: int) -> None:  # G-6, D12
    assert world.consent("email", ADA, "events", **more).status_code == status


def test_an_idempotency_key_gives_the_same_answer_and_refuses_another_body(world: World) -> None:  # contract D26
    body = {"channel": "email", "to": ADA, "source": "letter"}
    first = world.post("/v1/suppressions", body, **{"Idempotency-Key": "k1"})
    again = world.post("/v1/suppressions", body, **{"Idempotency-Key": "k1"})
    other = world.post("/v1/suppressions", {**body, "to": "b@example.com"}, **{"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert first.json == again.json
    assert len(world.entries()) == 1


def test_a_message_with_the_same_key_is_queued_once(world: World) -> None:
    body = {"channel": "email", "to": ADA, "topic": "activity", "subject": "S", "text": "T"}
    answers = [world.post("/v1/messages", body, **{"Idempotency-Key": "m1"}) for _ in range(3)]
    world.services.worker.run_once()

    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(world.services.outbox.messages()) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"sender": "news"}, 409),
        ({"sender": "sms-service"}, 422),
        ({"topic": "nope"}, 422),
        ({"subject": None}, 422),
        ({"subject": "a\r\nBcc: x@y.org"}, 422),
        ({"text": None}, 422),
        ({"channel": "postal"}, 422),
    ],
)
def test_w12_a_message_that_cannot_be_sent_as_it_is_is_refused(
    world: World, change: dict[str, Any], status: int
) -> None:
    body = {"channel": "email", "to": ADA, "topic": "activity", "subject": "S", "text": "T", **change}

    answer = world.post("/v1/messages", {name: value for name, value in body.items() if value is not None})

    assert answer.status_code == status, answer.text


def test_links_write_nothing(world: World) -> None:  # contract section 4
    world.link("new@example.com")

    from sqlalchemy import func, select

    from prefs.storage.tables import address

    with world.services.kit.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(address)).scalar_one() == 0
