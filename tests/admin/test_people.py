"""Finding a person and the person's page: by key alone, masked by role, noted before it is shown."""

import pytest

from prefs.domain.references import person_reference
from prefs.domain.roles import Role
from prefs.services.rights import Right
from prefs.storage.audit import AuditFilter
from tests.make import ADA, BEN, World
from tests.staff import Staff, staff


def reference_of(world: World, typed: str = ADA) -> str:
    found = world.services.persons.find(typed)
    assert len(found) == 1
    return found[0].reference


def noted(world: World, action: str) -> list[str | None]:
    found = world.services.audit.page(AuditFilter(action=action), 50)
    return [one.entry.about for one in found]


def opened(world: World, who: Staff, typed: str = ADA, **query: str) -> str:
    return who.page(f"/admin/people/{reference_of(world, typed)}", **query)


def test_an_address_leads_straight_to_its_person(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    privacy = staff(world, Role.PRIVACY)

    by_email = privacy.get("/admin/people", q="  Ada@Example.com ")
    by_number = privacy.get("/admin/people", q="+1 415 555 0123")

    assert by_email.status_code == by_number.status_code == 303
    assert by_email.location == by_number.location == f"/admin/people/{reference_of(world)}"


@pytest.mark.parametrize("typed", ["%@example.com", "_da@example.com", "ada@example", "%", "_", "' OR 1=1 --", "ad*"])
def test_nobody_is_found_by_likeness(world: World, typed: str) -> None:
    """A LIKE on addresses would match many (V13), a quote would be SQL (V19)."""
    world.know()
    privacy = staff(world, Role.PRIVACY)

    answer = privacy.get("/admin/people", q=typed)

    assert answer.status_code == 404
    assert "We hold no one with that address. You can still record an opt-out for it." in answer.text


def test_an_id_is_found_by_its_beginning_and_several_are_listed(world: World) -> None:
    world.know(contact="crm-17")
    world.know(("email", "ben@example.com"), contact="crm-18")
    world.know(("email", "cem@example.com"), contact="crm_19")
    privacy = staff(world, Role.PRIVACY)

    listed = privacy.page("/admin/people", q="crm-1")

    assert "2 people" in listed
    assert "a••@example.com" in listed
    assert ADA not in listed
    assert "crm_19" not in listed


def test_two_people_behind_one_reference_typed_are_never_chosen_for_us(world: World) -> None:
    world.know(contact="ada@example.com")
    world.know(("email", "ben@example.com"), contact="ada@example.com.au")
    privacy = staff(world, Role.PRIVACY)

    assert "2 people" in privacy.page("/admin/people", q=ADA)


def test_searching_and_opening_are_noted_without_the_address(world: World) -> None:
    world.know()
    privacy = staff(world, Role.PRIVACY)

    privacy.get("/admin/people", q=ADA)
    opened(world, privacy)

    assert noted(world, "person_searched") == [None]
    assert noted(world, "person_seen") == [reference_of(world)]


def test_the_privacy_office_sees_the_address_and_marketing_does_not(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))

    full = opened(world, staff(world, Role.PRIVACY))
    masked = opened(world, staff(world, Role.MARKETING))

    assert ADA in full
    assert BEN in full
    assert ADA not in masked
    assert BEN not in masked
    assert "a••@example.com" in masked
    assert "••• ••• 0123" in masked


def test_an_id_that_is_an_address_is_masked_like_one(world: World) -> None:
    world.know(("sms", BEN), contact="ada@example.com")
    world.know(("email", "cem@example.com"), contact="ada@example.com-2")

    listed = staff(world, Role.PRIVACY).page("/admin/people", q="ada@")
    page = opened(world, staff(world, Role.MARKETING), "cem@example.com")

    assert "ada@" not in listed.replace('value="ada@"', "")
    assert "ada@" not in page
    assert "ada@example.com-2" in opened(world, staff(world, Role.PRIVACY, "two@staff.example"), "cem@example.com")


def test_an_engineer_sees_no_people(world: World) -> None:
    world.know()

    answer = staff(world, Role.ENGINEER).get(f"/admin/people/{reference_of(world)}")

    assert answer.status_code == 403
    assert "Engineers see no people" in answer.text


def test_what_may_be_sent_is_what_a_decision_says(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN), country="DE")
    world.consent("sms", BEN, "events")
    world.consent("email", ADA, "surveys", occurred_at="2026-11-20T00:00:00Z")
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})
    shown = world.services.persons.sendable(world.services.persons.find(ADA)[0])

    email = {name: cells[shown.channels.index("email")].decision for name, _, cells in shown.rows}
    asked = {
        topic.name: world.decide("email", ADA, topic.slug)["outcome"]
        for topic in world.services.kit.catalogue.topics
        if topic.message_class == "marketing"
    }

    assert {name: email[name].outcome for name in asked} == asked  # type: ignore[union-attr]
    assert asked["Surveys"] == "allowed"
    page = opened(world, staff(world, Role.PRIVACY))
    assert "Agreed" in page
    assert "Opted out" in page
    assert "No consent" in page
    assert "Off in app" in page


