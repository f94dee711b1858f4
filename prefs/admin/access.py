"""Which right each page asks for. A view without ``allowed`` or ``open_to_all`` is refused to everybody.

The rights and their roles are in ``prefs.domain.roles``; ``document`` writes ``docs/roles.md``
from both, and a test tries every route with every role and method against it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask, g, request

from prefs.domain.roles import RIGHTS, ROLE_NAMES, Right, Role, may
from prefs.edge import csrf_exempt, services
from prefs.services.sessions import FULL, Session
from prefs.storage.staff import StaffUser

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Rule:
    """What a view asks for: a right to look, a right to act, and whether identity must be fresh.

    ``stages`` are the stages of a sign-in that may open it; empty means that nobody need be
    signed in. The body of an ``upload`` is read only behind all of that.
    """

    get: Right | None = None
    post: Right | None = None
    fresh: bool = False
    stages: frozenset[str] = frozenset({FULL})
    upload: bool = False

    def right(self, method: str) -> Right | None:
        """Return the right a method needs, or None where nobody may."""
        return self.get if method in SAFE else self.post


def allowed(
    get: Right | None = None, post: Right | None = None, *, fresh: bool = False, stages: tuple[str, ...] = (FULL,)
) -> Callable[[View], View]:
    """Mark a view with the rights it needs; ``fresh`` asks who it is again if that is over ten minutes ago."""
    return _mark(Rule(get, post, fresh, frozenset(stages)))


def allowed_upload(post: Right) -> Callable[[View], View]:
    """Mark a view that takes large files: of somebody who may not send one nothing is read.

    Its form key is checked behind the right, so the view carries no check of its own.
    """

    def mark(view: View) -> View:
        return csrf_exempt(_mark(Rule(post=post, upload=True))(view))

    return mark


def open_to_all(view: View) -> View:
    """Mark a view that comes before any session: the sign-in itself."""
    return _mark(Rule(stages=frozenset()))(view)


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """Return the rule of an endpoint, or None where it has none or does not exist."""
    found: Rule | None = getattr(app.view_functions.get(endpoint), "console_rule", None)
    return found


def session() -> Session | None:
    """Return the session of this request, or None; asked for once."""
    if "staff_session" not in g:
        g.staff_session = services().sessions.check(request.cookies.get(cookie_name()))
    found: Session | None = g.staff_session
    return found


def me() -> StaffUser:
    """Return who is signed in; only behind ``allowed``."""
    found = session()
    assert found is not None
    return found.user


def i_may(right: Right | str) -> bool:
    """True where whoever is signed in has a right; templates ask ``may("lift_stops")``."""
    found = session()
    return found is not None and found.stage == FULL and may(found.user.role, Right(right))


def cookie_name() -> str:
    """Return the session cookie's name: bound to this host where there is https (item 26, D33)."""
    return "__Host-prefs-staff" if services().base_url.startswith("https://") else "prefs-staff"


def rules(app: Flask) -> Iterator[tuple[str, str, Rule]]:
    """Yield path, method and rule of every route of the console, in order."""
    for route in sorted(app.url_map.iter_rules(), key=lambda one: one.rule):
        if route.endpoint.startswith("admin."):
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                yield route.rule, method, rule_of(app, route.endpoint) or Rule(stages=frozenset({"nobody"}))


def document(app: Flask) -> str:
    """Return ``docs/roles.md``."""
    names = [ROLE_NAMES[role] for role in Role]
    lines = [
        "# Who may do what in the console",
        "",
        "Made from the code by `python -m tests.admin.roles`; a test compares. What is not here is refused.",
        "",
        "## Rights",
        "",
        f"| right | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    lines += [f"| {row.does} | {_marks(right)} |" for right, row in RIGHTS.items()]
    lines += ["", "## Routes", "", f"| route | method | asks again | {' | '.join(names)} |"]
    lines.append(f"| --- | --- | --- |{' --- |' * len(names)}")
    for path, method, rule in rules(app):
        right = rule.right(method)
        marks = "before signing in | | | " if not rule.stages else f"{_marks(right)} " if right else "– | – | – | – "
        fresh = "yes" if rule.fresh else ""
        lines.append(f"| `{path}` | {method} | {fresh} | {marks}|")
    return "\n".join(lines) + "\n"


def _marks(right: Right) -> str:
    return " | ".join("yes" if may(role, right) else "–" for role in Role)


def _mark(rule: Rule) -> Callable[[View], View]:
    def mark(view: View) -> View:
        cast(Any, view).console_rule = rule
        return view

    return mark
