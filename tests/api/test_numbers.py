"""Quiet hours, the registry, and numbers that changed hands, door to door: G-9, G-10, G-11, A-1, D15."""

from datetime import date

import pytest

from prefs.domain.terms import Reason
from tests.make import ADA, BEN, MARKETING_NUMBER, Clock, World

NIGHT = {"hours": 12}
"""From noon in New York to nine in the evening in California."""


def test_g9_at_night_marketing_waits_and_says_until_when(world: World) -> None:
    world.consent()
    world.clock.forward(**NIGHT)

    answer = world.decide("sms", BEN, "events")

    assert (answer["outcome"], answer["reason"]) == ("deferred", "quiet_hours")
    assert answer["not_before"] == "2026-11-25T16:00:00Z"
    assert answer["allowed"] is False


def test_g9_at_night_appointments_emails_and_answers_go_out(world: World) -> None:
    world.clock.forward(**NIGHT)

    assert world.decide("sms", BEN, "account")["allowed"] is True
    assert world.decide("email", ADA)["allowed"] is True


def test_g9_a_stop_outranks_the_hour(world: World) -> None:
    world.consent()
    world.text("STOP")
    world.clock.forward(**NIGHT)

    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_g9_at_moves_the_clock_of_the_hours(world: World) -> None:
    world.consent()

    assert world.decide("sms", BEN, "events", at="2026-11-25T05:00:00Z")["reason"] == "quiet_hours"
    assert world.decide("sms", BEN, "events", at="2026-11-25T17:00:00Z")["allowed"] is True


def test_d15_the_contacts_own_time_zone_decides(world: World) -> None:
    world.know(("sms", BEN), contact="ben", time_zone="Asia/Tokyo")
    world.consent()

    assert world.decide("sms", BEN, "events")["not_before"] == "2026-11-24T23:00:00Z"


def test_a_batch_waits_for_each_number_by_itself(world: World) -> None:
    east, west = "+12125550123", BEN
    world.consent(to=east)
    world.consent(to=west)
    world.clock.at = world.clock.at.replace(hour=14)

    answer = world.post("/v1/decisions/batch", {"channel": "sms", "topic": "events", "to": [east, west]}).json

    assert [one["outcome"] for one in answer["decisions"]] == ["allowed", "deferred"]
    assert answer["counts"] == {"allowed": 1, "blocked": 0, "deferred": 1}


def test_p2_a_deferred_decision_is_worked_out_again_with_its_hour(world: World) -> None:
    world.consent()
    world.clock.forward(**NIGHT)
    asked = world.decide("sms", BEN, "events", explain=True)
    world.clock.forward(days=3)

    again = world.get(f"/v1/decisions/{asked['id']}").json

    assert (again["outcome"], again["reason"], again["not_before"]) == ("deferred", "quiet_hours", asked["not_before"])
    assert next(step for step in again["steps"] if step["rule"] == "timing")["result"] == "defer"
    assert again["steps"] == asked["steps"]


def test_a_queued_campaign_waits_until_morning_and_then_asks_again(world: World) -> None:
    world.consent()
    world.clock.forward(**NIGHT)
    sent = world.post("/v1/messages", {"channel": "sms", "to": BEN, "topic": "events", "text": "Open day on Friday"})
    assert sent.json["status"] == "deferred"
    world.work()
    assert world.mails(BEN) == []

    world.clock.forward(hours=11)
    world.work()

    assert len(world.mails(BEN)) == 1


def test_g10_a_registry_copy_older_than_31_days_blocks_calls_nobody_agreed_to(build_calls: World) -> None:
    world = build_calls
    assert world.decide("voice", BEN, "calls")["reason"] == "dnc_scrub_stale"

    world.services.numbers.note_registry_copy(date(2026, 11, 1))
    assert world.decide("voice", BEN, "calls")["allowed"] is True
    assert world.decide("voice", BEN, "calls", at="2026-12-02T17:00:00Z")["allowed"] is True


@pytest.fixture
def build_calls(world: World) -> World:
    """A catalogue with a topic that may be called about without consent."""
    world.services.kit.catalogues.apply(
        '[[topic]]\nslug = "calls"\nname = "Calls"\nmessage_class = "marketing"\nneeds = {voice = "no_objection"}\n'
    )
    return world


