"""One's own account: password, second factor, time zone; and what waits for a second person."""

from flask import redirect, request
from flask.typing import ResponseReturnValue

from prefs.admin import access
from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, local_page, show
from prefs.domain.roles import Right, needs_second_factor
from prefs.edge import services
from prefs.errors import InvalidInput
from prefs.services.staff import time_zones


@bp.get("/account")
@allowed(Right.OWN_ACCOUNT)
def account() -> ResponseReturnValue:
    """Show one's own account."""
    return _page(Form())


@bp.post("/account/time-zone")
@allowed(post=Right.OWN_ACCOUNT)
def set_time_zone() -> ResponseReturnValue:
    """Show times in another zone."""
    form = Form()
    try:
        services().team.set_time_zone(me(), form.text("time_zone"))
    except InvalidInput as error:
        form.refused(error)
        return _page(form, 422)
    return go("admin.account", saved="time_zone")


@bp.get("/account/password")
@allowed(Right.OWN_ACCOUNT, fresh=True)
def password() -> ResponseReturnValue:
    """Show the form for a new password."""
    return show("new_password.html", form=Form())


@bp.post("/account/password")
@allowed(post=Right.OWN_ACCOUNT, fresh=True)
def change_password() -> ResponseReturnValue:
    """Set a new password; every session ends, this one too."""
    form = Form()
    try:
        services().team.change_password(me(), form.secret("password"))
    except InvalidInput as error:
        form.refused(error, "password")
        return show("new_password.html", 422, form=form)
    return go("admin.sign_in", ready=1)


@bp.get("/approvals")
@allowed(Right.FIND_PEOPLE)
def approvals() -> ResponseReturnValue:
    """List what waits for a second person."""
    waiting = services().approvals.waiting(me())
    return show("approvals.html", waiting=waiting, names=_names(), said=request.args.get("said"))


@bp.post("/approvals/<int(max=999999999999):number>")
@allowed(post=Right.FIND_PEOPLE, fresh=True)
def decide(number: int) -> ResponseReturnValue:
    """Say yes or no to one question, or take one's own back."""
    answer = Form().text("answer")
    if answer == "withdraw":
        services().approvals.withdraw(me(), number)
        return go("admin.approvals", said="withdrawn")
    services().approvals.decide(me(), number, yes=answer == "yes")
    back = request.form.get("next")
    return redirect(local_page(back), 303) if back else go("admin.approvals", said="yes" if answer == "yes" else "no")


def _names() -> dict[str, str]:
    return {user.actor: user.email for user in services().team.everyone()}


def _page(form: Form, status: int = 200) -> ResponseReturnValue:
    user = me()
    found = access.session()
    return show(
        "account.html",
        status,
        form=form,
        user=user,
        by_oidc=found is not None and found.row.by_oidc,
        needed=needs_second_factor(user.role),
        codes_left=services().team.recovery_codes_left(user),
        zones=time_zones(),
        saved=request.args.get("saved"),
    )
