"""Import opt-outs from a file: choose, match, check, import, and the report (ux.md A5; contract D31).

People who agreed go the same way, with one step more: a second person looks at the list first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from flask import Response, redirect, request, send_file, url_for
from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed, allowed_upload, i_may, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, say, say_many, show
from prefs.admin.paging import ROWS, paged
from prefs.domain.agreed import EXAMPLE as CONSENTS_EXAMPLE
from prefs.domain.formats import BY_NAME, CONSENTS, FORMATS, of_import
from prefs.domain.ladder import CHANNEL_NAMES
from prefs.domain.references import import_reference, read_import
from prefs.domain.roles import RIGHTS, Right
from prefs.domain.terms import Channel, ConsentKind, MessageClass
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, NotFound
from prefs.services.import_wizard import CONSENT_IMPORT, LARGEST, STOPS, Choice, Draft
from prefs.services.imports import KEPT_FOR
from prefs.storage.imports import DONE, FAILED, QUEUED, RUNNING, UNDOING, UNDONE, Import
from prefs.storage.tables import from_microseconds, to_microseconds

STEPS = ("Choose a file", "Match columns", "Check", "Import")
EVERY_SECONDS = 20
STATUS_WORDS = {
    QUEUED: ("na", "Waiting"),
    RUNNING: ("na", "Running"),
    DONE: ("yes", "Done"),
    FAILED: ("no", "Stopped"),
    UNDOING: ("na", "Being undone"),
    UNDONE: ("no", "Undone"),
}
CONSENT_WORDS: dict[str, str] = {
    ConsentKind.EXPRESS: "Said yes",
    ConsentKind.SOFT_OPT_IN: "Is a customer, and could refuse",
    ConsentKind.IMPLIED: "Implied, for a time",
}
EXAMPLE = "email\nada@example.com\nbo@example.org\n"

# What the engine asks for in words of its commands, in words of this page.
_MENDS = {
    "ambiguous_format": "Several tools have these columns and mean different things by them. Choose the kind of file.",
    "unknown_format": "A column may say who opted out, and no known kind of file explains it. Keep only the rows of "
    "people who opted out and choose “any list of addresses, one a row”, or choose the tool it comes from.",
    "ambiguous_column": "Several columns hold addresses. Choose one, or choose what the addresses are for.",
    "no_column": "No column holds addresses. Choose the one that does.",
    "consents": "These are the columns of people who agreed. Choose “People who agreed”, or leave out the columns "
    "about agreeing.",
    "wrong_hash": "The hashes in this file are longer or shorter than its kind has. Choose the other kind of hashes.",
}


@bp.get("/imports")
@allowed(Right.IMPORT_STOPS)
def imports() -> ResponseReturnValue:
    """List imports, newest first."""
    places = (_place("before"), _place("after"))
    found = services().imports.page(ROWS + 1, before=places[0], after=places[1])
    page = paged(found, lambda one: f"{to_microseconds(one.uploaded_at)}-{one.id}", places)
    return show("imports/list.html", page=page, rows=[_row(one) for one in page.rows])


@bp.get("/imports/new")
@allowed(Right.IMPORT_STOPS)
def new_import() -> ResponseReturnValue:
    """Ask for a file."""
    return _choose(Form())


@bp.post("/imports/new")
@allowed_upload(Right.IMPORT_STOPS)
@body_limit(LARGEST + MB)
def send_import() -> ResponseReturnValue:
    """Keep a file for the next steps."""
    try:
        return _send()
    finally:
        request.close()  # a large file lies in a place of its own until here


def _send() -> ResponseReturnValue:
    form, sent = Form(), request.files.get("file")
    if sent is None or not sent.filename:
        form.problem("file", say("Choose a file"))
        return _choose(form, 422)
    try:
        draft = services().import_wizard.keep(sent.filename, me().actor, sent.save)
    except InvalidInput as error:
        form.refused(error, "file")
        return _choose(form, 422)
    services().audit.note(me().actor, "import_uploaded", draft.id, lines=draft.lines)
    return go("admin.match_columns", draft=draft.id)


@bp.get("/imports/example.csv")
@allowed(Right.IMPORT_STOPS)
def import_example() -> ResponseReturnValue:
    """Send the simplest file that can be imported."""
    headers = {"Content-Disposition": 'attachment; filename="example.csv"'}
    return Response(EXAMPLE, mimetype="text/csv", headers=headers)


@bp.get("/imports/consents.csv")
@allowed(Right.IMPORT_CONSENTS)
def consents_example() -> ResponseReturnValue:
    """Send a small list of people who agreed."""
    headers = {"Content-Disposition": 'attachment; filename="people-who-agreed.csv"'}
    return Response(CONSENTS_EXAMPLE, mimetype="text/csv", headers=headers)


@bp.get("/imports/<draft>/match")
@allowed(Right.IMPORT_STOPS)
def match_columns(draft: str) -> ResponseReturnValue:
    """Show what each column is taken for."""
    kept = services().import_wizard.draft(draft, me().actor)
    return _match(Form(), kept, kept.choice)


@bp.post("/imports/<draft>/match")
@allowed(post=Right.IMPORT_STOPS)
def check_rows(draft: str) -> ResponseReturnValue:
    """Start the check, or look at the columns again."""
    form, kept = Form(), services().import_wizard.draft(draft, me().actor)
    choice = _choice()
    if request.form.get("act") == "look":
        return _match(form, kept, choice)
    rows = form.chosen("rows", (STOPS, CONSENTS), say("Choose what these rows are"))
    if rows == CONSENTS and not i_may(Right.IMPORT_CONSENTS):
        form.problem("rows", f"{say('Consents need proof for each row.')} {say(RIGHTS[Right.IMPORT_CONSENTS].refusal)}")
    problem = services().import_wizard.look(kept, choice).problem
    if problem is not None:
        form.problem(_field(problem), say(_mend(problem)))
    if form:
        return _match(form, kept, choice, 422)
    services().import_wizard.check(kept, choice)
    services().audit.note(me().actor, "import_checked", kept.id)
    return go("admin.import_check", draft=kept.id)


@bp.get("/imports/<draft>/check")
@allowed(Right.IMPORT_STOPS)
def import_check(draft: str) -> ResponseReturnValue:
    """Show what the import would do."""
    kept = services().import_wizard.draft(draft, me().actor)
    if kept.check is None:
        return go("admin.match_columns", draft=kept.id)
    found = services().imports.view(kept.check)
    kinds = services().import_wizard.reject_kinds(found)
    return show("imports/check.html", draft=kept, kinds=kinds, agreed=_agreed(found), **_shown(found))


@bp.post("/imports/<draft>/check")
@allowed(post=Right.IMPORT_STOPS)
def start_import(draft: str) -> ResponseReturnValue:
    """Start the import."""
    kept = services().import_wizard.draft(draft, me().actor)
    if kept.choice.rows == CONSENTS:
        return go("admin.consents_form", draft=kept.id)
    found = services().import_wizard.run(kept)
    if kept.run is None:
        services().audit.note(me().actor, "import_started", import_reference(found.id), format=found.format)
    return go("admin.import_run", reference=import_reference(found.id))


@bp.get("/imports/<draft>/consents")
@allowed(Right.IMPORT_CONSENTS, fresh=True)
def consents_form(draft: str) -> ResponseReturnValue:
    """Say what importing consents would do, and how far the question to a second person is."""
    kept = services().import_wizard.draft(draft, me().actor)
    if kept.check is None:
        return go("admin.match_columns", draft=kept.id)
    if kept.run is not None:
        return go("admin.import_run", reference=import_reference(kept.run))
    found = services().imports.view(kept.check)
    if found.status in {QUEUED, RUNNING}:
        return go("admin.import_check", draft=kept.id)
    question = services().import_wizard.consent_question(kept)
    current = question if question and question.what["check"] == kept.check else None
    until = kept.uploaded_at + KEPT_FOR
    return show("imports/consents.html", draft=kept, question=current, until=until, **_shown(found))


@bp.post("/imports/<draft>/consents")
@allowed(post=Right.IMPORT_CONSENTS, fresh=True)
def import_consents(draft: str) -> ResponseReturnValue:
    """Ask a second person, or do what they agreed to."""
    kept, act = services().import_wizard.draft(draft, me().actor), Form().text("act")
    if act == "ask":
        services().import_wizard.ask_consents(kept, me())
        return go("admin.consents_form", draft=kept.id)
    found = services().import_wizard.run_consents(kept, me())
    if kept.run is None:
        services().audit.note(me().actor, "import_started", import_reference(found.id), format=found.format)
    return go("admin.import_run", reference=import_reference(found.id))


@bp.get("/imports/asked/<int(max=999999999999):number>")
@allowed(Right.IMPORT_CONSENTS)
def asked_consents(number: int) -> ResponseReturnValue:
    """Show a second person what a list of people who agreed holds, addresses masked."""
    question = services().approvals.read(number)
    if question.kind != CONSENT_IMPORT:
        raise NotFound(say("There is no such question."))
    names = {user.actor: user.email for user in services().team.everyone()}
    mine = question.asked_by == me().actor
    return show(
        "imports/asked.html",
        question=question,
        what=question.what,
        agreed=_named_agreed(question.what["agreed"]),
        by=names.get(question.asked_by, question.asked_by),
        may_decide=question.status == "waiting" and not mine,
        mine=mine,
        kinds=CONSENT_WORDS,
        topics=_topic_names(),
    )


@bp.get("/imports/<reference>/run")
@allowed(Right.IMPORT_STOPS)
def import_run(reference: str) -> ResponseReturnValue:
    """Show how far an import is; once it has ended, its report."""
    found = _import(reference)
    if found.status not in {QUEUED, RUNNING}:
        return redirect(url_for("admin.import_report", reference=reference), 303)
    return show("imports/run.html", now=services().kit.now(), **_shown(found))


@bp.get("/imports/<reference>/report")
@allowed(Right.IMPORT_STOPS)
def import_report(reference: str) -> ResponseReturnValue:
    """Show what an import did, and why rows were left out."""
    found = _import(reference)
    if found.status in {QUEUED, RUNNING}:
        return redirect(url_for("admin.import_run", reference=reference), 303)
    kinds = services().import_wizard.reject_kinds(found)
    return show(
        "imports/report.html",
        heading=_heading(found),
        kinds=kinds,
        bars=[
            (one.what, one.number, one.number * 100 // kinds[0].number, _percent(one.number, found)) for one in kinds
        ],
        may_take=_may_take_rejects(found),
        kept=services().imports.rejects(found.id) is not None,
        **_shown(found),
    )


@bp.get("/imports/<reference>/rejects.csv")
@allowed(Right.IMPORT_STOPS)
def import_rejects(reference: str) -> ResponseReturnValue:
    """Send the rows that could not be imported to whoever sent them, or may see addresses."""
    found = _import(reference)
    path = services().imports.rejects(found.id)
    if path is None or not _may_take_rejects(found):
        raise NotFound(say("These rows are gone, or somebody else sent them. Rows are kept for a day."))
    rows = found.invalid + found.refused
    services().audit.note(me().actor, "import_rejects_taken", reference, rows=rows)
    return send_file(path.absolute(), "text/csv", as_attachment=True, download_name=f"{reference}-not-imported.csv")


@bp.get("/imports/<reference>/undo")
@allowed(Right.IMPORT_STOPS, fresh=True)
def undo_form(reference: str) -> ResponseReturnValue:
    """Say what undoing would do, and how far the question to a second person is."""
    found = _import(reference)
    question = services().import_wizard.undo_question(found)
    return show("imports/undo.html", question=question, **_shown(found))


@bp.post("/imports/<reference>/undo")
@allowed(post=Right.IMPORT_STOPS, fresh=True)
def undo_import(reference: str) -> ResponseReturnValue:
    """Ask a second person, or do what they agreed to."""
    found, act = _import(reference), Form().text("act")
    if act == "ask":
        services().import_wizard.ask_undo(found, me())
        return go("admin.undo_form", reference=reference)
    services().import_wizard.undo(found, me())
    return go("admin.import_report", reference=reference)


def _import(reference: str) -> Import:
    number = read_import(reference)
    if number is None:
        raise NotFound(say("There is no import with this reference."))
    found = services().imports.view(number)
    if found.dry_run:
        raise NotFound(say("This was a check: nothing was imported."))
    return found


def _may_take_rejects(found: Import) -> bool:
    """Rows are shown masked to everybody; in full they go back to whoever sent them."""
    return found.actor == me().actor or i_may(Right.SEE_ADDRESSES)


def _choose(form: Form, status: int = 200) -> ResponseReturnValue:
    return show("imports/choose.html", status, form=form, most=LARGEST // MB, steps=STEPS)


def _match(form: Form, draft: Draft, choice: Choice, status: int = 200) -> ResponseReturnValue:
    look = services().import_wizard.look(draft, choice)
    catalogue = services().kit.catalogue
    topics = [one for one in catalogue.topics if one.message_class is MessageClass.MARKETING and not one.retired]
    return show(
        "imports/match.html",
        status,
        form=form,
        draft=draft,
        choice=choice,
        look=look,
        problem=say(_mend(look.problem)) if look.problem else "",
        rows=request.form.get("rows", "") or draft.choice.rows,
        topics=[("", say("What the column “topic” says")), *((one.slug, one.name) for one in topics)],
        consents=look.format is not None and look.format.name == CONSENTS,
        steps=STEPS,
        formats=[("", say("Found by its columns")), *((one.name, one.tool) for one in FORMATS)],
        channels=[("", say("What the file says")), *((str(one), CHANNEL_NAMES[one]) for one in Channel)],
        scopes=[("all", say("All marketing")), *((f"topic:{one.slug}", one.name) for one in topics)],
        columns=[("", say("Found by its values")), *((one.name, one.name) for one in look.columns)],
        matched=sum(one.used for one in look.columns),
        kinds=(
            (STOPS, say("People who opted out"), say("Adds to the suppression list. Never sends anything.")),
            (
                CONSENTS,
                say("People who agreed"),
                say("Needs proof for every row, and a second person. Earlier opt-outs win."),
            ),
        ),
    )


def _choice() -> Choice:
    """Return what the form says; anything that is not offered counts as not said."""
    format_, channel = request.form.get("format", ""), request.form.get("channel", "")
    rows, topic = request.form.get("rows", ""), request.form.get("topic", "")
    return Choice(
        rows=rows if rows in {STOPS, CONSENTS} else "",
        topic=topic if topic in set(services().imports.consents.topics().values()) else None,
        format=format_ if format_ in BY_NAME else None,
        channel=Channel(channel) if channel in set(Channel) else None,
        column=request.form.get("column", "")[:200] or None,
        scope=request.form.get("scope", "")[:100] or "all",
    )


def _mend(problem: InvalidInput) -> str:
    if problem.field == "channel" and problem.code == "missing":
        return "Choose what the addresses are for."
    return _MENDS.get(problem.code, str(problem))


def _field(problem: InvalidInput) -> str:
    return problem.field if problem.field in {"format", "channel", "column", "scope", "rows"} else "format"


def _shown(found: Import) -> dict[str, Any]:
    """Return an import as its pages show it."""
    reached = services().imports.progress(found)
    total = reached.rows or 0
    names = {user.actor: user.email for user in services().team.everyone()}
    parts = [(found.added, ""), (found.already, "p2"), (found.invalid, "p3")] if total else []
    return {
        "found": found,
        "reference": import_reference(found.id),
        "name": found.options.get("name") or of_import(found.format).tool,
        "tool": of_import(found.format).tool,
        "second": names.get(found.options.get("approved_by") or "", ""),
        "by": names.get(found.actor, found.actor),
        "running": found.status in {QUEUED, RUNNING},
        "refresh": EVERY_SECONDS if found.status in {QUEUED, RUNNING, UNDOING} and "still" not in request.args else 0,
        "read": int(reached.read * 100),
        "total": total,
        "done": found.added + found.already + found.invalid + found.ignored if found.parts else 0,
        "shares": [(round(number * 100 / total, 2), kind) for number, kind in parts],
        "steps": STEPS,
    }


def _heading(found: Import) -> str:
    """Return the result in one line (ux.md A5)."""
    imported = say_many("%(num)s row imported", "%(num)s rows imported", found.added + found.already)
    if found.status == UNDONE and found.are_consents:
        return say_many("Undone: %(num)s consent ended", "Undone: %(num)s consents ended", found.lifted)
    if found.status == UNDONE:
        return say_many("Undone: %(num)s opt-out removed", "Undone: %(num)s opt-outs removed", found.lifted)
    if found.status == UNDOING:
        return say("This import is being undone")
    if found.status == FAILED:
        return say("The import stopped. %(imported)s", imported=imported)
    left = found.invalid + found.refused
    return f"{imported}, {say_many('%(num)s was not', '%(num)s were not', left)}" if left else imported


def _agreed(found: Import) -> list[tuple[str, str, int]]:
    """Return what the rows of a list of people who agreed say, in words: topic, kind, number."""
    return _named_agreed(services().imports.agreed(found.id)) if found.are_consents else []


def _named_agreed(counted: Iterable[Sequence[Any]]) -> list[tuple[str, str, int]]:
    topics = _topic_names()
    return [(topics.get(topic, topic), say(CONSENT_WORDS[kind]), number) for topic, kind, number in counted]


def _topic_names() -> dict[str, str]:
    return {one.slug: one.name for one in services().kit.catalogue.topics}


def _percent(number: int, found: Import) -> str:
    return f"{number * 100 / max(1, found.invalid + found.refused):.0f}%"


def _row(found: Import) -> dict[str, Any]:
    kind, words = STATUS_WORDS[found.status]
    return {**_shown(found), "kind": kind, "status": say(words)}


def _place(name: str) -> tuple[datetime, str] | None:
    """Return a place in the list from the query, or None where it is none."""
    moment, _, number = request.args.get(name, "").partition("-")
    if not (moment.isascii() and moment.isdigit() and len(moment) < 18 and number.startswith("imp_")):
        return None
    return from_microseconds(int(moment)), number
