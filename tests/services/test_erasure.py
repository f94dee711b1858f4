"""Erasure: everything goes but the fingerprint that keeps us from writing again (D3; G-3, G-11; I14, I15)."""

import itertools
import threading
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select

from prefs.domain.roles import Role
from prefs.errors import Conflict
from prefs.services.approvals import NeedsSecondPerson
from prefs.services.casework import Did, Right
from prefs.storage import personal
from prefs.storage.staff import StaffUser
from prefs.storage.tables import address, message, metadata
from tests.make import ADA, BEN, NOON, World
from tests.services.test_requests import ROBIN, SAM, record

_names = itertools.count(1)
TABLES_WITHOUT_PEOPLE = {"standing"}


def erase(world: World, to: str = ADA, **more: object) -> int:
    """Take a request down, check who asks, and let a second person approve."""
    item = record(world, Right.ERASURE, to, **more)
    world.services.requests.record_proof(item.number, ROBIN, "Known by voice.")
    approve(world, item.number)
    world.services.erasures.carry_out(item.number, SAM)
    return item.number


def officer(world: World) -> StaffUser:
    """Return somebody of the privacy office."""
    return world.services.team.create(f"officer{next(_names)}@staff.example", Role.PRIVACY, by="tests")


def approve(world: World, number: int) -> None:
    """Let one person ask and another say yes."""
    question = world.services.erasures.ask(officer(world), number)
    world.services.approvals.decide(officer(world), question, yes=True)


def fill(world: World) -> None:
    """Make one row of everything about Ada."""
    from tests.webhooks.test_inbound_mail import letter, post

    world.know(("email", ADA), ("sms", BEN), locale="en", country="US")
    world.consent(topic="events", wording="Yes, text me.")
    world.client.post(f"{world.link()}/stop", data={"scope": "topic:surveys"})
    world.text("What time do you open?")
    world.text("HELP")
    post(world, **letter(ADA))
    body = {"channel": "email", "to": ADA, "topic": "activity", "subject": "Your receipt", "text": "Thanks"}
    assert world.post("/v1/messages", body, **{"Idempotency-Key": "receipt"}).status_code == 202
    world.post("/v1/suppressions", {"channel": "email", "to": ADA}, **{"Idempotency-Key": "stop"})
    world.asked_link()
    world.work()


def every_sealed_word(world: World) -> list[str]:
    """Return, opened, every sealed value that can be opened without its context, else its mere presence.

    The vault ties a value to its row, so a value is counted by table here; what it may still say is
    looked for by the tests of each table.
    """
    found = []
    with world.services.kit.store.read() as connection:
        for table in metadata.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, LargeBinary) and column.name == "sealed":
                    values = connection.execute(select(column).where(column.is_not(None))).scalars().all()
                    found += [table.name] * len(values)
    return found


def every_plain_word(world: World) -> str:
    """Return everything in the database that is not sealed, as one text."""
    with world.services.kit.store.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    return "\n".join(str([value for value in row if not isinstance(value, bytes)]) for row in rows)


def test_no_table_that_names_people_is_forgotten_by_erasure() -> None:
    """A table with a subject has its fate in one list; adding one without saying what erasure does fails here."""
    naming = {table.name for table in metadata.sorted_tables if "subject" in table.columns}

    assert naming - {held.table.name for held in personal.HELD.values()} - TABLES_WITHOUT_PEOPLE == set()


def test_g3_every_row_about_the_person_goes_and_the_ledger_leads_to_nobody(world: World) -> None:
    fill(world)
    before = {entry.subject for entry in world.entries()}

    erase(world)
    world.work()

    with world.services.kit.store.read() as connection:
        assert personal.count(connection, sorted(before)) == {
            **dict.fromkeys(personal.HELD, 0),
            "entries": len([entry for entry in world.entries() if entry.subject in before]),
        }
        assert list(connection.execute(select(address.c.sealed)).scalars()) == [None, None]
    plain = every_plain_word(world)
    assert not any(word in plain for word in (ADA, BEN, "4155550123", "'ada'"))
    # The last mail to her is in the outbox, which stands for what has left the house; the approval holds a number.
    assert sorted(set(every_sealed_word(world))) == ["approval", "outbox"]
    assert [mail.text.count("deleted your data") for mail in world.mails()] == [1]


