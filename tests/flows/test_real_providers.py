"""The whole service with the real SDKs, against the providers' double."""

from collections.abc import Callable

import pytest

from tests.double.provider import ACCOUNT, SENDGRID_KEY, TOKEN, ProviderDouble
from tests.make import ADA, BEN, World

MARKETING, SERVICE = "MG" + "a" * 32, "MG" + "b" * 32


@pytest.fixture
def live(build_world: Callable[..., World], double: ProviderDouble) -> World:
    return build_world(
        PREFS_EMAIL_TRANSPORT="sendgrid",
        PREFS_SMS_TRANSPORT="twilio",
        TWILIO_ACCOUNT_SID=ACCOUNT,
        TWILIO_AUTH_TOKEN=TOKEN,
        TWILIO_API_BASE_URL=double.url,
        TWILIO_MARKETING_MESSAGING_SERVICE_SID=MARKETING,
        TWILIO_TRANSACTIONAL_MESSAGING_SERVICE_SID=SERVICE,
        SENDGRID_API_KEY=SENDGRID_KEY,
        SENDGRID_API_BASE_URL=double.url,
    )


def send(world: World, topic: str, to: str = ADA, channel: str = "email") -> str:
    body = {"channel": channel, "to": to, "topic": topic, "text": "Hello", "subject": "S"}
    answer = world.post("/v1/messages", body)
    assert answer.status_code == 202, answer.text
    world.services.worker.run_once()
    message: str = answer.json["id"]
    return message


def test_marketing_and_service_leave_by_different_senders(live: World, double: ProviderDouble) -> None:  # W-12, 5.4
    live.consent()
    send(live, "events", BEN, "sms")
    send(live, "account", BEN, "sms")
    send(live, "events")
    send(live, "activity")

    assert [one["messaging_service_sid"] for one in double.messages] == [MARKETING, SERVICE]
    offer, receipt = double.mails
    assert offer["from"]["email"] != receipt["from"]["email"]
    assert "headers" in offer["personalizations"][0]
    assert "headers" not in receipt["personalizations"][0]


def test_a_person_only_the_provider_knew_had_stopped_is_never_texted_again(live: World, double: ProviderDouble) -> None:
    live.consent()
    double.opt_out(BEN, MARKETING)

    message = send(live, "events", BEN, "sms")

    assert live.get(f"/v1/messages/{message}").json["status"] == "blocked"
    assert live.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert live.decide("sms", BEN, "account")["allowed"] is True


def test_an_answer_that_was_lost_never_sends_an_offer_twice(live: World, double: ProviderDouble) -> None:  # I19
    double.fail_next("sendgrid", drop="after")

    message = send(live, "product-offers")
    live.clock.forward(hours=1)
    live.services.worker.run_once()

    assert live.get(f"/v1/messages/{message}").json["status"] == "unknown"
    assert len(double.mails) == 1


def test_a_receipt_whose_answer_was_lost_is_sent_again_under_its_id(live: World, double: ProviderDouble) -> None:
    double.fail_next("sendgrid", drop="after")

    send(live, "activity")
    live.clock.forward(hours=1)
    live.services.worker.run_once()

    ids = {mail["personalizations"][0]["custom_args"]["message_id"] for mail in double.mails}
    assert (len(double.mails), len(ids)) == (2, 1)


def test_a_stop_to_the_messaging_service_is_a_stop_to_its_sender(live: World) -> None:
    from prefs import simulate

    live.consent()
    form = simulate.text_form(ACCOUNT, BEN, "+15559990000", "STOP", MessagingServiceSid=MARKETING)
    url = live.services.base_url + simulate.TEXTS_PATH
    live.client.post(simulate.TEXTS_PATH, data=form, headers=simulate.sign_text(TOKEN, url, form))

    assert live.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert live.decide("sms", BEN, "account")["allowed"] is True


def test_k3_service_mail_to_canada_has_one_line_to_stop_marketing(live: World, double: ProviderDouble) -> None:
    headers = {"Authorization": f"Bearer {live.key}"}
    body = {"addresses": [{"channel": "email", "value": ADA}], "country": "CA"}
    live.client.put("/v1/contacts/c-1", json=body, headers=headers)

    send(live, "activity")

    (mail,) = double.mails
    assert "To stop marketing:" in mail["content"][0]["value"]
    assert "headers" not in mail["personalizations"][0]


def test_a_signed_delivery_report_moves_the_message_on_and_a_forged_one_does_not(
    live: World, double: ProviderDouble
) -> None:
    from prefs import simulate

    message = send(live, "account", BEN, "sms")
    path = "/webhooks/twilio/status"
    form = {"AccountSid": ACCOUNT, "MessageSid": double.messages[0]["sid"], "MessageStatus": "delivered", "To": BEN}

    forged = live.client.post(path, data=form, headers={"X-Twilio-Signature": "x"})
    assert (forged.status_code, live.get(f"/v1/messages/{message}").json["status"]) == (403, "sent")

    headers = simulate.sign_text(TOKEN, live.services.base_url + path, form)
    assert live.client.post(path, data=form, headers=headers).status_code == 204
    assert live.get(f"/v1/messages/{message}").json["status"] == "delivered"
