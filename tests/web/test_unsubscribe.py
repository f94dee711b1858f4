"""The unsubscribe page and the one-click POST: rules.md E-1 to E-8, E-11, E-13; V01 to V11."""

import re

import pytest

from tests.make import ADA, World


@pytest.mark.parametrize(
    "request_like",
    [
        pytest.param({"data": {"List-Unsubscribe": "One-Click"}}, id="E-1 urlencoded"),
        pytest.param(
            {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"}, id="E-2 multipart"
        ),
        pytest.param({"data": b"List-Unsubscribe=One-Click"}, id="E-2 no content type"),
        pytest.param({"data": b""}, id="empty"),
        pytest.param({"data": b"\xff" * 1000, "content_type": "application/json"}, id="nonsense"),
        pytest.param({"query_string": "utm_source=x&_hsmi=7"}, id="E-11 tracker parameters"),
        pytest.param({"query_string": "token=other", "data": {"token": "other"}}, id="V02 another token elsewhere"),
        pytest.param({"headers": {"Cookie": "session=stolen", "Origin": "https://evil.example"}}, id="V03 cookies"),
    ],
)
def test_one_click_stops_whatever_the_body_says(world: World, request_like: dict[str, object]) -> None:
    answer = world.client.post(world.link(), **request_like)  # type: ignore[arg-type]

    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert world.decide()["reason"] == "unsubscribed"


def test_e3_a_trailing_slash_is_no_redirect(world: World) -> None:
    assert world.client.post(world.link() + "/").status_code == 200
    assert world.decide()["reason"] == "unsubscribed"


def test_e4_a_hundred_posts_are_one_opt_out(world: World) -> None:
    link = world.link()

    assert {world.client.post(link).status_code for _ in range(100)} == {200}
    assert len(world.entries()) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_e5_safe_methods_change_nothing(world: World, method: str) -> None:
    link = world.link()
    for path in (link, f"{link}/done", f"{link}/stop", f"{link}/undo"):
        for _ in range(20):
            world.client.open(path, method=method)

    assert world.entries() == []
    assert world.client.post(link).status_code == 200


def test_e6_the_page_has_a_button_and_nothing_that_presses_it(world: World) -> None:
    page = world.client.get(world.link()).text

    assert re.search(r'<form method="post"[^>]*>\s*<button', page)
    assert "<script" not in page
    assert "http-equiv" not in page
    assert not re.search(r"(src|href)=.https?://(?!northwind\.example)", page)


def test_e7_every_dead_token_gets_the_same_answer(world: World) -> None:
    link = world.link()
    dead = [link[:-1] + ("A" if link[-1] != "A" else "B"), "/u/x", "/u/" + "A" * 48, link + "A"]
    pages = {world.client.get(path).text for path in dead}

    assert len(pages) == 1
    assert "This link does not work" in pages.pop()
    for path in dead:
        for answer in (world.client.get(path), world.client.post(path), world.client.post(f"{path}/stop")):
            assert answer.status_code == 404
            assert ADA not in answer.text
    assert world.entries() == []


def test_e8_a_link_works_years_later(world: World) -> None:
    link = world.link()
    world.clock.forward(days=3 * 365)

    assert world.client.post(link).status_code == 200
    assert world.decide()["reason"] == "unsubscribed"


def test_e13_the_very_next_question_says_blocked(world: World) -> None:
    for number in range(20):
        link = world.link(f"p{number}@example.com")
        world.client.post(link)
        assert world.decide(to=f"p{number}@example.com")["allowed"] is False


def test_v05_the_page_shows_its_own_topic_and_the_address_masked(world: World) -> None:
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:surveys"})

    page = world.client.get(world.link()).text

    assert "a••@example.com" in page
    assert ADA not in page
    assert "Surveys" not in page
    assert "Product offers" in page


def test_an_address_we_never_stored_is_this_address(world: World) -> None:  # contract D17
    page = world.client.get(world.link("never-seen@example.com")).text

    assert "For <b>this address</b>" in page


def test_v11_the_pages_own_form_needs_no_cookie_referer_or_fresh_page(world: World) -> None:
    link = world.link()
    world.clock.forward(days=2)

    answer = world.client.post(f"{link}/stop", data={"scope": "topic:product-offers"})

    assert answer.status_code == 303
    assert "emails are stopped" in world.client.get(answer.headers["Location"]).text


def test_every_channel_stops_what_the_address_can_carry(world: World) -> None:
    number = "+14155550123"
    world.consent("whatsapp")
    link = world.link(number, "events", "sms")

    world.client.post(f"{link}/stop", data={"scope": "every_channel"})

    assert world.decide("whatsapp", number, "events")["reason"] == "unsubscribed"


@pytest.mark.parametrize("scope", ["topic:nope", "sender:news", "everything", "topic:"])
def test_an_odd_scope_is_refused_and_changes_nothing(world: World, scope: str) -> None:
    assert world.client.post(f"{world.link()}/stop", data={"scope": scope}).status_code == 422
    assert world.entries() == []


def test_undo_is_gone_after_thirty_minutes_or_anything_newer(world: World) -> None:  # contract D19
    link = world.link()
    world.client.post(f"{link}/stop", data={"scope": "all"})
    world.clock.forward(minutes=31)
    world.client.post(f"{link}/undo")
    assert world.decide()["allowed"] is False

    other = world.link("bob@example.com")
    world.client.post(f"{other}/stop", data={"scope": "all"})
    world.post("/v1/suppressions", {"channel": "email", "to": "bob@example.com", "source": "letter"})
    world.client.post(f"{other}/undo")
    assert world.decide(to="bob@example.com")["allowed"] is False


def test_undo_never_takes_back_a_one_click(world: World) -> None:
    link = world.link()
    world.client.post(link)
    world.client.post(f"{link}/undo")

    assert world.decide()["allowed"] is False


def test_another_persons_link_undoes_nothing(world: World) -> None:  # V01
    world.client.post(f"{world.link()}/stop", data={"scope": "all"})
    world.client.post(f"{world.link('bob@example.com')}/undo")

    assert world.decide()["allowed"] is False


def test_already_stopped_is_a_page_of_success_with_its_date(world: World) -> None:
    link = world.link()
    world.client.post(f"{link}/stop", data={"scope": "all"})

    answer = world.client.get(link)

    assert answer.status_code == 200
    assert "You were already unsubscribed" in answer.text
    assert "24 November 2026" in answer.text


def test_a_link_of_a_retired_topic_stops_all_marketing_on_its_channel(world: World) -> None:  # contract D16
    link = world.link(topic="surveys")
    world.services.kit.catalogues.apply(
        '[[topic]]\nslug = "surveys"\nname = "Surveys"\nmessage_class = "marketing"\nretired = true'
    )

    world.client.post(link)

    assert world.decide(topic="events")["reason"] == "unsubscribed"


def test_pages_carry_the_headers_of_item_27(world: World) -> None:
    headers = world.client.get(world.link()).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "strict-origin"
    assert headers["X-Robots-Tag"] == "noindex"
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_v35_a_foreign_host_is_refused_and_never_reaches_a_link(world: World) -> None:
    assert world.client.get(world.link(), headers={"Host": "evil.example"}).status_code == 400


def test_with_the_database_away_a_stop_is_kept_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.webhooks.test_twilio import break_writes

    link = world.link()
    break_writes(world, monkeypatch)
    one_click, pressed = world.client.post(link), world.client.post(f"{link}/stop", data={"scope": "all"})

    assert (one_click.status_code, pressed.status_code) == (503, 503)
    assert "We have your request, and it is not finished" in pressed.text
    monkeypatch.undo()
    world.services.upkeep.run_once()
    assert world.decide(topic="events")["reason"] == "unsubscribed"
