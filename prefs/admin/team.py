"""Team and roles: who may sign in, with what role; what each role may do."""

from flask import request, url_for
from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, say, show
from prefs.admin.paging import ROWS
from prefs.domain.roles import RIGHTS, ROLE_NAMES, Right, Role, may
from prefs.edge import services
from prefs.errors import Conflict, InvalidInput

_ROLE_WORDS: dict[Role, str] = {
    Role.PRIVACY: "Sees people in full, answers requests, removes opt-outs.",
    Role.MARKETING: "Imports opt-outs, changes topics; addresses stay masked.",
    Role.ENGINEER: "Keys and providers; sees no people.",
    Role.ADMIN: "Everything, and the team.",
}


@bp.get("/team")
@allowed(Right.TEAM)
def team() -> ResponseReturnValue:
    """List the team and what the roles may do."""
    return _page(Form())


@bp.post("/team")
@allowed(post=Right.TEAM, fresh=True)
def add_user() -> ResponseReturnValue:
    """Add somebody and show their set-up link, once."""
    form = Form()
    email = form.required("email", say("Enter their work email address."))
    role = form.chosen("role", tuple(Role), say("Choose a role."))
    if not form:
        try:
            user = services().team.create(email, Role(role), by=me().actor)
        except InvalidInput as error:
            form.refused(error, "email")
        except Conflict as error:
            form.problem("email", str(error))
        else:
            return _link_page(user.id, new=True)
    return _page(form, 422)


@bp.get("/team/<int(max=999999999999):number>")
@allowed(Right.TEAM)
def member(number: int) -> ResponseReturnValue:
    """Show one person of the team."""
    user = services().team.user(number)
    return show("team/member.html", user=user, roles=_roles(), said=request.args.get("said"))


@bp.post("/team/<int(max=999999999999):number>")
@allowed(post=Right.TEAM, fresh=True)
def change_user(number: int) -> ResponseReturnValue:
    """Change somebody: role, link, second factor, sessions, in or out."""
    form, people, by = Form(), services().team, me().actor
    what = form.text("what")
    if what == "link":
        return _link_page(number, new=False)
    if what == "role":
        role = form.chosen("role", tuple(Role), say("Choose a role."))
        if form:
            return show("team/member.html", 422, form=form, user=people.user(number), roles=_roles(), said=None)
        people.set_role(number, Role(role), by=by)
    elif what in _ACTS:
        _ACTS[what](number, by)
    return go("admin.member", number=number, said=what) if number != me().id else go("admin.sign_in")


_ACTS = {
    "second_factor": lambda number, by: services().team.reset_second_factor(number, by=by),
    "sessions": lambda number, by: services().team.end_sessions(number, by=by),
    "disable": lambda number, by: services().team.disable(number, by=by),
    "enable": lambda number, by: services().team.enable(number, by=by),
}


def _link_page(number: int, *, new: bool) -> ResponseReturnValue:
    link = services().base_url + services().team.link(number, by=me().actor)
    return show("team/link.html", user=services().team.user(number), link=link, new=new)


def _roles() -> list[tuple[str, str, str]]:
    return [(role, say(ROLE_NAMES[role]), say(_ROLE_WORDS[role])) for role in Role]


def _some_of_the_team() -> dict[str, object]:
    """Return one page of the team by address, and the ways to the pages beside it."""
    everyone, start = services().team.everyone(), request.args.get("from", "0")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 0
    return {
        "team": everyone[first : first + ROWS],
        "first": first + 1,
        "total": len(everyone),
        "back": _from(max(0, first - ROWS)) if first else None,
        "on": _from(first + ROWS) if len(everyone) > first + ROWS else None,
    }


def _from(first: int) -> str:
    return f"{url_for('admin.team')}?from={first}"


def _page(form: Form, status: int = 200) -> ResponseReturnValue:
    return show(
        "team/list.html",
        status,
        form=form,
        **_some_of_the_team(),
        roles=_roles(),
        typed=request.form.get("email", ""),
        chosen=request.form.get("role", ""),
        rights=[(say(row.does), [may(role, right) for role in Role]) for right, row in RIGHTS.items()],
        role_heads=[say(ROLE_NAMES[role]) for role in Role],
    )