def test_looking_is_not_counted_as_a_question(world: World) -> None:
    world.know()
    world.services.decisions.take_counts()

    opened(world, staff(world, Role.PRIVACY))

    assert not world.services.decisions.take_counts()


def test_the_ladder_on_the_page_is_the_ladder_of_the_api(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "source": "letter"})
    steps = world.decide(explain=True)["steps"]

    page = opened(world, staff(world, Role.PRIVACY), channel="email", topic="product-offers")
    text = staff(world, Role.MARKETING).get(
        f"/admin/people/{reference_of(world)}/check.txt", channel="email", topic="product-offers"
    )

    blocked = next(step["detail"] for step in steps if step["result"] == "block")
    assert "Yes. Blocked." in page
    assert blocked in page
    assert text.mimetype == "text/plain"
    assert f"4. Opted out of this channel? Yes, block. ({blocked})" in text.text
    assert "5. Opted out of this topic? Not reached." in text.text


def test_history_shows_wording_device_effect_and_seal_of_each_record(world: World) -> None:
    world.know()
    world.client.post(f"{world.link()}/stop", data={"scope": "all"}, headers={"User-Agent": "Mozilla/5.0 (Mobile)"})
    world.services.sealing.seal()

    page = opened(world, staff(world, Role.PRIVACY))

    assert "Opted out of all marketing emails" in page
    assert "unsubscribe" in page
    assert ", English" in page
    assert "Phone or tablet. Details are kept for 90 days." in page
    assert "The person" in page
    assert "Not sealed yet" not in page
    assert "127.0.0.1" not in page


def test_what_a_provider_or_a_person_wrote_is_inert(world: World) -> None:
    """A bounce text or a note with HTML in it must not run in the console (V17)."""
    world.know()
    world.events(world.event("spamreport", reason="<script>alert(1)</script>"))
    body = {"channel": "email", "to": ADA, "note": '"><img src=x onerror=alert(1)>', "source": "letter"}
    world.post("/v1/suppressions", body)

    page = opened(world, staff(world, Role.PRIVACY))

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_marketing_sees_that_something_is_on_record_but_not_the_words(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "note": "my mother died", "source": "letter"})

    assert "my mother died" in opened(world, staff(world, Role.PRIVACY))
    assert "my mother died" not in opened(world, staff(world, Role.MARKETING))


def test_an_address_that_joined_a_person_leads_to_them_and_says_so(world: World) -> None:
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    alone = reference_of(world)
    world.know()
    privacy = staff(world, Role.PRIVACY)

    answer = privacy.get(f"/admin/people/{alone}")

    assert answer.status_code == 303
    assert f"The record {alone} was joined with this one. Stops from both apply." in privacy.page(answer.location)


def test_a_restricted_person_is_marked_with_the_request(world: World) -> None:
    world.know()
    world.services.rights.ask(Right.RESTRICTION, ADA, "", "en", "192.0.2.1")
    page = opened(world, staff(world, Role.PRIVACY))

    assert "Do not use for anything but storage." in page
    assert "PR-0001" in page


def test_of_somebody_erased_only_reference_and_day_are_left(world: World) -> None:
    erase(world, ADA)
    privacy = staff(world, Role.PRIVACY)

    page = opened(world, privacy)

    assert "We keep a fingerprint of the address so that we do not contact it again." in page
    assert "24 November 2026" in page
    assert "example.com" not in page.replace("staff.example", "")


def erase(world: World, address: str) -> None:
    """Leave of an address what an erasure leaves: its key, and what must stand."""
    from prefs.domain.address import parse_address
    from prefs.domain.terms import Channel, Reason
    from prefs.services.kit import act, open_key, stop
    from prefs.storage import ledger

    kit = world.services.kit
    parsed = parse_address(Channel.EMAIL, address)
    with kit.store.write() as connection:
        known = open_key(connection, kit, kit.address_keys.key(parsed), parsed.kind)
        book = ledger.open_book(connection, [known])
        doing = act("staff", kit.now())
        ledger.append(connection, book, [stop(doing, book, known.subject, Channel.EMAIL, reason=Reason.ERASED)])


@pytest.mark.parametrize(
    "reference", ["CT-2222222222222", "CT-x", "nonsense", "CT-ZZZZZZZZZZZZZ", person_reference(2**62)]
)
def test_a_reference_to_nobody_is_not_found(world: World, reference: str) -> None:
    assert staff(world, Role.PRIVACY).get(f"/admin/people/{reference}").status_code == 404


def test_an_evidence_reference_opens_its_record_on_the_persons_page(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "source": "letter"})
    number = world.entries()[0].id
    privacy = staff(world, Role.PRIVACY)

    answer = privacy.get(privacy.get("/admin/find", q=f"ev-{number}").location)

    assert answer.location.endswith(f"#EV-{number}")
    assert f'<li id="EV-{number}">' in privacy.page(answer.location.partition("#")[0])


