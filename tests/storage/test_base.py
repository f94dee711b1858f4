"""The store under stress: dropped connections, a busy database, a failed write (contract D24, D25)."""

import threading

import pytest
from sqlalchemy import text

from prefs.errors import StoreUnavailable
from prefs.storage import base
from prefs.storage.base import Store
from tests.make import ADA, World


def test_connections_the_server_dropped_meanwhile_are_replaced_unnoticed(world: World) -> None:
    store = world.services.kit.store
    link = world.link()
    assert world.decide()["allowed"] is True
    if store.is_sqlite:
        pytest.skip("an embedded database drops no connection")
    other = Store(store.url)
    with other.read() as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    other.dispose()

    assert world.decide()["allowed"] is True
    assert world.client.post(link).status_code == 200
    assert world.decide(to=ADA)["allowed"] is False


def test_a_busy_database_gives_up_in_time_and_holds_marketing_back_until_a_write_succeeds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.services.kit.store
    if not store.is_sqlite:
        pytest.skip("writers queue on one lock on SQLite only")
    monkeypatch.setattr(base, "WRITE_WAIT_SECONDS", 0.1)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store.write():
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with pytest.raises(StoreUnavailable), store.write():
        pass
    assert world.decide()["reason"] == "unavailable"

    release.set()
    thread.join()
    world.services.upkeep.run_once()

    assert world.decide()["allowed"] is True


def test_a_naive_time_is_refused_and_an_aware_one_comes_back_in_utc() -> None:
    from datetime import datetime, timedelta, timezone

    from prefs.storage.tables import from_microseconds, to_microseconds

    with pytest.raises(ValueError, match="time zone"):
        to_microseconds(datetime(2026, 1, 1))  # noqa: DTZ001
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))

    assert from_microseconds(to_microseconds(moment)) == moment
    assert from_microseconds(to_microseconds(moment)).utcoffset() == timedelta(0)


def test_embedded_databases_sync_fully_and_say_so(world: World) -> None:  # item 50
    store = world.services.kit.store
    problems = store.durability_problems()

    # The tests' own PostgreSQL runs without fsync, and that is exactly what must be found.
    assert (problems == []) is store.is_sqlite
