"""The preference center: ux.md P3 and P8; contract section 4, D18 to D22; V04, V05, V08, V11, I08."""

import re
from collections.abc import Callable

import pytest

from prefs.domain.terms import Act
from prefs.services.presses import reference
from tests.make import ADA, BEN, World

SURVEYS, EVENTS, NEWS = "surveys", "events", "company-news"


def row(form: dict[str, str], end: str) -> str:
    return next(name for name in form if name.endswith(f".{end}") or name.endswith(end))


def save(world: World, link: str, **changes: str) -> object:
    """Open the page, change rows by the end of their names, save, and return the page that follows."""
    form = world.form(world.client.get(link).text)
    for end, value in changes.items():
        form[row(form, end.replace("_", "-"))] = value
    answer = world.client.post(link, data=form)
    if answer.status_code == 303:
        return world.client.get(answer.headers["Location"])
    return answer


def test_the_page_shows_every_topic_as_it_is_today(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:surveys"})

    page = world.client.get(world.choices_link()).text
    form = world.form(page)

    assert {name.rpartition(".")[2]: value for name, value in form.items() if "." in name} == {
        "company-news": "send",
        "product-offers": "send",
        "partner-offers": "send",
        "surveys": "stop",
        "events": "send",
        "all": "stop",
    }
    assert "4 of 5 kinds of email, no marketing texts and no push notifications" in page


def test_a_contact_in_europe_gets_what_it_said_yes_to_and_nothing_else(world: World) -> None:
    """Contract section 1: the EEA, the UK and Canada need consent first; "send" is never preset (ux P3)."""
    world.know(country="DE")
    world.consent("email", ADA, "events")

    form = world.form(world.client.get(world.choices_link()).text)

    assert [name.rpartition(".")[2] for name, value in form.items() if value == "send"] == ["events"]


def test_v05_a_forwarded_link_shows_no_address_in_full_on_any_channel(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))

    page = world.client.get(world.choices_link()).text

    assert "a••@example.com" in page
    assert "••• ••• 0123" in page
    assert ADA not in page
    assert BEN not in page


def test_a_save_stops_at_once_and_names_what_it_stopped(world: World) -> None:
    world.know()

    page = save(world, world.choices_link(), surveys="stop", product_offers="stop")

    assert "Your choices are saved" in page.text
    assert "We stopped <b>Product offers</b> and <b>Surveys</b> by email." in page.text
    assert world.decide(topic="surveys")["reason"] == "unsubscribed"
    assert world.decide(topic="events")["allowed"] is True


def test_v08_saving_untouched_changes_nothing(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))

    page = save(world, world.choices_link())

    assert "You did not change anything" in page.text
    assert world.entries() == []


def test_v08_rows_that_were_not_shown_are_not_altered(world: World) -> None:
    world.know()
    link = world.choices_link()
    form = world.form(world.client.get(link).text)

    world.client.post(link, data={**form, "email.ffffffff.surveys": "stop", "nonsense": "stop", "account": "stop"})

    assert world.entries() == []


def test_v11_stopping_needs_no_cookie_referer_or_fresh_page(world: World) -> None:
    world.know()
    link = world.choices_link()
    form = world.form(world.client.get(link).text)
    form[row(form, SURVEYS)] = "stop"
    form.pop("csrf_token")
    world.clock.forward(days=2)
    stranger = world.client.application.test_client()

    answer = stranger.post(link, data=form)

    assert answer.status_code == 303
    assert world.decide(topic="surveys")["allowed"] is False


def test_a_message_link_cannot_raise_by_itself_it_mails_a_confirmation(world: World) -> None:  # D20
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})

    page = save(world, world.choices_link(), surveys="stop", events="send")
    world.work()

    assert "We stopped <b>Surveys</b>" in page.text
    assert "To start <b>Events</b>, press the button in the email we have just sent you." in page.text
    assert world.decide(topic="surveys")["allowed"] is False
    assert world.decide(topic="events")["allowed"] is False
    confirm = world.link_in(world.mails()[0], "/confirm/")
    world.client.post(confirm)
    assert world.decide(topic="events")["allowed"] is True


