"""Double opt-in: ux.md P11; contract D20; rules.md G-7; invariant I07."""

import pytest

from tests.make import ADA, BEN, World

CONSENT = {"channel": "email", "to": ADA, "topic": "events", "source": "signup", "wording": "Yes, events please."}


def pending(world: World, **more: object) -> str:
    """Record a consent that waits, and return the link that was mailed."""
    answer = world.post("/v1/consents", {**CONSENT, "double_opt_in": True, **more})
    assert answer.status_code == 201, answer.text
    assert answer.json["status"] == "pending"
    world.work()
    return world.link_in(world.mails()[0], "/confirm/")


@pytest.fixture
def europe(world: World) -> World:
    """A world where consent must come first."""
    world.know(country="DE")
    return world


def test_a_pending_consent_allows_nothing(europe: World) -> None:
    pending(europe)

    assert europe.decide(topic="events")["reason"] == "consent_pending"


def test_opening_the_link_confirms_nothing_pressing_does(europe: World) -> None:
    link = pending(europe)
    for method in ("GET", "HEAD", "OPTIONS"):
        europe.client.open(link, method=method)
    assert europe.decide(topic="events")["allowed"] is False

    answer = europe.client.application.test_client().post(link)

    assert answer.status_code == 303
    assert europe.decide(topic="events")["allowed"] is True
    assert europe.decide(topic="surveys")["allowed"] is False


def test_the_page_says_what_starts_and_where_and_after_it_what_did(europe: World) -> None:
    link = pending(europe)
    before = europe.client.get(link).text
    europe.client.post(link)
    after = europe.client.get(link).text

    assert 'Press the button to get “Events” emails at <b dir="ltr">a••@example.com</b>.' in before
    assert "Yes, send me these emails" in before
    assert 'You will get “Events” emails at <b dir="ltr">a••@example.com</b>.' in after
    assert "Unsubscribe from all marketing emails" in after


def test_pressing_again_shows_the_same_page_and_records_nothing(europe: World) -> None:
    link = pending(europe)
    europe.client.post(link)
    number = len(europe.entries())
    europe.client.post(link)

    assert len(europe.entries()) == number
    assert "<h1>Done</h1>" in europe.client.get(link).text


@pytest.mark.parametrize("scope", ["all", "topic:events"])
def test_i07_a_newer_opt_out_makes_the_link_void(europe: World, scope: str) -> None:
    link = pending(europe)
    europe.clock.forward(hours=1)
    europe.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": scope})

    europe.client.post(link)

    assert europe.decide(topic="events")["allowed"] is False
    page = europe.client.get(link).text
    assert "We kept your stop" in page
    assert "You stopped these emails on 24 November 2026, after this link was made." in page


def test_i07_a_stop_of_something_else_voids_nothing(europe: World) -> None:
    link = pending(europe)
    europe.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:surveys"})

    europe.client.post(link)

    assert europe.decide(topic="events")["allowed"] is True


def test_a_stop_after_confirming_is_not_undone_by_the_old_link(europe: World) -> None:
    link = pending(europe)
    europe.client.post(link)
    europe.client.post(europe.link(topic="events"))

    europe.client.post(link)

    assert europe.decide(topic="events")["allowed"] is False


def test_after_seven_days_the_link_is_too_old_to_use_and_can_still_stop(europe: World) -> None:
    link = pending(europe)
    europe.clock.forward(days=8)

    europe.client.post(link)
    page = europe.client.get(link)

    assert europe.decide(topic="events")["allowed"] is False
    assert "This link is too old to use" in page.text
    assert "Unsubscribe from all marketing emails" in page.text


def test_g7_the_evidence_has_the_exact_words_and_their_version(europe: World) -> None:
    import hashlib

    from prefs.services.kit import evidence_context
    from prefs.storage import evidence

    europe.client.post(pending(europe))
    kit = europe.services.kit
    asked, confirmed = europe.entries()[-2:]
    with kit.store.read() as connection:
        proofs = [
            kit.vault.open_json(one, context=evidence_context(entry.act_id, entry.subject))
            for entry in (asked, confirmed)
            for one in evidence.of_act(connection, entry.act_id, entry.subject)
        ]

    assert proofs[0]["wording"] == "Yes, events please."
    assert proofs[0]["wording_version"] == hashlib.sha256(b"Yes, events please.").hexdigest()[:16]
    assert proofs[1]["page"] == "P11"
    assert "Yes, send me these emails" in (europe.services.wordings.read(proofs[1]["wording"]) or [])


def test_a_later_opt_out_refuses_a_double_opt_in_too(europe: World) -> None:
    europe.client.post(europe.link(topic="events"))

    answer = europe.post("/v1/consents", {**CONSENT, "double_opt_in": True})

    assert (answer.status_code, answer.json["code"]) == (409, "later_opt_out")


@pytest.mark.parametrize(
    "more", [{"channel": "push", "to": "device"}, {"kind": "implied", "expires_at": "2027-01-01T00:00:00Z"}]
)
def test_only_what_a_person_can_confirm_may_be_double_opt_in(world: World, more: dict[str, str]) -> None:
    answer = world.post("/v1/consents", {**CONSENT, "double_opt_in": True, **more})

    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "double_opt_in")


def test_a_text_is_confirmed_by_yes(world: World) -> None:
    world.post("/v1/consents", {**CONSENT, "channel": "sms", "to": BEN, "double_opt_in": True})
    world.work()
    asked = world.mails(BEN)[0]

    assert world.decide("sms", BEN, "events")["reason"] == "consent_pending"
    world.text("Yes", to=asked.sender)
    assert world.decide("sms", BEN, "events")["allowed"] is True


def test_the_same_request_again_sends_one_mail(world: World) -> None:
    for _ in range(3):
        world.post("/v1/consents", {**CONSENT, "double_opt_in": True}, **{"Idempotency-Key": "k1"})
    world.work()

    assert len(world.mails()) == 1


def test_the_confirmation_is_in_the_contacts_language(world: World) -> None:
    world.know(locale="de-AT")
    pending(world)

    assert world.mails()[0].html.count('lang="de"') == 1
