"""The console's import: a file chosen, matched, checked, imported and reported on (ux.md A5; contract D31)."""

import io
import re
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from prefs.domain.roles import Role
from prefs.services.imports import KEPT_FOR
from prefs.storage.audit import AuditFilter
from tests.make import ADA, BEN, World
from tests.staff import Staff, staff

LIST = f"email\n{ADA}\nben@example.com\njo@@example.com\nnobody\n"


def send(person: Staff, content: str | bytes, name: str = "spring.csv", **form: str) -> TestResponse:
    data = content.encode() if isinstance(content, str) else content
    fields = {"csrf_token": person.key(), "file": (io.BytesIO(data), name), **form}
    return person.client.post("/admin/imports/new", data=fields, content_type="multipart/form-data")


def draft(person: Staff, content: str | bytes, name: str = "spring.csv") -> str:
    """Send a file that must be taken, and return the path of its pages."""
    answer = send(person, content, name)
    assert answer.status_code == 303, answer.text[:2000]
    return answer.location.removesuffix("/match")


def checked(world: World, person: Staff, content: str | bytes, **choice: str) -> tuple[str, str]:
    """Go to the end of the check; return the path of the draft's pages and the page."""
    path = draft(person, content)
    person.press(f"{path}/match", rows="stops", **choice)
    world.work()
    return path, person.page(f"{path}/check")


def imported(world: World, person: Staff, content: str | bytes, **choice: str) -> str:
    """Import a file to its end, and return the reference."""
    path, _ = checked(world, person, content, **choice)
    answer = person.post(f"{path}/check")
    assert answer.status_code == 303, answer.text[:2000]
    world.work()
    return re.search(r"IM-[0-9A-F]{24}", answer.location)[0]  # type: ignore[index]


def text_of(page: str) -> str:
    """Return the words of a page's main part."""
    main = page.partition("<main")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def noted(world: World) -> list[str]:
    return [one.entry.action for one in world.services.audit.page(AuditFilter(), 50)]


def test_a_list_goes_from_the_file_to_the_suppression_list(world: World) -> None:
    person = staff(world, Role.MARKETING)

    path, check = checked(world, person, LIST)

    assert "2 New" not in check
    assert "New opt-outs 2 Already opted out 0 Not imported 2 In the file 4" in text_of(check)
    assert world.entries() == []
    assert world.decide()["allowed"]
    running = person.post(f"{path}/check").location
    assert "Importing opt-outs" in person.page(running)
    world.work()
    report = person.page(person.get(running).location)
    assert "2 rows imported, 2 were not" in report
    assert world.decide()["reason"] == "unsubscribed"
    assert "spring.csv" in person.page("/admin/imports")
    assert noted(world)[:3] == ["import_started", "import_checked", "import_uploaded"]


def test_the_import_is_the_one_that_was_checked(world: World) -> None:
    person = staff(world, Role.PRIVACY)
    imported(world, person, "name,tel,email\nAda,415 555 0123,ada@example.com\n", channel="sms", scope="topic:events")

    (entry,) = world.entries()

    assert (entry.channel, entry.actor) == ("sms", person.user.actor)
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert world.services.kit.catalogue.scope_name(entry.scope) == "topic:events"


def test_a_list_of_subscribers_is_asked_about_before_it_opts_anybody_out(world: World) -> None:  # V49
    person = staff(world, Role.MARKETING)
    path = draft(person, f"email,club\n{ADA},ja\nben@example.com,ja\n")

    refused = person.post(f"{path}/match", rows="stops")

    assert refused.status_code == 422
    assert "Keep only the rows of people who opted out" in refused.text
    assert person.post(f"{path}/match", rows="stops", format="plain").status_code == 303
    assert world.entries() == []


def test_a_number_without_its_plus_comes_back_in_words_of_the_page(world: World) -> None:  # V20
    _, check = checked(world, staff(world, Role.MARKETING), "phone\n491701234567\n", channel="sms")

    assert "This number has no + and is no number of US for certain" in check
    assert "--region" not in check


def test_import_pressed_twice_is_one_import(world: World) -> None:
    person = staff(world, Role.MARKETING)
    path, _ = checked(world, person, LIST)

    first, second = person.post(f"{path}/check").location, person.post(f"{path}/check").location

    assert first == second
    assert noted(world).count("import_started") == 1
    world.work()
    assert len(world.entries()) == 2


