"""The privacy office's side of requests: intake, identity, clocks, log, answer (rules.md G-1, G-2, G-4, T-9)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.casework import NEEDS_PROOF, Did, Right
from prefs.services.requests import NewRequest, RequestItem
from tests.make import ADA, BEN, NOON, World

ROBIN, SAM = "robin", "sam"


def record(world: World, kind: Right, to: str = ADA, **more: object) -> RequestItem:
    channel = Channel.EMAIL if "@" in to else Channel.SMS
    wanted = NewRequest(kind=kind, channel=channel, to=to, **{"received_by": "letter", **more})  # type: ignore[arg-type]
    return world.services.requests.record(wanted, actor=ROBIN)


def log(world: World, number: int) -> list[Did]:
    return [line.did for line in world.services.requests.get(number).log]


@pytest.mark.parametrize("kind", sorted(NEEDS_PROOF))
def test_g2_whoever_asks_for_data_waits_until_staff_recorded_proof(world: World, kind: Right) -> None:
    world.know()
    item = record(world, kind)
    assert item.identity == "pending_verification"
    if kind is not Right.ERASURE:
        with pytest.raises(Conflict) as refusal:
            world.services.requests.answer(item.number, ROBIN, "Here it is.")
        assert refusal.value.code == "pending_verification"

    world.services.requests.record_proof(item.number, ROBIN, "Called back on the number we have; two questions.")

    detail = world.services.requests.get(item.number)
    assert (detail.item.identity, detail.verified_by) == ("checked", ROBIN)
    assert detail.log[-1].words.startswith("Called back")


@pytest.mark.parametrize("kind", sorted(set(Right) - NEEDS_PROOF))
def test_g2_objecting_and_restricting_are_never_checked(world: World, kind: Right) -> None:
    world.know()

    item = record(world, kind)

    assert item.identity == "not_needed"
    assert item.acted_at == NOON
    assert world.decide()["allowed"] is False
    assert world.services.requests.answer(item.number, ROBIN, "Done.") is True


@pytest.mark.parametrize(
    ("received", "due"),
    [
        pytest.param(datetime(2026, 1, 31, 9, tzinfo=UTC), date(2026, 2, 28), id="31 January"),
        pytest.param(datetime(2026, 2, 15, 9, tzinfo=UTC), date(2026, 3, 15), id="15 February"),
        pytest.param(datetime(2025, 11, 30, 9, tzinfo=UTC), date(2025, 12, 30), id="30 November"),
        pytest.param(datetime(2024, 1, 31, 9, tzinfo=UTC), date(2024, 2, 29), id="a leap year"),
    ],
)
def test_g2_the_due_date_counts_from_receipt_and_no_check_or_pause_moves_it(
    world: World, received: datetime, due: date
) -> None:
    item = record(world, Right.ACCESS, received_at=received)
    world.services.requests.pause(item.number, ROBIN, "Which account is meant?")
    world.clock.forward(days=3)
    world.services.requests.resume(item.number, ROBIN)
    world.services.requests.record_proof(item.number, ROBIN, "Came to the centre.")

    after = world.services.requests.get(item.number).item

    assert (item.due_on, after.due_on, after.paused_at) == (due, due, None)


def test_the_day_of_receipt_is_counted_where_the_person_lives(world: World) -> None:
    world.know(time_zone="America/Los_Angeles")

    item = record(world, Right.ACCESS, received_at=datetime(2026, 11, 2, 3, 0, tzinfo=UTC))

    assert item.received_on == date(2026, 11, 1)
    assert item.due_on == date(2026, 12, 1)


def test_g1_an_objection_by_letter_stops_all_marketing_to_the_person_on_every_channel(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN), country="DE")
    world.consent(topic="events")

    record(world, Right.OBJECTION, about="Leave me in peace.")

    assert world.decide()["reason"] == "objection"
    assert world.decide("sms", BEN, "events")["reason"] == "objection"
    assert world.decide("postal", "box 7")["allowed"] is True
    assert world.decide(topic="account")["allowed"] is True


def test_g1_a_limited_objection_stops_what_it_named_and_m3_says_so(world: World) -> None:
    world.know()

    record(world, Right.OBJECTION, scopes=("topic:surveys",))
    world.work()

    assert world.decide(topic="surveys")["reason"] == "objection"
    assert world.decide(topic="events")["allowed"] is True
    subjects = [mail.subject for mail in world.mails()]
    assert "We changed what we send you" in subjects
    changed = next(mail for mail in world.mails() if mail.subject == "We changed what we send you")
    assert "We stopped Surveys on every channel." in changed.text


def test_m1_follows_an_objection_to_everything_that_staff_took_down(world: World) -> None:
    world.know()

    record(world, Right.OBJECTION)
    world.work()

    assert "We have stopped our marketing emails" in [mail.subject for mail in world.mails()]


def test_t9_a_revocation_that_waited_longer_than_ten_business_days_is_shown_overdue(world: World) -> None:
    on_time = record(world, Right.OBJECTION, received_at=NOON - timedelta(days=14))
    late = record(world, Right.OBJECTION, BEN, received_at=NOON - timedelta(days=15))

    assert (on_time.act_by, on_time.acted_late) == (date(2026, 11, 24), False)
    assert (late.act_by, late.acted_late) == (date(2026, 11, 23), True)


def test_an_objection_counts_from_its_record_and_its_day_is_evidence(world: World) -> None:  # D7
    world.know()

    record(world, Right.OBJECTION, received_at=NOON - timedelta(days=5))

    (entry,) = world.entries()
    assert (entry.effective_at, entry.occurred_at) == (NOON, NOON - timedelta(days=5))


def test_g4_a_restriction_holds_service_messages_once_staff_confirmed_it_and_ends_with_its_request(
    world: World,
) -> None:
    world.know(("email", ADA), ("sms", BEN))
    item = record(world, Right.RESTRICTION)
    assert world.decide()["reason"] == "restricted"
    assert world.decide(topic="activity")["allowed"] is True

    world.services.requests.confirm_restriction(item.number, ROBIN, "Disputes the address.")
    assert world.decide(topic="activity")["reason"] == "restricted"
    assert world.decide("sms", BEN, "account")["reason"] == "restricted"
    world.services.requests.answer(item.number, ROBIN, "We hold it back.")
    assert world.services.requests.get(item.number).item.status == "in_force"
    assert world.decide(topic="activity")["reason"] == "restricted"

    world.services.requests.close(item.number, ROBIN, "Settled.")

    assert world.decide(topic="activity")["allowed"] is True
    assert world.decide()["allowed"] is True
    assert world.decide("sms", BEN, "account")["allowed"] is True
    assert log(world, item.number) == [Did.RECEIVED, Did.CONFIRMED, Did.ANSWERED, Did.CLOSED]


def test_a_stop_made_during_a_restriction_outlives_it(world: World) -> None:
    world.know()
    item = record(world, Right.RESTRICTION)
    world.client.post(world.link(topic=None))

    world.services.requests.withdraw(item.number, ROBIN, "Called: no longer wanted.")

    assert world.decide()["reason"] == "unsubscribed"


def test_more_time_is_taken_once_before_the_first_date_and_the_person_is_told_why(world: World) -> None:
    world.know()
    item = record(world, Right.ACCESS)
    with pytest.raises(InvalidInput):
        world.services.requests.extend(item.number, ROBIN, "  ")

    assert world.services.requests.extend(item.number, ROBIN, "Two archives have to be searched.") is True
    world.work()

    after = world.services.requests.get(item.number).item
    assert (after.first_due_on, after.due_on) == (date(2026, 12, 24), date(2027, 2, 24))
    (mail,) = [one for one in world.mails() if "we need until" in one.subject]
    assert "24 February 2027" in mail.subject
    assert "Two archives have to be searched." in mail.text
    with pytest.raises(Conflict) as refusal:
        world.services.requests.extend(item.number, ROBIN, "Again.")
    assert refusal.value.code == "extended_before"


def test_more_time_cannot_be_taken_once_the_first_date_has_passed(world: World) -> None:
    item = record(world, Right.ACCESS)
    world.clock.forward(days=31)

    with pytest.raises(Conflict) as refusal:
        world.services.requests.extend(item.number, ROBIN, "Late.")
    assert refusal.value.code == "too_late"


def test_staff_are_told_where_no_mail_could_go(world: World) -> None:
    item = record(world, Right.ACCESS, "stranger@example.com")

    assert world.services.requests.extend(item.number, ROBIN, "Archives.") is False
    with pytest.raises(Conflict) as refusal:
        world.services.requests.send_link(item.number, ROBIN)
    assert refusal.value.code == "no_address"
    world.work()
    assert world.mails("stranger@example.com") == []


def test_m4_comes_when_it_is_received_and_when_it_is_answered_and_the_answer_is_behind_the_link(world: World) -> None:
    world.know()
    item = record(world, Right.RECTIFICATION, received_by="phone")
    world.work()
    (first,) = world.mails()
    assert "We sent this because you made a request." in first.text
    world.services.requests.record_proof(item.number, ROBIN, "Two questions by phone.")

    assert world.services.requests.answer(item.number, ROBIN, "Your name is right now.\nSorry.") is True
    world.work()

    answered = world.mails()[0]
    assert answered.subject == "Your request PR-0001: our answer"
    assert "Your name is right now" not in answered.text
    page = world.client.get(world.link_in(answered, "/rights/")).text
    assert "Our answer" in page
    assert "Your name is right now." in page


def test_g2_a_press_behind_the_mailed_link_waits_until_staff_accept_it_as_proof(world: World) -> None:
    world.know()
    item = record(world, Right.ACCESS)
    world.services.requests.send_link(item.number, SAM)
    world.work()
    assert len(world.mails()) == 2

    with pytest.raises(Conflict) as early:
        world.services.requests.accept_press(item.number, SAM)
    assert early.value.code == "not_pressed"

    world.client.post(world.link_in(world.mails()[0], "/rights/") + "/confirm")

    pending = world.services.requests.get(item.number)
    assert (pending.item.identity, pending.verified_by) == ("pending_verification", None)
    with pytest.raises(Conflict) as refusal:
        world.services.requests.answer(item.number, SAM, "Here it is.")
    assert refusal.value.code == "pending_verification"

    world.services.requests.accept_press(item.number, SAM)
    world.services.requests.accept_press(item.number, ROBIN)

    detail = world.services.requests.get(item.number)
    assert (detail.item.identity, detail.verified_by, detail.item.owner) == ("checked", SAM, SAM)
    assert log(world, item.number) == [Did.RECEIVED, Did.LINK_SENT, Did.LINK_PRESSED, Did.VERIFIED]


@pytest.mark.parametrize("kind", ["objection", "access"])
def test_g2_a_press_counts_only_where_proof_is_needed_and_the_request_is_open(world: World, kind: str) -> None:
    from tests.web.test_rights import ask

    world.know()
    ask(world, kind)
    world.work()
    pressed = world.link_in(world.mails()[0], "/rights/") + "/confirm"
    if kind == "access":
        world.services.requests.withdraw(1, ROBIN, "They called.")

    world.client.post(pressed)

    assert Did.LINK_PRESSED not in log(world, 1)


def test_a_press_ends_the_wait_for_the_person(world: World) -> None:
    world.know()
    item = record(world, Right.ACCESS)
    world.services.requests.pause(item.number, ROBIN, "Their press.")
    world.work()

    world.client.post(world.link_in(world.mails()[0], "/rights/") + "/confirm")

    assert world.services.requests.get(item.number).item.paused_at is None


def test_the_progress_page_of_the_typing_browser_never_shows_the_answer(world: World) -> None:
    from tests.web.test_rights import ask

    world.know()
    progress = ask(world, "rectification").partition("?")[0]
    world.services.requests.record_proof(1, ROBIN, "Known voice.")
    world.services.requests.answer(1, ROBIN, "The secret answer.")

    assert "The secret answer." not in world.client.get(progress).text


def test_a_request_is_one_persons_until_they_give_it_back(world: World) -> None:
    item = record(world, Right.ACCESS)
    world.services.requests.take(item.number, ROBIN)
    with pytest.raises(Conflict) as refusal:
        world.services.requests.take(item.number, SAM)
    assert refusal.value.code == "request_taken"

    world.services.requests.release(item.number, ROBIN)
    world.services.requests.take(item.number, SAM)

    assert world.services.requests.get(item.number).item.owner == SAM
    assert world.services.requests.listing("mine", SAM).counts == {"open": 1, "mine": 1, "nobody": 0, "answered": 0}


def test_the_list_has_the_nearest_deadline_first_and_says_what_presses(world: World) -> None:
    late = record(world, Right.ACCESS, received_at=NOON - timedelta(days=31))
    today = record(world, Right.ERASURE, BEN, received_at=NOON - timedelta(days=30))
    calm = record(world, Right.ACCESS, "c@example.com")
    done = record(world, Right.OBJECTION, "d@example.com", received_at=NOON - timedelta(days=9))
    world.services.requests.answer(done.number, ROBIN, "Done.")

    found = world.services.requests.listing("open", ROBIN)

    assert [one.number for one in found.items] == [late.number, today.number, calm.number]
    assert [one.number for one in found.overdue] == [late.number]
    assert [one.number for one in found.due_today] == [today.number]
    assert found.counts == {"open": 3, "mine": 0, "nobody": 3, "answered": 1}
    assert (found.figures.answered, found.figures.on_time, found.figures.typical_days) == (1, 1, 9)
    assert found.items[0].masked == "a••@example.com"


def test_a_request_about_a_contact_reaches_all_their_addresses(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.consent(topic="events")

    item = world.services.requests.record(NewRequest(kind=Right.OBJECTION, contact="ada"), actor=ROBIN)

    assert item.masked == "a••@example.com"
    assert world.decide("sms", BEN, "events")["reason"] == "objection"
    with pytest.raises(NotFound):
        world.services.requests.record(NewRequest(kind=Right.ACCESS, contact="nobody"))


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        pytest.param({"received_at": NOON + timedelta(minutes=1)}, "received_at", id="the future"),
        pytest.param({"received_by": "pigeon"}, "received_by", id="no such door"),
        pytest.param({"about": "x" * 4001}, "about", id="too long"),
        pytest.param({"scopes": ("topic:events",)}, "scopes", id="only an objection is limited"),
        pytest.param({"contact": "ada"}, "to", id="both an address and a contact"),
        pytest.param({"to": None, "channel": None}, "to", id="neither"),
    ],
)
def test_a_request_that_cannot_be_says_what_to_mend(world: World, wanted: dict[str, object], field: str) -> None:
    given = {"kind": Right.ACCESS, "channel": Channel.EMAIL, "to": ADA, **wanted}

    with pytest.raises(InvalidInput) as refusal:
        world.services.requests.record(NewRequest(**given))  # type: ignore[arg-type]

    assert refusal.value.field == field


def test_asking_does_not_make_us_know_an_address(world: World) -> None:
    from sqlalchemy import select

    from prefs.storage.tables import address

    record(world, Right.ACCESS, "stranger@example.com")

    with world.services.kit.store.read() as connection:
        assert list(connection.execute(select(address.c.sealed)).scalars()) == [None]


def test_a_closed_request_stays_closed(world: World) -> None:
    item = record(world, Right.ACCESS)
    world.services.requests.refuse(item.number, ROBIN, "We hold nothing under this address.")

    with pytest.raises(Conflict) as refusal:
        world.services.requests.pause(item.number, ROBIN, "x")
    assert refusal.value.code == "request_closed"
    assert world.services.requests.listing("answered", ROBIN).items[0].number == item.number
