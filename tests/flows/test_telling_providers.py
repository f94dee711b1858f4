"""Providers are told of a deletion and of a corrected address, however long they are away (GDPR 19)."""

import json

import pytest

from prefs.storage import requests
from prefs.storage.requests import NoticeRow
from tests.double.provider import ProviderDouble
from tests.flows.test_real_providers import live, send
from tests.make import ADA, BEN, World
from tests.services.test_access import fetch
from tests.services.test_erasure import erase
from tests.services.test_rectifying import correct

__all__ = ["live"]


def notices(world: World, number: int = 1) -> dict[str, NoticeRow]:
    with world.services.kit.store.read() as connection:
        return {one.provider: one for one in requests.notices(connection, [number])}


def test_sendgrid_erases_and_gets_our_suppression_again_at_once_and_a_day_later(
    live: World, double: ProviderDouble
) -> None:
    live.know()
    erase(live)
    live.work()

    assert (double.erased, double.suppressed) == ([ADA], [ADA])
    first = notices(live)["sendgrid"]
    assert (first.status, first.sealed is None) == ("again", False)
    assert first.provider_ref

    double.suppressed.clear()  # what the erasure, carried out later, may do
    live.clock.forward(days=1)
    live.work()

    assert (double.erased, double.suppressed) == ([ADA], [ADA])
    told = notices(live)["sendgrid"]
    assert (told.status, told.sealed, told.done_at) == ("done", None, live.clock.at)


def test_twilio_deletes_its_records_of_the_texts(live: World, double: ProviderDouble) -> None:
    live.know(("sms", BEN))
    send(live, "account", BEN, "sms")
    assert len(double.messages) == 1

    erase(live, BEN)
    live.work()

    assert double.messages == []
    assert notices(live)["twilio"].status == "done"


@pytest.mark.parametrize("how", [{"status": 503}, {"status": 429}, {"status": 403}, {"drop": "after"}])
def test_a_provider_that_is_away_is_told_once_it_is_back(
    live: World, double: ProviderDouble, how: dict[str, object]
) -> None:
    live.know()
    live.work()  # the hourly comparison has had its turn: what fails below is the telling
    double.fail_next("sendgrid", times=4, **how)
    erase(live)
    live.work()
    waiting = notices(live)["sendgrid"]
    assert (waiting.status, waiting.done_at) == ("queued", None)
    assert waiting.problem
    assert ADA not in waiting.problem

    for _ in range(10):
        live.clock.forward(hours=6)
        live.work()

    assert ADA in double.erased
    assert double.suppressed == [ADA]
    assert notices(live)["sendgrid"].status == "done"


def test_after_a_month_it_is_left_for_a_person_and_the_address_is_not_kept_for_it(
    live: World, double: ProviderDouble
) -> None:
    live.know()
    double.fail_next("sendgrid", times=10_000, status=503)
    erase(live)
    live.work()

    live.clock.forward(days=31)
    live.work()

    given_up = notices(live)["sendgrid"]
    assert (given_up.status, given_up.sealed) == ("failed", None)
    assert given_up.problem == "SendGrid answered 503."


def test_a_corrected_address_is_stopped_at_the_provider_and_the_copy_names_it(
    live: World, double: ProviderDouble
) -> None:
    live.know()
    correct(live)
    live.work()
    assert (double.erased, double.suppressed) == ([], [ADA])
    live.services.requests.answer(1, "robin", "Corrected.")
    live.work()

    item = live.post("/v1/privacy-requests", {"kind": "access", "contact": "ada"})
    assert item.status_code == 201
    live.services.requests.record_proof(2, "robin", "Voice.")
    live.services.requests.answer(2, "robin", "Here.")
    live.work()

    mail = double.mails[-1]
    text = mail["content"][0]["value"]
    path = text[text.index(live.services.base_url + "/rights/") :].split()[0].removeprefix(live.services.base_url)
    copy = json.loads(fetch(live, path).data)
    assert copy["providers"]["carry_messages"] == {"email": "sendgrid", "sms": "twilio"}
    assert [(one["provider"], one["what"], one["status"]) for one in copy["providers"]["told"]] == [
        ("sendgrid", "suppress", "done")
    ]


def test_nothing_is_queued_where_no_provider_holds_anything(world: World) -> None:
    world.know()

    erase(world)

    assert notices(world) == {}


def test_the_last_mail_leaves_no_message_behind(live: World, double: ProviderDouble) -> None:
    from sqlalchemy import func, select

    from prefs.storage.tables import message, outbox

    live.know()
    erase(live)
    live.work()

    assert "We have deleted your data" in double.mails[-1]["content"][0]["value"]
    with live.services.kit.store.read() as connection:
        for table in (message, outbox):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