def test_a_link_asked_for_raises_at_once_for_its_own_address(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})

    page = save(world, world.asked_link(), events="send")

    assert "We will send you <b>Events</b> by email." in page.text
    assert world.decide(topic="events")["allowed"] is True
    assert world.decide(topic="surveys")["allowed"] is False


def test_a_link_asked_for_does_not_raise_for_another_address_of_the_contact(world: World) -> None:
    world.know(("email", ADA), ("email", "ada@work.example"))
    world.post("/v1/suppressions", {"channel": "email", "to": "ada@work.example", "scope": "topic:events"})
    link = world.asked_link()
    form = world.form(world.client.get(link).text)
    theirs = next(name for name, value in form.items() if value == "stop" and name.endswith("events"))

    world.client.post(link, data={**form, theirs: "send"})
    world.work()

    assert world.decide(to="ada@work.example", topic="events")["allowed"] is False
    assert "/confirm/" in world.mails("ada@work.example")[0].text


def test_raising_without_our_own_form_is_refused_and_the_form_comes_back_filled_in(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})
    link = world.asked_link()
    form = world.form(world.client.get(link).text)
    form |= {row(form, EVENTS): "send", row(form, SURVEYS): "stop", "csrf_token": "stale"}

    answer = world.client.post(link, data=form)

    assert answer.status_code == 400
    assert "This page was open for a long time" in answer.text
    assert "We saved what you stopped." in answer.text
    assert re.search(rf'name="{re.escape(row(form, EVENTS))}" value="send" checked', answer.text)
    assert world.decide(topic="surveys")["allowed"] is False
    assert world.decide(topic="events")["allowed"] is False


def test_i08_a_stop_made_after_the_page_was_opened_is_kept(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})
    link = world.asked_link()
    form = world.form(world.client.get(link).text)
    world.clock.forward(minutes=5)
    world.client.post(world.link(topic="events"))
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})

    answer = world.client.post(link, data={**form, row(form, EVENTS): "send"})
    page = world.client.get(answer.headers["Location"]).text

    assert "after this page was opened. We kept that." in page
    assert "Your choices are saved" not in page
    assert world.decide(topic="events")["allowed"] is False


def test_i08_an_old_page_saved_again_revives_nothing(world: World) -> None:
    world.know()
    link = world.choices_link()
    form = world.form(world.client.get(link).text)
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})

    world.client.post(link, data=form)

    assert world.decide(topic="surveys")["allowed"] is False


def test_an_old_page_does_not_stop_what_was_started_since(world: World) -> None:
    """A save carries changes, not the whole state."""
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})
    link = world.asked_link()
    old = world.form(world.client.get(link).text)
    save(world, link, events="send")

    world.client.post(link, data=old)

    assert world.decide(topic="events")["allowed"] is True


def test_texts_are_one_row_and_dont_send_stops_them_all(world: World) -> None:  # D22
    world.know(("email", ADA), ("sms", BEN))
    world.consent("sms", BEN, "events")
    world.consent("sms", BEN, "surveys")

    page = save(world, world.choices_link(), all="stop")

    assert "We stopped marketing texts." in page.text
    assert world.decide("sms", BEN, "events")["scope"] == "all"
    assert world.decide("sms", BEN, "surveys")["allowed"] is False


def test_starting_texts_asks_for_yes_by_text(world: World) -> None:  # M5
    world.know(("email", ADA), ("sms", BEN))

    page = save(world, world.asked_link(), all="send")
    world.work()

    assert "reply YES to the text we have just sent you" in page.text
    assert world.decide("sms", BEN, "events")["allowed"] is False
    asked = world.mails(BEN)[0]
    assert "reply YES" in asked.text
    world.text("YES", to=asked.sender)
    assert world.decide("sms", BEN, "events")["allowed"] is True


