"""Roles: every route with every role and method against the table (V45, reliability.md item 23)."""

from collections import defaultdict
from html import unescape

import pytest
from flask import Flask
from werkzeug.routing import Rule as UrlRule

from prefs.admin import access
from prefs.domain.roles import RIGHTS, Right, Role, may, needs_second_factor
from prefs.storage.audit import AuditFilter
from tests.admin import roles
from tests.make import World
from tests.staff import Staff, staff

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def app() -> Flask:
    return roles.make_app()


def routes(app: Flask) -> list[UrlRule]:
    return [one for one in app.url_map.iter_rules() if one.endpoint.startswith("admin.")]


def path_of(route: UrlRule) -> str:
    values = {name: 1 if "int" in type(kind).__name__.lower() else "x" for name, kind in route._converters.items()}
    built = route.build(values, append_unknown=False)
    assert built is not None
    return built[1]


def test_every_view_of_the_console_says_who_may(app: Flask) -> None:
    assert [one.endpoint for one in routes(app) if access.rule_of(app, one.endpoint) is None] == []


def test_every_view_has_a_right_for_each_method_it_takes(app: Flask) -> None:
    for route in routes(app):
        rule = access.rule_of(app, route.endpoint)
        assert rule is not None
        for method in (route.methods or set()) - {"OPTIONS"}:
            assert not rule.stages or rule.right(method) is not None, (route.rule, method)


def test_the_document_of_roles_is_what_the_code_says(app: Flask) -> None:
    assert roles.PATH.read_text() == access.document(app), "run: python -m tests.admin.roles"


def test_only_the_sign_in_is_open_without_a_session(app: Flask) -> None:
    open_ones = {one.endpoint for one in routes(app) if not access.rule_of(app, one.endpoint).stages}  # type: ignore[union-attr]

    assert open_ones <= {
        "admin.sign_in",
        "admin.check_password",
        "admin.set_up",
        "admin.set_password",
        "admin.single_sign_on",
        "admin.single_sign_on_answer",
    }


def test_without_a_session_every_route_leads_to_the_sign_in(world: World) -> None:
    """By every method, forms with a good key included; nothing is changed and nothing shown."""
    visitor = Staff(world, world.services.team.create("nobody@staff.example", Role.ADMIN, by="tests"))
    key_page = visitor.client.get("/admin/sign-in").text
    key = key_page.partition('name="csrf_token" value="')[2].partition('"')[0]
    app = world.client.application
    taken: dict[str, set[str]] = defaultdict(set)
    for route in routes(app):
        taken[route.rule] |= route.methods or set()
    for route in routes(app):
        rule = access.rule_of(app, route.endpoint)
        if rule is None or not rule.stages:
            continue
        for method in METHODS:
            answer = visitor.client.open(path_of(route), method=method, data={"csrf_token": key})
            if method in taken[route.rule]:
                assert answer.status_code == 303, (route.rule, method, answer.status_code)
                assert answer.location.startswith("/admin/sign-in?"), (route.rule, method)
            else:
                assert answer.status_code == 405, (route.rule, method)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_what_the_table_says_and_is_told_why_not(world: World, role: Role) -> None:
    person = staff(world, role)
    key = person.key()
    app = world.client.application
    for route in sorted(routes(app), key=lambda one: one.endpoint in {"admin.sign_out", "admin.change_password"}):
        rule = access.rule_of(app, route.endpoint)
        assert rule is not None
        for method in sorted((route.methods or set()) & {"GET", "HEAD", "POST"}):
            right = rule.right(method)
            if not rule.stages or right is None:
                continue
            answer = person.client.open(path_of(route), method=method, data={"csrf_token": key})
            if may(role, right):
                assert "not part of your role" not in answer.text, (route.rule, method)
            else:
                assert answer.status_code == 403, (route.rule, method)
                assert method == "HEAD" or RIGHTS[right].refusal in unescape(answer.text), (route.rule, method)
            if route.endpoint == "admin.sign_out" and method == "POST":
                return


def test_a_refusal_is_noted(world: World) -> None:
    person = staff(world, Role.ENGINEER)

    person.get("/admin/approvals")

    noted = world.services.audit.page(AuditFilter(action="refused"), 10)
    assert [(one.who, one.entry.about) for one in noted] == [("engineer@staff.example", "admin.approvals")]


def test_every_right_has_an_admin_and_says_what_it_is() -> None:
    for right in Right:
        assert Role.ADMIN in RIGHTS[right].roles
        assert RIGHTS[right].does
        assert RIGHTS[right].refusal.endswith(".")


def test_engineers_see_no_people_and_marketing_no_requests_and_no_full_address() -> None:  # contract D31
    people = (Right.FIND_PEOPLE, Right.SEE_ADDRESSES, Right.REQUESTS, Right.SUPPRESSIONS, Right.DECISIONS)

    assert not any(may(Role.ENGINEER, right) for right in people)
    assert not may(Role.MARKETING, Right.REQUESTS)
    assert not may(Role.MARKETING, Right.SEE_ADDRESSES)
    assert not may(Role.MARKETING, Right.LIFT_STOPS)
    assert [role for role in Role if may(role, Right.TEAM)] == [Role.ADMIN]


def test_roles_that_import_or_export_need_a_second_factor() -> None:  # item 19
    assert [role for role in Role if needs_second_factor(role)] == [Role.PRIVACY, Role.MARKETING, Role.ADMIN]


def test_a_view_without_a_rule_is_refused_even_to_an_admin(world: World) -> None:
    app = world.client.application
    app.view_functions["admin.overview"] = lambda: "secret"

    answer = staff(world).get("/admin/")

    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_the_side_navigation_shows_what_a_role_may_open(world: World) -> None:
    engineer, privacy = staff(world, Role.ENGINEER).page("/admin/"), staff(world, Role.PRIVACY).page("/admin/")

    assert 'role="search"' not in engineer
    assert "For a second person" not in engineer
    assert "Dev outbox" in engineer
    assert "For a second person" in privacy
    assert "Dev outbox" not in privacy
