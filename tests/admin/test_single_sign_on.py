"""Single sign-on against a provider that really signs its tokens (reliability.md item 19; OpenID Connect Core 3.1)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from prefs.config import Settings
from prefs.domain.roles import Role
from prefs.errors import SettingsError
from tests.double.identity import CLIENT, SECRET, IdentityProvider
from tests.make import Clock, World
from tests.staff import Staff

EMAIL = "sam@staff.example"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    person = {"email": EMAIL, "email_verified": True, "groups": ["prefs-privacy", "everybody"]}
    with IdentityProvider(person=person).serving() as running:
        yield running


@pytest.fixture
def world(build_world: Callable[..., World], provider: IdentityProvider, clock: Clock) -> World:
    clock.at = datetime.now(UTC)
    return build_world(
        PREFS_OIDC_ISSUER=provider.url,
        PREFS_OIDC_CLIENT_ID=CLIENT,
        PREFS_OIDC_CLIENT_SECRET=SECRET,
        PREFS_OIDC_ROLES="privacy=prefs-privacy,admin=prefs-admins",
    )


def visitor(world: World) -> Any:
    return world.client.application.test_client()


def come_in(client: Any, provider: IdentityProvider, wanted: str = "", **more: str) -> TestResponse:
    out = client.get("/admin/sign-in/single", query_string={"next": wanted, **more})
    assert out.status_code == 303, out.text
    assert out.location.startswith(f"{provider.url}/authorize?")
    answer: TestResponse = client.get(provider.answer(out.location))
    return answer


def test_whom_the_provider_vouches_for_comes_in_with_the_role_of_their_group(
    world: World, provider: IdentityProvider
) -> None:
    client = visitor(world)
    assert "Sign in with your organisation’s account" in client.get("/admin/sign-in").text

    answer = come_in(client, provider, "/admin/account")

    assert answer.location == "/admin/account"
    page = client.get("/admin/account").text
    assert f"{EMAIL}, Privacy office" in page
    assert "looked after there" in page
    asked = provider.asked[0]
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{world.services.base_url}/admin/sign-in/single/back"


def test_the_second_time_it_is_the_same_user_with_the_role_of_today(world: World, provider: IdentityProvider) -> None:
    first, second = visitor(world), visitor(world)
    come_in(first, provider)
    assert first.get("/admin/").status_code == 200

    provider.person["groups"] = ["prefs-admins", "prefs-privacy"]
    come_in(second, provider)

    assert [(one.email, one.role) for one in world.services.team.everyone()] == [(EMAIL, Role.ADMIN)]
    assert first.get("/admin/").status_code == 303  # a role that changed ends every session (item 22)
    assert second.get("/admin/team").status_code == 200


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ({"iss": "https://evil.example"}, 502),
        ({"aud": "another-client"}, 502),
        ({"nonce": "another"}, 502),
        ({"nonce": None}, 502),
        ({"exp": 1}, 502),
        ({"exp": None}, 502),
        ({"sub": None}, 502),
        ({"azp": "another-client"}, 502),
        ({"groups": ["everybody"]}, 403),
        ({"groups": None}, 403),
        ({"email_verified": False}, 403),
        ({"email_verified": "true"}, 403),
    ],
)
def test_an_answer_that_is_not_quite_right_opens_nothing(
    world: World, provider: IdentityProvider, spoil: dict[str, Any], status: int
) -> None:
    provider.spoil = spoil
    client = visitor(world)

    assert come_in(client, provider).status_code == status

    assert client.get("/admin/").status_code == 303
    assert world.services.team.everyone() == []


def test_a_token_signed_by_somebody_else_opens_nothing(world: World, provider: IdentityProvider) -> None:
    provider.published = RSAKey.generate_key(2048, parameters={"kid": "k1"})

    assert come_in(visitor(world), provider).status_code == 502
    assert world.services.team.everyone() == []


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(world: World, provider: IdentityProvider) -> None:
    client, other = visitor(world), visitor(world)
    out = client.get("/admin/sign-in/single")
    back = provider.answer(out.location)

    assert other.get(back).status_code == 400
    assert client.get(back.replace("state=", "state=x")).status_code == 400
    assert client.get(back).status_code == 400  # given up by the wrong state above
    back = provider.answer(client.get("/admin/sign-in/single").location)
    assert client.get(back).status_code == 303
    assert client.get(back).status_code == 400
    assert client.get("/admin/sign-in/single/back").status_code == 400


def test_somebody_disabled_here_stays_out(world: World, provider: IdentityProvider) -> None:
    user = world.services.team.create(EMAIL, Role.PRIVACY, by="tests")
    world.services.team.disable(user.id, by="tests")

    assert come_in(visitor(world), provider).status_code == 403


def test_a_dangerous_page_asks_the_provider_again(world: World, provider: IdentityProvider) -> None:  # item 24
    client = visitor(world)
    come_in(client, provider)
    world.clock.forward(minutes=11)
    asked = client.get("/admin/account/password")
    assert asked.location.startswith("/admin/confirm")
    assert "Prove it with your organisation’s account" in client.get(asked.location).text

    world.clock.at = datetime.now(UTC)
    for spoil in ({"auth_time": 1}, {"auth_time": None}, {"sub": "u-2"}):
        provider.spoil = spoil
        assert come_in(client, provider, "/admin/account/password", again="1").status_code == 403
    provider.spoil = {}
    answer = come_in(client, provider, "/admin/account/password", again="1")

    assert answer.location == "/admin/account/password"
    assert provider.asked[-1]["prompt"] == "login"


def test_while_the_provider_is_away_passwords_still_work(world: World, provider: IdentityProvider) -> None:
    from unittest import mock

    import requests

    with mock.patch("requests.get", side_effect=requests.ConnectionError("away")):
        answer = visitor(world).get("/admin/sign-in/single")

    assert answer.status_code == 502
    assert "does not answer" in answer.text
    person = Staff(world, world.services.team.create(EMAIL, Role.ENGINEER, by="tests")).enter()
    assert person.get("/admin/").status_code == 200


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/admin/"])
def test_the_way_back_leads_to_our_own_pages(world: World, provider: IdentityProvider, wanted: str) -> None:
    assert come_in(visitor(world), provider, wanted).location == "/admin/"


def test_without_settings_there_is_no_such_door(build_world: Callable[..., World]) -> None:
    client = visitor(build_world())

    assert client.get("/admin/sign-in/single").status_code == 404
    assert "organisation’s account" not in client.get("/admin/sign-in").text


@pytest.mark.parametrize("roles", ["", "root=x", "privacy", "privacy="])
def test_settings_that_cannot_work_are_named(roles: str) -> None:
    with pytest.raises(SettingsError, match="PREFS_OIDC_ROLES"):
        Settings.from_env(
            {
                "PREFS_OIDC_ISSUER": "https://id.example",
                "PREFS_OIDC_CLIENT_ID": "x",
                "PREFS_OIDC_CLIENT_SECRET": "y",
                "PREFS_OIDC_ROLES": roles,
                "PREFS_SECRET_KEYS": "t1:" + "A" * 43 + "=",
                "PREFS_ADDRESS_KEY": "A" * 43 + "=",
            }
        )
