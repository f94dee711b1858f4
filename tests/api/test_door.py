"""The short way in for plain decisions answers what the view answers, and hands on the rest."""

import io
from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from prefs.api.door import Door
from prefs.cli.serve import whole_bodies
from tests.make import ADA, World

QUESTION = {"channel": "email", "to": ADA, "topic": "product-offers"}


@pytest.fixture
def door(world: World) -> Door:
    found = world.client.application.wsgi_app
    assert isinstance(found, Door)
    return found


def beside_the_door(world: World, door: Door, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]) -> Any:
    """Return what the view says: the door hands everything on."""
    with monkeypatch.context() as patched:
        patched.setattr("prefs.api.door.PATH", "/nowhere")
        return world.post("/v1/decisions", body)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"to": "bob@example.com"},
        {"to": "not an address"},
        {"to": "ÅSA@example.com"},
        {"topic": "activity"},
        {"topic": None, "message_class": "transactional"},
        {"country": "de"},
        {"at": "2027-01-01T00:00:00Z"},
        {"channel": "sms", "to": "+14155550123"},
    ],
    ids=str,
)
def test_the_door_and_the_view_answer_alike(
    world: World, door: Door, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    world.client.post(world.link())
    body = {name: value for name, value in {**QUESTION, **change}.items() if value is not None}

    short, long = world.post("/v1/decisions", body), beside_the_door(world, door, monkeypatch, body)

    assert short.json == long.json
    differing = {"Content-Length", "X-Request-Id", "Date"}
    assert {n: v for n, v in short.headers if n not in differing} == {
        n: v for n, v in long.headers if n not in differing
    }


@pytest.mark.parametrize(
    "change",
    [
        {"to": None, "contact": "nobody"},
        {"explain": True},
        {"links": True},
        {"topic": "nope"},
        {"colour": "red"},
        {"to": 7},
    ],
    ids=str,
)
def test_whatever_is_not_plain_is_handed_on_untouched(world: World, door: Door, change: dict[str, Any]) -> None:
    handed: list[bytes] = []
    view = door.app

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raw = environ["wsgi.input"].read()
        handed.append(raw)
        return view({**environ, "wsgi.input": io.BytesIO(raw)}, start_response)

    world.client.application.wsgi_app = Door(app, door.services, door.hosts, door.headers)  # type: ignore[method-assign]
    body = {name: value for name, value in {**QUESTION, **change}.items() if value is not None}

    answer = world.post("/v1/decisions", body)

    assert len(handed) == 1
    assert answer.status_code in {200, 404, 422}


def test_another_host_a_missing_key_and_a_revoked_one_are_refused_at_the_door_too(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.key}", "Host": "evil.example"}
    assert world.client.post("/v1/decisions", json=QUESTION, headers=headers).status_code == 400
    assert world.client.post("/v1/decisions", json=QUESTION).status_code == 401

    world.services.keys.revoke(world.key.split("_")[2])

    assert world.post("/v1/decisions", QUESTION).status_code == 401


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/decisions/batch"])
def test_a_body_shorter_than_it_says_is_never_answered(world: World, path: str) -> None:  # reliability.md V37
    """granian ends a cut body as if it were whole, and says that its end is sure."""
    whole = b'{"channel": "email", "to": "ada@example.com", "topic": "product-offers"}'
    environ = create_environ(
        path, world.services.base_url, method="POST", data=whole, content_type="application/json",
        headers={"Authorization": f"Bearer {world.key}"},
    )  # fmt: skip
    environ |= {"CONTENT_LENGTH": str(len(whole) + 5), "wsgi.input_terminated": True}

    _, status, _ = run_wsgi_app(whole_bodies(world.client.application.wsgi_app), environ)

    assert status == "400 BAD REQUEST"
