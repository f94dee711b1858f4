"""``/stop``, dead links and fresh links: ux.md P4 to P7; contract D21; V13, V15."""

import re
from collections.abc import Callable

import pytest

from prefs.domain.terms import Act
from prefs.services.presses import reference
from tests.make import ADA, BEN, World


def ask(world: World, address: str, want: str = "stop", **more: str) -> str:
    """Send the form and return the page that follows."""
    answer = world.client.post("/stop", data={"address": address, "want": want, **more})
    assert answer.status_code == 303, answer.text
    return world.client.get(answer.headers["Location"]).text


def plain(page: str) -> str:
    """Return a page without what may differ: what was typed, the reference, the nonce and the sealed note."""
    page = re.sub(r"NW-\w{4}-\w{4}", "NW", page)
    page = re.sub(r"r(=|%3D)[\w%-]+", "r", page)
    return re.sub(r"[\w.]+@example\.com", "typed", page)


@pytest.mark.parametrize("want", ["stop", "link"])
def test_v13_known_and_unknown_addresses_get_the_same_answer(world: World, want: str) -> None:
    world.know()
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})

    answers = [world.client.post("/stop", data={"address": a, "want": want}) for a in (ADA, "bob@example.com")]
    pages = [plain(world.client.get(answer.headers["Location"]).text) for answer in answers]

    assert pages[0] == pages[1]
    assert answers[0].status_code == answers[1].status_code == 303
    assert len(answers[0].headers["Location"]) - len(answers[1].headers["Location"]) in (0, -4, -5, -6)
    differing = {name for name, value in answers[0].headers if answers[1].headers.get(name) != value}
    assert differing <= {"Location", "Content-Length", "X-Request-Id", "Content-Security-Policy"}


def test_a_stop_counts_at_once_and_reaches_every_channel_of_the_address(world: World) -> None:
    world.know(("sms", BEN))
    world.consent("sms", BEN, "events")
    world.consent("whatsapp", BEN, "events")

    page = ask(world, "(415) 555-0123")

    assert "Marketing to this address is stopped" in page
    assert "Email, text and push marketing to this address" in page
    assert world.decide("sms", BEN, "events")["reason"] == "unsubscribed"
    assert world.decide("whatsapp", BEN, "events")["reason"] == "unsubscribed"
    assert world.decide("sms", BEN, "account")["allowed"] is True


def test_an_unknown_address_is_kept_as_its_key_alone_and_stays_stopped(world: World) -> None:
    from sqlalchemy import select

    from prefs.storage.tables import address

    ask(world, "stranger@example.com")

    assert world.decide(to="stranger@example.com")["allowed"] is False
    with world.services.kit.store.read() as connection:
        assert connection.execute(select(address.c.sealed)).scalar_one() is None
    world.work()
    assert world.mails("stranger@example.com") == []


def test_a_known_address_gets_the_record_with_a_way_back(world: World) -> None:  # P6, M1
    world.know()
    reference = re.search(r"NW-\w{4}-\w{4}", ask(world, ADA))[0]  # type: ignore[index]
    world.work()

    mail = world.mails()[0]
    assert mail.subject == "We have stopped our marketing emails"
    assert f"Reference: {reference}" in mail.text
    assert "You asked us to stop on 24 November 2026 at 17:00 UTC." in mail.text
    assert "a••@example.com" in mail.text
    assert "List-Unsubscribe" not in mail.headers
    world.clock.forward(minutes=1)
    world.client.post(world.link_in(mail, "/confirm/"))
    assert world.decide()["allowed"] is True


def test_only_a_known_address_is_sent_a_link_and_it_is_a_service_mail(world: World) -> None:  # M2
    world.know()
    page = ask(world, ADA, "link") + ask(world, "stranger@example.com", "link")
    world.work()

    assert page.count("a link is on its way. It works for 24 hours.") == 2
    mail = world.mails()[0]
    assert mail.message_class == "transactional"
    assert "It works until 25 November 2026 at 17:00 UTC." in mail.text
    assert world.mails("stranger@example.com") == []
    assert len(world.services.outbox.messages()) == 1


def test_a_link_goes_to_somebody_who_stopped_everything(world: World) -> None:
    world.know()
    ask(world, ADA)

    assert "We send you no marketing" in world.client.get(world.asked_link()).text