def test_g10_on_day_32_the_copy_is_too_old_and_consent_makes_it_irrelevant(build_calls: World) -> None:
    world = build_calls
    world.services.numbers.note_registry_copy(date(2026, 11, 1))
    asked = world.decide("voice", BEN, "calls", at="2026-12-03T17:00:00Z", explain=True)
    assert asked["reason"] == "dnc_scrub_stale"
    assert world.get(f"/v1/decisions/{asked['id']}").json["reason"] == "dnc_scrub_stale"

    world.consent("voice", BEN, "calls")

    assert world.decide("voice", BEN, "calls", at="2026-12-03T17:00:00Z")["allowed"] is True


def test_g10_an_older_copy_never_takes_a_newer_ones_place(build_calls: World) -> None:
    world = build_calls
    world.services.numbers.note_registry_copy(date(2026, 11, 20))
    world.services.numbers.note_registry_copy(date(2026, 9, 1))

    assert world.decide("voice", BEN, "calls")["allowed"] is True


def test_g11_a_company_do_not_call_request_blocks_calls_and_texts_for_good(world: World) -> None:
    world.consent()
    world.post("/v1/suppressions", {"channel": "any", "to": BEN, "reason": "do_not_call", "source": "phone"})
    world.clock.forward(days=5 * 366 + 1)
    world.services.retention.run()

    assert world.decide("sms", BEN, "events")["reason"] == "do_not_call"
    assert world.decide("voice", BEN, "events")["reason"] == "do_not_call"


def test_a1_an_answer_of_yes_ends_the_consent_and_nothing_else_does(world: World, clock: Clock) -> None:
    numbers = ["+14155550111", "+14155550112", "+14155550113"]
    for number in numbers:
        world.consent(to=number)
    asked = list(world.services.numbers.questions())
    assert asked == [(number.removeprefix("+1"), date(2026, 11, 24)) for number in sorted_by(asked, numbers)]
    clock.forward(days=3)
    lines = ["number,date,answer"] + [
        f"{number.removeprefix('+1')},2026-11-24,{word}"
        for number, word in zip(numbers, ["yes", "no", "no data"], strict=True)
    ]

    answers = world.services.numbers.take_answers(lines, key="november")

    assert (answers.rows, answers.ended, answers.outdated, answers.unreadable) == (3, 1, 0, ())
    reasons = [world.decide("sms", number, "events")["reason"] for number in numbers]
    assert reasons == [Reason.NUMBER_REASSIGNED, None, None]
    assert world.services.numbers.take_answers(lines, key="november").ended == 0


def sorted_by(asked: list[tuple[str, date]], numbers: list[str]) -> list[str]:
    """The questions come by key, which says nothing about the number."""
    order = [number for number, _ in asked]
    return sorted(numbers, key=lambda number: order.index(number.removeprefix("+1")))


def test_a1_a_yes_about_an_older_consent_is_to_be_asked_again(world: World, clock: Clock) -> None:
    world.consent()
    clock.forward(days=10)
    world.consent(occurred_at="2026-12-04T10:00:00Z", source="shop")

    answers = world.services.numbers.take_answers(["4155550123,2026-11-24,yes"], key="december")

    assert (answers.ended, answers.outdated) == (0, 1)
    assert world.decide("sms", BEN, "events")["allowed"] is True


def test_a1_a_stop_outlives_the_number_and_a_new_consent_of_its_own_ends_the_loss(world: World, clock: Clock) -> None:
    world.consent()
    world.text("STOP")
    world.services.numbers.take_answers(["14155550123,2026-11-24,yes"], key="x")
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    clock.forward(days=1)
    world.text("START", to=MARKETING_NUMBER)
    assert world.decide("sms", BEN, "events")["reason"] == "number_reassigned"
    clock.forward(days=1)

    world.consent(occurred_at="2026-11-26T10:00:00Z")

    assert world.decide("sms", BEN, "events")["allowed"] is True


def test_an_answer_file_names_the_lines_it_could_not_read(world: World) -> None:
    answers = world.services.numbers.take_answers(["4155550123,yesterday,yes", "x,2026-01-01,yes"], key="odd")

    assert (answers.rows, answers.ended, answers.unreadable) == (2, 0, (1, 2))
