"""Consents by file: proof a row, a second person, and every opt-out wins (contract D31, D12; ux.md A5; item 24)."""

import csv
import io
import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from prefs.cli import main
from prefs.domain.formats import NO_CONSENTS
from prefs.domain.roles import Role
from prefs.domain.terms import ConsentKind
from prefs.services import consent_rows
from prefs.services.casework import Right
from prefs.services.kit import evidence_context
from prefs.services.replay import replay
from prefs.storage import evidence, people
from tests.admin.test_imports import draft, noted, text_of
from tests.admin.test_people import erase
from tests.imports.making import bring
from tests.make import ADA, BEN, World
from tests.services.test_requests import record
from tests.staff import Staff, staff

HEADER = "email,topic,kind,agreed_at,source,wording,sale_reference,product_family,refusal_offered_at,basis,basis_date\n"
WORDS = '"Yes, tell me about events"'
CEM, DIA = "cem@example.com", "dia@example.com"


def row(email: str = ADA, topic: str = "events", kind: str = "express", at: str = "2026-03-02", **more: str) -> str:
    wording = more.get("wording", WORDS if kind == "express" else "")
    return f"{email},{topic},{kind},{at},booking form,{wording},{more.get('proof', ',,,,')}\n"


def people_list(*emails: str) -> str:
    return HEADER + "".join(map(row, emails))


def checked(world: World, person: Staff, content: str, **choice: str) -> tuple[str, str]:
    """Go to the end of the check; return the path of the draft's pages and the words of the page."""
    path = draft(person, content, "agreed.csv")
    person.press(f"{path}/match", rows="consents", **choice)
    world.work()
    return path, text_of(person.page(f"{path}/check"))


def asked(world: World, person: Staff, path: str) -> int:
    """Ask a second person and return the number of the question."""
    assert "It waits for a second person." in person.press(f"{path}/consents", act="ask")
    found = world.services.approvals.latest("consent_import", path.rpartition("/")[2])
    assert found is not None
    return found.id


def approved(world: World, person: Staff, second: Staff, path: str) -> None:
    number = asked(world, person, path)
    assert second.post(f"/admin/approvals/{number}", answer="yes").status_code == 303


def imported(world: World, person: Staff, content: str, **choice: str) -> str:
    """Import consents to the end, and return the reference."""
    path, _ = checked(world, person, content, **choice)
    second = staff(world, Role.PRIVACY, f"second{len(noted(world))}@staff.example")
    approved(world, person, second, path)
    return run(world, person, path)


def run(world: World, person: Staff, path: str) -> str:
    answer = person.post(f"{path}/consents", act="import")
    assert answer.status_code == 303, answer.text[:2000]
    world.work()
    return re.search(r"IM-[0-9A-F]{24}", answer.location)[0]  # type: ignore[index]


def report(person: Staff, reference: str) -> str:
    return text_of(person.page(f"/admin/imports/{reference}/report"))


def rejects(person: Staff, reference: str) -> list[dict[str, str]]:
    with person.get(f"/admin/imports/{reference}/rejects.csv") as answer:
        assert answer.status_code == 200
        return list(csv.DictReader(io.StringIO(answer.text)))


def stopped(world: World, to: str = ADA, **more: Any) -> Any:
    answer = world.post("/v1/suppressions", {"channel": "email", "to": to, **more})
    assert answer.status_code == 201, answer.text
    return answer.json


@pytest.fixture
def office(world: World) -> Staff:
    return staff(world, Role.PRIVACY)


def test_a_list_goes_from_the_file_past_a_second_person_to_the_ledger(world: World, office: Staff) -> None:
    world.know(("email", ADA), country="DE")
    assert world.decide(topic="events")["reason"] == "no_consent"
    second = staff(world, Role.ADMIN)

    path, check = checked(world, office, people_list(ADA, CEM))
    assert "New consents 2 Already on record 0 Not imported 0 Refused: opted out 0" in check
    assert "Events Said yes 2" in check
    assert world.entries() == []
    number = asked(world, office, path)
    page = second.page(f"/admin/imports/asked/{number}")
    assert "a••@example.com" in page
    assert ADA not in page
    assert "Yes, tell me about events" in page
    assert "2026-03-02, booking form" in page
    assert world.entries() == []
    assert second.post(f"/admin/approvals/{number}", answer="yes").status_code == 303
    reference = run(world, office, path)

    assert "2 rows imported" in office.page(f"/admin/imports/{reference}/report")
    assert "approved by admin@staff.example" in report(office, reference)
    assert world.decide(topic="events")["allowed"] is True
    entries = world.entries()
    assert {(one.consent, one.source, one.actor) for one in entries} == {
        (ConsentKind.EXPRESS, "import-consents", office.user.actor)
    }
    assert {one.effective_at.isoformat() for one in entries} == {"2026-03-02T00:00:00+00:00"}
    actions = noted(world)
    for action in ("import_uploaded", "import_checked", "approval_asked", "approval_given", "consents_imported"):
        assert action in actions
    assert replay(world.services.kit.store).differing == []