def test_what_erased_says_afterwards(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))

    erase(world)

    for channel, to, topic in (("email", ADA, "product-offers"), ("sms", BEN, "events")):
        answer = world.decide(channel, to, topic)
        assert (answer["allowed"], answer["reason"]) == (False, "erased")
    assert world.decide(topic="activity")["allowed"] is True
    assert world.get("/v1/contacts/ada").status_code == 404


def test_g3_reimport_sign_up_feed_and_late_webhooks_are_answered_suppressed(world: World) -> None:  # I14
    world.know(("email", ADA), ("sms", BEN))
    erase(world)

    joined = world.client.put(
        "/v1/contacts/ada",
        json={"addresses": [{"channel": "email", "value": ADA}, {"channel": "sms", "value": BEN}]},
        headers={"Authorization": f"Bearer {world.key}"},
    )
    assert joined.status_code == 200
    assert world.consent("email", ADA, "events").status_code == 409
    assert world.consent("sms", BEN, "events", double_opt_in=True).status_code == 409
    assert world.post("/v1/suppressions", {"channel": "email", "to": ADA, "source": "import"}).status_code == 201
    for name in ("delivered", "open", "click", "bounce", "group_resubscribe", "spamreport", "unsubscribe"):
        assert world.events(world.event(name)).status_code == 204
    world.text("START")
    world.text("Hello?")
    body = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "S", "text": "T"}
    assert world.post("/v1/messages", body).json["status"] == "blocked"

    assert world.decide()["allowed"] is False
    assert world.decide("sms", BEN, "events")["allowed"] is False
    with world.services.kit.store.read() as connection:
        assert list(connection.execute(select(address.c.sealed)).scalars()) == [None, None]


def test_a_captured_start_played_again_lifts_nothing(world: World) -> None:  # V29
    from prefs import simulate
    from tests.make import MARKETING_NUMBER, SECRETS, SERVICE_NUMBER

    world.consent(topic="events")
    started = simulate.text_form(SECRETS["TWILIO_ACCOUNT_SID"], BEN, SERVICE_NUMBER, "START")
    world.post_text(started)
    world.text("STOP", to=SERVICE_NUMBER)
    assert world.decide("sms", BEN, "account")["reason"] == "revoked_in_reply"
    erase(world, BEN)
    entries = len(world.entries())

    world.post_text(started)

    assert len(world.entries()) == entries
    assert world.decide("sms", BEN, "account")["reason"] == "revoked_in_reply"
    assert MARKETING_NUMBER != SERVICE_NUMBER


@pytest.mark.parametrize("reason", ["do_not_call", "do_not_contact"])
def test_g11_what_reaches_further_than_erased_is_kept_with_its_day(world: World, reason: str) -> None:
    from prefs.domain.terms import Reason, Source

    world.know(("sms", BEN), ("email", ADA))
    world.post("/v1/suppressions", {"channel": "any", "contact": "ada", "reason": reason})
    world.clock.forward(days=400)

    erase(world, BEN)
    world.clock.forward(days=5 * 366)
    world.services.retention.run()

    kept = [entry for entry in world.entries() if entry.reason == Reason(reason) and entry.source == Source.ERASURE]
    assert {entry.effective_at for entry in kept} == {NOON.replace(hour=0)}
    assert len(kept) == (1 if reason == "do_not_call" else 2)
    blocked = world.decide("sms", BEN, "account")
    assert (blocked["allowed"], blocked["reason"]) == (
        (True, None) if reason == "do_not_call" else (False, "do_not_contact")
    )


def test_a_person_nobody_may_write_to_gets_no_last_mail(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "any", "contact": "ada", "reason": "do_not_contact"})

    erase(world)
    world.work()

    assert all("deleted your data" not in mail.text for mail in world.mails())


def test_old_links_go_on_stopping_and_old_receipts_are_worked_out_again(world: World) -> None:  # D23
    world.know()
    link, receipt = world.link(), world.decide()["id"]
    world.client.post(world.link(topic="surveys"))
    blocked = world.decide(topic="surveys")["id"]

    erase(world)

    assert world.client.post(link).status_code == 200
    page = world.client.get(link)
    assert page.status_code == 200
    assert world.get(f"/v1/decisions/{receipt}").json["allowed"] is True
    again = world.get(f"/v1/decisions/{blocked}").json
    assert (again["allowed"], again["reason"]) == (False, "unsubscribed")


