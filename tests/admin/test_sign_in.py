"""Signing in: V12, V41, V43, V44, V46; reliability.md items 19 to 22, 26, 31."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from unittest import mock

import pyotp
import pytest
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from prefs.domain.roles import Role
from prefs.errors import Conflict, InvalidInput, StoreUnavailable
from prefs.services.sessions import ABSOLUTE, IDLE
from prefs.storage import staff as storage
from prefs.storage.audit import AuditFilter
from tests.make import World
from tests.staff import PASSWORD, Staff, staff

EMAIL = "sam@staff.example"


def new_user(world: World, role: Role = Role.ENGINEER, **more: Any) -> Staff:
    """Return somebody with a password who is not signed in."""
    return Staff(world, world.services.team.create(EMAIL, role, by="tests", password=PASSWORD, **more))


def form_key(answer: TestResponse) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert found
    return found[1]


def sign_in(
    person: Staff, password: str = PASSWORD, *, email: str = EMAIL, next: str = "", **more: Any
) -> TestResponse:
    page = person.client.get("/admin/sign-in")
    if page.status_code == 303:  # signed in already
        person.client.delete_cookie("prefs-staff")
        page = person.client.get("/admin/sign-in")
    key = form_key(page)
    form = {"csrf_token": key, "email": email, "password": password, "next": next}
    return person.client.post("/admin/sign-in", data=form, **more)


def secret_of(world: World, person: Staff) -> str:
    """Set up a second factor through the pages and return its secret."""
    page = person.client.get("/admin/second-factor")
    assert page.status_code == 200, page.status_code
    found = re.search(r'class="secret" dir="ltr">([^<]+)<', page.text)
    assert found
    secret = found[1].replace(" ", "")
    code = pyotp.TOTP(secret).at(world.clock.at)
    done = person.client.post("/admin/second-factor", data={"csrf_token": form_key(page), "code": code})
    assert "Keep these recovery codes" in done.text
    return secret


def cookie(person: Staff) -> str:
    found = person.client.get_cookie("prefs-staff")
    assert found is not None
    return found.value


def opens(person: Staff, token: str | None = None) -> bool:
    if token is not None:
        person.client.set_cookie("prefs-staff", token)
    return person.get("/admin/").status_code == 200


def test_a_password_opens_the_console_for_a_role_that_exports_nothing(world: World) -> None:
    person = new_user(world)

    answer = sign_in(person, next="/admin/account")

    assert (answer.status_code, answer.location) == (303, "/admin/account")
    assert EMAIL in person.page("/admin/account")
    assert world.services.audit.page(AuditFilter(), 5)[0].entry.action == "signed_in"


def test_there_is_no_account_that_nobody_made(world: World) -> None:  # item 20, V47
    person = Staff(world, new_user(world).user)

    for email, password in (("admin", "admin"), ("admin@example.com", "password"), (EMAIL, "changeme")):
        assert sign_in(person, password, email=email).status_code == 403


@pytest.mark.parametrize("email", [EMAIL, "nobody@staff.example"])
def test_the_refusal_does_not_tell_which_part_was_wrong(world: World, email: str) -> None:
    person = new_user(world)

    answer = sign_in(person, "another long password", email=email)

    assert answer.status_code == 403
    assert "The address or the password is not right." in answer.text
    assert not opens(person)


@pytest.mark.parametrize("password", ["", "0", "[]", "True", "null", "0e462097431906509019562988736854"])
def test_no_odd_value_is_a_password(world: World, password: str) -> None:  # V46
    person = new_user(world)

    assert sign_in(person, password).status_code == 403
    key = form_key(person.client.get("/admin/sign-in"))
    arrays = {"csrf_token": key, "email[]": EMAIL, "password[]": [password, PASSWORD]}
    assert person.client.post("/admin/sign-in", data=arrays).status_code == 403
    assert not opens(person)


def test_a_user_without_a_password_cannot_sign_in_with_an_empty_one(world: World) -> None:  # V46
    person = Staff(world, world.services.team.create(EMAIL, Role.ENGINEER, by="tests"))

    assert sign_in(person, "").status_code == 403
    assert sign_in(person, "\0nobody").status_code in {400, 403}


def test_signing_in_gives_a_new_session_and_a_new_form_key(world: World) -> None:  # V44: fixation
    person = new_user(world)
    person.client.set_cookie("prefs-staff", "planted-by-somebody")
    before = form_key(person.client.get("/admin/sign-in"))

    sign_in(person)

    assert cookie(person) != "planted-by-somebody"
    assert not opens(person, "planted-by-somebody")
    sign_in(person)
    after = form_key(person.client.get("/admin/account"))
    assert before != after


def test_a_form_from_another_site_changes_nothing(world: World) -> None:  # V12
    person = staff(world, Role.ENGINEER)
    person.key()

    for form in ({}, {"csrf_token": ""}, {"csrf_token": "made-up"}):
        answer = person.client.post("/admin/account/time-zone", data={**form, "time_zone": "Europe/Berlin"})
        assert answer.status_code == 400
        assert "Nothing has changed" in answer.text
        assert person.client.post("/admin/sign-out", data=form).status_code == 400

    assert world.services.team.user(person.user.id).time_zone == "UTC"


def test_signing_out_ends_the_session_in_the_database(world: World) -> None:  # V44
    person = staff(world)
    old = cookie(person)

    assert person.post("/admin/sign-out").status_code == 303

    assert not opens(person, old)


@pytest.mark.parametrize("change", ["password", "role", "disable", "second factor", "ended"])
def test_an_old_cookie_is_dead_at_once_after_a_change(world: World, change: str) -> None:  # V44, item 22
    team = world.services.team
    team.create("boss@staff.example", Role.ADMIN, by="tests")
    person = staff(world, Role.PRIVACY)
    old = cookie(person)
    assert opens(person, old)

    {
        "password": lambda: team.change_password(person.user, PASSWORD),
        "role": lambda: team.set_role(person.user.id, Role.ADMIN, by="tests"),
        "disable": lambda: team.disable(person.user.id, by="tests"),
        "second factor": lambda: team.reset_second_factor(person.user.id, by="tests"),
        "ended": lambda: team.end_sessions(person.user.id, by="tests"),
    }[change]()

    assert not opens(person, old)
    team.enable(person.user.id, by="tests")
    assert not opens(person, old)


def test_a_session_that_ended_in_one_process_is_dead_in_every_other(build_world: Any) -> None:  # V44
    one, other = build_world(), build_world()
    person = staff(one)
    elsewhere = Staff(other, person.user)
    token = cookie(person)
    assert opens(elsewhere, token)

    person.post("/admin/sign-out")

    assert not opens(elsewhere, token)


def test_a_session_ends_after_thirty_idle_minutes_and_twelve_hours_anyway(world: World) -> None:  # item 22
    person = staff(world)
    world.clock.forward(seconds=IDLE.total_seconds() - 1)
    assert opens(person)
    world.clock.forward(seconds=IDLE.total_seconds())
    answer = person.get("/admin/account")
    assert answer.location == "/admin/sign-in?next=/admin/account&away=1"
    assert "You were signed out" in person.page(answer.location)

    person.enter()
    for _ in range(int(ABSOLUTE / timedelta(minutes=20)) - 1):
        world.clock.forward(minutes=20)
        assert opens(person)
    world.clock.forward(minutes=20)
    assert not opens(person)


def test_a_disabled_user_cannot_sign_in(world: World) -> None:
    person = new_user(world)
    world.services.team.disable(person.user.id, by="tests")

    assert sign_in(person).status_code == 403


def test_a_role_that_can_import_or_export_sets_up_a_second_factor_first(world: World) -> None:  # item 19
    person = new_user(world, Role.PRIVACY)

    assert sign_in(person).location == "/admin/second-factor"
    assert person.get("/admin/").location == "/admin/second-factor"
    first = cookie(person)
    secret_of(world, person)

    assert opens(person)
    assert not opens(person, first)


def test_the_second_factor_is_asked_for_and_each_code_works_once(world: World) -> None:
    person = new_user(world, Role.PRIVACY)
    sign_in(person)
    secret = secret_of(world, person)
    world.clock.forward(minutes=2)
    code = pyotp.TOTP(secret).at(world.clock.at)

    def prove(given: str) -> TestResponse:
        assert sign_in(person).location == "/admin/code"
        assert person.get("/admin/").location == "/admin/code"
        page = person.client.get("/admin/code")
        return person.client.post("/admin/code", data={"csrf_token": form_key(page), "code": given})

    assert prove("000000").status_code == 403
    assert prove(f"{code[:3]} {code[3:]}").location == "/admin/"
    assert opens(person)
    person.client.delete_cookie("prefs-staff")
    assert prove(code).status_code == 403
    assert not opens(person)


def test_a_recovery_code_opens_once_and_only_its_owner(world: World) -> None:
    person = new_user(world, Role.PRIVACY)
    sign_in(person)
    page = person.client.get("/admin/second-factor")
    secret = re.search(r'class="secret" dir="ltr">([^<]+)<', page.text)[1].replace(" ", "")  # type: ignore[index]
    code = pyotp.TOTP(secret).at(world.clock.at)
    shown = person.client.post("/admin/second-factor", data={"csrf_token": form_key(page), "code": code}).text
    codes = re.findall(r"<bdi dir=\"ltr\">([A-Z0-9-]{14})</bdi>", shown)
    assert len(set(codes)) == 10

    def prove(given: str) -> int:
        sign_in(person)
        page = person.client.get("/admin/code")
        return person.client.post("/admin/code", data={"csrf_token": form_key(page), "code": given}).status_code

    assert prove(codes[0].lower().replace("-", " ")) == 303
    assert prove(codes[0]) == 403
    assert world.services.team.recovery_codes_left(world.services.team.user(person.user.id)) == 9
    other = world.services.team.create("other@staff.example", Role.PRIVACY, by="tests")
    with world.services.kit.store.read() as connection:
        assert storage.recovery_codes_left(connection, other.id) == 0


def test_codes_are_guessed_five_times_a_quarter_of_an_hour(world: World) -> None:
    person = new_user(world, Role.PRIVACY)
    sign_in(person)
    secret = secret_of(world, person)
    world.clock.forward(minutes=20)
    person.client.delete_cookie("prefs-staff")
    sign_in(person)
    key = form_key(person.client.get("/admin/code"))

    answers = [
        person.client.post("/admin/code", data={"csrf_token": key, "code": f"00000{n}"}).status_code for n in range(6)
    ]
    assert answers == [403] * 5 + [429]
    right = {"csrf_token": key, "code": pyotp.TOTP(secret).at(world.clock.at)}
    assert person.client.post("/admin/code", data=right).status_code == 429
    world.clock.forward(minutes=15)
    right["code"] = pyotp.TOTP(secret).at(world.clock.at)
    assert person.client.post("/admin/code", data=right).status_code == 303


class TestThrottling:
    """V43: tries are counted in the database, for real clients and for accounts; nobody is locked out by others."""

    @pytest.fixture(autouse=True)
    def quick(self) -> Any:
        with mock.patch("prefs.services.passwords.Passwords.matches", lambda self, stored, given: given == PASSWORD):
            yield

    def test_one_client_gets_five_tries_for_an_account(self, world: World) -> None:
        person = new_user(world)

        statuses = [sign_in(person, "wrong wrong wrong").status_code for _ in range(6)]

        assert statuses == [403] * 5 + [429]
        assert sign_in(person).status_code == 429
        world.clock.forward(minutes=15)
        assert sign_in(person).status_code == 303

    def test_a_right_password_uses_up_no_try(self, world: World) -> None:
        person = new_user(world)

        for _ in range(8):
            assert sign_in(person).status_code == 303
            person.client.delete_cookie("prefs-staff")

    def test_a_made_up_forwarding_header_changes_nothing(self, world: World) -> None:
        person = new_user(world)

        statuses = [
            sign_in(person, "wrong", headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in range(8)
        ]

        assert statuses.count(403) == 5

    def test_a_thousand_tries_from_everywhere_compare_twenty_passwords(self, world: World) -> None:
        person = new_user(world)

        answers = [
            sign_in(person, f"guess {n}", environ_base={"REMOTE_ADDR": f"10.{n // 250}.0.{n % 250}"}).status_code
            for n in range(100)
        ]

        assert answers.count(403) == 20
        assert answers.count(429) == 80

    def test_strangers_who_guess_do_not_lock_out_the_owner(self, world: World) -> None:
        owner = new_user(world)
        assert sign_in(owner).status_code == 303
        stranger = Staff(world, owner.user)
        for n in range(40):
            sign_in(stranger, f"guess {n}", environ_base={"REMOTE_ADDR": f"10.0.0.{n}"})

        owner.client.delete_cookie("prefs-staff")

        assert sign_in(stranger, environ_base={"REMOTE_ADDR": "10.9.9.9"}).status_code == 429
        assert sign_in(owner, environ_base={"REMOTE_ADDR": "10.8.8.8"}).status_code == 303

    def test_every_process_counts_in_the_same_place(self, build_world: Any) -> None:
        """Two applications on one database, as two worker processes are (Fides CVE-2025-57816)."""
        one, other = build_world(), build_world()
        person = new_user(one)
        elsewhere = Staff(other, person.user)

        statuses = [sign_in(person if n % 2 else elsewhere, "wrong").status_code for n in range(7)]

        assert statuses == [403] * 5 + [429] * 2

    def test_a_client_that_moves_through_its_own_network_is_one_client(self, world: World) -> None:
        person = new_user(world)

        statuses = [
            sign_in(person, "wrong", environ_base={"REMOTE_ADDR": f"2001:db8:1:2::{n:x}"}).status_code
            for n in range(1, 8)
        ]

        assert statuses.count(403) == 5


def test_a_set_up_link_works_once_and_for_three_days(world: World) -> None:  # item 20
    user = world.services.team.create(EMAIL, Role.ENGINEER, by="cli")
    person = Staff(world, user)
    first, path = world.services.team.link(user.id, by="cli"), world.services.team.link(user.id, by="cli")
    assert person.get(first).status_code == 404

    page = person.client.get(path)
    assert person.client.get(path).status_code == 200
    refused = person.client.post(path, data={"csrf_token": form_key(page), "password": "short"})
    assert refused.status_code == 422
    assert "Use 12 characters or more" in refused.text
    done = person.client.post(path, data={"csrf_token": form_key(page), "password": PASSWORD})

    assert done.status_code == 303
    assert sign_in(person).status_code == 303
    person.client.delete_cookie("prefs-staff")
    assert person.get(path).status_code == 404
    late = world.services.team.link(user.id, by="cli")
    world.clock.forward(days=3)
    assert person.get(late).status_code == 404


def test_a_dangerous_page_asks_who_it_is_again(world: World) -> None:  # item 24
    person = new_user(world)
    sign_in(person)
    assert person.get("/admin/account/password").status_code == 200
    person.later()

    asked = person.get("/admin/account/password")
    assert asked.location == "/admin/confirm?next=/admin/account/password"
    acted = person.post("/admin/account/password", password="another long password")
    assert acted.location.startswith("/admin/confirm?next=/admin/account/password&")
    listed = person.post("/admin/providers/outbox/release")
    assert listed.location.startswith("/admin/confirm?next=/admin/providers/outbox&")
    wrong = person.post("/admin/confirm", password="not it at all", next="/admin/account/password")
    assert wrong.status_code == 403
    right = person.post("/admin/confirm", password=PASSWORD, next="/admin/account/password")

    assert right.location == "/admin/account/password"
    assert person.get("/admin/account/password").status_code == 200


def test_what_was_sent_before_the_proof_is_kept_and_needs_one_more_press(world: World) -> None:  # WCAG 3.3.7
    person = new_user(world)
    sign_in(person)
    person.later()
    asked = person.post("/admin/keys", name="campaigns <b>", scopes=["decide", "read"])
    page = person.page(asked.location)
    act = re.findall(r'name="act" value="([^"]+)"', page)[0]
    assert "What you typed is kept." in page
    assert "campaigns" not in asked.location

    resumed = person.post("/admin/confirm", password=PASSWORD, act=act, next="/admin/keys").text
    assert "Nothing is done yet." in resumed
    assert len(world.services.keys.every()) == 1
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', resumed)
    sent = [(name, unescape(value)) for name, value in fields]
    assert [pair for pair in sent if pair[0] != "csrf_token"] == [
        ("name", "campaigns <b>"),
        ("scopes", "decide"),
        ("scopes", "read"),
    ]
    made = person.client.post("/admin/keys", data=MultiDict(sent))
    assert "Copy this key now" in made.text

    other = Staff(world, world.services.team.create("o@staff.example", Role.ENGINEER, by="tests", password=PASSWORD))
    sign_in(other, email="o@staff.example")
    assert other.post("/admin/confirm", password=PASSWORD, act=act, next="/admin/keys").location == "/admin/keys"


def test_a_new_password_signs_out_everywhere(world: World) -> None:
    person, elsewhere = new_user(world), Staff(world, world.services.team.find(EMAIL))
    sign_in(person)
    sign_in(elsewhere)

    answer = person.post("/admin/account/password", password="some other words entirely")

    assert answer.location == "/admin/sign-in?ready=1"
    assert not opens(person)
    assert not opens(elsewhere)
    assert sign_in(person, "some other words entirely").status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/admin/",
        "//evil.example/admin/",
        "/\\evil.example",
        "/admin/\r\nSet-Cookie: a=b",
        "/u/x",
        "javascript:alert(1)",
        "/admin\\@evil",
    ],
)
def test_the_page_after_the_sign_in_is_always_one_of_ours(world: World, wanted: str) -> None:  # V15, item 31
    assert sign_in(new_user(world), next=wanted).location == "/admin/"


def test_pages_are_kept_by_no_cache_and_carry_the_strict_policy(world: World) -> None:  # V41, item 27
    person = staff(world)

    for answer in (person.get("/admin/"), person.get("/admin/sign-in"), person.get("/admin/find?q=<script>")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def test_cookies_are_bound_to_the_host_and_to_https(build_world: Any) -> None:  # item 26
    world = build_world(PREFS_BASE_URL="https://prefs.example.com")
    person = Staff(world, world.services.team.create(EMAIL, Role.ENGINEER, by="tests", password=PASSWORD))
    page = person.client.get("/admin/sign-in", base_url="https://prefs.example.com")
    form = {"csrf_token": form_key(page), "email": EMAIL, "password": PASSWORD}
    headers = {"Referer": "https://prefs.example.com/admin/sign-in"}
    answer = person.client.post("/admin/sign-in", data=form, base_url="https://prefs.example.com", headers=headers)

    set_cookies = answer.headers.getlist("Set-Cookie")
    ours = [one for one in set_cookies if one.startswith("__Host-prefs-staff")]
    assert len(ours) == 2
    assert all({"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(one.split("; ")) for one in ours)
    assert all("Domain" not in one for one in ours)


def test_what_people_typed_comes_back_inert(world: World) -> None:  # V16
    person = staff(world)
    payload = "\"><script>alert(1)</script>'; DROP TABLE staff_user; --"

    for path in ("/admin/find", "/admin/sign-in"):
        answer = person.get(path, q=payload, next=payload)
        assert "<script>alert" not in answer.text
    fresh = new_user(world)
    assert "<script>alert" not in sign_in(fresh, email=payload).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/find?q=%00", 400),
        ("/admin/audit?about=a%00b", 400),
        ("/admin/words/versions/%00", 400),
        ("/admin/topics/%00", 400),
        ("/admin/team/99999999999999999999999", 404),
        ("/admin/audit?before=99999999999999999999999", 200),
        ("/admin/find?q=" + "x" * 4000, 303),
        ("/admin/topics/" + "x" * 4000, 404),
        ("/admin/keys/%F0%9F%98%80/revoke", 404),
        ("/admin/words/pages?from=9999999999", 200),
    ],
)
def test_odd_values_in_an_address_are_no_crash(world: World, path: str, status: int) -> None:  # item 35
    assert staff(world).client.get(path).status_code == status


def test_odd_values_in_a_form_are_no_crash(world: World) -> None:  # item 35
    person = staff(world)

    assert person.post("/admin/account/time-zone", time_zone="\0").status_code == 400
    assert person.post("/admin/keys/\x00/revoke").status_code == 400
    visitor = new_user(world)
    assert sign_in(visitor, email="a\0b@staff.example").status_code == 400
    assert sign_in(visitor, "\0" * 20).status_code == 400


def test_nobody_is_spared_the_second_factor_in_production(build_world: Any) -> None:
    world = build_world()
    spared = world.services.team.create(EMAIL, Role.ADMIN, by="tests", password=PASSWORD, mfa_exempt=True)
    assert sign_in(Staff(world, spared)).location == "/admin/"

    production = build_world(
        PREFS_ENV="production",
        PREFS_BASE_URL="https://prefs.example.com",
        PREFS_EMAIL_TRANSPORT="smtp",
        PREFS_SMS_TRANSPORT="twilio",
        SMTP_URL="smtp://x",
    )

    with pytest.raises(InvalidInput):
        production.services.team.create("more@staff.example", Role.ADMIN, by="tests", mfa_exempt=True)
    opened = production.services.sessions.sign_in(EMAIL, PASSWORD, client="10.0.0.1")
    assert opened.stage == "enrol"


def test_the_last_admin_stays_one(world: World) -> None:
    team = world.services.team
    last = team.create(EMAIL, Role.ADMIN, by="tests")

    with pytest.raises(Conflict, match="last admin"):
        team.disable(last.id, by="tests")
    with pytest.raises(Conflict, match="last admin"):
        team.set_role(last.id, Role.PRIVACY, by="tests")

    team.create("second@staff.example", Role.ADMIN, by="tests")
    team.disable(last.id, by="tests")


def test_an_address_is_used_once_whatever_its_case(world: World) -> None:
    world.services.team.create(EMAIL, Role.ADMIN, by="tests")

    with pytest.raises(Conflict):
        world.services.team.create(EMAIL.upper(), Role.ADMIN, by="tests")


def test_while_the_database_is_away_the_console_says_so(world: World) -> None:
    person = staff(world)

    with mock.patch.object(
        type(world.services.kit.store), "read", side_effect=StoreUnavailable("The database is away.")
    ):
        answer = person.get("/admin/")

    assert answer.status_code == 503
    assert "The database is away." in answer.text


def test_times_are_shown_in_the_viewers_zone_which_is_named(world: World) -> None:
    person = staff(world)

    shown = person.press("/admin/account/time-zone", time_zone="Asia/Tokyo")

    assert "25 Nov 2026,</span> 02:00" in shown
    assert "Times are in Asia/Tokyo." in shown
    assert person.post("/admin/account/time-zone", time_zone="Mars/Olympus").status_code == 422
