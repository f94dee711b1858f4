"""Signing in: password, second factor, set-up link, and proving it again before dangerous acts."""

from typing import Any

from flask import Response, redirect, request
from flask import session as flask_session
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from prefs.admin import access
from prefs.admin.access import allowed, open_to_all
from prefs.admin.forms import Form
from prefs.admin.frame import act_to_resume, bp, go, local_page, refuse, show
from prefs.domain.roles import Right
from prefs.edge import services
from prefs.errors import InvalidInput
from prefs.services import second_factor
from prefs.services.sessions import ENROL, FULL, KNOWN_BROWSER_FOR, PASSWORD, Opened, SignInRefused, TooManyTries

_NEXT = "staff_next"


@bp.get("/sign-in")
@open_to_all
def sign_in() -> ResponseReturnValue:
    """Show the sign-in form, or go on where somebody is signed in."""
    found = access.session()
    if found and found.stage == FULL:
        return redirect(local_page(request.args.get("next")), 303)
    return _sign_in_page(Form(), "", request.args.get("next", ""))


@bp.post("/sign-in")
@open_to_all
def check_password() -> ResponseReturnValue:
    """Check address and password."""
    form = Form()
    email, password, wanted = form.text("email", longest=320), form.secret("password"), form.text("next")
    browser = request.cookies.get(_browser_cookie())
    try:
        opened = services().sessions.sign_in(email, password, client=_client(), browser=browser)
    except (SignInRefused, TooManyTries) as error:
        form.problem("email", str(error))
        return _sign_in_page(form, email, wanted, 429 if isinstance(error, TooManyTries) else 403)
    _forget_form_keys()
    flask_session[_NEXT] = wanted
    return _entered(opened)


@bp.get("/code")
@allowed(Right.OWN_ACCOUNT, stages=(PASSWORD,))
def code() -> ResponseReturnValue:
    """Ask for the second factor."""
    return show("code.html", form=Form())


@bp.post("/code")
@allowed(post=Right.OWN_ACCOUNT, stages=(PASSWORD,))
def check_code() -> ResponseReturnValue:
    """Check the second factor."""
    form, found = Form(), access.session()
    assert found is not None
    try:
        opened = services().sessions.prove_code(found, form.text("code", longest=40))
    except (SignInRefused, TooManyTries) as error:
        form.problem("code", str(error))
        return show("code.html", 429 if isinstance(error, TooManyTries) else 403, form=form)
    return _entered(opened)


@bp.get("/second-factor")
@allowed(Right.OWN_ACCOUNT, stages=(ENROL, FULL), fresh=True)
def enrol() -> ResponseReturnValue:
    """Show the code to read with an app."""
    return _enrol_page(Form())


@bp.post("/second-factor")
@allowed(post=Right.OWN_ACCOUNT, stages=(ENROL, FULL), fresh=True)
def check_enrolment() -> ResponseReturnValue:
    """Take the second factor into use once the app gave a right code."""
    form, found = Form(), access.session()
    assert found is not None
    try:
        opened, codes = services().sessions.finish_enrolment(found, form.text("code", longest=40))
    except (SignInRefused, TooManyTries) as error:
        form.problem("code", str(error))
        return _enrol_page(form, 429 if isinstance(error, TooManyTries) else 403)
    return _with_cookie(show("recovery_codes.html", codes=codes, wanted=_wanted()), opened)


@bp.get("/set-up/<token>")
@open_to_all
def set_up(token: str) -> ResponseReturnValue:
    """Show the form behind a set-up link; using the link up takes a press."""
    return _set_up_page(token, Form())


@bp.post("/set-up/<token>")
@open_to_all
def set_password(token: str) -> ResponseReturnValue:
    """Set the password behind a set-up link."""
    form = Form()
    try:
        services().team.set_up(token, form.secret("password"))
    except InvalidInput as error:
        form.refused(error, "password")
        return _set_up_page(token, form, 422)
    return go("admin.sign_in", ready=1)


@bp.get("/confirm")
@allowed(Right.OWN_ACCOUNT)
def confirm() -> ResponseReturnValue:
    """Ask for the password again."""
    found = access.session()
    assert found is not None
    wanted, act = request.args.get("next", ""), request.args.get("act", "")
    return show("confirm.html", form=Form(), wanted=wanted, act=act, by_oidc=found.row.by_oidc)


