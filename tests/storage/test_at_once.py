"""An opt-out in one statement: the same as the general way, and nothing at all where somebody came between."""

import threading

from prefs.domain.terms import KIND_OF_CHANNEL, Channel
from prefs.services.kit import act, new_address, stop, write_at_once
from prefs.services.replay import replay
from prefs.storage import at_once
from prefs.storage.at_once import Look
from tests.make import ADA, World


def look(world: World, to: str = ADA) -> Look:
    from prefs.domain.address import parse_address

    kit = world.services.kit
    key = kit.address_keys.key(parse_address(Channel.EMAIL, to))
    found = at_once.look(kit.store, key, new_address(key, KIND_OF_CHANNEL[Channel.EMAIL]))
    assert found is not None
    return found


def write(world: World, seen: Look, scope: int = 0) -> bool:
    doing = act("test", world.clock(), proof={"page": "test"}, device={"ip": "192.0.2.1"})
    entry = stop(doing, seen.book, seen.known.subject, Channel.EMAIL, scope=scope)
    return write_at_once(world.services.kit, doing, seen, [entry]) is not None


def test_what_it_writes_is_what_the_general_way_would_have(world: World) -> None:
    topic = world.services.kit.catalogue.topic("events").number

    assert write(world, look(world))
    assert write(world, look(world), topic)

    assert world.decide()["reason"] == "unsubscribed"
    assert [entry.id for entry in world.entries()] == [1, 2]
    assert world.decide()["ledger_position"] == 2
    assert replay(world.services.kit.store).differing == []
    assert world.get(f"/v1/decisions/{world.decide()['id']}").json["reason"] == "unsubscribed"


def test_nothing_is_written_where_the_address_changed_since_the_look(world: World) -> None:
    first, second = look(world), look(world)

    assert write(world, first)
    assert not write(world, second, world.services.kit.catalogue.topic("events").number)

    known = look(world)
    world.client.post(world.link("ada@example.com", topic="events"))
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "reason": "complaint"})
    assert not write(world, known)
    assert replay(world.services.kit.store).differing == []


def test_an_address_that_joined_a_contact_since_the_look_goes_the_general_way(world: World) -> None:
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "reason": "complaint"})
    seen = look(world)
    world.know()

    assert not write(world, seen)
    kit = world.services.kit
    assert at_once.look(kit.store, seen.known.key, seen.known) is None


def test_twenty_presses_at_once_are_one_opt_out(world: World) -> None:
    link, statuses = world.link(), []

    def press() -> None:
        statuses.append(world.client.application.test_client().post(link).status_code)

    threads = [threading.Thread(target=press) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(statuses) == {200}
    assert len(world.entries()) == 1
    assert replay(world.services.kit.store).differing == []
