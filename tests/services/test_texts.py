"""The staff queue of unclear texts: held first, then looked at (rules.md T-2)."""

import pytest

from prefs.errors import Conflict, NotFound
from prefs.services.texts import Verdict
from tests.make import BEN, World


@pytest.fixture
def held(world: World) -> World:
    world.consent()
    world.text("I think you have the wrong number")
    return world


def test_t2_an_unclear_text_holds_marketing_before_anybody_looked(held: World) -> None:
    (waiting,) = held.services.texts.waiting()

    assert (waiting.words, waiting.address, waiting.holds_marketing) == (
        "I think you have the wrong number",
        "••• ••• 0123",
        True,
    )
    assert held.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_no_stop_gives_back_what_this_text_took_and_nothing_else(held: World) -> None:
    held.services.texts.decide(held.services.texts.waiting()[0].id, Verdict.NO_STOP, actor="usr_1")

    assert held.decide("sms", BEN, "events")["allowed"] is True
    assert held.services.texts.count() == 0


def test_no_stop_leaves_a_later_stop_alone(held: World) -> None:
    held.text("STOP")

    held.services.texts.decide(held.services.texts.waiting()[0].id, Verdict.NO_STOP, actor="usr_1")

    assert held.decide("sms", BEN, "events")["reason"] == "unsubscribed"


def test_a_confirmed_stop_is_no_guess_any_more_and_start_still_ends_it(held: World) -> None:
    held.services.texts.decide(held.services.texts.waiting()[0].id, Verdict.STOP, actor="usr_1")

    decision = held.decide("sms", BEN, "events", explain=True)
    assert decision["reason"] == "unsubscribed"
    assert not any("inferred" in step["detail"] for step in decision["steps"])
    held.clock.forward(minutes=1)
    held.text("START")
    assert held.decide("sms", BEN, "events")["allowed"] is True


def test_a_text_is_decided_once(held: World) -> None:
    number = held.services.texts.waiting()[0].id
    held.services.texts.decide(number, Verdict.STOP, actor="usr_1")

    with pytest.raises(Conflict):
        held.services.texts.decide(number, Verdict.NO_STOP, actor="usr_2")
    with pytest.raises(NotFound):
        held.services.texts.decide(999, Verdict.STOP, actor="usr_1")


def test_the_words_of_a_text_are_forgotten_when_their_time_is_over_and_the_queue_still_works(held: World) -> None:
    held.clock.forward(days=7 * 366)
    held.services.retention.run()

    assert held.services.texts.waiting()[0].words == ""