def test_nothing_is_imported_before_the_check_has_ended(world: World) -> None:
    person = staff(world, Role.MARKETING)
    path = draft(person, LIST)
    assert person.post(f"{path}/check").status_code == 409
    person.press(f"{path}/match", rows="stops")

    answer = person.post(f"{path}/check")

    assert answer.status_code == 409
    assert "Wait for the check to end" in answer.text
    world.work()
    assert world.entries() == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(
            b"PK\x03\x04" + b"x" * 50, "This looks like an Excel file. Save it as CSV and try again.", id="xlsx"
        ),
        pytest.param(b"", "The file is empty.", id="empty"),
        pytest.param(b"email\nab\0\0\0cd\n", "This is not a text file.", id="binary"),
    ],
)
def test_what_is_no_list_is_refused_with_the_mend_and_not_kept(world: World, content: bytes, sentence: str) -> None:
    answer = send(staff(world, Role.MARKETING), content, "list.xlsx")

    assert answer.status_code == 422
    assert sentence in answer.text
    assert list(world.services.imports.folder.glob("*")) == []


def test_no_file_is_said(world: World) -> None:
    person = staff(world, Role.MARKETING)

    answer = person.post("/admin/imports/new")

    assert answer.status_code == 422
    assert "Choose a file" in answer.text


def test_too_large_a_file_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    view = world.client.application.view_functions["admin.send_import"]
    monkeypatch.setattr(view, "body_limit", 1_000)

    answer = send(staff(world, Role.MARKETING), "email\n" + "ada@example.com\n" * 100)

    assert answer.status_code == 413
    assert list(world.services.imports.folder.glob("*")) == []


def test_what_the_rows_are_has_no_default(world: World) -> None:  # ux.md A5
    person = staff(world, Role.MARKETING)
    path = draft(person, LIST)

    assert " checked>" not in person.page(f"{path}/match")
    answer = person.post(f"{path}/match")

    assert answer.status_code == 422
    assert "Choose what these rows are" in answer.text


def test_columns_are_shown_with_what_they_mean_and_addresses_masked(world: World) -> None:
    person = staff(world, Role.PRIVACY)
    content = "EmailAddress,SuppressionReason,Origin,CreatedAt\nada@example.com,SpamComplaint,Recipient,03/04/2026\n"

    page = person.page(f"{draft(person, content)}/match")

    assert "We take it for: Postmark, suppressions." in page
    assert "We matched 3 of 4" in page
    assert ADA not in page
    assert "a••@example.com" in page
    assert "1 date of the first rows cannot be told for sure" in page


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("email,status\na@example.com,on\n", "A column may say who opted out", id="about consent"),
        pytest.param(
            "created,email,reason,status\n1,a@example.com,x,5.1.1\n", "Several tools have these", id="two tools"
        ),
        pytest.param("email,tel\na@example.com,+14155550123\n", "Several columns hold addresses", id="two columns"),
        pytest.param("tel\n+14155550123\n", "Choose what the addresses are for.", id="no channel"),
    ],
)
def test_what_cannot_be_told_is_asked_in_words_of_the_page(world: World, content: str, sentence: str) -> None:
    person = staff(world, Role.MARKETING)
    path = draft(person, content)

    assert sentence in person.page(f"{path}/match")
    answer = person.post(f"{path}/match", rows="stops")

    assert answer.status_code == 422
    assert sentence in answer.text
    assert "--" not in text_of(answer.text)


def test_a_word_of_staff_settles_the_columns(world: World) -> None:
    person = staff(world, Role.MARKETING)
    content = "email,tel\na@example.com,+14155550123\n"
    path = draft(person, content)

    again = person.post(f"{path}/match", act="look", column="tel", channel="sms")

    assert "Address for" in again.text
    assert "We matched 1 of 2" in again.text


def test_rows_about_subscribers_are_passed_over_and_counted(world: World) -> None:  # V49: nobody is opted in
    person = staff(world, Role.MARKETING)
    world.client.post(world.link(topic=None))
    content = f"contact_id,sender_id,status\n{BEN},x,opt-out\n+14155550124,x,opt-in\n"

    path, page = checked(world, person, content)

    assert "1 row does not say that somebody opted out, and is passed over. An import never starts marketing." in page
    person.post(f"{path}/check")
    world.work()
    assert [str(entry.act) for entry in world.entries()] == ["opt_out", "opt_out"]


def test_the_report_ranks_reasons_and_shows_one_masked_row_of_each(world: World) -> None:
    person = staff(world, Role.MARKETING)
    content = f"email\n{ADA}\njo@@example.com\nkim@@example.org\n" + "".join(f"nobody{n}\n" for n in range(3))

    page = person.page(f"/admin/imports/{imported(world, person, content)}/report")

    assert "1 row imported, 5 were not" in page
    words = text_of(page)
    assert "Not an email address 5" in words
    assert "jo@@example.com" not in page
    assert "j••@@example.com" in page