def test_w11_a_number_the_provider_blocks_is_told_to_text_start(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.post(
        "/v1/suppressions",
        {"channel": "sms", "to": BEN, "reason": "provider_block", "scope": "sender:sms-marketing"},
    )

    page = save(world, world.asked_link(), all="send")

    assert re.search(r"text START to <bdi[^>]*>\+15550100001", page.text)


def test_push_is_read_only_unless_the_device_agreed_and_then_it_can_be_stopped(world: World) -> None:
    world.know(("email", ADA), ("push", "device-1"))
    assert "Only you can turn these on." in world.client.get(world.choices_link()).text
    world.consent("push", "device-1", "events")
    link = world.choices_link()
    form = world.form(world.client.get(link).text)
    push = next(name for name in form if name.startswith("push."))
    assert form[push] == "send"

    world.client.post(link, data={**form, push: "stop"})

    assert world.decide("push", "device-1", "events")["allowed"] is False


def test_stop_all_stops_every_channel_and_says_since_when(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.consent("sms", BEN, "events")
    link = world.choices_link()

    answer = world.client.application.test_client().post(f"{link}/stop", data={"scope": "every_channel"})
    page = world.client.get(answer.headers["Location"]).text

    assert answer.status_code == 303
    assert "All marketing is stopped" in page
    assert "We send you no marketing" in page
    assert "Marketing is stopped since 24 November 2026." in page
    assert world.decide()["allowed"] is False
    assert world.decide("sms", BEN, "events")["allowed"] is False
    assert world.decide(topic="account")["allowed"] is True


def test_pause_holds_marketing_for_thirty_days_and_ends_by_itself(world: World) -> None:
    world.know()
    link = world.choices_link()

    answer = world.client.post(f"{link}/pause")

    assert "We send you no marketing until 24 December 2026." in world.client.get(answer.headers["Location"]).text
    assert world.decide()["reason"] == "snoozed"
    world.clock.forward(days=31)
    assert world.decide()["allowed"] is True


def test_undo_restores_what_a_save_stopped_and_only_from_our_own_form(world: World) -> None:
    world.know()
    link = world.choices_link()
    page = save(world, link, surveys="stop").text
    token = world.form(page)["csrf_token"]

    assert world.client.post(f"{link}/undo").status_code == 400
    assert world.decide(topic="surveys")["allowed"] is False
    answer = world.client.post(f"{link}/undo", data={"csrf_token": token})

    assert "Your choices are as they were before." in world.client.get(answer.headers["Location"]).text
    assert world.decide(topic="surveys")["allowed"] is True


def test_undo_is_gone_once_anything_newer_is_recorded(world: World) -> None:
    world.know()
    link = world.choices_link()
    token = world.form(save(world, link, surveys="stop").text)["csrf_token"]
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "source": "letter"})

    answer = world.client.post(f"{link}/undo", data={"csrf_token": token})

    assert "This can no longer be undone" in world.client.get(answer.headers["Location"]).text
    assert world.decide(topic="surveys")["allowed"] is False


@pytest.mark.parametrize(("asked", "hours"), [(False, 60 * 24), (True, 24)])
def test_p8_a_link_gets_too_old_to_show_choices_but_never_to_stop(world: World, asked: bool, hours: int) -> None:
    world.know()
    link = world.asked_link() if asked else world.choices_link()
    world.clock.forward(hours=hours - 1)
    assert "Choose what we send you" in world.client.get(link).text
    world.clock.forward(hours=2)

    answer = world.client.get(link)

    assert answer.status_code == 200
    assert "This link is too old to show your choices" in answer.text
    assert "It was made on 24 November 2026." in answer.text
    assert "Surveys" not in answer.text
    world.client.post(f"{link}/stop", data={"scope": "all"})
    assert world.decide()["allowed"] is False


def test_a_link_too_old_cannot_raise(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})
    link = world.asked_link()
    form = world.form(world.client.get(link).text)
    world.clock.forward(hours=25)

    world.client.post(link, data={**form, row(form, EVENTS): "send"})
    world.work()

    assert world.decide(topic="events")["allowed"] is False
    assert "/confirm/" not in "".join(mail.text for mail in world.mails())