@bp.post("/confirm")
@allowed(post=Right.OWN_ACCOUNT)
def check_confirmation() -> ResponseReturnValue:
    """Check the password again and go back to what was to be done."""
    form, found = Form(), access.session()
    assert found is not None
    wanted, act = form.text("next"), form.text("act", longest=8_000)
    try:
        services().sessions.confirm(found, form.secret("password"))
    except (SignInRefused, TooManyTries) as error:
        form.problem("password", str(error))
        status = 429 if isinstance(error, TooManyTries) else 403
        return show("confirm.html", status, form=form, wanted=wanted, act=act, by_oidc=found.row.by_oidc)
    return after_proof(wanted, act)


def after_proof(wanted: str, act: str) -> ResponseReturnValue:
    """Go back to the page, or offer to do what was sent before the proof was asked for."""
    resumed = act_to_resume(act)
    if resumed is None:
        return redirect(local_page(wanted), 303)
    return show("resume.html", path=local_page(resumed["path"]), sent=resumed["sent"], wanted=local_page(wanted))


@bp.post("/sign-out")
@allowed(post=Right.OWN_ACCOUNT, stages=(PASSWORD, ENROL, FULL))
def sign_out() -> ResponseReturnValue:
    """End this session."""
    found = access.session()
    assert found is not None
    services().sessions.sign_out(found)
    flask_session.clear()
    answer = go("admin.sign_in", out=1)
    answer.delete_cookie(access.cookie_name(), **_cookie())
    return answer


def _entered(opened: Opened) -> Response:
    if opened.stage != FULL:
        return _with_cookie(go("admin.code" if opened.stage == PASSWORD else "admin.enrol"), opened)
    _forget_form_keys()
    return _with_cookie(Response(status=303, headers={"Location": _wanted()}), opened)


def _with_cookie(answer: Response, opened: Opened) -> Response:
    """Set the session's cookie, and the mark that this browser is known for the account."""
    answer.set_cookie(access.cookie_name(), opened.token, httponly=True, **_cookie())
    if opened.stage == FULL:
        mark = services().sessions.browser_mark(opened.user)
        age = int(KNOWN_BROWSER_FOR.total_seconds())
        answer.set_cookie(_browser_cookie(), mark, max_age=age, httponly=True, **_cookie())
    return answer


def enter(opened: Opened, wanted: str) -> Response:
    """Return the answer that lets somebody in who was recognised by single sign-on."""
    flask_session[_NEXT] = wanted
    return _entered(opened)


def _wanted() -> str:
    return local_page(flask_session.pop(_NEXT, None))


def _forget_form_keys() -> None:
    """Make the next form get a fresh key: one from before the sign-in opens nothing after it."""
    flask_session.pop("csrf_token", None)


def _cookie() -> dict[str, Any]:
    return {"secure": services().base_url.startswith("https://"), "samesite": "Lax", "path": "/"}


def _browser_cookie() -> str:
    return f"{access.cookie_name()}-browser"


def _client() -> str:
    return request.remote_addr or ""


def _sign_in_page(form: Form, email: str, wanted: str, status: int = 200) -> Response:
    said = next((name for name in ("away", "out", "ready") if request.args.get(name)), None)
    return show("sign_in.html", status, form=form, email=email, wanted=wanted, said=said)


def _enrol_page(form: Form, status: int = 200) -> Response:
    import segno  # noqa: PLC0415  only this page draws one

    found = access.session()
    assert found is not None
    secret = services().sessions.begin_enrolment(found)
    address = second_factor.address(secret, found.user.email, services().settings.org_name)
    drawn = Markup(segno.make(address, error="m").svg_inline(scale=5, border=3, omitsize=True))  # noqa: S704  our own
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return show("enrol.html", status, form=form, drawn=drawn, secret=grouped, first=found.stage == ENROL)


def _set_up_page(token: str, form: Form, status: int = 200) -> Response:
    owner = services().team.link_owner(token)
    if owner is None:
        text = "It was used already, or is older than three days. Ask an admin for another."
        return refuse(404, "This link does not work any more", text)
    return show("set_up.html", status, form=form, owner=owner, token=token)
