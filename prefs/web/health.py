"""``/healthz`` and ``/readyz``: alive, and fit to serve."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from prefs.edge import problem, services
from prefs.errors import StoreUnavailable
from prefs.storage import migrate

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> ResponseReturnValue:
    """Say that the process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Say 200 only if the database answers and its schema is current."""
    try:
        current = migrate.current(services().kit.store)
    except StoreUnavailable:
        return problem(503, "store_unavailable", "The database does not answer.")
    if current != migrate.head():
        return problem(503, "schema_behind", "The schema is not current. Run: prefs db upgrade")
    if services().journal.pending():
        return problem(503, "journal_not_empty", "Opt-outs wait in the journal; they are applied shortly.")
    return jsonify(status="ok", schema=current)
