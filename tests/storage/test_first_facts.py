"""First facts of many people in one statement: the rows that the general way would write, and only for the unknown."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from prefs import simulate
from prefs.domain.references import act_number
from prefs.services.replay import replay
from prefs.storage import first_facts, ledger
from tests.imports.test_bulk import KEYS, PEOPLE, outcome, prepare, to
from tests.make import World
from tests.webhooks.test_twilio import make_client

KINDS = ("unsubscribe", "spamreport", "bounce", "dropped", "open", "group_unsubscribe")
MORE: dict[str, dict[str, Any]] = {"bounce": {"type": "bounce"}, "dropped": {"reason": "Invalid"}}


def nobody(*_: Any) -> set[int]:
    """Stands in for ``first_facts.write`` and leaves everybody to the general way."""
    return set()


def a_batch(domain: str, chance: random.Random, at: int) -> list[dict[str, Any]]:
    batch = []
    for number in range(3 * PEOPLE):
        kind = chance.choice(KINDS)
        event = simulate.event(kind, to(chance.randrange(2 * PEOPLE), domain), **MORE.get(kind, {}))
        batch.append({**event, "timestamp": at + number, "sg_event_id": f"{domain}-{at}-{number}"})
    return batch + batch[:2]


@pytest.mark.parametrize(("seed", "more"), [(0, {}), (1, {}), (2, {}), (3, {"PREFS_ADDRESS_KEY": KEYS})])
def test_it_writes_the_rows_that_the_general_way_would(
    build_world: Callable[..., World], seed: int, more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build_world(PREFS_ADDRESS_KEY=KEYS)
    start = world.clock.at
    for domain in ("first", "general"):
        world.clock.at = start
        prepare(world, domain, random.Random(seed))
    world.clock.at = start + timedelta(hours=1)
    if not more:  # only one key from here on, so that newcomers can be told by it
        world = build_world(PREFS_ADDRESS_KEY=KEYS.split(",")[0])
        world.clock.at = start + timedelta(hours=1)

    at = int(start.timestamp())
    for domain, writer in (("first", first_facts.write), ("general", nobody)):
        monkeypatch.setattr(first_facts, "write", writer)
        for turn in range(2):
            world.events(*a_batch(domain, random.Random(seed + turn), at + 100 * turn))

    first, general = outcome(world, "first"), outcome(world, "general")
    assert str(first) == str(general).replace("general.example.com", "first.example.com")
    assert any(one["entries"] for one in first.values())
    assert not replay(world.services.kit.store).differing


def test_every_newcomer_is_written_there_and_every_act_has_its_reference(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = first_facts.write

    def counted(*given: Any) -> set[int]:
        made = real(*given)
        written.append(len(made))
        return made

    monkeypatch.setattr(first_facts, "write", counted)
    world.client.post(world.link(to="p1@example.com"))
    batch = [world.event("unsubscribe", f"p{number}@example.com") for number in range(20)]

    world.events(*batch)
    world.events(*batch)

    assert written == [19, 0]
    assert len(world.entries()) == 21
    with world.services.kit.store.read() as connection:
        for entry in world.entries():
            assert [one.id for one in ledger.referred(connection, act_number(entry.act_id))] == [entry.id]
    assert world.services.sealing.seal().entries == 21


@pytest.mark.parametrize("writer", [first_facts.write, nobody])
def test_overlapping_batches_at_once_lose_nothing_and_count_each_event_once(
    world: World, writer: Callable[..., set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_facts, "write", writer)
    events = [world.event("unsubscribe", f"p{number}@example.com") for number in range(30)]
    batches = [random.Random(seed).sample(events, 20) for seed in range(8)]

    with ThreadPoolExecutor(8) as pool:
        statuses = {answer.status_code for answer in pool.map(lambda batch: make_client(world).events(*batch), batches)}
    world.events(*events)

    assert statuses == {204}
    assert len(world.entries()) == 30
    assert not replay(world.services.kit.store).differing