def test_v04_a_token_of_one_purpose_opens_nothing_else(world: World) -> None:
    world.know()
    unsubscribe, manage = world.link().rpartition("/")[2], world.choices_link().rpartition("/")[2]
    world.post("/v1/consents", {**CONSENT, "double_opt_in": True})
    world.work()
    confirm = world.link_in(world.mails()[0], "/confirm/").rpartition("/")[2]
    doors = {"u": unsubscribe, "p": manage, "confirm": confirm}

    for door in (*doors, "rights"):
        for name, token in doors.items():
            assert (world.client.get(f"/{door}/{token}").status_code == 200) is (door == name)


CONSENT = {"channel": "email", "to": ADA, "topic": "events", "source": "form", "wording": "Yes, events please."}


def test_a_restriction_shows_choices_as_text_and_changes_nothing(world: World) -> None:
    world.know()
    page = world.client.get("/rights")
    assert page.status_code == 200
    ask_for(world, "restriction")

    page = world.client.get(world.choices_link()).text

    assert "Your request <bdi>PR-0001</bdi> is open, so we are not using your details for marketing." in page
    assert 'type="radio"' not in page
    assert world.decide()["reason"] == "restricted"
    assert world.decide(topic="account")["allowed"] is True


def ask_for(world: World, kind: str, to: str = ADA) -> str:
    details = {"kind": kind, "address": to, "about": "Please."}
    page = world.client.post("/rights", data={**details, "step": "details"})
    token = world.form(page.text)["csrf_token"]
    answer = world.client.post("/rights", data={**details, "step": "check", "csrf_token": token})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].partition("?")[0]


def test_the_evidence_names_page_wording_and_language(world: World) -> None:  # rules.md G-7
    from prefs.services.kit import evidence_context
    from prefs.storage import evidence

    world.know()
    save(world, world.choices_link() + "?lang=en", surveys="stop")
    entry = world.entries()[-1]
    kit = world.services.kit
    with kit.store.read() as connection:
        sealed = evidence.of_act(connection, entry.act_id, entry.subject)
        device = evidence.of_act(connection, entry.act_id, entry.subject, evidence.DEVICE)
    proof = kit.vault.open_json(sealed[0], context=evidence_context(entry.act_id, entry.subject))

    assert (proof["page"], proof["language"]) == ("P3", "en")
    assert "Save my choices" in (world.services.wordings.read(proof["wording"]) or [])
    assert kit.vault.open_json(device[0], context=evidence_context(entry.act_id, entry.subject))["ip"] == "127.0.0.1"
    assert "ip" not in proof


def test_an_unknown_addresss_page_tells_nothing_apart_and_can_stop(world: World) -> None:
    link = world.choices_link("never-seen@example.com")

    page = world.client.get(link).text

    assert "For <b>this address</b>" in page
    world.client.post(f"{link}/stop")
    assert world.decide(to="never-seen@example.com")["allowed"] is False


def test_safe_methods_change_nothing(world: World) -> None:  # E-5, V07
    world.know()
    link = world.choices_link()
    for path in (link, f"{link}/stop", f"{link}/pause", f"{link}/undo", f"{link}/link"):
        for method in ("GET", "HEAD", "OPTIONS"):
            world.client.open(path, method=method)

    assert world.entries() == []
    world.work()
    assert world.mails() == []


def test_an_outage_keeps_the_stops_of_a_save_and_says_so(
    world: World, build_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from prefs.errors import StoreUnavailable

    world.know()
    link = world.choices_link()
    form = world.form(world.client.get(link).text)
    form[row(form, SURVEYS)] = "stop"

    @contextmanager
    def away(_store: object):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("away")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(type(world.services.kit.store), "write", away)
        answers = [world.client.post(link, data=form), world.client.post(f"{link}/stop")]

    assert [answer.status_code for answer in answers] == [503, 503]
    told = re.search(r"NW-\w{4}-\w{4}", answers[0].text)[0]  # type: ignore[index]
    assert "We have your request, and it is not finished" in answers[0].text
    assert world.entries() == []
    world.services.upkeep.run_once()
    assert world.decide(topic="surveys")["allowed"] is False
    assert [entry.act for entry in world.entries()] == [Act.OPT_OUT, Act.OPT_OUT]
    assert reference(world.entries()[0].act_id) == told