def test_the_state_is_still_exactly_what_the_ledger_says(world: World) -> None:  # promise 7
    from prefs.services.replay import replay

    fill(world)
    erase(world)
    world.work()

    assert replay(world.services.kit.store).differing == []


def test_the_second_person_is_another_one(world: World) -> None:  # reliability.md item 24
    world.know()
    item, one, other = record(world, Right.ERASURE), officer(world), officer(world)
    with pytest.raises(Conflict) as unchecked:
        world.services.erasures.ask(one, item.number)
    assert unchecked.value.code == "pending_verification"
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")

    with pytest.raises(NeedsSecondPerson):
        world.services.erasures.carry_out(item.number, one.actor)
    question = world.services.erasures.ask(one, item.number)
    with pytest.raises(NeedsSecondPerson):
        world.services.erasures.carry_out(item.number, other.actor)
    with pytest.raises(Conflict) as same:
        world.services.approvals.decide(one, question, yes=True)
    assert same.value.code == "same_person"
    world.services.approvals.decide(other, question, yes=False)
    with pytest.raises(NeedsSecondPerson):
        world.services.erasures.carry_out(item.number, one.actor)
    assert world.get("/v1/contacts/ada").status_code == 200

    approve(world, item.number)
    world.services.erasures.carry_out(item.number, one.actor)

    assert world.get("/v1/contacts/ada").status_code == 404


def test_other_open_requests_are_answered_first(world: World) -> None:
    world.know()
    copy = record(world, Right.ACCESS)
    item = record(world, Right.ERASURE)
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")

    with pytest.raises(Conflict) as refusal:
        world.services.erasures.ask(officer(world), item.number)

    assert refusal.value.code == "other_requests"
    assert copy.reference in str(refusal.value)
    assert world.services.erasures.preview(item.number).in_the_way == (copy.reference,)


def test_the_preview_counts_what_goes_and_what_stays_and_changes_nothing(world: World) -> None:
    fill(world)
    item = record(world, Right.ERASURE)
    entries = len(world.entries())

    found = world.services.erasures.preview(item.number)

    assert found.goes == {
        "addresses": 2,
        "contacts": 1,
        "evidence": found.goes["evidence"],
        "messages": found.goes["messages"],
        "choices": 0,
        "texts": 2,
        "mails": 1,
        "requests": 1,
    }
    assert found.goes["evidence"] >= 3
    assert found.goes["messages"] >= 2
    assert found.stays == {"entries": entries, "fingerprints": 2, "stops": 4}
    assert found.written_to is True
    assert len(world.entries()) == entries


def test_the_closed_request_keeps_who_did_what_and_loses_who_it_was_about(world: World) -> None:
    world.know()

    number = erase(world)

    detail = world.services.requests.get(number)
    assert (detail.item.status, detail.item.masked, detail.address, detail.about) == ("answered", "", "", "")
    assert [(line.did, line.words) for line in detail.log] == [
        (Did.RECEIVED, ""),
        (Did.VERIFIED, ""),
        (Did.APPROVAL_ASKED, ""),
        (Did.APPROVED, ""),
        (Did.ERASED, ""),
    ]
    asked, approved, carried_out = (line.actor for line in detail.log[2:])
    assert len({asked, approved, carried_out}) == 3


def test_what_was_queued_is_gone_and_nothing_is_handed_over(world: World) -> None:  # I15
    world.know()
    body = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "S", "text": "An offer"}
    queued = world.post("/v1/messages", body).json["id"]

    erase(world)
    world.work()

    assert world.get(f"/v1/messages/{queued}").status_code == 404
    assert all("An offer" not in mail.text for mail in world.mails())


def test_a_message_claimed_before_finishes_and_leaves_no_row_behind(world: World, monkeypatch: Any) -> None:  # I15
    world.know()
    body = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "S", "text": "An offer"}
    queued = world.post("/v1/messages", body).json["id"]
    outbox = world.services.outbox
    sent = type(outbox).send_email
    erased = []

    def erase_meanwhile(self: Any, email: Any) -> Any:
        if not erased:
            erased.append(erase(world))
        return sent(self, email)

    monkeypatch.setattr(type(outbox), "send_email", erase_meanwhile)
    world.work()

    assert erased
    assert world.get(f"/v1/messages/{queued}").status_code == 404
    assert world.decide()["reason"] == "erased"


