"""``/confirm/<token>``: double opt-in. Opening the page changes nothing; the button does (ux.md P11)."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from prefs.edge import csrf_exempt, services
from prefs.errors import InvalidLink
from prefs.web import pages, stop

bp = Blueprint("confirm", __name__)

PAGE = "confirm/page.html"


@bp.get("/confirm/<token>", strict_slashes=False)
def ask(token: str) -> ResponseReturnValue:
    """Show what would start, or what became of it."""
    view = services().confirming.view(token)
    pages.speak_to(view.language)
    pages.hear_signals(token, "P11", PAGE)
    return pages.show(PAGE, token=token, view=view)


@bp.post("/confirm/<token>", strict_slashes=False)
@csrf_exempt  # The mailed token is known to nobody else: a foreign page cannot make this request.
def answer(token: str) -> ResponseReturnValue:
    """Start what the person asked for, unless they stopped it since."""
    services().confirming.confirm(token, seen=pages.seen("P11", PAGE))
    pages.remember_wording("P11", PAGE)
    return redirect(url_for(".ask", token=token), 303)


@bp.errorhandler(InvalidLink)
def invalid_link(_error: InvalidLink) -> ResponseReturnValue:
    """Answer a dead link like every other dead link."""
    return stop.dead_link()
