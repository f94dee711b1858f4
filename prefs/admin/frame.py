"""What every console page goes through: who is asking, may they, and the frame around the answer.

Console texts are English for now. They go through ``_`` like all texts, but stay out of the
recipients' catalogues (see docs/decisions/0013).
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from prefs import errors, words
from prefs.admin import access, nav
from prefs.domain.roles import RIGHTS, ROLE_NAMES, Right, Role
from prefs.edge import MB, STATUSES, csrf, log, services
from prefs.services.kit import read_slip, write_slip
from prefs.services.sessions import ENROL, FULL, PASSWORD, PROOF_GOOD_FOR, Session

bp = Blueprint("admin", __name__, url_prefix="/admin")

_ACT, _LARGEST_ACT = "act", 3_000
_STEPS = {PASSWORD: "admin.code", ENROL: "admin.enrol"}


def show(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page of the console; ``template`` lies in ``templates/admin``."""
    return Response(render_template(f"admin/{template}", **values), status, mimetype="text/html")


def go(endpoint: str, **values: Any) -> Response:
    """Return the redirect after a POST."""
    return Response(status=303, headers={"Location": url_for(endpoint, **values)})


def refuse(status: int, heading: str, text: str) -> Response:
    """Return a page that says what is not possible and why."""
    return show("refused.html", status, heading=heading, text=text)


def say(text: str, **values: object) -> str:
    """Return a text of the console in the reader's language, its ``%(name)s`` filled in."""
    said = words.gettext(g.get("language", words.DEFAULT), text)
    return said % values if values else said


def say_many(one: str, many: str, number: int) -> str:
    """Return a text for a number, its ``%(num)s`` filled in with thousands apart."""
    catalogue = words.translations(g.get("language", words.DEFAULT))
    return str(catalogue.ungettext(one, many, number)) % {"num": f"{number:,}"}


def local_page(wanted: str | None) -> str:
    """Return a path of the console to go on to, or the overview where it is anything else (item 31)."""
    fallback = url_for("admin.overview")
    if not wanted or not wanted.startswith("/admin/") or any(ord(one) <= 32 or one == "\\" for one in wanted):
        return fallback
    parts = urlsplit(wanted)
    return fallback if parts.scheme or parts.netloc else wanted


@bp.before_request
def guard() -> ResponseReturnValue | None:
    """Let a request through to its view, or say why not. What has no rule is refused (item 23)."""
    g.language = words.DEFAULT
    if services().settings.is_development and words.spoken(request.args.get("lang")) == words.PSEUDO:
        g.language = words.PSEUDO
    rule = access.rule_of(current_app, request.endpoint or "")
    if _holds_nul(form=rule is None or not rule.upload):
        return refuse(400, say("This cannot be read"), say("It holds a character that no text has."))
    if rule is None:
        return refuse(403, say("Nobody may open this page"), say("It has no rule that says who may. Tell an engineer."))
    if not rule.stages:
        return None
    found = access.session()
    if found is None:
        return redirect(url_for("admin.sign_in", next=_here(), away=1 if _had_session() else None), 303)
    if found.stage not in rule.stages:
        return redirect(url_for(_STEPS.get(found.stage, "admin.overview")), 303)
    return _check_rights(rule)


def _holds_nul(*, form: bool) -> bool:
    """True where a value holds NUL, which one of the databases cannot store nor look for (item 35)."""
    sent = [*request.args.items(multi=True), *(request.form.items(multi=True) if form else ())]
    return "\0" in request.path or any("\0" in part for pair in sent for part in pair)


def _check_rights(rule: access.Rule) -> ResponseReturnValue | None:
    found = access.session()
    assert found is not None
    right = rule.right(request.method)
    if right is None:
        return refuse(403, say("Nobody may do this here"), say("This page is for looking only."))
    if found.stage == FULL and not access.i_may(right):
        services().audit.note(found.user.actor, "refused", request.endpoint, method=request.method)
        return refuse(403, say("This is not part of your role"), _why_not(right, found.user.role))
    if rule.fresh and not services().sessions.is_fresh(found):
        return redirect(url_for("admin.confirm", next=_here(), act=_act_to_resume()), 303)
    if rule.upload:
        request.max_form_memory_size = MB  # of fields; the file itself goes to disk as it comes
        csrf.protect()
    return None


def _why_not(right: Right, role: Role) -> str:
    signed_in = say("You are signed in as %(role)s.", role=say(ROLE_NAMES[role]))
    return f"{signed_in} {say(RIGHTS[right].refusal)}"


