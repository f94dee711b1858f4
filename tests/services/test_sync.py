"""``prefs sync twilio``: what Twilio remembers and we do not (reliability.md item 14, R5, A-1)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from prefs.domain.terms import Channel
from prefs.errors import ProviderError
from prefs.services.sync import Drift
from tests.double.provider import ACCOUNT, TOKEN, ProviderDouble
from tests.flows.test_real_providers import MARKETING, SERVICE
from tests.make import BEN, MARKETING_NUMBER, SERVICE_NUMBER, World


@pytest.fixture
def live(build_world: Callable[..., World], double: ProviderDouble) -> World:
    double.deactivated["2026-11-23"] = []
    return build_world(
        PREFS_SMS_TRANSPORT="twilio",
        TWILIO_ACCOUNT_SID=ACCOUNT,
        TWILIO_AUTH_TOKEN=TOKEN,
        TWILIO_API_BASE_URL=double.url,
        TWILIO_MARKETING_MESSAGING_SERVICE_SID=MARKETING,
        TWILIO_TRANSACTIONAL_MESSAGING_SERVICE_SID=SERVICE,
    )


def sync(world: World, *, dry_run: bool = False) -> Drift:
    assert world.services.sync is not None
    return world.services.sync.run(dry_run=dry_run)


def sent(world: World, double: ProviderDouble, body: str, minutes_ago: int, **more: object) -> str:
    at = world.clock.at - timedelta(minutes=minutes_ago)
    return double.logged(**{"from": BEN, "to": MARKETING_NUMBER, "body": body, "sent_at": at, **more})


def test_a_stop_that_never_reached_us_is_found_and_counts_from_when_it_was_sent(
    live: World,
    double: ProviderDouble,
) -> None:
    live.consent()
    live.clock.forward(hours=5)
    sent(live, double, "STOP", minutes_ago=180)

    drift = sync(live)

    assert (drift.texts_read, drift.stops_missed) == (1, 1)
    decision = live.decide("sms", BEN, "events")
    assert (decision["reason"], decision["since"]) == ("unsubscribed", "2026-11-24T19:00:00Z")


def test_a_stop_found_late_does_not_end_what_the_person_agreed_to_since(
    live: World,
    double: ProviderDouble,
) -> None:
    sent(live, double, "STOP", minutes_ago=180)
    live.consent(occurred_at="2026-11-24T16:30:00Z")

    sync(live)

    assert live.decide("sms", BEN, "events")["allowed"] is True


@pytest.mark.parametrize(("body", "reason"), [("please stop texting me", "unsubscribed"), ("see you at nine", None)])
def test_sentences_are_read_as_at_the_door_and_conversation_is_left_alone(
    live: World,
    double: ProviderDouble,
    body: str,
    reason: str | None,
) -> None:
    live.consent()
    live.clock.forward(hours=1)
    sent(live, double, body, minutes_ago=30)

    sync(live)

    assert live.decide("sms", BEN, "events")["reason"] == reason


def test_a_text_that_reached_us_is_not_drift(live: World, double: ProviderDouble) -> None:
    from prefs import simulate

    form = simulate.text_form(ACCOUNT, BEN, MARKETING_NUMBER, "STOP")
    headers = simulate.sign_text(TOKEN, live.services.base_url + simulate.TEXTS_PATH, form)
    assert live.client.post(simulate.TEXTS_PATH, data=form, headers=headers).status_code == 200
    double.logged(**{"from": BEN, "to": MARKETING_NUMBER, "body": "STOP", "sent_at": live.clock.at})
    double.messages[-1]["sid"] = form["MessageSid"]

    assert sync(live).stops_missed == 0


def test_r5_a_start_found_late_opts_nobody_in_and_is_counted(live: World, double: ProviderDouble) -> None:
    sent(live, double, "STOP", minutes_ago=120)
    sync(live)
    sent(live, double, "START", minutes_ago=10)

    drift = sync(live)

    assert drift.starts_left == 1
    assert live.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_an_opt_out_the_provider_held_becomes_ours(live: World, double: ProviderDouble) -> None:
    live.consent()
    live.clock.forward(hours=1)
    refused = {"direction": "outbound-api", "status": "failed", "error_code": 21610, "messaging_service_sid": MARKETING}
    sent(live, double, "Open day", minutes_ago=5, **{"from": None, "to": BEN, **refused})

    assert sync(live).opted_out_there == 1
    assert live.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert sync(live).opted_out_there == 0


def test_a_block_on_the_service_sender_leaves_marketing_choices_alone(
    live: World,
    double: ProviderDouble,
) -> None:
    refused = {"direction": "outbound-api", "status": "failed", "error_code": 21610, "messaging_service_sid": SERVICE}
    sent(live, double, "Your scan", minutes_ago=5, **{"from": None, "to": BEN, **refused})

    sync(live)

    assert live.decide("sms", BEN, "account")["reason"] == "provider_block"
    assert live.get(f"/v1/suppressions?channel=sms&to=%2B{BEN[1:]}").json["data"] == []


def test_again_changes_nothing_and_reads_only_what_is_new(live: World, double: ProviderDouble) -> None:
    live.consent()
    live.clock.forward(hours=30)
    sent(live, double, "STOP", minutes_ago=24 * 60)
    first = sync(live)
    before = live.entries()
    live.clock.forward(hours=2)

    second = sync(live)

    assert (first.texts_read, second.texts_read) == (1, 0)
    assert live.entries() == before


def test_the_log_is_read_page_by_page(live: World, double: ProviderDouble) -> None:
    for number in range(1_203):
        sent(live, double, "see you", minutes_ago=1 + number % 60)

    assert sync(live).texts_read == 1_203


def test_a_dry_run_says_what_is_missing_and_changes_nothing(live: World, double: ProviderDouble) -> None:
    sent(live, double, "STOP", minutes_ago=10)

    assert sync(live, dry_run=True).stops_missed == 1
    assert live.entries() == []
    assert sync(live).stops_missed == 1


def test_when_the_provider_is_away_the_mark_stays(live: World, double: ProviderDouble) -> None:
    sent(live, double, "STOP", minutes_ago=10)
    double.fail_next("twilio", times=5, status=500)
    with pytest.raises(ProviderError):
        sync(live)
    double._failures.clear()
    live.clock.forward(hours=3)

    assert sync(live).stops_missed == 1


def test_a1_deactivated_numbers_lose_their_consent_day_by_day(live: World, double: ProviderDouble) -> None:
    live.consent()
    sync(live)
    assert live.decide("sms", BEN, "events")["allowed"] is True
    live.clock.forward(days=2)
    double.deactivated |= {"2026-11-24": [BEN.removeprefix("+"), "14155559999"], "2026-11-25": ["14155559998"]}

    assert sync(live).numbers_deactivated == 1
    assert live.decide("sms", BEN, "events")["reason"] == "number_reassigned"
    assert live.decide("sms", "+14155559999", "events")["reason"] == "no_consent"


def test_the_worker_compares_once_an_hour(live: World, double: ProviderDouble) -> None:
    sent(live, double, "STOP", minutes_ago=10)
    live.work()
    assert live.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    asked = len(double.requests)
    live.work()
    assert len(double.requests) == asked

    live.clock.forward(hours=1)
    live.work()

    assert len(double.requests) > asked


def test_w7_a_whatsapp_stop_found_late_is_of_its_own_channel(live: World, double: ProviderDouble) -> None:
    live.consent("whatsapp")
    live.clock.forward(hours=1)
    sent(live, double, "STOP", minutes_ago=5, **{"from": f"whatsapp:{BEN}", "to": f"whatsapp:{SERVICE_NUMBER}"})

    sync(live)

    assert live.decide(str(Channel.WHATSAPP), BEN, "events")["reason"] == "unsubscribed"