def test_a_word_nobody_knows_is_one_kind_of_reason(world: World) -> None:
    person = staff(world, Role.MARKETING)
    content = f"contact_id,sender_id,status\n{BEN},x,opt-out\n+14155550124,x,perhaps\n+14155550125,x,maybe\n"

    page = person.page(f"/admin/imports/{imported(world, person, content)}/report")

    assert "A word about consent that we do not know 2" in text_of(page)
    assert "••• ••• 0124" in page
    assert "+14155550124" not in page
    assert "--format" not in page


def test_rejected_rows_go_back_to_whoever_sent_them_and_the_privacy_office(world: World) -> None:
    person = staff(world, Role.MARKETING)
    reference = imported(world, person, LIST)
    path = f"/admin/imports/{reference}"

    with person.get(f"{path}/rejects.csv") as answer:
        assert answer.text.splitlines()[0] == "email,what_is_wrong,how_to_fix"
        assert "jo@@example.com,Not an email address: two @ signs" in answer.text
        assert "attachment" in answer.headers["Content-Disposition"]

    assert noted(world)[0] == "import_rejects_taken"
    colleague = staff(world, Role.MARKETING, "colleague@staff.example")
    assert colleague.get(f"{path}/rejects.csv").status_code == 404
    assert "Only whoever sent the file" in colleague.page(f"{path}/report")
    with staff(world, Role.PRIVACY).get(f"{path}/rejects.csv") as answer:
        assert answer.status_code == 200


def test_a_draft_is_its_senders_and_gone_after_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:  # item 37
    person = staff(world, Role.MARKETING)
    path = draft(person, LIST)
    assert staff(world, Role.PRIVACY).get(f"{path}/match").status_code == 404
    person.page(f"{path}/match")
    later = world.services.kit.now().timestamp()
    monkeypatch.setattr("prefs.services.imports.time.time", lambda: later + 10**9)

    assert world.services.imports.forget_files() == 1

    assert person.get(f"{path}/match").status_code == 404
    assert KEPT_FOR.total_seconds() == 24 * 3600


@pytest.mark.parametrize("number", ["..", "up_..", "imp_x", "up_" + "0" * 24])
def test_a_draft_that_is_none_is_not_found(world: World, number: str) -> None:
    assert staff(world, Role.MARKETING).get(f"/admin/imports/{number}/match").status_code == 404


def test_the_file_is_named_without_folders_and_addresses(world: World) -> None:
    person = staff(world, Role.MARKETING)

    page = person.page(draft(person, LIST, "C:\\lists\\ada@example.com.csv") + "/match")

    assert "ada@example.com" not in page
    assert "lists" not in page


def test_a_running_import_refreshes_by_itself_until_told_not_to(world: World, tmp_path: Path) -> None:  # WCAG 2.2.2
    person = staff(world, Role.MARKETING)
    path, _ = checked(world, person, LIST)
    running = person.post(f"{path}/check").location

    assert '<meta http-equiv="refresh" content="20">' in person.page(running)
    assert "http-equiv" not in person.page(f"{running}?still=1")
    world.work()
    assert "http-equiv" not in person.page(person.get(running).location)


def test_a_reference_typed_at_the_top_leads_to_the_report(world: World) -> None:
    person = staff(world, Role.MARKETING)
    reference = imported(world, person, LIST)

    assert person.get("/admin/find", q=reference.lower()).location.endswith(f"/admin/imports/{reference}/report")
    assert person.get("/admin/imports/IM-0093/report").status_code == 404


def test_a_check_is_no_import(world: World) -> None:
    person = staff(world, Role.MARKETING)
    checked(world, person, LIST)
    (place,) = world.services.imports.folder.glob("imp_*")

    assert person.get(f"/admin/imports/{place.name.replace('imp_', 'IM-').upper()}/report").status_code == 404
    assert "Nothing has been imported yet." in person.page("/admin/imports")


def test_the_list_goes_older_and_newer_without_a_gap(world: World, tmp_path: Path) -> None:
    from prefs.storage import imports

    with world.services.kit.store.write() as connection:
        for number in range(120):
            values = {"id": f"imp_{number:024x}", "file_hash": bytes(32), "format": "plain", "options": {}}
            rest = {"dry_run": False, "status": "done", "actor": "cli:x", "uploaded_at": world.clock.at}
            imports.add(connection, values | rest)
            world.clock.forward(seconds=number % 2)
    person = staff(world, Role.MARKETING)

    first = person.page("/admin/imports")
    older = person.page(_link(first, "next"))
    oldest = person.page(_link(older, "next"))

    seen = [re.findall(r"IM-[0-9A-F]{24}", page) for page in (first, older, oldest)]
    assert [len(one) for one in seen] == [50, 50, 20]
    assert [int(one[3:], 16) for page in seen for one in page] == list(range(119, -1, -1))
    back = person.page(_link(oldest, "prev"))
    assert re.findall(r"IM-[0-9A-F]{24}", back) == seen[1]


