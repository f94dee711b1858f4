"""The search of the top bar: a reference jumps straight there, anything else looks for a person."""

import re

from flask import current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed
from prefs.admin.frame import bp, show
from prefs.domain.roles import Right
from prefs.edge import services

REFERENCE = re.compile(r"(NW|PR|DE|EV|IM|CT)-[A-Z0-9-]{1,40}")

# Where each kind of reference leads: the endpoint takes the reference as ``reference``. A page adds its own row.
JUMPS: dict[str, str] = {
    "NW": "admin.record",
    "PR": "admin.request",
    "DE": "admin.decision",
    "EV": "admin.evidence",
    "IM": "admin.import_report",
    "CT": "admin.person",
}


@bp.get("/find")
@allowed(Right.FIND_PEOPLE)
def find() -> ResponseReturnValue:
    """Go to what the top bar asked for."""
    typed = request.args.get("q", "").strip()
    reference = typed.upper()
    if REFERENCE.fullmatch(reference):
        endpoint = JUMPS[reference[:2]]
        if endpoint in current_app.view_functions:
            return redirect(url_for(endpoint, reference=reference), 303)
        return show("find.html", 404, typed=typed, kind="reference")
    if typed and "admin.people" in current_app.view_functions:
        return redirect(url_for("admin.people", q=typed), 303)
    return show("find.html", typed=typed, kind="nothing" if not typed else "person", base=services().base_url)
