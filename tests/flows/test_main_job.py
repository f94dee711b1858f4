"""Door to door: the promises of the mission, on both databases."""

from tests.make import ADA, BEN, SERVICE_NUMBER, World


def test_one_click_blocks_the_next_marketing_email_and_not_the_receipt(world: World) -> None:
    link = world.link()
    assert world.decide()["allowed"] is True

    answer = world.client.post(link, data={"List-Unsubscribe": "One-Click"})

    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "Set-Cookie" not in answer.headers
    assert world.decide()["reason"] == "unsubscribed"
    assert world.decide(topic="events")["allowed"] is True  # it stopped what its token named
    assert world.decide(topic="activity")["allowed"] is True


def test_a_stop_text_blocks_marketing_but_not_the_appointment(world: World) -> None:
    world.consent()
    assert world.decide("sms", BEN, "events")["allowed"] is True

    answer = world.text("Stop.")

    assert "no more marketing texts" in answer.text
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert world.decide("sms", BEN, "account")["allowed"] is True


def test_a_stop_to_a_service_number_stops_every_text_and_names_another_way(world: World) -> None:
    world.text("STOP", to=SERVICE_NUMBER)

    decision = world.decide("sms", BEN, "account")

    assert (decision["reason"], decision["alternative"]) == ("revoked_in_reply", "postal")


def test_what_is_queued_before_an_opt_out_is_not_handed_over_after_it(world: World) -> None:
    message = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "Offers", "text": "Hello"}
    queued = world.post("/v1/messages", message).json
    assert queued["status"] == "queued"

    world.client.post(world.link())
    world.services.worker.run_once()

    assert world.get(f"/v1/messages/{queued['id']}").json["status"] == "blocked"
    assert world.services.outbox.messages() == []


def test_a_marketing_mail_carries_both_headers_and_a_receipt_neither(world: World) -> None:
    for topic in ("product-offers", "activity"):
        body = {"channel": "email", "to": ADA, "topic": topic, "subject": "S", "text": "Hello"}
        assert world.post("/v1/messages", body).status_code == 202

    world.services.worker.run_once()

    receipt, offer = world.services.outbox.messages()
    assert receipt.headers == {}
    assert "Unsubscribe" not in receipt.text
    assert offer.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert offer.unsubscribe_url is not None
    assert offer.unsubscribe_url in offer.text


def test_the_page_stops_and_undo_restores_the_state_from_before(world: World) -> None:
    link = world.link()
    assert "Unsubscribe from all marketing emails" in world.client.get(link).text
    assert world.entries() == []

    pressed = world.client.post(f"{link}/stop", data={"scope": "all"})
    done = world.client.get(pressed.headers["Location"])

    assert (pressed.status_code, "You are unsubscribed" in done.text) == (303, True)
    assert world.decide(topic="events")["reason"] == "unsubscribed"

    world.client.post(f"{link}/undo")

    assert "Your choices are as they were before" in world.client.get(f"{link}/done").text
    assert world.decide(topic="events")["allowed"] is True


def test_a_spam_report_stops_all_marketing_and_only_the_person_ends_it(world: World) -> None:
    assert world.events(world.event("spamreport")).status_code == 204

    assert world.decide()["reason"] == "complaint"
    assert world.decide(topic="activity")["allowed"] is True
    world.clock.forward(hours=1)
    refused = world.consent("email", ADA, "product-offers", occurred_at="2026-11-24T17:30:00Z")
    assert (refused.status_code, refused.json["code"]) == (409, "later_opt_out")


def test_an_old_decision_is_worked_out_again_as_it_was(world: World) -> None:
    before = world.decide()
    world.client.post(world.link())
    after = world.decide()

    first = world.get(f"/v1/decisions/{before['id']}")
    assert first.json["allowed"] is True, first.text
    again = world.get(f"/v1/decisions/{after['id']}").json
    assert (again["reason"], again["suppression_id"]) == (after["reason"], after["suppression_id"])
    assert [step["result"] for step in again["steps"]].count("block") == 1
