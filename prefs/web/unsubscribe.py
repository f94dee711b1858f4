"""``/u/<token>``: the page, the one-click POST, the page's own buttons, and the way back.

Nothing here needs a cookie, a Referer or a fresh page: the signed token is the proof
(rules.md E-1 to E-6, reliability.md item 6).
"""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefs.edge import csrf_exempt, page, services
from prefs.errors import InvalidLink, StoreUnavailable
from prefs.services.unsubscribe import EVERY_CHANNEL, Unsubscribe

bp = Blueprint("unsubscribe", __name__)

WORDING_VERSION = "2026-11-24"


@bp.get("/u/<token>", strict_slashes=False)
def before(token: str) -> ResponseReturnValue:
    """Show the page; opening it changes nothing."""
    view = _service().view(token)
    if view.stopped_since is not None:
        return render_template("unsubscribe/already.html", token=token, view=view, since=view.stopped_since)
    return render_template("unsubscribe/before.html", token=token, view=view)


@bp.post("/u/<token>", strict_slashes=False)
@csrf_exempt
def one_click(token: str) -> ResponseReturnValue:
    """Stop what the token names, whatever the body says (RFC 8058 section 3.2, rules.md E-2)."""
    try:
        _service().by_link(token, proof=_proof("one_click"))
    except StoreUnavailable:
        services().journal.keep("one_click", {"token": token})
        raise
    return Response("You are unsubscribed.\n", 200, mimetype="text/plain")


@bp.post("/u/<token>/stop")
@csrf_exempt
def stop(token: str) -> ResponseReturnValue:
    """Stop what a button says, then show the result at an address that can be reloaded."""
    scope = request.form.get("scope", "all")
    _service().check(token, scope)
    try:
        _service().by_page(token, scope, proof=_proof("P1"))
    except StoreUnavailable:
        services().journal.keep("page_stop", {"token": token, "scope": scope})
        return _kept()
    everywhere = "1" if scope == EVERY_CHANNEL else None
    return redirect(url_for(".done", token=token, all=everywhere), 303)


@bp.post("/u/<token>/undo")
@csrf_exempt
def undo(token: str) -> ResponseReturnValue:
    """Take back what the last press took, if that is still possible (contract D19)."""
    _service().undo(token)
    return redirect(url_for(".done", token=token), 303)


@bp.get("/u/<token>/done")
def done(token: str) -> ResponseReturnValue:
    """Show what is true now; reloading repeats nothing."""
    view = _service().view(token)
    everywhere = request.args.get("all") == "1"
    if not view.undone and view.stopped_since is None and not view.topic_stopped:
        return render_template("unsubscribe/before.html", token=token, view=view)
    return render_template("unsubscribe/done.html", token=token, view=view, everywhere=everywhere)


@bp.errorhandler(InvalidLink)
def invalid_link(_error: InvalidLink) -> ResponseReturnValue:
    """Answer a dead link: never a dead end, and the same for every way of being dead (rules.md E-7)."""
    if request.method == "POST" and request.endpoint == "unsubscribe.one_click":
        return Response("This link does not work.\n", 404, mimetype="text/plain")
    return render_template("link_invalid.html"), 404


def _service() -> Unsubscribe:
    return services().unsubscribe


def _proof(page_id: str) -> dict[str, Any]:
    """Return what shows later how the person asked (rules.md 2.3, evidence)."""
    return {
        "page": page_id,
        "wording": WORDING_VERSION,
        "language": "en",
        "ip": request.remote_addr,
        "user_agent": request.headers.get("User-Agent", "")[:200],
        "at": datetime.now(UTC).isoformat(),
    }


def _kept() -> Response:
    answer = page(
        503,
        "We have your request, and it is not finished",
        "We wrote it down and will finish it within 10 minutes. You do not have to do anything.",
    )
    answer.headers["Retry-After"] = "60"
    return answer