def test_the_reference_a_person_reads_out_leads_to_what_they_did(world: World) -> None:
    world.know()
    done = world.client.post(f"{world.link()}/stop", data={"scope": "all"}, follow_redirects=True).text
    reference = done.partition("NW-")[2][:9]
    privacy = staff(world, Role.PRIVACY)

    page = privacy.page(privacy.get("/admin/find", q=f"nw-{reference}").location)

    assert "Opted out of all marketing emails" in page
    assert "a••@example.com" in page
    assert privacy.get("/admin/record/NW-2222-2222").status_code == 404


def test_the_person_page_asks_as_often_for_long_histories_as_for_short_ones(world: World) -> None:
    from sqlalchemy import event

    asked: list[str] = []
    engine = world.services.kit.store.reader
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    world.know(("email", ADA), ("email", "ada2@example.com"), ("sms", BEN))
    privacy = staff(world, Role.PRIVACY)
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    opened(world, privacy)
    counts = []
    for topics in (["surveys"], ["events", "partner-offers", "company-news"]):
        for topic in topics:
            world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": f"topic:{topic}", "note": topic})
        asked.clear()
        opened(world, privacy)
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_a_request_starts_with_the_address_filled_in_and_none_in_the_link(world: World) -> None:  # ux.md A2
    world.know()
    privacy = staff(world, Role.PRIVACY)

    page = opened(world, privacy)
    link = f"/admin/requests/new?person={reference_of(world)}"

    assert f'href="{link}">Start a privacy request' in page
    assert f'name="to" type="text" value="{ADA}"' in privacy.page(link)
    assert noted(world, "address_revealed") == [reference_of(world)]


def test_a_request_about_a_contact_without_an_address_is_about_its_id(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.key}"}
    world.client.put("/v1/contacts/crm-17", json={"country": "DE"}, headers=headers)
    privacy = staff(world, Role.PRIVACY)

    reference = reference_of(world, "crm-17")

    assert 'name="to" type="text" value="crm-17"' in privacy.page("/admin/requests/new", person=reference)


def test_the_record_is_a_file_and_who_took_it_for_whom_and_why_is_noted(world: World) -> None:  # rules.md C-5
    world.know(("email", ADA), ("sms", BEN))
    world.consent("sms", BEN, "events", wording="Yes, text me.")
    world.client.post(world.link(topic=None))
    privacy, reference = staff(world, Role.PRIVACY), reference_of(world)
    path = f"/admin/people/{reference}/export"

    assert f'href="{path}">Export this record' in opened(world, privacy)
    assert noted(world, "person_exported") == []
    why = {"recipient": "The authority", "purpose": "their letter about ada@example.com"}
    answer = privacy.post(path, form="json", **why)

    assert answer.headers["Content-Disposition"] == f"attachment; filename={reference}.json"
    copy = answer.json
    assert copy["reference"] == reference
    assert {one["address"] for one in copy["addresses"]} == {ADA, BEN}
    assert len(copy["history"]) == len(world.entries())
    assert "Yes, text me." in answer.text
    (entry,) = world.services.audit.page(AuditFilter(action="person_exported"), 5)
    assert entry.entry.about == reference
    assert entry.entry.actor == privacy.user.actor
    assert entry.entry.detail == {"form": "json", "recipient": "The authority", "purpose": "their letter about •••"}
    page = privacy.post(path, form="html", **why)
    assert page.mimetype == "text/html"
    assert ADA in page.text


def test_a_record_without_recipient_and_purpose_is_not_made(world: World) -> None:
    world.know()
    privacy = staff(world, Role.PRIVACY)

    answer = privacy.post(f"/admin/people/{reference_of(world)}/export", form="json", purpose="a question")

    assert answer.status_code == 422
    assert "Say who gets the file" in answer.text
    assert 'value="a question"' in answer.text
    assert noted(world, "person_exported") == []


def test_a_record_leaves_only_with_a_fresh_proof_of_who_takes_it(world: World) -> None:
    world.know()
    privacy = staff(world, Role.PRIVACY).later()

    answer = privacy.post(f"/admin/people/{reference_of(world)}/export", form="json", recipient="x", purpose="y")

    assert answer.location.startswith("/admin/confirm")
    assert noted(world, "person_exported") == []


def test_marketing_reads_who_starts_requests_and_exports_records(world: World) -> None:
    world.know()
    marketing = staff(world, Role.MARKETING)

    page = opened(world, marketing)

    assert "Start a privacy request" not in page
    assert "Export this record" not in page
    assert "Privacy requests are started, and records exported, by the privacy office." in page
    assert marketing.get(f"/admin/people/{reference_of(world)}/export").status_code == 403
    assert marketing.get("/admin/requests/new", person=reference_of(world)).status_code == 403