def test_a_number_gets_its_link_by_text(world: World) -> None:
    world.know(("sms", BEN))
    page = ask(world, BEN, "link")
    world.work()

    assert "Check your texts" in page
    assert re.search(
        r"your choices, for 24 hours: http\S+/p/\S{64} Did not ask\? Ignore this\.", world.mails(BEN)[0].text
    )


@pytest.mark.parametrize(
    ("form", "words"),
    [
        pytest.param({}, ["There are two things to fix"], id="nothing"),
        pytest.param({"want": "stop"}, ["There is one thing to fix", "Enter an email address, like"], id="no address"),
        pytest.param({"address": "ada@example", "want": "stop"}, ["Enter an email address, like"], id="no address"),
        pytest.param({"address": "555 0100", "want": "stop"}, ["Enter an email address, like"], id="no area code"),
        pytest.param({"address": ADA}, ["Choose what you want to do"], id="no choice"),
        pytest.param({"address": ADA, "want": "send"}, ["Choose what you want to do"], id="odd choice"),
    ],
)
def test_mistakes_are_named_first_and_what_was_typed_stays(
    world: World, form: dict[str, str], words: list[str]
) -> None:
    answer = world.client.post("/stop", data=form)

    assert answer.status_code == 422
    assert "<title>Error: Stop or change our messages" in answer.text
    assert all(word in answer.text for word in words)
    if "address" in form:
        assert f'value="{form["address"]}"' in answer.text
    assert world.entries() == []


def test_many_links_are_refused_and_stopping_never_is(world: World) -> None:  # D27
    world.know()
    answers = [world.client.post("/stop", data={"address": ADA, "want": "link"}).status_code for _ in range(5)]
    assert answers == [303, 303, 303, 429, 429]
    page = world.client.post("/stop", data={"address": ADA, "want": "link"}).text
    assert "To stop marketing you do not have to wait." in page

    for number in range(40):
        form = {"address": f"p{number}@example.com", "want": "stop"}
        assert world.client.post("/stop", data=form).status_code == 303
    world.clock.forward(minutes=16)
    assert world.client.post("/stop", data={"address": ADA, "want": "link"}).status_code == 303


def test_limits_tell_nothing_about_an_address(world: World) -> None:
    world.know()
    for address in (ADA, "stranger@example.com"):
        answers = [world.client.post("/stop", data={"address": address, "want": "link"}).status_code for _ in range(4)]
        assert answers == [303, 303, 303, 429]


def test_the_trap_field_swallows_a_programs_request_and_looks_the_same(world: World) -> None:
    world.know()

    page = ask(world, ADA, "link", website="https://spam.example")
    world.work()

    assert "a link is on its way" in page
    assert world.mails() == []


def test_the_trap_never_swallows_a_stop(world: World) -> None:
    ask(world, ADA, "stop", website="https://spam.example")

    assert world.decide()["allowed"] is False


@pytest.mark.parametrize("typed", ["%@example.com", "_@example.com", "*@example.com"])
def test_v13_wildcards_are_letters(world: World, typed: str) -> None:
    world.know()
    world.client.post("/stop", data={"address": typed, "want": "stop"})

    assert world.decide()["allowed"] is True


def test_what_was_typed_is_sealed_in_the_address_of_the_page_and_ends_after_an_hour(world: World) -> None:
    location = world.client.post("/stop", data={"address": ADA, "want": "stop"}).headers["Location"]

    assert "ada" not in location
    assert ADA in world.client.get(location).text
    assert world.client.get(location[:-2] + "AA").status_code == 303
    world.clock.forward(minutes=61)
    assert world.client.get(location).headers["Location"] == "/stop"


@pytest.mark.parametrize("door", ["u", "p"])
def test_a_fresh_link_goes_to_the_tokens_own_address_with_the_address_masked(world: World, door: str) -> None:
    world.know()
    link = world.link() if door == "u" else world.choices_link()

    answer = world.client.application.test_client().post(f"{link}/link")
    page = world.client.get(answer.headers["Location"]).text
    world.work()

    assert "a••@example.com" in page
    assert ADA not in page
    assert world.mails()[0].subject == "Your link to choose what we send you"


