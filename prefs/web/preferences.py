"""``/p/<token>``: the preference center. A message's link shows and lowers; raising needs proof (D20)."""

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs.edge import csrf_exempt, services
from prefs.errors import InvalidLink, StoreUnavailable
from prefs.links import Purpose
from prefs.services.preferences import SEND, STOP, Preferences, PreferenceView, Row, Saved
from prefs.services.stopping import EVERY_CHANNEL, reference_of
from prefs.web import pages, stop

bp = Blueprint("preferences", __name__)

PAGE, OLD = "preferences/page.html", "preferences/old.html"


@bp.get("/p/<token>", strict_slashes=False)
def page(token: str) -> ResponseReturnValue:
    """Show the choices as they are now, and what the last save did; opening it changes nothing."""
    view = _view(token)
    pages.hear_signals(token, "P3", PAGE)
    said = stop.read_slip("saved", request.args.get("r", ""))
    return _show(token, view, said=said)


@bp.post("/p/<token>", strict_slashes=False)
@csrf_exempt
def save(token: str) -> ResponseReturnValue:
    """Save what was changed. Stops need nothing but the link; starts also need our own form."""
    wanted = {name: value for name, value in request.form.items() if value in {SEND, STOP}}
    shown = request.form.get("shown", "").split()
    version = request.form.get("version", "")
    ours = pages.form_is_ours()
    seen = pages.seen("P3", PAGE)
    try:
        saved = _service().save(
            token,
            wanted,
            shown,
            int(version) if version.isascii() and version.isdigit() and len(version) < 19 else 0,
            may_raise=ours,
            language=pages.language(),
            seen=seen,
        )
    except StoreUnavailable:
        # Only what was stopped is kept; what was started can be asked for again.
        stops = {name: value for name, value in wanted.items() if value == STOP}
        note = {"token": token, "wanted": stops, "shown": shown, **pages.as_journal(seen)}
        services().journal.keep("choices_save", note)
        return pages.kept_for_later(reference_of(seen, token))
    pages.remember_wording("P3", PAGE)
    if saved.refused:
        return _show(token, _view(token), 400, said=_said(saved), wanted=wanted)
    return redirect(url_for(".page", token=token, r=stop.write_slip("saved", _said(saved))) + "#saved", 303)


@bp.post("/p/<token>/stop")
@csrf_exempt
def stop_all(token: str) -> ResponseReturnValue:
    """Stop all marketing, everywhere or on the link's channel; a link of any age may."""
    scope = request.form.get("scope", EVERY_CHANNEL)
    _service().check(token, scope)
    seen = pages.seen("P3", PAGE)
    try:
        _service().stop_all(token, scope, seen=seen)
    except StoreUnavailable:
        note = {"token": token, "scope": scope, **pages.as_journal(seen)}
        services().journal.keep("choices_stop", note)
        return pages.kept_for_later(reference_of(seen, token))
    pages.remember_wording("P3", PAGE)
    note = {"did": "stop_all", "scope": scope}
    return redirect(url_for(".page", token=token, r=stop.write_slip("saved", note)) + "#saved", 303)


@bp.post("/p/<token>/pause")
@csrf_exempt
def pause(token: str) -> ResponseReturnValue:
    """Pause everything for 30 days."""
    until = _service().pause(token, seen=pages.seen("P3", PAGE))
    pages.remember_wording("P3", PAGE)
    note = {"did": "pause", "until": until.isoformat()}
    return redirect(url_for(".page", token=token, r=stop.write_slip("saved", note)) + "#saved", 303)


@bp.post("/p/<token>/undo")
@csrf_exempt
def undo(token: str) -> ResponseReturnValue:
    """Take the last save back, if nothing newer is recorded; that may start something, so the form is checked."""
    if not pages.form_is_ours():
        return _show(token, _view(token), 400, said={"did": "stale"})
    did = "undone" if _service().undo(token) else "not_undone"
    return redirect(url_for(".page", token=token, r=stop.write_slip("saved", {"did": did})) + "#saved", 303)


@bp.post("/p/<token>/link")
@csrf_exempt
def link(token: str) -> ResponseReturnValue:
    """Send a fresh link to the token's own address."""
    return stop.link_of_token(token, Purpose.MANAGE)


@bp.errorhandler(InvalidLink)
def invalid_link(_error: InvalidLink) -> ResponseReturnValue:
    """Answer a dead link like every other dead link."""
    return stop.dead_link()


def _service() -> Preferences:
    return services().preferences


def _view(token: str) -> PreferenceView:
    view = _service().view(token)
    pages.speak_to(view.language)
    return view


def _show(
    token: str,
    view: PreferenceView,
    status: int = 200,
    *,
    said: dict[str, Any] | None = None,
    wanted: dict[str, str] | None = None,
) -> ResponseReturnValue:
    if view.too_old:
        return pages.show(OLD, status, token=token, view=view, said=said)
    return pages.show(
        PAGE, status, token=token, view=view, said=_read_said(said), wanted=wanted or {}, sending=SEND, stopped=STOP
    )


def _said(saved: Saved) -> dict[str, Any]:
    """Return what a save did as a note for the next page."""
    kinds = ("stopped", "started", "asked_by_mail", "asked_by_text", "text_start", "refused")
    found: dict[str, Any] = {kind: [_row(row) for row in getattr(saved, kind)] for kind in kinds}
    found["kept"] = [{**_row(row), "at": at.isoformat()} for row, at in saved.kept]
    changed = any(found.values())
    return {"did": "save" if changed else "nothing", **found}


def _row(row: Row) -> dict[str, str]:
    return {"channel": row.channel, "topic": row.topic.slug if row.topic else ""}


def _read_said(said: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a note with topics in the reader's words and times as times."""
    if said is None:
        return None
    catalogue = services().kit.catalogue

    def named(item: dict[str, str]) -> dict[str, Any]:
        topic = catalogue.topic(item["topic"]) if item["topic"] else None
        at = {"at": datetime.fromisoformat(item["at"])} if "at" in item else {}
        return {"channel": item["channel"], "name": pages.topic_words(topic)["name"], **at}

    found: dict[str, Any] = {
        kind: [named(one) for one in value] if isinstance(value, list) else value for kind, value in said.items()
    }
    if "until" in found:
        found["until"] = datetime.fromisoformat(found["until"])
    return found
