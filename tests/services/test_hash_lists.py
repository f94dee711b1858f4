"""Whether hashes are listed: known late by two seconds at most, and assumed where nobody can say (D34)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from prefs.errors import StoreUnavailable
from prefs.services import hash_lists
from prefs.services.hash_lists import HashLists
from tests.make import World


@contextmanager
def away() -> Iterator[Any]:
    raise StoreUnavailable("away")
    yield


def test_the_store_is_looked_at_every_two_seconds_and_never_again_once_hashes_are_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, looks, store = [0.0], [0], world.services.kit.store
    monkeypatch.setattr(hash_lists.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(hash_lists.marks, "read", lambda *_: looks.__setitem__(0, looks[0] + 1) or None)
    lists = HashLists(store)
    for seconds[0] in (10.0, 11.0, 11.9, 12.1, 13.0):
        assert not lists.present()
    assert looks == [2]

    monkeypatch.setattr(hash_lists.marks, "read", lambda *_: world.clock())
    for seconds[0] in (15.0, 20.0, 30.0):
        assert lists.present()


def test_where_nobody_can_say_hashes_are_asked_for_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process cut off from the database may have missed an announcement; it asks for more, never for less."""
    seconds, store = [0.0], world.services.kit.store
    monkeypatch.setattr(hash_lists.time, "monotonic", lambda: seconds[0])
    lists = HashLists(store)
    seconds[0] = 10.0
    assert not lists.present()

    seconds[0] = 20.0
    monkeypatch.setattr(store, "read", away)
    assert lists.present()
    monkeypatch.undo()
    monkeypatch.setattr(hash_lists.time, "monotonic", lambda: seconds[0])
    seconds[0] = 21.0
    assert lists.present()
    seconds[0] = 23.0
    assert not lists.present()


def test_an_announcement_waits_until_every_process_has_looked(world: World) -> None:
    slept: list[float] = []
    store = world.services.kit.store

    HashLists(store, sleep=slept.append).announce()
    world.clock.forward(seconds=2)
    HashLists(store, sleep=slept.append).announce()
    world.clock.forward(minutes=1)
    HashLists(store, sleep=slept.append).announce()

    assert slept == [5.0, 3.0, 0.0]
    assert hash_lists.SETTLED_SECONDS > 2 * hash_lists.FRESH_SECONDS
