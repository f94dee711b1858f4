"""``GET /metrics`` in Prometheus's text format; in production with a key of scope ``read`` (contract D33)."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from prefs.api.http import refusal_of
from prefs.edge import services
from prefs.errors import StoreUnavailable
from prefs.services.pushing import Untold

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
    with suppress(StoreUnavailable):
        gauges |= _untold(made.pushes.all_untold(), made.kit.now())
    return Response(made.metrics.exposition(gauges), content_type=TEXT)


def _untold(found: Sequence[Untold], now: datetime) -> dict[str, tuple[str, float]]:
    """Return what providers were not told of yet; alarm on an age above 900 (reliability.md item 54)."""
    ages = [(now - one.since).total_seconds() for one in found]
    return {
        "prefs_push_oldest_seconds": (
            "Age of the oldest opt-out that a provider was not told of.",
            max(ages, default=0.0),
        ),
        "prefs_push_waiting": (
            "Opt-outs that a provider was not told of, counted up to a thousand.",
            float(sum(one.number for one in found)),
        ),
    }
