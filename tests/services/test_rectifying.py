"""Correcting an address: stops move along, consents do not (rules.md 7.3, A-2; invariant I13)."""

import pytest

from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidInput
from prefs.services.casework import Did, Right
from tests.make import ADA, BEN, World
from tests.services.test_requests import ROBIN, record

NEW, NEW_NUMBER = "ada.new@example.com", "+14155550199"


def correct(world: World, old: str = ADA, new: str = NEW) -> int:
    item = record(world, Right.RECTIFICATION, old)
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")
    channel = Channel.EMAIL if "@" in old else Channel.SMS
    world.services.rectifying.change_address(item.number, ROBIN, channel=channel, old=old, new=new)
    return item.number


def test_i13_the_old_address_stays_stopped_and_the_new_one_inherits_the_stops(world: World) -> None:
    world.know()
    world.client.post(world.link(topic="surveys"))

    correct(world)

    assert world.decide(topic="surveys")["allowed"] is False
    assert world.decide(topic="events")["allowed"] is False
    assert world.decide(to=NEW, topic="surveys")["reason"] == "unsubscribed"
    assert world.decide(to=NEW, topic="events")["allowed"] is True


def test_a2_consent_does_not_move_to_a_new_number(world: World) -> None:
    world.know(("sms", BEN))
    world.consent(topic="events")

    correct(world, BEN, NEW_NUMBER)

    assert world.decide("sms", BEN, "events")["allowed"] is False
    assert world.decide("sms", NEW_NUMBER, "events")["reason"] == "no_consent"


def test_what_the_whole_person_stopped_holds_for_both(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.post("/v1/suppressions", {"channel": "any", "contact": "ada", "reason": "do_not_contact"})

    correct(world)

    for to in (ADA, NEW):
        assert world.decide(to=to, topic="account")["reason"] == "do_not_contact"


def test_without_a_contact_the_stops_move_all_the_same(world: World) -> None:
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "reason": "complaint"})

    correct(world)

    assert world.decide(to=NEW)["reason"] == "complaint"


def test_the_contact_has_the_new_address_and_the_old_one_belongs_to_nobody(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))

    number = correct(world)

    values = {one["value"] for one in world.get("/v1/contacts/ada").json["addresses"]}
    assert values == {NEW, BEN}
    detail = world.services.requests.get(number)
    assert detail.log[-1].did is Did.CORRECTED
    world.services.requests.answer(number, ROBIN, "Corrected.")
    world.work()
    assert world.mails(NEW)[0].subject == "Your request PR-0001: our answer"


def test_changing_back_revives_nothing(world: World) -> None:  # V50
    world.know()
    world.client.post(world.link(topic=None))
    correct(world)
    item = record(world, Right.RECTIFICATION, NEW)
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")

    world.services.rectifying.change_address(item.number, ROBIN, channel=Channel.EMAIL, old=NEW, new=ADA)

    assert world.decide(to=ADA)["allowed"] is False
    assert world.decide(to=NEW)["allowed"] is False


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param(ADA, ADA.upper(), "same_address", id="the same"),
        pytest.param("other@example.com", NEW, "not_theirs", id="another person's"),
        pytest.param(ADA, "ben@example.com", "address_taken", id="somebody else's new one"),
        pytest.param(ADA, "nobody", "no_at_sign", id="no address"),
    ],
)
def test_what_cannot_be_changes_nothing(world: World, old: str, new: str, code: str) -> None:
    world.know()
    world.know(("email", "ben@example.com"), contact="ben")
    item = record(world, Right.RECTIFICATION)
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")

    with pytest.raises((Conflict, InvalidInput)) as refusal:
        world.services.rectifying.change_address(item.number, ROBIN, channel=Channel.EMAIL, old=old, new=new)

    assert refusal.value.code == code
    assert world.entries() == []
    assert [one["value"] for one in world.get("/v1/contacts/ada").json["addresses"]] == [ADA]


def test_the_state_is_still_what_the_ledger_says(world: World) -> None:  # promise 7
    from prefs.services.replay import replay

    world.know(("email", ADA), ("sms", BEN))
    world.client.post(world.link(topic="surveys"))
    correct(world)

    assert replay(world.services.kit.store).differing == []
