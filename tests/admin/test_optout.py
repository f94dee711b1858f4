"""Recording an opt-out that reached staff: effect, clock, evidence, confirmation (rules.md T-9, G-1, G-2)."""

import io
from datetime import date
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from prefs.domain.deadlines import business_days_after, business_days_between
from prefs.domain.roles import Role
from prefs.domain.terms import Channel, Reason
from prefs.storage.audit import AuditFilter
from tests.make import ADA, BEN, World
from tests.staff import Staff, staff

FORM = {
    "addresses": ADA,
    "scope": "all",
    "how": "letter",
    "received_day": "20",
    "received_month": "11",
    "received_year": "2026",
    "said": "No more of this, please.",
}
PDF = b"%PDF-1.4 a letter"


def record(who: Staff, **more: Any) -> str:
    return who.press("/admin/optout/new", **{**FORM, **more})


def test_all_marketing_stops_on_every_channel_and_the_page_says_so(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.consent("sms", BEN, "events")
    privacy = staff(world, Role.PRIVACY)

    page = record(privacy)

    assert "Stopped" in page
    assert "All marketing" in page
    assert ADA in page
    assert "NW-" in page
    assert "Reached us on 20 November 2026, to be done by 4 December 2026." in page
    assert world.decide("email", ADA)["reason"] == "unsubscribed"
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    ("country", "reason"), [("DE", Reason.OBJECTION), ("GB", Reason.OBJECTION), ("US", Reason.UNSUBSCRIBED)]
)
def test_without_a_limit_it_is_an_objection_in_europe(world: World, country: str, reason: Reason) -> None:
    """G-1: a letter that names no limit stops all marketing on all channels."""
    world.know(country=country)

    record(staff(world, Role.PRIVACY))

    (entry,) = world.entries()
    assert (entry.reason, entry.channel, entry.scope) == (reason, None, 0)


def test_the_received_day_is_evidence_and_the_stop_counts_from_now(world: World) -> None:
    """D7: an opt-out counts at receipt; T-9: its clock starts the day it reached us."""
    world.know()

    record(staff(world, Role.PRIVACY))

    (entry,) = world.entries()
    assert entry.occurred_at.date() == date(2026, 11, 20)
    assert entry.effective_at == world.clock.at
    assert entry.source == "letter"
    assert entry.actor
    assert entry.actor.startswith("staff:")


def test_a_letter_entered_after_ten_business_days_is_shown_as_late(world: World) -> None:
    world.know()
    privacy = staff(world, Role.PRIVACY)

    record(privacy, received_day="6", received_month="11")

    page = privacy.page(f"/admin/people/{world.services.persons.find(ADA)[0].reference}")
    assert "To be done by 20 November 2026: 2 business days late." in page


@pytest.mark.parametrize(
    ("received", "due"),
    [
        pytest.param(date(2026, 11, 20), date(2026, 12, 4), id="a Friday"),
        pytest.param(date(2026, 11, 21), date(2026, 12, 4), id="a Saturday"),
        pytest.param(date(2026, 11, 23), date(2026, 12, 7), id="a Monday"),
        pytest.param(date(2026, 12, 21), date(2027, 1, 4), id="Christmas is not skipped"),
    ],
)
def test_ten_business_days_count_monday_to_friday(received: date, due: date) -> None:
    assert business_days_after(received, 10) == due
    assert business_days_between(received, due) == 10


def test_only_what_they_named_stops(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.consent("sms", BEN, "events")
    world.consent("sms", BEN, "surveys")
    world.clock.forward(seconds=1)

    record(staff(world, Role.PRIVACY), scope="named", channels=["voice"], topics=["surveys"])

    assert world.decide("email", ADA, "surveys")["allowed"] is False
    assert world.decide("sms", BEN, "surveys")["allowed"] is False
    assert world.decide("email", ADA, "events")["allowed"] is True
    assert {(entry.channel, entry.reason) for entry in world.entries() if entry.reason} == {
        (None, Reason.UNSUBSCRIBED),
        (Channel.VOICE, Reason.DO_NOT_CALL),
    }


def test_every_address_they_gave_stops_known_or_not(world: World) -> None:
    world.know()

    page = record(staff(world, Role.PRIVACY), addresses=f"{ADA}\nnew@example.org\n\n+44 20 7946 0958\n")

    assert page.count('<td role="cell" data-l="Reference">') == 3
    for channel, to in (("email", ADA), ("email", "new@example.org"), ("sms", "+442079460958")):
        assert world.decide(channel, to)["allowed"] is False
    assert world.entries()[-1].reason is Reason.OBJECTION


def test_each_address_gets_one_confirmation_in_the_persons_language(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN), locale="de")

    record(staff(world, Role.PRIVACY), addresses=f"{ADA}\n{BEN}")
    world.work()

    (mail,), (text,) = world.mails(ADA), world.mails(BEN)
    assert "Sie" in mail.text
    assert "NW-" in mail.text
    assert "NW-" in text.text
    assert len(text.text) <= 160


