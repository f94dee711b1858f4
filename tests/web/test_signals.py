"""Global Privacy Control: a right of its own, recorded once (rules.md G-8)."""

import pytest

from prefs.domain.terms import Act
from tests.make import World

GPC = {"Sec-GPC": "1"}


@pytest.mark.parametrize("door", ["u", "p"])
def test_g8_the_signal_is_recorded_once_and_says_nothing_about_marketing(world: World, door: str) -> None:
    world.know()
    link = world.link() if door == "u" else world.choices_link()
    for _ in range(3):
        world.client.get(link, headers=GPC)

    assert [entry.act for entry in world.entries()] == [Act.SALE_OPT_OUT]
    assert world.decide()["allowed"] is True


@pytest.mark.parametrize("value", ["0", "", "true", "11"])
def test_g8_any_other_value_means_nothing(world: World, value: str) -> None:
    world.know()
    world.client.get(world.link(), headers={"Sec-GPC": value})

    assert world.entries() == []


def test_g8_it_neither_ends_an_opt_out_nor_is_ended_by_a_consent(world: World) -> None:
    world.know()
    world.client.post(world.link())
    world.client.get(world.link(), headers=GPC)
    assert world.decide()["allowed"] is False

    world.consent("email", "ada@example.com", "product-offers", occurred_at="2026-11-24T17:00:00Z")

    assert [entry.act for entry in world.entries()][-1] is not Act.LIFT
    world.client.get(world.link(), headers=GPC)
    assert sum(entry.act is Act.SALE_OPT_OUT for entry in world.entries()) == 1


def test_a_signal_does_not_take_the_undo_away(world: World) -> None:
    world.know()
    link = world.link()
    world.client.post(f"{link}/stop", data={"scope": "all"})
    world.client.get(link, headers=GPC)

    world.client.post(f"{link}/undo")

    assert world.decide()["allowed"] is True


def test_a_dead_token_with_a_signal_records_nothing(world: World) -> None:
    assert world.client.get("/u/xyz", headers=GPC).status_code == 404
    assert world.entries() == []
