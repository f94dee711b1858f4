"""An opt-out in one statement: the same as the general way, and nothing at all where somebody came between."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Table, insert, select

from prefs.domain.terms import KIND_OF_CHANNEL, Channel
from prefs.services.kit import act, new_address, stop, write_at_once
from prefs.services.replay import replay
from prefs.storage import at_once
from prefs.storage.at_once import Look
from prefs.storage.base import Store
from prefs.storage.tables import act_reference, address, evidence, inbound_text, ledger_entry, standing
from tests.make import ADA, World
from tests.webhooks.test_twilio import break_writes

Call = Callable[[], Any]
ITS_OWN = {"id", "subject", "key", "address_key", "entry_id", "last_entry", "entry_key", "act_id", "evidence_hash"}
"""Columns that differ from one person's opt-out to the next."""


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
    return write_at_once(world.services.kit, doing, seen, [entry])


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


def meanwhile(world: World, *calls: Call) -> list[Any]:
    """Return what the calls return, all of them made while somebody else's opt-out is being written."""
    world.decide()  # by now the process knows whether lists of hashes are on record
    queue, begun, let_go = world.services.kit.store.together, threading.Event(), threading.Event()

    def hold(pieces: Sequence[Any]) -> Sequence[Any]:
        begun.set()
        let_go.wait(10)
        return pieces

    with ThreadPoolExecutor(len(calls) + 1) as pool:
        pool.submit(queue.do, "somebody", hold)
        begun.wait(10)
        answers = [pool.submit(call) for call in calls]
        end = time.monotonic() + 4
        while len(queue._waiting) < len(calls) and time.monotonic() < end:
            time.sleep(0.001)
        gathered = len(queue._waiting)
        let_go.set()
        assert gathered == len(calls)
        return [answer.result(20) for answer in answers]


def press(world: World, to: str) -> Call:
    link = world.link(to)
    return lambda: world.client.application.test_client().post(link).status_code


def strangers(count: int) -> list[str]:
    return [f"stranger{number}@example.net" for number in range(count)]


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets an item for each transaction that writes."""
    written: list[str] = []
    for name in ("write", "write_at_once"):
        monkeypatch.setattr(Store, name, _noted(written, getattr(Store, name)))
    return written


def _noted(written: list[str], original: Any) -> Any:
    def noted(*given: Any) -> Any:
        written.append(original.__name__)
        return original(*given)

    return noted


def rows(world: World, table: Table) -> list[dict[str, Any]]:
    with world.services.kit.store.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def test_what_strangers_press_at_the_same_time_is_one_transaction_and_each_is_on_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = strangers(12)
    presses = [press(world, to) for to in people]
    written = count_writes(monkeypatch)

    assert set(meanwhile(world, *presses)) == {200}

    assert written == ["write"]
    assert [entry.id for entry in world.entries()] == list(range(1, 13))
    assert {world.decide(to=to)["reason"] for to in people} == {"unsubscribed"}
    assert replay(world.services.kit.store).differing == []


def test_in_company_a_press_leaves_the_rows_that_it_leaves_alone(world: World) -> None:
    press(world, "alone@example.net")()
    meanwhile(world, *(press(world, to) for to in strangers(3)))

    for table, each in ((address, 1), (ledger_entry, 1), (standing, 1), (act_reference, 1), (evidence, 2)):
        alone, *others = ([row[name] for name in row if name not in ITS_OWN] for row in rows(world, table))
        if table not in {evidence, act_reference}:
            assert others == [alone] * 3, table.name
        assert len(others) == 4 * each - 1, table.name
    assert sorted(row["part"] for row in rows(world, evidence)) == ["device"] * 4 + ["proof"] * 4
    found = {row["subject"] for row in rows(world, evidence)}
    assert found == {row["subject"] for row in rows(world, ledger_entry)}
    assert world.services.sealing.seal() is not None


def test_one_link_pressed_twice_in_one_go_is_one_opt_out(world: World) -> None:
    again, other = press(world, ADA), press(world, "other@example.net")

    assert meanwhile(world, again, other, again) == [200, 200, 200]

    assert len(world.entries()) == 2
    assert replay(world.services.kit.store).differing == []


def test_a_piece_that_breaks_a_constraint_takes_nobody_elses_opt_out_with_it(world: World) -> None:
    numbers = [f"+1415555{number:04}" for number in range(5)]

    def text(number: str, sid: str) -> Call:
        own = replace(world, client=world.client.application.test_client())
        return lambda: own.text("STOP", number, MessageSid=sid).status_code

    sids = ["SM" + character * 32 for character in "abcda"]
    assert set(meanwhile(world, *(text(number, sid) for number, sid in zip(numbers, sids, strict=True)))) == {200}

    stopped = [to for to in numbers if world.decide("sms", to, "events")["reason"] == "unsubscribed"]
    assert len(stopped) == 4  # the first and the last bear the name of one message: one of them counts (W-3)
    assert set(numbers[1:4]) <= set(stopped)
    assert len(rows(world, inbound_text)) == 4
    assert replay(world.services.kit.store).differing == []


def test_with_the_database_away_none_of_them_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = strangers(5)
    presses = [press(world, to) for to in people]
    with monkeypatch.context() as broken:
        break_writes(world, broken)
        assert set(meanwhile(world, *presses)) <= {202, 503}
    assert world.entries() == []

    world.services.upkeep.run_once()

    assert {world.decide(to=to)["reason"] for to in people} == {"unsubscribed"}
    assert len(world.entries()) == 5


def test_who_is_held_by_an_import_keeps_nobody_else_waiting(world: World) -> None:
    store = world.services.kit.store
    if store.is_sqlite:
        pytest.skip("SQLite has one writer: an import keeps everybody waiting")
    presses = [press(world, to) for to in strangers(4)]
    key = world.services.kit.address_keys.key(_address("stranger0@example.net"))
    row = {"subject": 1, "key": key, "kind": "email", "created_at": world.clock()}

    with ThreadPoolExecutor() as pool:
        with store.engine.connect() as importing:
            importing.execute(insert(address), row)
            answers = pool.submit(meanwhile, world, *presses)
            end = time.monotonic() + 3
            while len(world.entries()) < 3 and time.monotonic() < end:
                time.sleep(0.01)
            assert len(world.entries()) == 3
            importing.rollback()
        assert answers.result(10) == [200] * 4
    assert len(world.entries()) == 4


def _address(to: str) -> Any:
    from prefs.domain.address import parse_address

    return parse_address(Channel.EMAIL, to)


def test_on_one_writer_people_we_know_are_written_in_one_go_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if not world.services.kit.store.is_sqlite:
        pytest.skip("PostgreSQL writes those side by side")
    people = strangers(3)
    for to in people:
        world.post("/v1/suppressions", {"channel": "email", "to": to, "reason": "complaint"})
    seen = [look(world, to) for to in people]
    written = count_writes(monkeypatch)

    assert meanwhile(world, *(partial(write, world, one) for one in [*seen, seen[0]])) == [True, True, True, False]

    assert written == ["write"]
    assert len(world.entries()) == 6
    assert replay(world.services.kit.store).differing == []
