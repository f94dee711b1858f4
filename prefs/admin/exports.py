"""Export the suppression list: masked, as hashes, or in full with a purpose (ux.md A5; rules.md C-5; contract D31)."""

from typing import Any

from flask import request, send_file
from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed, i_may, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, say, show
from prefs.admin.paging import ROWS, cursor, paged
from prefs.domain.formats import HEX_DIGITS
from prefs.domain.ladder import CHANNEL_NAMES, REASON_WORDS
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.roles import Right
from prefs.domain.terms import Channel, MessageClass
from prefs.edge import services
from prefs.errors import InvalidInput, NotFound
from prefs.services.export_desk import FULL, MASKED, WAITING, Wanted
from prefs.services.exports import COLUMNS
from prefs.storage.imports import ExportRow

EVERY_SECONDS = 20
FORMS = {
    MASKED: ("Addresses masked", "Like a••@example.com. For counting and looking."),
    "sha256": ("SHA-256 of each address", "One column, for a partner who compares hashes."),
    "md5": ("MD5 of each address", "One column, for a partner who has nothing newer."),
    FULL: ("Addresses in full", "Only for suppression at whoever gets it."),
}
COLUMN_WORDS = {
    "channel": "Channel",
    "to": "Address",
    "scope": "What stopped",
    "reason": "Reason",
    "source": "Source",
    "since": "Since",
    "until": "Until",
}


@bp.get("/exports")
@allowed(Right.EXPORT_MASKED)
def exports() -> ResponseReturnValue:
    """List what was exported, for whom and why, newest first."""
    found = services().export_desk.page(ROWS + 1, before=cursor("before"), after=cursor("after"))
    page = paged(found, lambda one: one.id)
    names = {user.actor: user.email for user in services().team.everyone()}
    rows = [(one, names.get(one.actor, one.actor), _what(one)) for one in page.rows]
    return show("exports/list.html", page=page, rows=rows)


@bp.get("/exports/new")
@allowed(Right.EXPORT_MASKED)
def new_export() -> ResponseReturnValue:
    """Ask what to take, addresses masked or as hashes."""
    return _form(Form())


@bp.post("/exports/new")
@allowed(post=Right.EXPORT_MASKED)
def make_export() -> ResponseReturnValue:
    """Have a masked or hashed list made."""
    return _make((MASKED, *HEX_DIGITS))


@bp.get("/exports/full")
@allowed(Right.EXPORT_FULL, fresh=True)
def new_full_export() -> ResponseReturnValue:
    """Ask what to take, addresses in full."""
    return _form(Form(), full=True)


@bp.post("/exports/full")
@allowed(post=Right.EXPORT_FULL, fresh=True)
def make_full_export() -> ResponseReturnValue:
    """Have a list with addresses made, for a recipient and a purpose."""
    return _make((FULL,))


@bp.get("/exports/<number>")
@allowed(Right.EXPORT_MASKED)
def export(number: str) -> ResponseReturnValue:
    """Show whether one's file is ready."""
    found = services().export_desk.view(number, me().actor)
    refresh = EVERY_SECONDS if found.status == WAITING and "still" not in request.args else 0
    return show("exports/one.html", found=found, refresh=refresh, form_words=FORMS[found.wanted.form][0])


@bp.get("/exports/<number>/file.csv")
@allowed(Right.EXPORT_MASKED)
def export_file(number: str) -> ResponseReturnValue:
    """Send the file to whoever asked for it, for a day."""
    found = services().export_desk.view(number, me().actor)
    if found.path is None or (found.wanted.form == FULL and not i_may(Right.EXPORT_FULL)):
        raise NotFound(say("There is no file: it is not ready yet, or its 24 hours are over."))
    services().audit.note(me().actor, "export_taken", number, form=found.wanted.form, rows=found.rows)
    name = f"for-suppression-only-{found.asked_at:%Y-%m-%d}-{found.wanted.form}.csv"
    return send_file(found.path.absolute(), "text/csv", as_attachment=True, download_name=name)


def _make(forms: tuple[str, ...]) -> ResponseReturnValue:
    form, full = Form(), FULL in forms
    wanted = _wanted(form, forms)
    if wanted is not None and not form:
        try:
            return go("admin.export", number=services().export_desk.ask(wanted, me().actor))
        except InvalidInput as error:
            form.refused(error)
    return _form(form, 422, full=full)


def _wanted(form: Form, forms: tuple[str, ...]) -> Wanted | None:
    kind = FULL if FULL in forms else form.chosen("form", forms, say("Choose masked or hashed"))
    columns = form.several("columns", COLUMNS)
    recipient, purpose = form.text("recipient", longest=200), form.text("purpose", longest=200)
    if kind == MASKED:
        recipient, purpose = recipient or me().actor, purpose or "looked through, masked"
    if kind in {MASKED, FULL} and not columns:
        form.problem("columns", say("Choose at least one column"))
    if not recipient:
        form.problem("recipient", say("Say who gets the file"))
    if not purpose:
        form.problem("purpose", say("Say what it is for"))
    if form:
        return None
    channel, reason = request.form.get("channel", ""), request.form.get("reason", "")
    return Wanted(
        form=kind,
        recipient=recipient,
        purpose=purpose,
        columns=columns or COLUMNS,
        channel=channel if channel in set(Channel) else None,
        reason=reason if reason in SUPPRESSION_REASONS else None,
        scope=request.form.get("scope", "")[:100] or None,
    )


def _form(form: Form, status: int = 200, *, full: bool = False) -> ResponseReturnValue:
    topics = [one for one in services().kit.catalogue.topics if one.message_class is MessageClass.MARKETING]
    sent = request.method == "POST"
    return show(
        "exports/new.html",
        status,
        form=form,
        full=full,
        filled=request.form,
        forms=[(name, say(label), say(small)) for name, (label, small) in FORMS.items() if name != FULL],
        columns=[(name, say(label), "") for name, label in COLUMN_WORDS.items()],
        ticked=request.form.getlist("columns") if sent else COLUMNS,
        channels=[("", say("Any")), *((str(one), CHANNEL_NAMES[one]) for one in Channel)],
        reasons=[("", say("Any")), *((str(one), REASON_WORDS[one].short) for one in sorted(SUPPRESSION_REASONS))],
        scopes=[("", say("Any")), ("all", say("All marketing")), *((f"topic:{one.slug}", one.name) for one in topics)],
    )


def _what(row: ExportRow) -> str:
    """Return what an export held, in words."""
    options: dict[str, Any] = row.options
    form = MASKED if options.get("masked") else options.get("hashed") or FULL
    said = [FORMS[form][0]]
    if options.get("channel"):
        said.append(CHANNEL_NAMES[Channel(options["channel"])])
    said += [REASON_WORDS[one].short for one in SUPPRESSION_REASONS if str(one) in options.get("reasons", [])]
    return ", ".join([*said, *([options["scope"]] if options.get("scope") else [])])