def test_a_part_is_confirmed_by_mail_naming_the_part_and_never_by_text(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))

    page = record(
        staff(world, Role.PRIVACY), addresses=f"{ADA}\n{BEN}", scope="named", channels=["sms"], topics=["surveys"]
    )
    world.work()

    (mail,) = world.mails(ADA)
    assert mail.subject == "We changed what we send you"
    assert "We stopped Surveys on every channel." in mail.text
    assert "We stopped marketing texts." in mail.text
    assert world.mails(BEN) == []
    assert "No text goes out for a part." in page


def test_the_same_letter_twice_is_one_record(world: World) -> None:
    world.know()
    privacy = staff(world, Role.PRIVACY)

    record(privacy)
    again = record(privacy)

    assert len(world.entries()) == 1
    assert "Was stopped already" in again


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"addresses": ""}, "Enter an email address or a mobile number", id="no address"),
        pytest.param(
            {"addresses": f"{ADA}\nnot an address"}, "Line 2: An email address has an @ sign", id="second bad"
        ),
        pytest.param({"scope": ""}, "Choose what should stop", id="nothing chosen"),
        pytest.param({"scope": "named"}, "Tick what they named", id="named nothing"),
        pytest.param({"how": "pigeon"}, "Choose how they told us", id="unknown way"),
        pytest.param({"received_day": ""}, "Enter the day it reached us, like 12 5 2026", id="no day"),
        pytest.param({"received_day": "31", "received_month": "2"}, "Enter the day it reached us", id="no such day"),
        pytest.param({"received_year": "2027"}, "This date is in the future. Use the day it reached us.", id="future"),
        pytest.param(
            {"addresses": "new@example.org", "scope": "named", "channels": ["sms"]}, "Enter the number", id="no number"
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_stored(world: World, change: dict[str, Any], sentence: str) -> None:
    world.know()

    answer = staff(world, Role.PRIVACY).post("/admin/optout/new", **{**FORM, **change})

    assert answer.status_code == 422
    assert sentence in answer.text
    assert "<title>Error: Record an opt-out" in answer.text
    assert "No more of this, please." in answer.text
    assert world.entries() == []


def test_nothing_is_chosen_for_whoever_records(world: World) -> None:
    page = staff(world, Role.MARKETING).page("/admin/optout/new")

    assert " checked" not in page


def test_a_scan_is_kept_sealed_and_handed_out_to_the_privacy_office_only(world: World) -> None:
    world.know()
    privacy = staff(world, Role.PRIVACY)
    record(privacy, scan=(io.BytesIO(PDF), "letter.pdf"))
    number = world.entries()[0].id

    handed = privacy.get(f"/admin/evidence/EV-{number}/scan")
    refused = staff(world, Role.MARKETING).get(f"/admin/evidence/EV-{number}/scan")

    assert handed.data == PDF
    assert handed.mimetype == "application/pdf"
    assert handed.headers["Content-Disposition"] == "attachment; filename=letter.pdf"
    assert refused.status_code == 403
    assert world.services.audit.page(AuditFilter(action="address_revealed"), 5)[0].entry.detail == {
        "scan": f"EV-{number}"
    }
    assert PDF not in stored_evidence(world)


def stored_evidence(world: World) -> bytes:
    from sqlalchemy import text

    with world.services.kit.store.read() as connection:
        return b"".join(bytes(row[0]) for row in connection.execute(text("SELECT sealed FROM evidence")))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"%PDF-" + b"x" * 5 * 1024 * 1024, "This file is larger than 5 MB", id="too large"),
        pytest.param(b"<html><script>", "Use a PDF, JPEG, PNG or TIFF file", id="a web page"),
    ],
)
def test_other_files_are_refused_and_nothing_is_recorded(world: World, content: bytes, sentence: str) -> None:
    world.know()

    privacy = staff(world, Role.PRIVACY)
    # Encoded here: the test client would leave a large body in an open file.
    sent = {**FORM, "csrf_token": privacy.key(), "scan": FileStorage(io.BytesIO(content), "x.pdf")}
    boundary, body = encode_multipart(sent)
    kind = f"multipart/form-data; boundary={boundary}"

    answer = privacy.client.post("/admin/optout/new", data=body, content_type=kind)

    assert answer.status_code == 422
    assert sentence in answer.text
    assert world.entries() == []


def test_recording_is_noted_with_the_reference_and_without_the_address(world: World) -> None:
    world.know()
    record(staff(world, Role.MARKETING))

    (found,) = world.services.audit.page(AuditFilter(action="stop_recorded"), 5)

    assert found.entry.about == world.services.persons.find(ADA)[0].reference
    assert found.entry.detail["how"] == "letter"
    assert "example.com" not in str(found.entry.detail)


def test_of_somebody_erased_the_address_is_not_kept_again(world: World) -> None:
    from tests.admin.test_people import erase

    erase(world, ADA)

    record(staff(world, Role.PRIVACY))

    assert world.services.persons.find(ADA)[0].addresses[0].clear is None


def test_the_letter_to_print_is_in_the_persons_language(world: World) -> None:
    world.know(locale="fr")
    privacy = staff(world, Role.PRIVACY)
    reference = record(privacy).partition("NW-")[2][:9]

    page = privacy.page(f"/admin/record/NW-{reference}/letter")

    assert 'lang="fr" dir="ltr"' in page
    assert f"NW-{reference}" in page
    assert "20 novembre 2026" in page