def _link(page: str, rel: str) -> str:
    return re.search(rf'rel="{rel}" href="([^"]+)"', page)[1].replace("&amp;", "&")  # type: ignore[index]


def test_nothing_is_read_of_a_file_from_somebody_who_may_not_send_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefs.admin import frame

    engineer = staff(world, Role.ENGINEER)
    read: list[bool] = []
    monkeypatch.setattr(frame.csrf, "protect", lambda **more: read.append(True) if not more else None)

    assert send(engineer, LIST).status_code == 403
    assert read == []


def test_a_file_without_its_form_key_is_refused(world: World) -> None:
    person = staff(world, Role.MARKETING)

    answer = person.client.post(
        "/admin/imports/new",
        data={"file": (io.BytesIO(LIST.encode()), "a.csv")},
        content_type="multipart/form-data",
    )

    assert answer.status_code == 400
    assert list(world.services.imports.folder.glob("*")) == []


def approved(world: World, asker: Staff, reference: str, approver: Staff) -> TestResponse:
    """Ask to undo an import and answer yes."""
    asker.press(f"/admin/imports/{reference}/undo", act="ask")
    number = world.services.approvals.latest("import_undo", reference).id  # type: ignore[union-attr]
    return approver.post(f"/admin/approvals/{number}", answer="yes")


def test_undo_asks_a_second_person_and_removes_what_the_import_added(world: World) -> None:  # item 24, ux.md A5
    person, second = staff(world, Role.MARKETING), staff(world, Role.PRIVACY)
    world.client.post(world.link(to="ben@example.com", topic=None))
    reference = imported(world, person, LIST)
    assert "At most 2 opt-outs are removed" in person.page(f"/admin/imports/{reference}/undo")

    approved(world, person, reference, second)
    person.press(f"/admin/imports/{reference}/undo", act="undo")
    assert "This import is being undone" in person.page(f"/admin/imports/{reference}/report")
    world.work()

    assert "Undone: 2 opt-outs removed" in person.page(f"/admin/imports/{reference}/report")
    assert world.decide()["allowed"]
    assert world.decide(to="ben@example.com")["reason"] == "unsubscribed"
    assert world.entries()[-1].actor == second.user.actor
    assert "import_undone" in noted(world)


def test_nobody_undoes_an_import_alone(world: World) -> None:
    person = staff(world, Role.MARKETING)
    reference = imported(world, person, LIST)
    path = f"/admin/imports/{reference}/undo"

    assert person.post(path, act="undo").status_code == 409
    assert approved(world, person, reference, person).status_code == 409
    assert person.post(path, act="undo").status_code == 409

    world.work()
    assert world.decide()["reason"] == "unsubscribed"


def test_a_yes_undoes_once(world: World) -> None:
    person, second = staff(world, Role.MARKETING), staff(world, Role.PRIVACY)
    reference = imported(world, person, LIST)
    approved(world, second, reference, person)
    second.press(f"/admin/imports/{reference}/undo", act="undo")

    assert second.post(f"/admin/imports/{reference}/undo", act="undo").status_code == 409
    world.work()
    assert second.post(f"/admin/imports/{reference}/undo", act="ask").status_code == 409
    assert world.entries()[-1].actor == second.user.actor


def test_undoing_proves_again_who_it_is(world: World) -> None:
    person = staff(world, Role.MARKETING)
    reference = imported(world, person, LIST)

    assert "/admin/confirm" in person.later().post(f"/admin/imports/{reference}/undo", act="ask").location


def test_a_long_undo_goes_on_where_its_slice_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person, second = staff(world, Role.MARKETING), staff(world, Role.PRIVACY)
    reference = imported(world, person, "email\n" + "".join(f"p{n}@example.com\n" for n in range(7)))
    monkeypatch.setattr("prefs.services.imports._ONE_BY_ONE", 2)
    slices = iter(range(10**9))
    monkeypatch.setattr("prefs.services.imports.time.monotonic", lambda: next(slices) * 6.0)
    approved(world, person, reference, second)
    person.press(f"/admin/imports/{reference}/undo", act="undo")

    world.work()

    assert "Undone: 7 opt-outs removed" in person.page(f"/admin/imports/{reference}/report")
    assert all(world.decide(to=f"p{n}@example.com")["allowed"] for n in range(7))
