"""The promises of contract section 7 that are not told by one door alone."""

import threading
from collections.abc import Callable

import pytest

from prefs.services.replay import replay
from tests.make import ADA, BEN, Clock, World
from tests.webhooks.test_twilio import make_client


def test_promise_1_every_process_sees_an_acknowledged_opt_out_at_once(build_world: Callable[..., World]) -> None:
    one, other = build_world(), build_world()
    for number in range(20):
        address = f"p{number}@example.com"
        one.client.post(one.link(address))
        assert other.decide(to=address)["allowed"] is False


@pytest.mark.parametrize("topic", ["nope", None])
def test_promise_3_what_is_not_known_to_be_allowed_is_not(world: World, topic: str | None) -> None:
    body = {"channel": "email", "to": ADA, **({"topic": topic} if topic else {})}

    assert world.post("/v1/decisions", body).status_code == 422


def test_promise_3_with_the_database_away_marketing_is_blocked_and_service_unverified(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from prefs.errors import StoreUnavailable

    world.decide()  # the key was seen before

    @contextmanager
    def away(_store: object):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("away")
        yield

    monkeypatch.setattr(type(world.services.kit.store), "read", away)

    marketing, service = world.decide(), world.decide(topic="activity")
    assert (marketing["allowed"], marketing["reason"]) == (False, "unavailable")
    assert (service["allowed"], service["verified"]) == (True, False)
    unseen = world.services.keys
    unseen._held.clear()
    assert world.post("/v1/decisions", {"channel": "email", "to": ADA, "topic": "events"}).status_code == 503


def test_promise_5_eight_threads_on_one_address_leave_one_state(world: World) -> None:
    link = world.link()
    failures: list[int] = []

    def press() -> None:
        mine = make_client(world)
        for _ in range(15):
            answer = mine.client.post(link)
            if answer.status_code != 200:
                failures.append(answer.status_code)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []  # invariant I24
    assert len(world.entries()) == 1


def test_promise_5_the_later_event_wins_in_any_order(build_world: Callable[..., World], clock: Clock) -> None:
    world = build_world()
    older = world.event("group_unsubscribe", asm_group_id=7)
    clock.forward(hours=1)
    newer = world.event("unsubscribe")
    for order in ((older, newer), (newer, older)):
        world.events(*order)

    assert world.decide()["since"] == "2026-11-24T18:00:00Z"


def test_promise_6_nothing_tells_whether_an_address_is_known(world: World) -> None:
    known, unknown = world.link(), world.link("unknown@example.com")
    world.client.post(known)

    first, second = world.client.post(known), world.client.post(unknown)

    assert (first.status_code, first.data) == (second.status_code, second.data)


def test_promise_7_the_state_equals_what_the_ledger_says(world: World) -> None:
    world.consent()
    world.text("STOP")
    world.text("START")
    world.events(world.event("spamreport"), world.event("bounce", "x@example.com", type="bounce"))
    world.client.post(f"{world.link('y@example.com')}/stop", data={"scope": "every_channel"})
    world.post("/v1/suppressions", {"channel": "any", "to": BEN})

    found = replay(world.services.kit.store)

    assert (found.differing, found.addresses) == ([], 4)


def test_promise_7_a_state_that_was_tampered_with_is_found_and_put_right(world: World) -> None:
    from sqlalchemy import text

    world.client.post(world.link())
    with world.services.kit.store.write() as connection:
        connection.execute(text("DELETE FROM standing"))
    assert world.decide()["allowed"] is True

    assert len(replay(world.services.kit.store, repair=True).differing) == 1

    assert world.decide()["allowed"] is False


def test_no_address_or_token_is_in_clear_text_in_the_database(
    database_url: str, build_world: Callable[..., World]
) -> None:
    world = build_world()
    world.consent()
    world.text("STOP my secret words")
    world.client.post(world.link())
    world.post(
        "/v1/messages", {"channel": "email", "to": ADA, "topic": "activity", "subject": "S", "text": "secret words"}
    )
    store = world.services.kit.store
    from sqlalchemy import select

    from prefs.storage.tables import metadata

    with store.read() as connection:
        dump = b"".join(
            bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
            for table in metadata.sorted_tables
            for row in connection.execute(select(table))
            for value in row
        )

    for secret in (ADA, BEN, BEN[1:], "secret words", world.key):
        assert secret.encode() not in dump
