"""Find a person, a person's page, and where references lead (ux.md A2)."""

from datetime import datetime
from typing import Any

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs import words
from prefs.admin import find, telling
from prefs.admin.access import allowed, i_may, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, say, show
from prefs.admin.paging import ROWS, cursor, paged
from prefs.domain import ladder
from prefs.domain.references import entry_reference, message_reference, person_reference
from prefs.domain.roles import Right
from prefs.domain.terms import Channel, MessageClass
from prefs.edge import services
from prefs.errors import InvalidInput, NotFound
from prefs.services.access import CopyFormat
from prefs.services.decisions import Answer
from prefs.services.letters import scan_type
from prefs.services.persons import MOST_FOUND, SERVICE_MESSAGES, Person, Record, channels_of

_LAST_MESSAGES = 5
_LONGEST, _LONGEST_WORD = 320, 200


@bp.get("/people")
@allowed(Right.FIND_PEOPLE)
def people() -> ResponseReturnValue:
    """Find a person by address, number or id; a reference jumps straight there."""
    typed = request.args.get("q", "").strip()[:_LONGEST]
    if not typed:
        return show("people/find.html", typed="", found=None, full=False)
    if find.REFERENCE.fullmatch(typed.upper()):
        return redirect(url_for("admin.find", q=typed), 303)
    found = services().persons.find(typed)
    services().audit.note(me().actor, "person_searched", found=len(found))
    if len(found) == 1:
        return redirect(url_for("admin.person", reference=found[0].reference), 303)
    return show(
        "people/find.html",
        404 if not found else 200,
        typed=typed,
        found=found[:MOST_FOUND],
        more=len(found) > MOST_FOUND,
        name=_masked_name,
    )


@bp.get("/people/<reference>")
@allowed(Right.FIND_PEOPLE)
def person(reference: str) -> ResponseReturnValue:
    """Show a person; that it was opened is noted first."""
    found = services().persons.open(reference)
    if found.moved_to:
        return redirect(url_for("admin.person", reference=found.moved_to, joined=reference), 303)
    services().audit.note(me().actor, "person_seen", found.reference)
    full = i_may(Right.SEE_ADDRESSES)
    if found.erased_on is not None:
        return show("people/erased.html", person=found)
    form = Form()
    records = services().persons.history(found, ROWS + 1, before=cursor("before"), after=cursor("after"), words=full)
    return show(
        "people/person.html",
        person=found,
        full=full,
        name=found.name(full=full),
        lead=_lead(found, full=full),
        sendable=services().persons.sendable(found),
        cell=telling.cell,
        page=paged(records, lambda record: record.entry.id),
        count=services().persons.count(found),
        event=_event,
        evidence=telling.evidence,
        opened=request.args.get("open"),
        joined=_joined(),
        messages=_messages(found),
        form=form,
        **_checked(found, form),
    )


@bp.get("/people/<reference>/export")
@allowed(Right.EXPORT_FULL, fresh=True)
def export_record(reference: str) -> ResponseReturnValue:
    """Ask who gets the record of a person, and what for (rules.md C-5)."""
    return _ask_to_export(services().persons.open(reference), Form())


@bp.post("/people/<reference>/export")
@allowed(post=Right.EXPORT_FULL, fresh=True)
def take_record(reference: str) -> ResponseReturnValue:
    """Hand out everything we hold about a person, as a file; who took it, for whom and why is noted first."""
    found, form = services().persons.open(reference), Form()
    kind = form.chosen("form", tuple(CopyFormat), say("Choose how the file is written"))
    recipient = form.required("recipient", say("Say who gets the file"))
    purpose = form.required("purpose", say("Say what it is for"))
    if form:
        return _ask_to_export(found, form, 422)
    told = {"recipient": recipient[:_LONGEST_WORD], "purpose": purpose[:_LONGEST_WORD]}
    services().audit.note(me().actor, "person_exported", found.reference, form=kind, **told)
    made = services().copies.of_person(found.subject, found.reference, CopyFormat(kind), words.DEFAULT)
    return a_copy(made, CopyFormat(kind), f"{found.reference}.{kind}")


def a_copy(made: bytes, form: CopyFormat, name: str) -> Response:
    """Return somebody's copy as a file to keep."""
    answer = Response(made, mimetype={"html": "text/html", "json": "application/json"}[form])
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


@bp.get("/people/<reference>/check.txt")
@allowed(Right.FIND_PEOPLE)
def check_text(reference: str) -> ResponseReturnValue:
    """Return the ladder of one send as plain text, to be copied."""
    found = services().persons.open(reference)
    services().audit.note(me().actor, "person_seen", found.reference)
    try:
        channel = Channel(request.args.get("channel", ""))
    except ValueError as error:
        raise InvalidInput("Choose a channel.", field="channel") from error
    topic = request.args.get("topic", "")
    answer = services().persons.check(found, channel, topic)
    kind = answer.question.topic.name if answer.question.topic else "Service messages"
    heading = f"{ladder.title(answer.decision)} {found.reference}, {ladder.CHANNEL_NAMES[channel].lower()}, {kind}"
    return Response(ladder.as_text(heading, answer.steps, answer.decision), mimetype="text/plain")


