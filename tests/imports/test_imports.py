"""Imports add stops and nothing else; each row once, whatever happens meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from prefs.domain.terms import Act, Reason
from prefs.errors import Conflict, InvalidInput
from prefs.services.imports import ImportRequest
from prefs.services.replay import replay
from tests.imports.making import OTHER, STAFF, bring, counts
from tests.make import ADA, BEN, World


def states_hold(world: World) -> bool:
    return not replay(world.services.kit.store).differing


def test_an_import_blocks_marketing_and_not_the_receipt(world: World, tmp_path: Path) -> None:
    found = bring(world, tmp_path, "email\nAda@Example.com\nbob@example.com\n")

    assert counts(found) == (2, 0, 0, 0)
    assert world.decide()["reason"] == "unsubscribed"
    assert world.decide(topic=None, message_class="transactional")["allowed"]
    assert states_hold(world)


def test_a_list_imported_again_adds_nothing(world: World, tmp_path: Path) -> None:
    text = "email\nada@example.com\nbob@example.com\nada@example.com\nnobody\n"
    bring(world, tmp_path, text)

    again = bring(world, tmp_path, text)

    assert counts(again) == (0, 3, 1, 0)
    assert len(world.entries()) == 2


def test_rows_about_known_people_are_added_beside_what_they_said(world: World, tmp_path: Path) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.client.post(world.link())

    found = bring(world, tmp_path, f"email\n{ADA}\n")

    assert counts(found) == (1, 0, 0, 0)
    assert [entry.source for entry in world.entries()] == ["one_click", "import"]
    assert states_hold(world)


def test_an_import_never_opts_anyone_in_and_never_ends_a_stop(world: World, tmp_path: Path) -> None:  # V49, A-4
    world.client.post(world.link(topic=None))
    profiles = "Email,Email Marketing Consent\nada@example.com,SUBSCRIBED\ncy@example.com,NEVER_SUBSCRIBED\n"

    found = bring(world, tmp_path, profiles)

    assert counts(found) == (0, 0, 0, 2)
    assert world.decide()["reason"] == "unsubscribed"
    assert {entry.act for entry in world.entries()} == {Act.OPT_OUT}


def test_a_consent_given_after_the_upload_outlives_the_import(world: World, tmp_path: Path) -> None:  # I09, D7
    path = tmp_path / "list.csv"
    path.write_text(f"phone\n{BEN}\n")
    waiting = world.services.imports.begin(ImportRequest(path=path, actor=STAFF, channel="sms"))  # type: ignore[arg-type]
    world.clock.forward(minutes=5)
    world.consent()

    world.services.imports.advance(waiting.id)

    assert world.decide("sms", BEN, "events")["allowed"]


def test_a_stop_during_the_import_stands_beside_it(world: World, tmp_path: Path) -> None:  # I09
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(50)) + f"{ADA}\n")
    waiting = world.services.imports.begin(ImportRequest(path=path, actor=STAFF))
    world.client.post(world.link(topic=None))

    found = world.services.imports.advance(waiting.id)

    assert counts(found) == (51, 0, 0, 0)
    assert world.decide()["reason"] == "unsubscribed"
    assert states_hold(world)


def test_bounces_go_to_contactability_and_are_no_suppressions(world: World, tmp_path: Path) -> None:  # D13
    text = f'created,email,reason,status\n1443651125,{ADA},"550 5.1.1 no such user",5.1.1\n'

    found = bring(world, tmp_path, text, format="sendgrid-bounces")

    assert counts(found) == (1, 0, 0, 0)
    assert world.decide(topic=None, message_class="transactional")["reason"] == "hard_bounce"
    assert world.get(f"/v1/suppressions?channel=email&to={ADA}").json["data"] == []
    (entry,) = world.entries()
    assert (entry.act, entry.reason) == (Act.UNREACHABLE, Reason.HARD_BOUNCE)
    assert entry.occurred_at.isoformat() == "2015-09-30T22:12:05+00:00"


def test_a_dry_run_says_what_would_happen_and_leaves_no_trace(world: World, tmp_path: Path) -> None:
    bring(world, tmp_path, "email\nada@example.com\n")
    text = "email\nada@example.com\nbob@example.com\ncy@example\n"

    dry = bring(world, tmp_path, text, dry_run=True)

    assert counts(dry) == (1, 1, 1, 0)
    assert len(world.entries()) == 1
    assert world.decide(to="bob@example.com")["allowed"]
    assert counts(bring(world, tmp_path, text)) == counts(dry)


def test_undo_lifts_what_the_import_added_and_nothing_else(world: World, tmp_path: Path) -> None:  # ux.md A5
    world.client.post(world.link(to="cy@example.com", topic=None))
    first = bring(world, tmp_path, f"email\n{ADA}\nbob@example.com\ncy@example.com\n")
    bring(world, tmp_path, "email\nbob@example.com\n")

    undone = world.services.imports.undo(first.id, OTHER)

    assert (undone.status, undone.lifted) == ("undone", 2)
    assert world.decide()["allowed"]
    assert world.decide(to="bob@example.com")["reason"] == "unsubscribed"  # confirmed by a later list
    assert world.decide(to="cy@example.com")["reason"] == "unsubscribed"  # said so themselves
    assert states_hold(world)


def test_undo_takes_a_second_person_and_works_once(world: World, tmp_path: Path) -> None:  # item 24
    found = bring(world, tmp_path, f"email\n{ADA}\n")

    with pytest.raises(Conflict, match="second person"):
        world.services.imports.undo(found.id, STAFF)
    world.services.imports.undo(found.id, OTHER)
    with pytest.raises(Conflict, match="finished"):
        world.services.imports.undo(found.id, OTHER)


def test_a_list_can_be_imported_again_after_it_was_undone(world: World, tmp_path: Path) -> None:
    text = f"email\n{ADA}\n"
    world.services.imports.undo(bring(world, tmp_path, text).id, OTHER)

    again = bring(world, tmp_path, text)

    assert counts(again) == (1, 0, 0, 0)
    assert world.decide()["reason"] == "unsubscribed"


def test_an_interrupted_import_goes_on_and_takes_each_row_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I10
    """The process dies after every transaction and in the middle of reading; the report is true all the same."""
    from prefs.services import imports

    monkeypatch.setattr(imports, "_BUFFERED", 7)
    monkeypatch.setattr(imports, "PART_ROWS", 10)
    lines = [f"p{n}@example.com" if n % 9 else "broken" for n in range(200)]
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "\n".join(lines) + "\np1@example.com\n")
    world.know(("email", "p1@example.com"))
    request = ImportRequest(path=path, actor=STAFF)

    class Killed(Exception):
        pass

    def tell(what: str, done: float) -> None:
        raise Killed

    for _ in range(1000):
        found = world.services.imports.begin(request)
        try:
            found = world.services.imports.advance(found.id, progress=tell)
            break
        except Killed:
            continue

    assert found.status == "done"
    assert counts(found) == (177, 1, 23, 0)
    assert len(world.entries()) == 177
    rejects = world.services.imports.rejects(found.id)
    assert rejects is not None
    assert len(rejects.read_text().splitlines()) == 24


def test_a_list_started_again_while_it_is_read_loses_no_row(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I10
    """A second start rewrote the lines under the first, which met their end too early and said it was done."""
    from prefs.services import imports

    monkeypatch.setattr(imports, "_BUFFERED", 7)
    path = tmp_path / "list.csv"
    path.write_bytes(("email\n" + "".join(f"p{n}@example.com\n" for n in range(200))).encode("utf-16"))
    request = ImportRequest(path=path, actor=STAFF)
    number = world.services.imports.begin(request).id
    lines = world.services.imports.folder / number / "lines.csv"
    before, again = lines.stat(), list[str]()

    def start_again(what: str, done: float) -> None:
        if what == "read":
            again.append(world.services.imports.begin(request).id)
            with pytest.raises(Conflict, match="running already"):
                world.services.imports.advance(number)
            assert (lines.stat().st_ino, lines.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    found = world.services.imports.advance(number, progress=start_again)

    assert set(again) == {number}
    assert counts(found) == (200, 0, 0, 0)


def test_an_import_that_is_running_after_a_day_keeps_its_files(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # item 37
    """Resumed late, it was given up and its folder removed under it."""
    from prefs.services import imports

    monkeypatch.setattr(imports, "PART_ROWS", 10)
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(60)))
    begun = world.services.imports.begin(ImportRequest(path=path, actor=STAFF))
    world.clock.forward(hours=25)
    forgotten = []

    found = world.services.imports.advance(
        begun.id, progress=lambda what, done: forgotten.append(world.services.imports.forget_files())
    )

    assert set(forgotten) == {0}
    assert (found.status, counts(found)) == ("done", (60, 0, 0, 0))


def test_an_import_somebody_went_on_with_today_is_not_given_up(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # item 37
    from prefs.services import imports

    monkeypatch.setattr(imports, "_LOOK_AT_CLOCK", 10)
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(60)))
    number = world.services.imports.begin(ImportRequest(path=path, actor=STAFF)).id
    world.clock.forward(hours=25)
    world.services.imports.advance(number, seconds=0)
    world.clock.forward(hours=1)

    assert world.services.imports.forget_files() == 0
    assert counts(world.services.imports.advance(number)) == (60, 0, 0, 0)


def test_a_number_that_lost_its_plus_is_refused_and_blocks_no_stranger(world: World, tmp_path: Path) -> None:  # V20
    found = bring(world, tmp_path, "phone\n491701234567\n4155550123\n", channel="sms")

    rejects = world.services.imports.rejects(found.id)
    assert counts(found) == (1, 0, 1, 0)
    assert rejects is not None
    assert "491701234567,This number has no + and is no number of US" in rejects.read_text()


def test_the_region_of_a_list_is_a_word_of_its_import(world: World, tmp_path: Path) -> None:
    found = bring(world, tmp_path, "phone\n0170 1234567\n", channel="sms", region="DE")

    assert counts(found) == (1, 0, 0, 0)
    assert world.decide("sms", "+491701234567", "events")["reason"] == "unsubscribed"
    with pytest.raises(InvalidInput, match="A region has two letters"):
        bring(world, tmp_path, "phone\n0170 1234567\n", channel="sms", region="EU")


@pytest.mark.parametrize("rows_a_part", [2, 20_000])
def test_a_dry_run_says_what_would_change_by_channel_reason_and_scope(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_a_part: int
) -> None:
    from prefs.services import imports

    monkeypatch.setattr(imports, "PART_ROWS", rows_a_part)
    world.know(("email", "cy@example.com"))
    head = "channel,to,scope,reason,source,since\n"
    bring(world, tmp_path, f"{head}email,ada@example.com,all,unsubscribed,letter,\n")
    rows = [
        "email,ada@example.com,all,unsubscribed,letter,",
        "email,bob@example.com,all,unsubscribed,letter,",
        "email,bob@example.com,all,unsubscribed,letter,",
        "email,cy@example.com,all,unsubscribed,phone,",
        "email,ada@example.com,topic:events,complaint,letter,",
        "sms,+14155550142,all,unsubscribed,letter,",
        "email,nobody,all,unsubscribed,letter,",
    ]

    dry = bring(world, tmp_path, head + "\n".join(rows) + "\n", dry_run=True)

    difference = world.services.imports.difference(dry.id)
    assert counts(dry) == (4, 2, 1, 0)
    assert difference is not None
    assert sorted(tuple(fact.values()) for fact in difference["facts"]) == [
        ("email", "complaint", "topic:events", 1, 0),
        ("email", "unsubscribed", "all", 2, 2),
        ("sms", "unsubscribed", "all", 1, 0),
    ]
    assert [(row["line"], row["to"], row["reason"]) for row in difference["first"]] == [
        (3, "b••@example.com", "unsubscribed"),
        (5, "c••@example.com", "unsubscribed"),
        (6, "a••@example.com", "complaint"),
        (7, "••• ••• 0142", "unsubscribed"),
    ]
    assert len(world.entries()) == 1


def test_the_worker_imports_in_slices(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefs.services import imports

    monkeypatch.setattr(imports, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(imports, "PART_ROWS", 10)
    monkeypatch.setattr(imports, "_LOOK_AT_CLOCK", 10)
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(35)))

    found = world.services.imports.accept(ImportRequest(path=path, actor=STAFF))
    world.work()

    assert counts(world.services.imports.view(found.id)) == (35, 0, 0, 0)
    assert not path.exists()


def test_an_erased_person_is_not_made_again(world: World, tmp_path: Path) -> None:  # G-3, I14
    from prefs.domain.address import parse_address
    from prefs.domain.terms import Channel
    from prefs.services.kit import act, open_key, stop
    from prefs.storage import ledger

    kit = world.services.kit
    key = kit.address_keys.key(parse_address(Channel.EMAIL, ADA))
    with kit.store.write() as connection:
        known = open_key(connection, kit, key, "email")  # type: ignore[arg-type]
        book = ledger.open_book(connection, [known])
        doing = act("rights_page", kit.now())
        ledger.append(connection, book, [stop(doing, book, known.subject, Channel.EMAIL, reason=Reason.ERASED)])

    found = bring(world, tmp_path, f"email\n{ADA}\n")

    from prefs.storage import people

    with kit.store.read() as connection:
        assert people.find(connection, [key])[key].sealed is None
    assert counts(found) == (0, 1, 0, 0)
    assert world.decide()["reason"] == "erased"


def test_the_registry_counts_for_texts_and_calls(world: World, tmp_path: Path) -> None:
    world.consent("whatsapp", BEN)
    found = bring(world, tmp_path, "415,5550123\n212,5550177\n")

    assert (found.format, counts(found)) == ("dnc-registry", (2, 0, 0, 0))
    assert [world.decide(channel, BEN, "events")["reason"] for channel in ("sms", "voice", "whatsapp")] == [
        "do_not_call",
        "do_not_call",
        None,
    ]
    assert states_hold(world)


def test_two_facts_about_one_address_in_one_file_are_both_kept(world: World, tmp_path: Path) -> None:
    rows = "".join(f"{ADA},{why},Recipient,2020-02-01T10:53:34Z\n" for why in ("ManualSuppression", "SpamComplaint"))

    found = bring(world, tmp_path, "EmailAddress,SuppressionReason,Origin,CreatedAt\n" + rows)

    assert counts(found) == (2, 0, 0, 0)
    assert {entry.reason for entry in world.entries()} == {Reason.UNSUBSCRIBED, Reason.COMPLAINT}
    assert states_hold(world)


def test_scopes_of_the_catalogue_narrow_a_list(world: World, tmp_path: Path) -> None:
    bring(world, tmp_path, f"email\n{ADA}\n", scope="topic:events")

    assert not world.decide(topic="events")["allowed"]
    assert world.decide(topic="product-offers")["allowed"]


def listed_hash(name: str, text: str) -> str:
    import hashlib

    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", ["md5", "sha256"])
def test_a_clear_address_is_found_by_its_listed_hash(
    world: World, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # D34, A-3
    waited: list[float] = []
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", waited.append)
    assert world.decide()["allowed"]

    found = bring(world, tmp_path, listed_hash(name, ADA).upper() + "\n", channel="email")

    assert (found.format, counts(found)) == (name, (1, 0, 0, 0))
    assert world.decide(to=" Ada@Example.COM ")["reason"] == "unsubscribed"
    assert world.decide(to="bob@example.com")["allowed"]
    batch: Any = world.post("/v1/decisions/batch", {"channel": "email", "topic": "events", "to": [ADA]}).json
    assert batch["counts"]["blocked"] == 1
    assert sum(waited) >= 5  # every process has looked again before the first row was written


def test_what_a_person_does_after_a_hash_was_listed_lands_on_the_same_record(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    bring(world, tmp_path, listed_hash("sha256", ADA) + "\n", channel="email")

    refused = world.consent("email", ADA)
    world.clock.forward(minutes=1)
    given = world.consent("email", ADA, occurred_at=world.clock.at.isoformat())

    assert (refused.status_code, given.status_code) == (409, 201)
    assert world.decide(topic="events")["allowed"]
    assert states_hold(world)


def test_a_consent_does_not_pass_over_a_listed_hash_of_somebody_we_knew(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # D7, D34
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    world.know(("email", ADA))
    bring(world, tmp_path, listed_hash("sha256", ADA) + "\n", channel="email")

    refused = world.consent("email", ADA)

    assert refused.status_code == 409
    assert world.decide(topic="events")["reason"] == "unsubscribed"


def test_a_list_imported_after_hashes_were_listed_finds_the_same_person(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    bring(world, tmp_path, listed_hash("sha256", ADA) + "\n", channel="email")

    found = bring(world, tmp_path, f"email\n{ADA}\nbob@example.com\n")

    assert counts(found) == (1, 1, 0, 0)
    assert len({entry.subject for entry in world.entries()}) == 2
    assert states_hold(world)


@pytest.mark.parametrize("number", ["+525512345678", "+5215512345678"])
def test_both_forms_of_a_number_are_one_person(world: World, tmp_path: Path, number: str) -> None:  # rules.md 7.2
    world.post("/v1/suppressions", {"channel": "sms", "to": "+5215512345678", "source": "import"})

    found = bring(world, tmp_path, f"phone\n{number}\n", channel="sms")

    assert counts(found) == (0, 1, 0, 0)


def test_a_queued_message_is_held_back_by_a_hash_listed_meanwhile(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # promise 2, D34
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    body = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "Offer", "text": "Hello"}
    queued = world.post("/v1/messages", body).json
    bring(world, tmp_path, listed_hash("md5", ADA) + "\n", channel="email")

    world.work()

    found = world.get(f"/v1/messages/{queued['id']}").json
    assert (queued["status"], found["status"]) == ("queued", "blocked")
    assert world.mails() == []
