"""What went wrong elsewhere, at our own doors (reliability.md V01 to V15).

V04, V05 and V08 stand with the preference center, V13 and V15 with the stop page.
"""

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.links import LinkTarget, Purpose
from tests.faults.service import running
from tests.make import ADA, Clock, World

BOB = "bob@example.com"


@pytest.mark.parametrize("door", ["", "/stop", "/choose", "/undo", "/link", "/record"])
def test_v01_as_token_changes_only_a_whatever_else_is_sent(world: World, door: str) -> None:
    world.know(("email", ADA))
    world.know(("email", BOB), contact="bob")
    elsewhere = {
        "email": BOB,
        "address": BOB,
        "to": BOB,
        "contact": "bob",
        "token": world.link(BOB),
        "topic": "surveys",
    }
    before = world.client.get(world.link(BOB)).text

    world.client.post(
        world.link() + door,
        data=elsewhere,
        query_string=elsewhere,
        headers={"X-Email": BOB, "X-Forwarded-User": BOB, "Cookie": f"token={world.link(BOB)}"},
    )
    world.work()

    assert world.client.get(world.link(BOB)).text == before
    assert world.decide(to=BOB)["allowed"] is True
    assert world.mails(BOB) == []


def test_v02_the_path_decides_and_the_api_refuses_a_name_twice(world: World) -> None:
    other = world.link(BOB).rpartition("/")[2]

    assert world.client.post(world.link() + f"?token={other}", data={"token": [other, other]}).status_code == 200
    assert world.decide(to=BOB)["allowed"] is True
    twice = '{"channel":"email","to":"ada@example.com","to":"bob@example.com"}'
    headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/json"}
    assert world.client.post("/v1/suppressions", data=twice, headers=headers).status_code == 400


def test_v03_a_session_of_somebody_else_changes_nothing_about_whom_a_link_means(world: World) -> None:
    world.know(("email", BOB), contact="bob")
    world.client.get(world.choices_link(BOB))  # Bob's form, with its cookie

    world.client.post(world.link())

    assert world.decide()["allowed"] is False
    assert world.decide(to=BOB)["allowed"] is True


def test_v06_forged_tokens_do_nothing_and_many_valid_ones_are_all_honoured(world: World) -> None:
    for _ in range(500):
        assert world.client.post(f"/u/{secrets.token_urlsafe(36)}").status_code == 404
    assert world.entries() == []

    links = [world.link(f"p{number}@example.com") for number in range(200)]
    assert {world.client.post(link).status_code for link in links} == {200}
    assert len(world.entries()) == 200


def test_v07_a_hundred_looks_at_every_link_change_nothing(world: World) -> None:
    world.know()
    links = [world.link(), world.choices_link(), f"{world.link()}/choose", f"{world.link()}/done"]
    for link in links:
        for method in ("GET", "HEAD", "OPTIONS"):
            for _ in range(100 // 3):
                world.client.open(link, method=method, headers={"Purpose": "prefetch", "User-Agent": "BarracudaScan"})

    assert world.entries() == []
    assert world.client.post(links[0]).status_code == 200


@pytest.mark.parametrize("make", ["unknown address", "retired topic", "before confirmation", "number is a sender"])
def test_v09_success_is_always_followed_by_the_effect(world: World, make: str) -> None:
    link = world.link()
    if make == "retired topic":
        retired = '[[topic]]\nslug = "product-offers"\nname = "P"\nmessage_class = "marketing"\nretired = true'
        world.services.kit.catalogues.apply(retired)
    elif make == "before confirmation":
        consent = {"channel": "email", "to": ADA, "topic": "product-offers", "source": "form", "double_opt_in": True}
        world.post("/v1/consents", consent)
    elif make == "number is a sender":
        number = world.services.kit.catalogue.sender("news").number
        key = world.services.kit.address_keys.key(parse_address(Channel.EMAIL, ADA))
        link = "/u/" + world.services.kit.links.make(LinkTarget(Purpose.UNSUBSCRIBE, Channel.EMAIL, number, key))

    assert world.client.post(link).status_code == 200
    assert world.decide(topic="product-offers")["allowed"] is False


def test_v10_a_link_works_years_later_and_under_a_retired_key(build_world: Callable[..., World], clock: Clock) -> None:
    old = build_world()
    link, choices = old.link(), old.choices_link()
    key = old.services.settings.secret_keys
    clock.forward(days=3 * 365)
    new = build_world(PREFS_SECRET_KEYS=f"t2:{'c' * 43}=,-{key}")

    assert new.client.post(link).status_code == 200
    assert new.decide()["allowed"] is False
    assert new.client.get(choices).status_code == 404


@pytest.mark.parametrize("path", ["", "/undo"])
def test_v12_a_foreign_page_cannot_raise(world: World, path: str) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "scope": "topic:events"})
    link = world.asked_link()
    form = world.form(world.client.get(link).text)
    events = next(name for name in form if name.endswith(".events"))
    foreign = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}

    answer = world.client.post(link + path, data={events: "send", "version": form["version"]}, headers=foreign)

    assert answer.status_code == 400
    assert world.decide(topic="events")["allowed"] is False


def test_v14_ten_thousand_links_have_nothing_in_sequence(world: World) -> None:
    """Tokens are signed, not numbered; pending choices have 62 random bits."""
    keys = world.services.kit.address_keys
    links = world.services.kit.links
    tokens = {
        links.make(
            LinkTarget(
                Purpose.UNSUBSCRIBE, Channel.EMAIL, 0, keys.key(parse_address(Channel.EMAIL, f"p{n}@example.com"))
            )
        )
        for n in range(10_000)
    }

    assert len(tokens) == 10_000
    assert len({token[-22:] for token in tokens}) == 10_000
    assert len({token[8:20] for token in tokens}) == 10_000


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            b"POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 26\r\n\r\nList-Unsubscribe=One-Click", id="1.0"
        ),
        pytest.param(
            b"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", id="empty"
        ),
        pytest.param(
            b"POST {path}?utm_source=x HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 26\r\nConnection: close\r\n\r\nList-Unsubscribe=One-Click",
            id="urlencoded with parameters",
        ),
    ],
)
def test_one_click_in_the_shapes_clients_send_on_the_wire(tmp_path: Path, request_bytes: bytes) -> None:
    with running("sqlite", tmp_path) as service:
        made = service.services()
        key = made.kit.address_keys.key(parse_address(Channel.EMAIL, ADA))
        path = made.linking.for_address(Channel.EMAIL, key).unsubscribe.removeprefix(service.url)
        host = f"127.0.0.1:{service.port}"
        raw = request_bytes.replace(b"{path}", path.encode(), 1).replace(b"{host}", host.encode())
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
                connection.sendall(raw)
                answer = connection.recv(4000)
            assert b" 200 " in answer.split(b"\r\n")[0]
            assert b"Set-Cookie" not in answer
        assert made.unsubscribe.view(path.rpartition("/")[2]).stopped


def test_v11_opt_outs_need_no_cookie_no_referer_and_no_fresh_page(world: World) -> None:
    world.know()
    doors = [
        (world.link(), {}),
        (f"{world.link()}/stop", {"scope": "all"}),
        (f"{world.link()}/choose", {"topic": "surveys"}),
        (f"{world.choices_link()}/stop", {}),
        ("/stop", {"address": ADA, "want": "stop"}),
    ]
    for path, form in doors:
        stranger = world.client.application.test_client()
        answer = stranger.post(path, data=form, headers={"Referer": "https://mail.example/", "Origin": "null"})
        assert answer.status_code in {200, 303}, path

    assert world.decide()["allowed"] is False