@bp.get("/evidence/<reference>")
@allowed(Right.FIND_PEOPLE)
def evidence(reference: str) -> ResponseReturnValue:
    """Go to the person one record is about, with that record open."""
    entry = services().persons.behind_entry(reference)
    found = services().persons.of_subjects([entry.subject])
    if entry.subject not in found:
        raise NotFound("The person this record was about has been deleted. Only the record is left.")
    where = found[entry.subject]
    own = where.addresses[0].known.contact if where.contact is None and where.addresses else None
    to = person_reference(own) if own is not None else where.reference
    url = url_for("admin.person", reference=to, before=entry.id + 1, open=entry_reference(entry.id))
    return redirect(f"{url}#{entry_reference(entry.id)}", 303)


@bp.get("/evidence/<reference>/scan")
@allowed(Right.SEE_ADDRESSES)
def scan(reference: str) -> ResponseReturnValue:
    """Hand out what was scanned for a record, as a file; that is noted first."""
    entry = services().persons.behind_entry(reference)
    name, content = services().persons.scan(entry)
    services().audit.note(me().actor, "address_revealed", person_reference(entry.subject), scan=reference)
    answer = Response(content, mimetype=scan_type(content) or "application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


@bp.get("/record/<reference>")
@allowed(Right.FIND_PEOPLE)
def record(reference: str) -> ResponseReturnValue:
    """Show the acts behind a reference somebody reads out; more than one may share it."""
    entries = services().persons.behind_act(reference)
    if not entries:
        raise NotFound("Nothing was recorded under this reference. Letters and figures are easily mixed up: ask again.")
    services().audit.note(me().actor, "person_seen", reference)
    catalogue = services().kit.catalogue
    whom = services().persons.of_subjects(entry.subject for entry in entries)
    rows = [(entry, telling.title(entry, catalogue)[1], whom.get(entry.subject)) for entry in entries]
    return show(
        "people/record.html",
        reference=reference,
        rows=rows,
        name=_masked_name,
        source=telling.source,
        ref=entry_reference,
    )


def address_of(reference: str) -> str:
    """Return the first address of a person to fill a form in with, noted first; empty without a reference."""
    if not reference:
        return ""
    found = services().persons.open(reference)
    services().audit.note(me().actor, "address_revealed", found.reference)
    return next((one.clear for one in found.addresses if one.clear), "") or found.own_id(full=True)


def _ask_to_export(found: Person, form: Form, status: int = 200) -> Response:
    return show(
        "people/export.html",
        status,
        person=found,
        form=form,
        given=request.form,
        name=found.name(full=True),
        forms=[
            (str(CopyFormat.HTML), say("A page to read or to print"), ""),
            (str(CopyFormat.JSON), say("JSON, for another system"), ""),
        ],
        most=_LONGEST_WORD,
    )


def _masked_name(found: Person) -> str:
    """Return what to call a person in a list: masked, whoever looks."""
    return found.name(full=False)


def _lead(found: Person, *, full: bool) -> list[str]:
    """Return the rest of what is known, for the line under the heading."""
    shown = [one.clear if full else one.masked for one in found.addresses if one.clear][1:4]
    contact = found.contact
    parts = [one for one in shown if one]
    if contact and contact.country:
        parts.append(words.country(contact.country, words.DEFAULT))
    if contact and contact.locale:
        parts.append(f"prefers {words.language(contact.locale, words.DEFAULT)}")
    return parts


def _event(record: Record) -> tuple[str, str]:
    return telling.title(record.entry, services().kit.catalogue)


def _joined() -> str | None:
    given = request.args.get("joined", "")
    return given if find.REFERENCE.fullmatch(given) else None


def _messages(found: Person) -> list[tuple[str, str, datetime]]:
    catalogue = services().kit.catalogue
    rows = []
    for one in services().persons.messages(found, _LAST_MESSAGES):
        topic = catalogue.topic_numbered(one.topic) if one.topic else None
        named = one.campaign or (topic.name if topic else "Service message")
        rows.append((message_reference(one.id), f"{named}: {one.status}", one.created_at))
    return rows


def _checked(found: Person, form: Form) -> dict[str, Any]:
    """Return what "Would this send be blocked?" shows: the first channel and kind, or those asked for."""
    channels = channels_of(found)
    topics = [one for one in services().kit.catalogue.topics if not one.retired]
    marketing = [one for one in topics if one.message_class is MessageClass.MARKETING]
    kinds = [(one.slug, one.name) for one in marketing] + [(SERVICE_MESSAGES, "Service messages")]
    asked = request.args.get("channel", ""), request.args.get("topic", "")
    channel, topic = asked if asked[0] in set(channels) else (next(iter(channels), ""), asked[1])
    topic = topic if topic in dict(kinds) else kinds[0][0]
    answer: Answer | None = None
    if channel:
        try:
            answer = services().persons.check(found, Channel(channel), topic)
        except InvalidInput as error:
            form.refused(error, "channel")
    return {
        "channels": [(str(one), ladder.CHANNEL_NAMES[one]) for one in channels],
        "kinds": kinds,
        "channel": str(channel),
        "topic": topic,
        "answer": answer,
        "verdict": telling.verdict(answer) if answer else "",
        "verdict_title": ladder.title(answer.decision) if answer else "",
        "rungs": telling.ladder(answer) if answer else [],
    }
