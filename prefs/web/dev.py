"""``/dev/outbox``: what would have been sent. Development only."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from prefs.edge import services
from prefs.providers.outbox import OutboxMessage
from prefs.services import replies
from prefs.services.wordlist import ShortText

bp = Blueprint("dev", __name__, url_prefix="/dev")

_WHERE_DARK = "(prefers-color-scheme: dark)"
_ONE_CLICK = "List-Unsubscribe=One-Click"


@bp.before_request
def development_only() -> None:
    """Be absent in production."""
    if not services().settings.is_development:
        abort(404)


@bp.get("/outbox")
def outbox() -> ResponseReturnValue:
    """List the local transport's messages, newest first."""
    return render_template("dev/outbox.html", messages=services().outbox.messages())


@bp.post("/outbox/clear")
def clear() -> ResponseReturnValue:
    """Forget every message."""
    services().outbox.clear()
    return redirect(url_for("dev.outbox"), 303)


@bp.get("/outbox/<int:number>")
def message(number: int) -> ResponseReturnValue:
    """Show one message with its headers and both its parts."""
    found = _message(number)
    return render_template("dev/message.html", message=found, one_click=_one_click(found), text=_as_text(found.text))


@bp.get("/outbox/<int:number>/html")
def html_part(number: int) -> ResponseReturnValue:
    """Show the HTML part alone, as a mail program would: with its own styles, without scripts, dark if asked."""
    html = _message(number).html or abort(404)
    return html.replace(_WHERE_DARK, "all") if request.args.get("look") == "dark" else html


def _message(number: int) -> OutboxMessage:
    found = next((one for one in services().outbox.messages() if one.id == number), None)
    return found or abort(404)


def _as_text(said: str) -> ShortText:
    """Return a text with what it counts: characters, parts, and the letters that make a part shorter."""
    return ShortText("", "", said, tuple(dict.fromkeys(replies.not_gsm_7(said))))


def _one_click(found: OutboxMessage) -> bool | None:
    """Return whether a mail program can unsubscribe with one press (RFC 8058); None where the mail names no way out."""
    if "List-Unsubscribe" not in found.headers:
        return None
    return bool(found.unsubscribe_url) and found.headers.get("List-Unsubscribe-Post") == _ONE_CLICK