def test_the_proof_of_each_row_is_kept_and_says_who_approved(world: World, office: Staff) -> None:
    second = row(topic="surveys", wording='"And surveys, please"')
    imported(world, office, HEADER + row() + second)

    kit = world.services.kit
    proofs = {}
    with kit.store.read() as connection:
        for entry in world.entries():
            (sealed,) = evidence.of_act(connection, entry.act_id, entry.subject)
            proofs[entry.scope] = kit.vault.open_json(sealed, context=evidence_context(entry.act_id, entry.subject))

    words = [proofs[kit.catalogue.topic(slug).number]["wording"] for slug in ("events", "surveys")]
    assert words == ["Yes, tell me about events", "And surveys, please"]
    (one, _) = proofs.values()
    assert one["evidence"]["where"] == "booking form"
    assert one["evidence"]["approved_by"].startswith("staff:")
    assert one["wording_version"]
    page = office.page(f"/admin/people/{world.services.persons.find(ADA)[0].reference}")
    assert "And surveys, please" in page


def test_rows_without_their_proof_come_back_with_the_mend(world: World, office: Staff) -> None:  # D12, G-6
    soft = row(CEM, "product-offers", "soft_opt_in", proof="order 1,check-ups,,,")
    whole = row(DIA, "product-offers", "soft_opt_in", proof="order 1,check-ups,2026-03-02,,")
    implied = row("eve@example.com", kind="implied", proof=",,,purchase,2020-01-02")
    content = HEADER + row(wording="") + soft + whole + implied + row("no one")

    reference = imported(world, office, content)

    assert [(str(one.consent), one.until) for one in world.entries()] == [("soft_opt_in", None)]
    left = {one["email"]: (one["what_is_wrong"], one["how_to_fix"]) for one in rejects(office, reference)}
    assert left[ADA][0] == "The proof is missing: the words they agreed to"
    assert left[CEM] == (
        "The proof that this kind of consent needs is missing",
        "A consent of this kind needs evidence: sale_reference, product_family, refusal_offered_at.",
    )
    assert left["eve@example.com"] == ("This consent has ended already", "Leave the row out, or ask them anew.")
    assert left["no one"][0].startswith("Not an email address")
    assert "1 row imported, 4 were not" in office.page(f"/admin/imports/{reference}/report")


def test_what_came_back_mended_can_be_imported(world: World, office: Staff) -> None:
    reference = imported(world, office, HEADER + row(wording="") + row(CEM))
    with office.get(f"/admin/imports/{reference}/rejects.csv") as answer:
        mended = answer.text.replace("booking form,,", f"booking form,{WORDS},")

    again = imported(world, office, mended)

    assert "1 row imported" in office.page(f"/admin/imports/{again}/report")
    assert len(world.entries()) == 2


STOPS = {
    "of the topic": lambda world: stopped(world, scope="topic:events"),
    "of another topic": lambda world: stopped(world, scope="topic:surveys"),
    "of everything": lambda world: stopped(world),
    "a complaint": lambda world: stopped(world, reason="complaint"),
    "a pause": lambda world: stopped(world, reason="snoozed", until="2026-12-24T00:00:00Z"),
    "do not contact": lambda world: stopped(world, reason="do_not_contact"),
    "through the contact": lambda world: (
        world.know(("email", ADA), ("sms", BEN)),
        world.post("/v1/suppressions", {"channel": "any", "contact": "ada"}),
    ),
    "by another channel of the contact": lambda world: (
        world.know(("email", ADA), ("sms", BEN)),
        world.post("/v1/suppressions", {"channel": "any", "to": BEN}),
    ),
    "by a link": lambda world: world.client.post(world.link(topic=None)),
    "erased": lambda world: erase(world, ADA),
    "restricted": lambda world: (world.know(), record(world, Right.RESTRICTION)),
}


