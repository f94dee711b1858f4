"""Privacy requests at the console: what the office sees and does, and what nobody else sees (ux.md A4)."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from prefs.domain.roles import Role
from prefs.services.casework import Right
from prefs.storage.audit import AuditFilter
from tests.make import ADA, BEN, NOON, World
from tests.services.test_requests import record
from tests.staff import Staff, staff

NEW = {
    "to": ADA,
    "kind": "access",
    "received_by": "letter",
    "received_day": "20",
    "received_month": "11",
    "received_year": "2026",
    "about": "Everything you have.",
    "language": "en",
}


@pytest.fixture
def office(world: World) -> Staff:
    return staff(world, Role.PRIVACY)


def noted(world: World, action: str) -> list[str | None]:
    return [one.entry.about for one in world.services.audit.page(AuditFilter(action=action), 20)]


@pytest.mark.parametrize("role", [Role.MARKETING, Role.ENGINEER])
def test_only_the_privacy_office_reads_requests(world: World, role: Role) -> None:
    item = record(world, Right.ACCESS, about="My words.")
    person = staff(world, role)

    for path in ("/admin/requests", f"/admin/requests/{item.reference}", "/admin/requests/new"):
        answer = person.get(path)
        assert answer.status_code == 403
        assert "read by the privacy office only" in answer.text
        assert "My words." not in answer.text
    assert "Privacy requests" not in person.page("/admin/account")


def test_a_letter_is_taken_down_and_its_day_counts(world: World, office: Staff) -> None:
    world.know()

    page = unescape(office.press("/admin/requests/new", **NEW))

    assert "The request is taken down" in page
    assert "Arrived 20 November 2026. 30 days: 20 December 2026." in page
    assert "Everything you have." in page
    assert "a••@example.com" in page
    assert ADA not in page
    assert world.services.requests.get(1).item.received_at == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_request_about_a_contact_or_a_number_finds_its_kind(world: World, office: Staff) -> None:
    world.know(("email", ADA), ("sms", BEN))

    office.press("/admin/requests/new", **{**NEW, "to": "ada"})
    office.press("/admin/requests/new", **{**NEW, "to": "(415) 555-0123"})

    assert [world.services.requests.get(number).item.masked for number in (1, 2)] == [
        "a••@example.com",
        "••• ••• 0123",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"to": ""}, "Enter the email address, phone number or contact it is about"),
        ({"to": "a@b"}, "The part after the @ sign is not a domain name."),
        ({"to": "nobody"}, "There is no contact with this id"),
        ({"kind": ""}, "Choose what they ask for"),
        ({"received_by": "owl"}, "Choose how it reached us"),
        ({"received_day": "31", "received_month": "2"}, "Enter the day it reached us"),
        ({"received_day": "25"}, "This date is in the future. Use the day it reached us."),
        ({"received_year": "0"}, "Enter the day it reached us"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(office: Staff, change: dict[str, str], sentence: str) -> None:
    answer = office.post("/admin/requests/new", **{**NEW, **change})

    assert answer.status_code == 422
    assert sentence in unescape(answer.text)
    assert "<title>Error: Record a request" in answer.text
    assert "Everything you have." in answer.text


def test_the_list_says_deadlines_in_words_nearest_first(world: World, office: Staff) -> None:
    record(world, Right.ERASURE, "l@example.com", received_at=NOON - timedelta(days=31))
    record(world, Right.ACCESS, "k@example.com", received_at=NOON - timedelta(days=30))
    record(world, Right.RECTIFICATION, "m@example.com", received_at=NOON - timedelta(days=24))
    record(world, Right.OBJECTION, BEN, received_at=NOON - timedelta(days=5))
    waiting = record(world, Right.ACCESS, "t@example.com", received_at=NOON - timedelta(days=18))
    world.services.requests.pause(waiting.number, office.user.actor, "Which account?")

    page = unescape(office.page("/admin/requests"))

    words = [
        "Overdue by 1 day",
        "Due today",
        "6 days left",
        "12 days left, waiting since 24 Nov",
        "Done at once, reply due in 25 days",
    ]
    places = [page.index(one) for one in words]
    assert places == sorted(places)
    assert "1 request is overdue and 1 is due today." in page
    assert page.count("have no owner.") == 1
    assert 'class="dl dl--bad"' in page
    assert 'class="dl dl--warn"' in page
    assert "Waiting for person" in page
    assert "l@example.com" not in page
    assert '<span class="n n--hot">2<span class="vh"> overdue or due today' in page


def test_take_it_gives_it_an_owner_and_a_tab(world: World, office: Staff) -> None:
    item = record(world, Right.ACCESS)
    assert "Take it" in office.page("/admin/requests", tab="nobody")

    office.press(f"/admin/requests/{item.reference}/take")

    assert item.reference in office.page("/admin/requests", tab="mine")
    assert item.reference not in office.page("/admin/requests", tab="nobody").partition("<main")[2]
    other = staff(world, Role.ADMIN)
    assert other.post(f"/admin/requests/{item.reference}/take").status_code == 409


def test_an_empty_list_says_when_the_last_one_was_answered(world: World, office: Staff) -> None:
    assert "No open requests." in office.page("/admin/requests")
    item = record(world, Right.OBJECTION)
    world.services.requests.answer(item.number, "robin", "Done.")

    assert "The last one was answered on 24 November 2026." in office.page("/admin/requests")
    assert "Answered 24 Nov" in office.page("/admin/requests", tab="answered")


def test_a_request_goes_from_letter_to_answer(world: World, office: Staff) -> None:
    world.know()
    office.press("/admin/requests/new", **NEW)
    path = "/admin/requests/PR-0001"
    page = office.page(path)
    assert "Cannot start yet" in page
    assert "Copy to read" not in page

    page = office.press(f"{path}/proof", proof="Called back, two questions.")
    assert "Identity checked" in page
    page = office.press(f"{path}/note", note="She called: it is urgent.")
    assert "She called: it is urgent." in page
    page = unescape(office.press(f"{path}/more-time", **{"more-time": "Two archives."}))
    assert "First date: 20 December 2026. Two months more: 20 February 2027." in page
    copy = office.post(f"{path}/copy", form="json")
    assert copy.json["addresses"][0]["address"] == ADA
    page = office.press(f"{path}/answer", answer="Your copy is ready.")

    assert "The person was told by email" in page
    assert "Your copy is ready." in page
    world.work()
    assert world.mails()[0].subject == "Your request PR-0001: our answer"
    assert noted(world, "request_exported") == ["PR-0001"]
    assert set(noted(world, "request_opened")) == {"PR-0001"}
    assert len(noted(world, "request_changed")) == 5


def test_where_no_mail_can_go_the_page_says_to_write(world: World, office: Staff) -> None:
    item = record(world, Right.ACCESS, "stranger@example.com")
    office.press(f"/admin/requests/{item.reference}/proof", proof="Voice.")

    page = office.press(f"/admin/requests/{item.reference}/answer", answer="Nothing here.")

    assert "Send the answer by letter." in page


def test_an_act_without_its_sentence_is_to_be_mended(world: World, office: Staff) -> None:
    item = record(world, Right.ACCESS)

    answer = office.post(f"/admin/requests/{item.reference}/proof", proof="  ")

    assert answer.status_code == 422
    assert "Write a sentence." in answer.text
    assert '<details class="todo-d" open>' in answer.text


def test_a_paused_request_keeps_its_date_and_goes_on(world: World, office: Staff) -> None:
    item = record(world, Right.ACCESS)

    page = unescape(office.press(f"/admin/requests/{item.reference}/pause", pause="Which account?"))
    assert "30 days left, waiting since 24 Nov" in page
    page = office.press(f"/admin/requests/{item.reference}/resume")

    assert "waiting since" not in page


def test_an_address_is_corrected_and_its_stops_move(world: World, office: Staff) -> None:
    world.know()
    world.client.post(world.link(topic="surveys"))
    item = record(world, Right.RECTIFICATION)
    path = f"/admin/requests/{item.reference}"
    office.press(f"{path}/proof", proof="Voice.")
    wrong = office.post(f"{path}/correct", **{"correct-channel": "email", "correct-old": ADA, "correct-new": "x"})
    assert wrong.status_code == 422
    assert "An email address has an @ sign" in wrong.text

    form = {"correct-channel": "email", "correct-old": ADA, "correct-new": "new@example.com"}
    page = office.press(f"{path}/correct", **form)

    assert "The address is corrected" in page
    assert world.decide(to="new@example.com", topic="surveys")["reason"] == "unsubscribed"


def test_a_restriction_is_confirmed_answered_and_ended(world: World, office: Staff) -> None:
    world.know()
    item = record(world, Right.RESTRICTION)
    path = f"/admin/requests/{item.reference}"

    office.press(f"{path}/confirm", confirm="Disputed.")
    assert world.decide(topic="activity")["allowed"] is False
    office.press(f"{path}/answer", answer="Held.")
    assert "In force since 24 Nov" in office.page("/admin/requests")
    page = office.press(f"{path}/close", close="Settled.")

    assert "The restriction has ended" in page
    assert world.decide(topic="activity")["allowed"] is True


def test_showing_an_address_is_noted(world: World, office: Staff) -> None:
    item = record(world, Right.ACCESS)

    answer = office.post(f"/admin/requests/{item.reference}/address")

    assert ADA in answer.text
    assert noted(world, "address_revealed") == [item.reference]


def test_a_deletion_is_counted_approved_by_another_and_carried_out(world: World, office: Staff) -> None:
    world.know(("email", ADA), ("sms", BEN))
    item = record(world, Right.ERASURE)
    path = f"/admin/requests/{item.reference}"
    office.press(f"{path}/proof", proof="Voice.")

    page = office.press(f"{path}/ask")
    assert "What goes" in page
    assert "Delete the data now" not in page
    assert office.post(f"{path}/erase").status_code == 409
    assert world.get("/v1/contacts/ada").status_code == 200
    second = Staff(world, world.services.team.create("second@staff.example", Role.PRIVACY, by="tests")).enter()
    question = world.services.approvals.latest("erasure", item.reference)
    assert question is not None
    page = second.press(f"/admin/approvals/{question.id}", answer="yes", next=f"{path}/erase")
    assert "Delete the data now" in page

    page = office.press(f"{path}/erase")

    assert "The person’s data is deleted" in unescape(page)
    assert "The person was erased." in page
    assert world.get("/v1/contacts/ada").status_code == 404
    assert ADA not in page


def test_deleting_asks_again_who_it_is(world: World, office: Staff) -> None:  # reliability.md item 24
    world.know()
    item = record(world, Right.ERASURE)
    office.later()

    answer = office.post(f"/admin/requests/{item.reference}/erase")

    assert answer.status_code == 303
    assert answer.location.startswith("/admin/confirm?")


def test_a_stop_that_waited_too_long_is_said_on_its_page(world: World, office: Staff) -> None:  # T-9
    item = record(world, Right.OBJECTION, received_at=NOON - timedelta(days=15))

    page = unescape(office.page(f"/admin/requests/{item.reference}"))

    assert "This one reached us on 9 November 2026 and was recorded after 23 November 2026." in page
    assert "Stopped later than 10 business days" in page


@pytest.mark.parametrize("reference", ["PR-9999", "PR-x", "XX-1", "PR-" + "9" * 40])
def test_no_such_request_is_said_so(office: Staff, reference: str) -> None:
    for path in (f"/admin/requests/{reference}", f"/admin/requests/{reference}/erase"):
        assert office.get(path).status_code == 404
    assert office.post(f"/admin/requests/{reference}/take").status_code == 404


def test_the_search_jumps_to_a_request(world: World, office: Staff) -> None:
    item = record(world, Right.ACCESS)

    assert office.get("/admin/find", q=item.reference.lower()).location == f"/admin/requests/{item.reference}"


def test_what_a_person_wrote_is_shown_as_text(world: World, office: Staff) -> None:  # V17, V18
    item = record(world, Right.ACCESS, about="<script>alert(1)</script> {{7*7}}")

    page = office.page(f"/admin/requests/{item.reference}")

    assert "&lt;script&gt;" in page
    assert "{{7*7}}" in page


@pytest.mark.parametrize("kind", list(Right))
def test_every_task_that_can_be_started_leads_to_its_place_on_the_page(
    world: World, office: Staff, kind: Right
) -> None:
    item = record(world, kind)
    world.services.requests.record_proof(item.number, "robin", "Voice.")

    page = office.page(f"/admin/requests/{item.reference}")

    targets = re.findall(r'href="#([^"]+)"', page.partition('class="tasks')[2])
    assert targets
    assert [one for one in targets if f'id="{one}"' not in page] == []
