"""The audit log: who saw or changed what. It cannot be edited; it can be exported."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from flask import Response, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, say, show, zone
from prefs.admin.paging import ROWS, cursor, paged
from prefs.domain.roles import Right
from prefs.edge import services
from prefs.services.audit import Noted
from prefs.storage.audit import AuditFilter

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


@bp.get("/audit")
@allowed(Right.AUDIT)
def audit() -> ResponseReturnValue:
    """List who did or saw what, newest first."""
    form = Form()
    wanted = _wanted(form)
    found = services().audit.page(wanted, ROWS + 1, before=cursor("before"), after=cursor("after"))
    kept = {name: value for name, value in request.args.items() if name not in {"before", "after"} and value}
    return show(
        "audit/list.html",
        form=form,
        page=paged(found, lambda one: one.entry.id),
        people=[
            ("", say("Anybody")),
            *((user.actor, user.email) for user in services().team.everyone()),
            ("cli", "cli"),
        ],
        actions=[("", say("Anything")), *sorted(services().audit.actions().items(), key=lambda pair: pair[1])],
        asked=request.args,
        filtered=bool(kept),
        export=f"{url_for('admin.audit_export')}?{urlencode(kept)}",
        words=_detail,
    )


@bp.get("/audit.csv")
@allowed(Right.AUDIT)
def audit_export() -> ResponseReturnValue:
    """Send the log, or what the filters leave of it, as CSV, oldest first; the export is itself noted."""
    entries = services().audit.export(_wanted(Form()), me().actor)
    name = f"audit-{services().kit.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(stream_with_context(_csv(entries)), mimetype="text/csv; charset=utf-8", headers=headers)


def _csv(entries: Iterator[Noted]) -> Iterator[str]:
    yield _line(["number", "at", "who", "actor", "action", "what", "about", "detail"])
    for one in entries:
        entry = one.entry
        detail = json.dumps(entry.detail, ensure_ascii=False, sort_keys=True)
        at = entry.at.isoformat()
        yield _line([str(entry.id), at, one.who, entry.actor, entry.action, one.what, entry.about or "", detail])


def _line(values: list[str]) -> str:
    """Return one line that no spreadsheet takes for a formula (V20)."""
    text = io.StringIO()
    csv.writer(text).writerow([f"'{value}" if value.startswith(_FORMULA) else value for value in values])
    return text.getvalue()


def _wanted(form: Form) -> AuditFilter:
    """Return what the query asks for; a day that is none is said, not guessed."""
    first, last = _day(form, "since"), _day(form, "until")
    asked = {name: request.args.get(name, "").strip()[:96] or None for name in ("actor", "action", "about")}
    return AuditFilter(
        **asked,
        since=_midnight(first) if first else None,
        until=_midnight(last + timedelta(days=1)) if last else None,
    )


def _day(form: Form, name: str) -> date | None:
    value = request.args.get(name, "").strip()
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        form.problem(name, say("Write the day like 2026-05-12."))
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), zone()).astimezone(UTC)


def _detail(one: Noted) -> str:
    """Return the details of an entry in one line of words."""
    parts = []
    for name, value in sorted(one.entry.detail.items()):
        if value is False or value in ("", []):
            continue
        shown = ", ".join(str(part) for part in value) if isinstance(value, list) else value
        shown = "yes" if shown is True else shown
        parts.append(f"{name.replace('_', ' ')}: {shown}")
    return "; ".join(parts)
