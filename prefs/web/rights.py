"""``/rights``: ask for a copy, a correction, deletion, restriction (ux.md P9). One question a page."""

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs.edge import csrf_exempt, services
from prefs.errors import InvalidAddress, InvalidInput, InvalidLink
from prefs.services.access import CopyFormat
from prefs.services.casework import Right
from prefs.services.stop_page import TooManyLinks
from prefs.web import pages, stop

bp = Blueprint("rights", __name__)

START, DETAILS, CHECK, PROGRESS = (f"rights/{name}.html" for name in ("start", "details", "check", "progress"))
ONLY_STOP = "stop"


@bp.get("/rights")
def ask() -> ResponseReturnValue:
    """Show the first question."""
    return pages.show(START, kind="", problems=[])


@bp.post("/rights")
@csrf_exempt  # Checked below: a stale form comes back filled in instead of an error page.
def answer() -> ResponseReturnValue:
    """Take one step on; the last one takes the request down."""
    kind = request.form.get("kind", "")
    if kind == ONLY_STOP:
        return redirect(url_for("stop.ask"), 303)
    if kind not in set(Right):
        return pages.show(START, 422, kind="", problems=[("kind", "no_choice")])
    step = request.form.get("step", "start")
    if step == "start":
        return _details(kind)
    try:
        services().stop_page.read(request.form.get("address", "").strip())
    except InvalidAddress as error:
        code = "no_country_code" if error.code == "no_country_code" else "not_an_address"
        return _details(kind, 422, [("address", code)])
    if step == "details":
        return _check(kind)
    if not pages.form_is_ours():
        return _check(kind, 400, stale=True)
    return pages.level_time(lambda: _take_down(Right(kind)))


@bp.get("/rights/<token>")
def progress(token: str) -> ResponseReturnValue:
    """Show how far a request is."""
    view = services().rights.view(token)
    pages.speak_to(view.language)
    pages.hear_signals(token, "P9", PROGRESS)
    return pages.show(PROGRESS, token=token, view=view, new=request.args.get("new") == "1")


@bp.post("/rights/<token>/confirm")
@csrf_exempt  # Only whoever reads the address has the mailed token.
def confirm(token: str) -> ResponseReturnValue:
    """Note that the request came from the address."""
    services().rights.confirm(token)
    return redirect(url_for(".progress", token=token), 303)


@bp.post("/rights/<token>/withdraw")
@csrf_exempt  # The token names one request; nobody else has it.
def withdraw(token: str) -> ResponseReturnValue:
    """Close the request at the person's wish."""
    services().rights.withdraw(token)
    return redirect(url_for(".progress", token=token), 303)


@bp.post("/rights/<token>/copy")
@csrf_exempt  # The mailed token is the proof that the address is theirs; a scanner that only opens links gets nothing.
def copy(token: str) -> ResponseReturnValue:
    """Hand out the copy of the person's data, as a page to read or as JSON."""
    wanted = request.form.get("form", "")
    form = CopyFormat(wanted) if wanted in set(CopyFormat) else CopyFormat.HTML
    made, name = services().rights.copy(token, form)
    answer = Response(made, mimetype={"html": "text/html", "json": "application/json"}[form])
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@bp.errorhandler(InvalidLink)
def invalid_link(_error: InvalidLink) -> ResponseReturnValue:
    """Answer a dead link like every other dead link."""
    return stop.dead_link()


def _take_down(kind: Right) -> ResponseReturnValue:
    form = request.form
    try:
        token = services().rights.ask(
            kind,
            form.get("address", "").strip(),
            form.get("about", ""),
            pages.language(),
            request.remote_addr or "",
            seen=pages.seen("P9", CHECK),
        )
    except TooManyLinks:
        return _details(kind, 429, [("address", "too_many")])
    except InvalidInput:
        return _details(kind, 422, [("about", "too_long")])
    pages.remember_wording("P9", CHECK)
    return redirect(url_for(".progress", token=token, new="1"), 303)


def _details(kind: str, status: int = 200, problems: list[tuple[str, str]] | None = None) -> ResponseReturnValue:
    form = request.form
    return pages.show(
        DETAILS,
        status,
        kind=kind,
        typed=form.get("address", ""),
        about=form.get("about", ""),
        problems=problems or [],
    )


def _check(kind: str, status: int = 200, *, stale: bool = False) -> ResponseReturnValue:
    form = request.form
    return pages.show(CHECK, status, kind=kind, typed=form.get("address", ""), about=form.get("about", ""), stale=stale)