def test_p7_a_dead_link_is_no_dead_end(world: World) -> None:
    for path in ("/u/x", "/p/x", "/confirm/x", "/rights/x", "/u/x/choose"):
        page = world.client.get(path)
        assert page.status_code == 404
        assert "This link does not work" in page.text
        assert 'action="/stop"' in page.text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil",
        "https://evil.example",
        "/%0d%0aSet-Cookie:x",
        "\\\\e",
        "/a\r\nb",
    ],
)
def test_v15_the_language_menu_leads_back_to_our_own_site_only(world: World, target: str) -> None:
    answer = world.client.get("/lang", query_string={"to": "de", "next": target})

    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert "\r" not in location


def test_what_a_person_typed_is_never_markup(world: World) -> None:  # V16
    typed = '"><script>alert(1)</script>@example.com'

    page = world.client.post("/stop", data={"address": typed, "want": "x"}).text

    assert "<script>alert" not in page


def test_the_list_that_is_the_same_for_everybody_shows_no_choice(world: World) -> None:  # D18, V05
    world.know()
    before = world.client.get(f"{world.link()}/choose").text
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:surveys"})

    assert world.client.get(f"{world.link()}/choose").text == before
    assert before.count("Stop this") == 5
    assert "checked" not in before


def test_ticked_topics_stop_and_the_page_names_them(world: World) -> None:
    world.know()
    stranger = world.client.application.test_client()

    answer = stranger.post(f"{world.link()}/choose", data={"topic": ["surveys", "events", "nonsense"]})
    page = stranger.get(answer.headers["Location"]).text

    assert "Surveys and Events" in page
    assert world.decide(topic="surveys")["allowed"] is False
    assert world.decide(topic="events")["allowed"] is False
    assert world.decide(topic="company-news")["allowed"] is True
    stranger.post(f"{world.link()}/undo")
    assert world.decide(topic="events")["allowed"] is True


def test_ticking_nothing_changes_nothing_and_says_so(world: World) -> None:
    assert "You did not tick anything." in world.client.post(f"{world.link()}/choose").text
    assert world.entries() == []


def test_the_record_of_an_unsubscribe_is_mailed_once(world: World) -> None:  # P2, M1
    world.know()
    link = world.link()
    world.client.post(f"{link}/stop", data={"scope": "topic:product-offers"})
    for _ in range(3):
        world.client.post(f"{link}/record")
    world.work()

    assert "We sent a record to" in world.client.get(f"{link}/done").text
    assert [mail.subject for mail in world.mails()] == ["We have stopped our marketing emails"]
    assert "Stopped: Product offers" in world.mails()[0].text


def test_the_record_says_whose_stop_it_was_and_not_another_links(world: World) -> None:
    world.know()
    world.client.post(world.link())

    world.client.post(f"{world.link()}/record")
    world.work()

    assert world.mails() == []


def test_an_outage_keeps_a_typed_stop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from prefs.errors import StoreUnavailable

    @contextmanager
    def away(_store: object):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("away")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(type(world.services.kit.store), "write", away)
        answer = world.client.post("/stop", data={"address": ADA, "want": "stop"})

    assert answer.status_code == 503
    assert "We have your request, and it is not finished" in answer.text
    told = re.search(r"NW-\w{4}-\w{4}", answer.text)[0]  # type: ignore[index]
    world.services.upkeep.run_once()
    assert world.decide()["allowed"] is False
    assert reference(world.entries()[0].act_id) == told
    assert [(entry.act, entry.channel) for entry in world.entries()] == [(Act.OPT_OUT, None)]


def test_announced_work_says_until_when_while_the_database_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from prefs.errors import StoreUnavailable

    @contextmanager
    def away(_store: object):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("away")
        yield

    link = world.link()
    world.services.settings.data_dir.mkdir(exist_ok=True)
    (world.services.settings.data_dir / "planned-work").write_text("14:00\n")
    monkeypatch.setattr(type(world.services.kit.store), "read", away)

    page = world.client.get(link)

    assert page.status_code == 503
    assert "We are working on this page until 14:00" in page.text
    (world.services.settings.data_dir / "planned-work").unlink()
    assert "Sorry, that did not work" in world.client.get(link).text


def test_a_number_without_country_and_without_a_default_asks_for_the_code(build_world: Callable[..., World]) -> None:
    world = build_world(PREFS_DEFAULT_REGION="ZZ")

    answer = world.client.post("/stop", data={"address": "0171 2345678", "want": "stop"})

    assert answer.status_code == 422
    assert "Add the country code, like +49" in answer.text