def test_a_stop_that_waits_for_the_lock_finds_the_new_subject(world: World) -> None:
    """A press and an erasure at once: whoever comes second works on what the first left."""
    world.know()
    item = record(world, Right.ERASURE)
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")
    approve(world, item.number)
    link = world.link(topic="surveys")
    answers: list[Any] = []
    starts = threading.Barrier(3)

    def at_once(run: Any) -> threading.Thread:
        def body() -> None:
            starts.wait()
            answers.append(run())

        thread = threading.Thread(target=body)
        thread.start()
        return thread

    token = link.rpartition("/")[2]
    threads = [
        at_once(lambda: world.services.erasures.carry_out(item.number, SAM)),
        at_once(lambda: world.services.unsubscribe.by_link(token)),
    ]
    starts.wait()
    for thread in threads:
        thread.join()

    assert len(answers) == 2
    with world.services.kit.store.read() as connection:
        rows = connection.execute(select(address.c.subject, address.c.sealed)).all()
    assert len(rows) == 1
    assert rows[0].sealed is None
    assert world.decide(topic="surveys")["allowed"] is False
    assert world.decide(topic="events")["reason"] == "erased"


def test_i15_sending_and_erasing_at_once_leaves_no_row_and_sends_nothing_after(world: World) -> None:
    """Twenty people: the worker hands their offers over while they are erased one by one."""
    people = [f"p{number}@example.com" for number in range(20)]
    numbers = []
    for to in people:
        world.know(("email", to), contact=to.partition("@")[0])
        body = {"channel": "email", "to": to, "topic": "product-offers", "subject": "S", "text": "An offer"}
        assert world.post("/v1/messages", body).json["status"] == "queued"
        item = record(world, Right.ERASURE, to)
        world.services.requests.record_proof(item.number, ROBIN, "Voice.")
        approve(world, item.number)
        numbers.append(item.number)
    problems: list[BaseException] = []
    starts = threading.Barrier(2)

    def run(what: Any) -> None:
        try:
            starts.wait()
            what()
        except BaseException as error:
            problems.append(error)

    threads = [
        threading.Thread(target=run, args=(lambda: [world.services.erasures.carry_out(n, SAM) for n in numbers],)),
        threading.Thread(target=run, args=(lambda: [world.services.sending.hand_over_due(5) for _ in range(8)],)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.work()

    assert problems == []
    with world.services.kit.store.read() as connection:
        assert connection.execute(select(message.c.id)).all() == []
        assert set(connection.execute(select(address.c.sealed)).scalars()) == {None}
    assert all(world.decide(to=to)["reason"] == "erased" for to in people)


def test_an_alias_of_the_address_still_leads_to_its_fingerprint(world: World) -> None:
    mexican = "+525512345678"
    world.know(("sms", mexican))

    erase(world, mexican)

    assert world.decide("sms", "+5215512345678", "events")["reason"] == "erased"


def test_mails_of_strangers_and_kept_answers_that_name_the_address_go_too(world: World) -> None:
    from prefs.storage.tables import idempotency, inbound_mail
    from tests.webhooks.test_inbound_mail import letter, post

    post(world, **letter(ADA))
    post(world, **letter("other@example.com"))
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": "ADA@example.com"}, **{"Idempotency-Key": "a"})
    world.post("/v1/suppressions", {"channel": "email", "to": "other@example.com"}, **{"Idempotency-Key": "b"})

    erase(world)
    world.work()

    with world.services.kit.store.read() as connection:
        assert list(connection.execute(select(idempotency.c.key)).scalars()) == ["b"]
        sealed = list(connection.execute(select(inbound_mail.c.sealed).order_by(inbound_mail.c.id)).scalars())
    assert [one is None for one in sealed] == [True, False]


def test_an_unclear_text_of_somebody_erased_leaves_the_staff_queue(world: World) -> None:
    world.text("hm, not sure I want these any longer")
    before = world.services.texts.count()

    erase(world, BEN)

    assert (before, world.services.texts.count()) == (1, 0)


def test_somebody_texting_yes_after_erasure_is_let_in_again_by_their_own_act(world: World) -> None:  # D9
    world.know(("sms", BEN))
    erase(world, BEN)
    world.text("START")

    world.text("YES")

    assert world.decide("sms", BEN, "events")["allowed"] is True
    assert world.decide("voice", BEN, "events")["allowed"] is False
