"""A batch of suppressions is what its items are one after the other, a thousand at a time (contract section 6)."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prefs.domain.terms import Channel, Reason
from prefs.errors import PrefsError, StoreUnavailable
from prefs.services import suppression
from prefs.services.suppression import SuppressionView, Wish
from prefs.storage import evidence
from tests.make import NOON, World

KINDS: tuple[dict[str, Any], ...] = (
    {"channel": Channel.EMAIL},
    {"channel": None},
    {"channel": Channel.EMAIL, "scope": "topic:surveys"},
    {"channel": Channel.EMAIL, "reason": Reason.HARD_BOUNCE},
    {"channel": Channel.EMAIL, "reason": Reason.OBJECTION, "note": "From the letter."},
    {"channel": Channel.EMAIL, "reason": Reason.SNOOZED, "until": NOON + timedelta(days=9)},
    {"channel": Channel.EMAIL, "reason": Reason.SNOOZED},
    {"channel": Channel.EMAIL, "scope": "topic:nope"},
)


def wishes(side: str, chance: random.Random) -> list[Wish]:
    found = []
    for _ in range(60):
        number, kind = chance.randrange(6), chance.choice(KINDS)
        about: dict[str, Any] = {"to": f"{side}{number}@example.com"}
        if kind["channel"] is None and chance.random() < 0.5:
            about = {"contact": f"{side}-{chance.choice(['known', 'unknown'])}"}
        elif chance.random() < 0.1:
            about = {"to": "nobody"}
        found.append(Wish(**kind, **about))
    return found


def one_by_one(world: World, wanted: list[Wish]) -> list[SuppressionView | Exception]:
    found: list[SuppressionView | Exception] = []
    for wish in wanted:
        try:
            found.append(world.services.suppressions.add(wish))
        except PrefsError as error:
            found.append(error)
    return found


def shown(results: list[SuppressionView | Exception], side: str) -> list[Any]:
    """Return what can be compared between two sides: everything but names, numbers and ticks of the clock."""
    first: dict[str, int] = {}
    return [
        (type(one), str(one))
        if isinstance(one, Exception)
        else replace(one, id=str(first.setdefault(one.id, at)), to=one.to and one.to.removeprefix(side), since=NOON)
        for at, one in enumerate(results)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_does_what_its_items_do_one_by_one(world: World, seed: int) -> None:
    for side in ("a", "b"):
        world.know(("email", f"{side}0@example.com"), ("email", f"{side}1@example.com"), contact=f"{side}-known")
        world.consent("email", f"{side}2@example.com", "events")

    alone = shown(one_by_one(world, wishes("a", random.Random(seed))), "a")
    together = shown(world.services.suppressions.add_many(wishes("b", random.Random(seed))), "b")

    assert together == alone
    for number in range(6):
        mine, theirs = (world.decide(to=f"{side}{number}@example.com", topic="surveys") for side in ("a", "b"))
        assert (mine["allowed"], mine["reason"]) == (theirs["allowed"], theirs["reason"])


def test_a_batch_given_again_adds_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "_AT_ONCE", 10)
    wanted = [Wish(channel=Channel.EMAIL, to=f"p{number % 30}@example.com") for number in range(35)]

    first = world.services.suppressions.add_many(wanted)
    again = world.services.suppressions.add_many(wanted)

    assert [getattr(one, "created", None) for one in first] == [True] * 30 + [False] * 5
    assert [getattr(one, "id", None) for one in again] == [getattr(one, "id", None) for one in first]
    assert len(world.entries()) == 30


def test_each_item_keeps_its_own_proof(world: World) -> None:
    wanted = [Wish(channel=Channel.EMAIL, to=f"p{at}@example.com", note=f"Letter {at}") for at in range(3)]

    world.services.suppressions.add_many(wanted)

    entries = world.entries()
    assert len({one.act_id for one in entries}) == 3
    with world.services.kit.store.read() as connection:
        assert all(len(evidence.of_act(connection, one.act_id, one.subject)) == 1 for one in entries)


def test_when_the_store_goes_away_what_was_done_stays_and_the_rest_follows_when_given_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression, "_AT_ONCE", 10)
    service = world.services.suppressions
    adding, done = type(service)._add_some, list[int]()

    def failing(self: Any, some: Any, actor: Any) -> Any:
        if len(done) == 1:
            raise StoreUnavailable("away")
        done.append(1)
        return adding(self, some, actor)

    wanted = [Wish(channel=Channel.EMAIL, to=f"p{number}@example.com") for number in range(20)]
    monkeypatch.setattr(type(service), "_add_some", failing)
    with pytest.raises(StoreUnavailable):
        service.add_many(wanted)
    monkeypatch.setattr(type(service), "_add_some", adding)

    again = service.add_many(wanted)

    assert [getattr(one, "created", None) for one in again] == [False] * 10 + [True] * 10
