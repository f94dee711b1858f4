"""``GET /metrics`` in Prometheus's text format; in production with a key of scope ``read`` (contract D33)."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from prefs.api.http import refusal_of
from prefs.edge import services

bp = Blueprint("monitoring", __name__)

TEXT = "text/plain; version=1.0.0; charset=utf-8"


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Return the numbers of every process of this host."""
    made = services()
    refusal = None if made.settings.is_development else refusal_of(request.headers.get("Authorization", ""), "read")
    if refusal is not None:
        return refusal
    gauges = {
        "prefs_journal_waiting": ("1 while an opt-out waits in the journal.", float(made.journal.pending())),
        "prefs_store_failing": ("1 while this process could not write.", float(made.kit.store.failing)),
    }
    return Response(made.metrics.exposition(gauges), content_type=TEXT)
