"""``/dev/outbox``: what would have been sent. Development only."""

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from prefs.edge import services

bp = Blueprint("dev", __name__, url_prefix="/dev")


@bp.before_request
def development_only() -> None:
    """Be absent in production."""
    if not services().settings.is_development:
        abort(404)


@bp.get("/outbox")
def outbox() -> ResponseReturnValue:
    """List the local transport's messages, newest first."""
    return render_template("dev/outbox.html", messages=services().outbox.messages())


@bp.get("/outbox/<int:number>")
def message(number: int) -> ResponseReturnValue:
    """Show one message with its headers and both its parts."""
    found = next((one for one in services().outbox.messages() if one.id == number), None)
    if found is None:
        abort(404)
    return render_template("dev/message.html", message=found)