def _act_to_resume() -> str | None:
    """Return what was sent, sealed, so that nothing has to be typed again after the proof (WCAG 3.3.7)."""
    sent = {name: values for name, values in request.form.lists() if name != "csrf_token"}
    small = sum(len(one) for values in sent.values() for one in values) <= _LARGEST_ACT
    if request.method in access.SAFE or request.files or not small:
        return None
    act = {"path": request.path, "user": access.me().id, "sent": sent}
    return write_slip(services().kit, _ACT, act, good_for=PROOF_GOOD_FOR)


def act_to_resume(slip: str) -> dict[str, Any] | None:
    """Return what this person sent before they had to prove who they are, or None."""
    act = read_slip(services().kit, _ACT, slip) if slip else None
    return act if act and act["user"] == access.me().id else None


@bp.after_request
def vary(answer: Response) -> Response:
    """Keep shared caches from mixing people up (V41)."""
    answer.vary.add("Cookie")
    return answer


@bp.errorhandler(errors.PrefsError)
def _failed(error: errors.PrefsError) -> Response:
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    if status >= 500:
        log.error("request_failed", extra={"code": error.code, "status": status})
    heading = {404: "There is nothing here", 503: "The database is busy"}.get(status, "That did not work")
    return refuse(status, say(heading), str(error))


@bp.errorhandler(HTTPException)
def _refused(error: HTTPException) -> Response:
    status = error.code or 500
    heading, text = _HTTP.get(status, ("That did not work", "Go back and try again."))
    return refuse(status, say(heading), say(text))


@bp.errorhandler(Exception)
def _crashed(error: Exception) -> Response:
    log.exception("request_crashed", extra={"path": request.url_rule.rule if request.url_rule else "?"})
    text = say("Tell an engineer this reference: %(reference)s.", reference=g.get("request_id", ""))
    return refuse(500, say("Something went wrong on our side"), text)


_HTTP = {
    400: (
        "This page was open for a long time",
        "Nothing has changed. Go back, load the page again, and press once more.",
    ),
    404: ("There is nothing here", "The reference may be mistyped, or the thing is gone."),
    405: ("This cannot be done here", "Go back and use the buttons of the page."),
    413: ("This is too large", "Send less at once."),
}


@bp.context_processor
def _context() -> dict[str, Any]:
    found = _session_if_known()
    signed_in = found is not None and found.stage == FULL
    return {
        "nav": nav.shown() if signed_in else [],
        "me": found.user if found and signed_in else None,
        "role_names": ROLE_NAMES,
        "may": access.i_may,
        "single_sign_on": services().single_sign_on is not None,
        "zone": zone().key,
        "shortcut": request.args.get("q", "") if request.endpoint in {"admin.find", "admin.people"} else "",
    }


def zone() -> ZoneInfo:
    """Return the time zone of whoever is signed in."""
    found = _session_if_known()
    return ZoneInfo(found.user.time_zone) if found else ZoneInfo("UTC")


def _session_if_known() -> Session | None:
    """Return the session, or None also where the database is away: an error page is still a page."""
    try:
        return access.session()
    except errors.StoreUnavailable:
        g.staff_session = None
        return None


@bp.app_template_filter("when")
def when(moment: datetime | None, *, seconds: bool = False) -> Markup | str:
    """Return a moment in the viewer's zone, like ``9 Sep 2026, 10:24``; a dash for none.

    The month is short and the day keeps together, so that a narrow column breaks before the time.
    """
    if moment is None:
        return "–"
    local = moment.astimezone(zone())
    time = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    shown = Markup('<span class="one-line">{},</span> {}').format(words.short_day(local), time)
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), shown)


@bp.app_template_filter("day_words")
def day_words(day: date | str) -> str:
    """Return a day like ``12 May 2026``."""
    return words.day(date.fromisoformat(day) if isinstance(day, str) else day, words.DEFAULT)


@bp.app_template_filter("language_words")
def language_words(tag: str) -> str:
    """Return a language's name, like ``German``."""
    return words.language(tag, words.DEFAULT)


@bp.app_template_filter("figure")
def figure(number: int | float) -> str:
    """Return a number with thousands apart, like ``12,480``."""
    return f"{number:,}"


@bp.app_template_filter("listed_en")
def listed(items: Iterable[str]) -> str:
    """Return items as a list in words."""
    return words.listed(items, words.DEFAULT)


def _had_session() -> bool:
    return access.cookie_name() in request.cookies


def _here() -> str:
    """Return the page to come back to: this one, or the one whose form was sent."""
    if request.method in access.SAFE:
        return request.full_path.rstrip("?")
    # Our pages send no path as Referer; the form of a POST lies on the same path or on the one above it.
    for path in (request.path, request.path.rpartition("/")[0]):
        if _can_be_read(path):
            return path
    return url_for("admin.overview")


def _can_be_read(path: str) -> bool:
    try:
        current_app.url_map.bind("").match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return False
    return True
