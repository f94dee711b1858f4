"""Contacts: who they are, and what joins them (contract D4, D10, D11; rules.md A-2, G-1, I13)."""

from typing import Any

from prefs.services.replay import replay
from tests.make import ADA, BEN, World


def save(world: World, name: str = "c-1", *addresses: tuple[str, str], **more: Any) -> Any:
    body = {"addresses": [{"channel": channel, "value": value} for channel, value in addresses], **more}
    headers = {"Authorization": f"Bearer {world.key}"}
    return world.client.put(f"/v1/contacts/{name}", json=body, headers=headers)


def test_a_contact_is_kept_with_its_addresses(world: World) -> None:
    saved = save(world, "c-1", ("email", ADA), ("sms", BEN), country="de")

    assert saved.status_code == 200
    assert world.get("/v1/contacts/c-1").json["country"] == "DE"
    assert {one["value"] for one in saved.json["addresses"]} == {ADA, BEN}
    assert world.get("/v1/contacts/nobody").status_code == 404


def test_d11_a_contact_in_the_eea_needs_consent_for_marketing_email(world: World) -> None:
    save(world, "c-1", ("email", ADA), country="DE")

    assert world.decide()["reason"] == "no_consent"
    assert world.decide(country="US")["allowed"] is True  # the question's own country comes first


def test_a_question_about_a_contact_answers_for_its_first_allowed_address(world: World) -> None:  # D28
    save(world, "c-1", ("email", ADA), ("email", "ada@work.example"))
    world.client.post(world.link())

    body = {"channel": "email", "contact": "c-1", "topic": "product-offers"}
    assert world.post("/v1/decisions", body).json["to"] == "ada@work.example"
    assert world.post("/v1/decisions", {**body, "contact": "nobody"}).status_code == 404


def test_a_stop_for_the_whole_contact_reaches_all_its_addresses(world: World) -> None:
    save(world, "c-1", ("email", ADA), ("sms", BEN))
    world.consent()

    world.post("/v1/suppressions", {"channel": "any", "contact": "c-1"})

    assert world.decide(explain=True)["steps"][2]["result"] == "block"  # stopped_all
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert replay(world.services.kit.store).differing == []


def test_a2_a_new_address_takes_the_persons_stops_over_and_the_old_one_keeps_its_own(world: World) -> None:
    save(world, "c-1", ("email", ADA))
    world.client.post(world.link())

    save(world, "c-1", ("email", "new@example.com"))

    assert world.decide(to="new@example.com")["reason"] == "unsubscribed"
    assert world.decide()["reason"] == "unsubscribed"
    assert world.decide(to="new@example.com", topic="events")["allowed"] is True
    assert replay(world.services.kit.store).differing == []


def test_d4_an_address_that_joins_passes_its_stops_on_every_channel_up(world: World) -> None:
    world.post("/v1/suppressions", {"channel": "any", "to": BEN})
    save(world, "c-1", ("email", ADA))
    assert world.decide()["allowed"] is True

    save(world, "c-1", ("sms", BEN))

    assert world.decide()["reason"] == "unsubscribed"


def test_afterwards_a_stop_on_one_address_leaves_the_others_alone(world: World) -> None:
    save(world, "c-1", ("email", ADA), ("email", "ada@work.example"))
    world.client.post(world.link())

    assert world.decide(to="ada@work.example")["allowed"] is True


def test_an_address_of_somebody_else_is_not_taken_away(world: World) -> None:
    save(world, "c-1", ("email", ADA))

    assert save(world, "c-2", ("email", ADA)).status_code == 409


def test_saving_a_contact_again_never_opts_anybody_in(world: World) -> None:  # V49
    save(world, "c-1", ("email", ADA))
    world.client.post(world.link())
    for _ in range(3):
        save(world, "c-1", ("email", ADA), country="US")

    assert world.decide()["allowed"] is False


def test_g1_a_stop_text_by_a_contact_in_the_eea_stops_their_email_too(world: World) -> None:
    save(world, "c-1", ("email", ADA), ("sms", BEN), country="FR")
    world.consent("email", ADA, "product-offers")
    assert world.decide()["allowed"] is True

    world.text("STOP")

    assert world.decide()["reason"] == "objection"
    assert world.decide(topic="activity")["allowed"] is True


def test_a_receipt_with_a_contact_is_worked_out_again_as_it_was(world: World) -> None:
    save(world, "c-1", ("email", ADA), ("sms", BEN), country="FR")
    world.consent("email", ADA, "product-offers")
    before = world.decide()
    world.text("STOP")
    after = world.decide()

    assert world.get(f"/v1/decisions/{before['id']}").json["allowed"] is True
    assert world.get(f"/v1/decisions/{after['id']}").json["reason"] == "objection"


def test_a_bad_address_names_its_place(world: World) -> None:
    answer = save(world, "c-1", ("email", ADA), ("sms", "hello"))

    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "addresses.1.value")
    assert world.get("/v1/contacts/c-1").status_code == 404