@pytest.mark.parametrize("how", STOPS)
def test_whoever_has_any_stop_is_refused_and_counted_apart(world: World, office: Staff, how: str) -> None:
    STOPS[how](world)
    before = [one for one in world.entries() if one.consent is not None]

    path, check = checked(world, office, people_list(ADA, CEM))

    assert "New consents 1 Already on record 0 Not imported 0 Refused: opted out 1" in check
    assert "1 row is refused: this person has opted out." in check
    approved(world, office, staff(world, Role.ADMIN), path)
    reference = run(world, office, path)
    assert "1 row imported, 1 was not" in office.page(f"/admin/imports/{reference}/report")
    assert "1 row is refused: this person has opted out." in report(office, reference)
    (left,) = rejects(office, reference)
    assert (left["email"], left["what_is_wrong"]) == (ADA, "This person has opted out: 2026-11-24")
    assert len([one for one in world.entries() if one.consent is not None]) == len(before) + 1
    assert world.decide(topic="events", to=ADA)["allowed"] is (how == "of another topic")


def test_whoever_is_on_a_list_of_hashes_is_refused_and_not_kept_in_clear(
    world: World, office: Staff, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # contract D34
    import hashlib

    monkeypatch.setattr("prefs.services.hash_lists.time.sleep", lambda _seconds: None)
    bring(world, tmp_path, hashlib.sha256(ADA.encode()).hexdigest() + "\n", channel="email")

    reference = imported(world, office, people_list(ADA, CEM))

    assert "1 row is refused" in report(office, reference)
    assert world.services.persons.find(ADA) == [] or world.services.persons.find(ADA)[0].addresses[0].clear is None
    assert [str(one.act) for one in world.entries()] == ["opt_out", "opt_in"]


def test_a_stop_that_was_ended_is_none(world: World, office: Staff) -> None:
    made = stopped(world)
    world.clock.forward(minutes=5)
    world.post(f"/v1/suppressions/{made['id']}/lift", {"source": "letter", "evidence": "Letter of today"})

    imported(world, office, people_list(ADA))

    assert world.decide(topic="events")["allowed"] is True
    assert world.entries()[-1].consent == "express"


@pytest.mark.parametrize("when", ["before the yes", "after the yes", "after the start"])
def test_an_opt_out_after_the_check_wins(world: World, office: Staff, when: str) -> None:
    second = staff(world, Role.ADMIN)
    path, check = checked(world, office, people_list(ADA, CEM))
    assert "New consents 2" in check
    number = asked(world, office, path)

    def stop_now(now: str) -> None:
        if when == now:
            world.client.post(world.link(topic="events"))

    stop_now("before the yes")
    second.post(f"/admin/approvals/{number}", answer="yes")
    stop_now("after the yes")
    running = office.post(f"{path}/consents", act="import").location
    stop_now("after the start")
    world.work()

    assert "1 row imported, 1 was not" in office.page(office.get(running).location)
    assert world.decide(topic="events")["reason"] == "unsubscribed"
    assert [one.consent for one in world.entries() if one.consent] == ["express"]


def test_an_opt_out_between_the_look_and_the_lock_wins(
    world: World, office: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one writer at a time, as SQLite has, there is no such moment."""
    if world.services.kit.store.is_sqlite:
        pytest.skip("SQLite's writers wait for each other")
    world.know(("email", ADA), ("email", CEM))
    path, _ = checked(world, office, people_list(ADA, CEM))
    approved(world, office, staff(world, Role.ADMIN), path)
    opened = people.open_addresses

    def late(*given: Any) -> Any:
        monkeypatch.setattr(consent_rows.people, "open_addresses", opened)
        world.client.post(world.link(topic="events"))
        return opened(*given)

    monkeypatch.setattr(consent_rows.people, "open_addresses", late)
    reference = run(world, office, path)

    assert "1 row imported, 1 was not" in office.page(f"/admin/imports/{reference}/report")
    assert world.decide(topic="events")["reason"] == "unsubscribed"
    assert [one.consent for one in world.entries() if one.consent] == ["express"]


def test_a_check_and_a_refused_row_leave_nothing_behind(world: World, office: Staff) -> None:
    checked(world, office, people_list(ADA, CEM))

    assert world.entries() == []
    assert world.services.persons.find(ADA) == []


def test_nobody_imports_consents_alone(world: World, office: Staff) -> None:  # item 24
    path, _ = checked(world, office, people_list(ADA))

    assert office.post(f"{path}/consents", act="import").status_code == 409
    assert "takes a second person" not in office.get(office.post(f"{path}/check").location).text
    number = asked(world, office, path)
    assert office.post(f"/admin/approvals/{number}", answer="yes").status_code == 409
    assert office.post(f"{path}/consents", act="import").status_code == 409
    marketing = staff(world, Role.MARKETING)
    assert marketing.get(f"/admin/imports/asked/{number}").status_code == 403
    assert marketing.post(f"/admin/approvals/{number}", answer="yes").status_code in {403, 422}
    world.work()
    assert world.entries() == []


def test_a_refusal_is_said_and_can_be_asked_about_again(world: World, office: Staff) -> None:
    second = staff(world, Role.ADMIN)
    path, _ = checked(world, office, people_list(ADA))
    second.post(f"/admin/approvals/{asked(world, office, path)}", answer="no")

    page = office.page(f"{path}/consents")

    assert "A second person refused this before." in page
    assert office.post(f"{path}/consents", act="import").status_code == 409
    assert asked(world, office, path)


def test_the_yes_is_to_what_was_checked_and_used_once(world: World, office: Staff) -> None:
    second = staff(world, Role.ADMIN)
    path, _ = checked(world, office, people_list(ADA))
    approved(world, office, second, path)
    office.press(f"{path}/match", rows="consents", topic="surveys")
    world.work()

    answer = office.post(f"{path}/consents", act="import")

    assert answer.status_code == 409
    assert "The file was checked again since." in answer.text
    approved(world, office, second, path)
    first, again = (office.post(f"{path}/consents", act="import").location for _ in range(2))
    assert first == again
    world.work()
    assert len(world.entries()) == 1
    assert world.services.kit.catalogue.scope_name(world.entries()[0].scope) == "topic:surveys"


def test_importing_asks_who_one_is(world: World, office: Staff) -> None:
    path, _ = checked(world, office, people_list(ADA))
    office.later()

    assert office.get(f"{path}/consents").location.startswith("/admin/confirm")
    assert office.post(f"{path}/consents", act="ask").location.startswith("/admin/confirm")


def test_marketing_imports_no_consents_and_reads_why(world: World) -> None:  # contract D31
    marketing = staff(world, Role.MARKETING)
    path = draft(marketing, people_list(ADA))

    assert "Download an example" not in marketing.page(f"{path}/match").partition("For people who agreed")[2]
    answer = marketing.post(f"{path}/match", rows="consents")

    assert answer.status_code == 422
    assert "Consents need proof for each row. Only the privacy office does this." in answer.text
    assert marketing.get("/admin/imports/consents.csv").status_code == 403
    world.work()
    assert world.entries() == []


def test_people_who_agreed_are_never_taken_for_people_who_opted_out(world: World, office: Staff) -> None:
    path = draft(office, people_list(ADA))

    answer = office.post(f"{path}/match", rows="stops")

    assert answer.status_code == 422
    assert "These are the columns of people who agreed." in answer.text
    world.work()
    assert world.entries() == []


def test_a_list_without_the_columns_of_proof_is_refused_whole(world: World, office: Staff) -> None:
    answer = office.post(f"{draft(office, f'email{chr(10)}{ADA}{chr(10)}')}/match", rows="consents")

    assert answer.status_code == 422
    assert "It needs the columns topic, kind, agreed_at, source" in answer.text


def test_the_columns_are_shown_with_what_they_mean(world: World, office: Staff) -> None:
    page = text_of(office.page(f"{draft(office, people_list(ADA, CEM).replace('2026-03-02', '03/04/2026'))}/match"))

    for meaning in ("Address", "What they agreed to", "How they agreed", "When they agreed", "Where they agreed"):
        assert meaning in page
    assert "2 dates of the first rows cannot be told for sure" in page
    assert "such a row is refused" in page


def test_days_are_no_numbers_to_be_masked(world: World, office: Staff) -> None:
    stopped(world)

    path, check = checked(world, office, people_list(ADA))

    assert "This person has opted out: 2026-11-24" in check
    assert "2026-03-02" in office.page(f"{path}/match")


def test_what_is_on_record_already_is_not_written_again(world: World, office: Staff) -> None:
    content = people_list(ADA, ADA, CEM)
    first = imported(world, office, content)
    assert len(world.entries()) == 2

    again = imported(world, office, content + row(DIA))
    weaker = row(ADA, "events", "soft_opt_in", proof="order 1,check-ups,2026-03-02,,")
    newer = row(CEM, at="2026-05-01")
    third = imported(world, office, HEADER + weaker + newer)

    assert "New consents 2 Already on record 1" in report(office, first)
    assert "New consents 1 Already on record 3" in report(office, again)
    assert "New consents 1 Already on record 1" in report(office, third)
    assert len(world.entries()) == 4


def test_an_import_that_was_interrupted_goes_on_and_writes_each_row_once(
    world: World, office: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:  # invariant I10
    stopped(world, "p3@example.com")
    content = HEADER + "".join(row(f"p{number}@example.com") for number in range(9)) + row("nobody")
    path, _ = checked(world, office, content)
    approved(world, office, staff(world, Role.ADMIN), path)
    monkeypatch.setattr("prefs.services.imports._ONE_BY_ONE", 4)
    write, calls = consent_rows.ConsentRows.write, iter(range(100))

    def breaks(*given: Any) -> Any:
        if next(calls) == 1:
            raise RuntimeError("the worker died")
        return write(*given)

    monkeypatch.setattr(consent_rows.ConsentRows, "write", breaks)
    answer = office.post(f"{path}/consents", act="import")
    world.work()
    world.clock.forward(minutes=10)
    world.work()

    reference = re.search(r"IM-[0-9A-F]{24}", answer.location)[0]  # type: ignore[index]
    assert "New consents 8 Already on record 0 Not imported 1 Refused: opted out 1" in report(office, reference)
    assert sorted(one["email"] for one in rejects(office, reference)) == ["nobody", "p3@example.com"]
    assert len([one for one in world.entries() if one.consent]) == 8


def test_undo_ends_the_consents_the_import_added_and_no_others(world: World, office: Staff) -> None:
    world.know(("email", ADA), country="DE")
    world.know(("email", CEM), contact="cem", country="DE")
    world.consent("email", CEM, "events", occurred_at="2026-06-01T00:00:00Z")
    reference = imported(world, office, people_list(ADA, CEM))
    second = staff(world, Role.ADMIN)
    path = f"/admin/imports/{reference}/undo"
    assert "At most 1 consent ends" in office.page(path)

    office.press(path, act="ask")
    number = world.services.approvals.latest("import_undo", reference).id  # type: ignore[union-attr]
    second.post(f"/admin/approvals/{number}", answer="yes")
    office.press(path, act="undo")
    world.work()

    assert "Undone: 1 consent ended" in office.page(f"/admin/imports/{reference}/report")
    assert world.decide(topic="events")["reason"] == "no_consent"
    assert world.decide(to=CEM, topic="events")["allowed"] is True
    assert replay(world.services.kit.store).differing == []


def test_texts_need_a_number_and_an_express_consent(world: World, office: Staff) -> None:
    content = people_list(BEN).replace("email,", "phone,") + row("+14155550124", kind="implied")

    reference = imported(world, office, content, channel="sms")

    assert world.decide("sms", BEN, "events")["allowed"] is True
    (left,) = rejects(office, reference)
    assert left["what_is_wrong"] == "This kind of consent does not count for texts, calls and push"
    assert left["phone"] == "'+14155550124"


def test_the_api_and_the_command_refuse_consents_by_file(world: World, tmp_path: Any) -> None:  # contract D31
    path = tmp_path / "agreed.csv"
    path.write_text(people_list(ADA))
    headers = {"Authorization": f"Bearer {world.key}"}

    for fields in ({}, {"format": "consents"}):
        sent = {"file": (io.BytesIO(path.read_bytes()), "a.csv"), **fields}
        answer = world.client.post("/v1/imports", data=sent, headers=headers, content_type="multipart/form-data")
        assert (answer.status_code, answer.json["detail"]) == (422, NO_CONSENTS)
    for more in ((), ("--format", "consents")):
        environment = {"PREFS_DATA_DIR": str(tmp_path / "cli"), "PREFS_ENV": "development"}
        done = CliRunner().invoke(main, ["import", str(path), *more], env=environment)
        assert (done.exit_code, NO_CONSENTS in done.output) == (2, True), done.output
    world.work()
    assert world.entries() == []


def test_the_api_shows_no_import_of_consents(world: World, office: Staff) -> None:
    reference = imported(world, office, HEADER + row() + row(wording=""))
    number = reference.replace("IM-", "imp_").lower()

    for path in (f"/v1/imports/{number}", f"/v1/imports/{number}/rejects"):
        assert world.get(path).status_code == 404


def test_the_copy_of_a_persons_data_has_the_proof(world: World, office: Staff) -> None:  # rules.md G-5, G-7
    imported(world, office, people_list(ADA))
    reference = world.services.persons.find(ADA)[0].reference

    copy = office.post(f"/admin/people/{reference}/export", form="json", recipient="x", purpose="y").data

    (one,) = json.loads(copy)["history"]
    assert one["evidence"]["wording"] == "Yes, tell me about events"
    assert one["text_version"] == one["evidence"]["wording_version"]
