"""What is deleted when, and that an opt-out never is (contract D32, reliability.md item 43)."""

from sqlalchemy import func, select

from prefs.storage import evidence
from prefs.storage.tables import evidence as evidence_table
from prefs.storage.tables import inbound_mail, inbound_text, ledger_entry
from tests.make import ADA, World


def rows(world: World, table, *where) -> int:  # type: ignore[no-untyped-def]
    with world.services.kit.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


def test_the_device_is_forgotten_after_ninety_days_and_the_proof_is_not(world: World) -> None:
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})
    devices = evidence_table.c.part == evidence.DEVICE
    world.clock.forward(days=89)
    assert world.services.retention.run()["devices"] == 0

    world.clock.forward(days=2)

    assert world.services.retention.run()["devices"] == 1
    assert rows(world, evidence_table, devices) == 0
    assert rows(world, evidence_table) == 1


def test_texts_that_changed_nothing_lose_their_words_after_thirty_days(world: World) -> None:
    world.text("What time do you open?")
    world.text("STOP")
    world.clock.forward(days=31)

    world.services.retention.run()

    assert rows(world, inbound_text) == 2
    assert rows(world, inbound_text, inbound_text.c.sealed.is_(None)) == 1
    world.clock.forward(days=6 * 366)
    world.services.retention.run()
    assert rows(world, inbound_text, inbound_text.c.sealed.is_(None)) == 2


def test_an_opt_out_never_expires(world: World) -> None:
    world.client.post(world.link())
    world.text("STOP")
    before = rows(world, ledger_entry)
    world.clock.forward(days=20 * 366)

    world.services.retention.run()

    assert rows(world, ledger_entry) == before
    assert world.decide()["reason"] == "unsubscribed"


def test_a_mail_that_waits_for_a_person_is_kept_until_they_dealt_with_it(world: World) -> None:
    from tests.webhooks.test_inbound_mail import letter, post

    post(world, **letter("stranger@example.com"))
    world.clock.forward(days=400)

    world.services.retention.run()

    assert rows(world, inbound_mail) == 1


def test_the_worker_does_it_once_a_day(world: World) -> None:
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})
    world.clock.forward(days=91)
    world.work()

    assert rows(world, evidence_table, evidence_table.c.part == evidence.DEVICE) == 0
    assert world.decide(to=ADA)["allowed"] is False


def test_the_words_of_a_request_go_six_years_after_it_was_closed(world: World) -> None:
    from prefs.services.casework import Right
    from tests.services.test_requests import record

    item = record(world, Right.ACCESS, about="My words.")
    world.clock.forward(days=7 * 366)
    assert world.services.retention.run()["requests"] == 0
    world.services.requests.refuse(item.number, "robin", "Too late, sorry.")
    world.clock.forward(days=6 * 366 - 1)
    assert world.services.retention.run()["requests"] == 0

    world.clock.forward(days=2)

    assert world.services.retention.run()["requests"] == 1
    detail = world.services.requests.get(item.number)
    assert (detail.about, detail.answer, detail.item.status) == ("", "", "answered")
