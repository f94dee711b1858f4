"""The suppression list: looked through, added to, and ended with evidence (ux.md A7; reliability.md item 24)."""

from flask import request
from flask.typing import ResponseReturnValue

from prefs.admin import telling
from prefs.admin.access import allowed, i_may, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, show
from prefs.admin.paging import ROWS, cursor, paged
from prefs.domain.ladder import CHANNEL_NAMES, REASON_WORDS
from prefs.domain.ledger import Entry
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.references import entry_reference
from prefs.domain.roles import Right
from prefs.domain.terms import Channel, MessageClass, Reason
from prefs.edge import services
from prefs.errors import InvalidInput
from prefs.services.persons import Person
from prefs.services.stop_list import WHY, may_be_lifted
from prefs.services.suppression import Wish
from prefs.storage.stops import EVERY_CHANNEL, StopFilter

# The reasons staff may add; the others follow from what a person or a provider did.
ADDABLE = (Reason.UNSUBSCRIBED, Reason.OBJECTION, Reason.COMPLAINT, Reason.DO_NOT_CALL, Reason.DO_NOT_CONTACT)
_CHANNELS = ((EVERY_CHANNEL, "Every channel"), *((str(one), CHANNEL_NAMES[one]) for one in Channel))


@bp.get("/suppressions")
@allowed(Right.SUPPRESSIONS)
def suppressions() -> ResponseReturnValue:
    """List the opt-outs that stand, newest first, by reason, source, channel and person."""
    wanted, person, said = _filter()
    services().audit.note(me().actor, "suppressions_seen", reason=wanted.reason, source=wanted.source)
    found = services().stop_list.page(wanted, ROWS + 1, before=cursor("before"), after=cursor("after"))
    page = paged(found, lambda entry: entry.id)
    whom = services().persons.of_subjects(entry.subject for entry in page.rows)
    return show(
        "suppressions/list.html",
        page=page,
        rows=[_row(entry, whom.get(entry.subject)) for entry in page.rows],
        wanted=wanted,
        typed=request.args.get("person", ""),
        said=said,
        person=person,
        filtered=any(request.args.get(name) for name in ("reason", "source", "channel", "person")),
        reasons=[("", "Any"), *((str(one), REASON_WORDS[one].short) for one in sorted(SUPPRESSION_REASONS))],
        sources=[("", "Any"), *((one, telling.source(one)) for one in services().stop_list.sources())],
        channels=[("", "Any"), *_CHANNELS],
        done=request.args.get("done"),
    )


@bp.get("/suppressions/new")
@allowed(Right.RECORD_STOPS)
def new_suppression() -> ResponseReturnValue:
    """Show the form for one more."""
    return _new(Form())


@bp.post("/suppressions/new")
@allowed(post=Right.RECORD_STOPS)
def add_suppression() -> ResponseReturnValue:
    """Put one on record."""
    form = Form()
    wish = _wish(form)
    if form or wish is None:
        return _new(form, 422)
    try:
        services().suppressions.add(wish, actor=me().actor)
    except InvalidInput as error:
        form.refused(error)
        return _new(form, 422)
    services().audit.note(me().actor, "stop_recorded", reason=wish.reason, channel=wish.channel or EVERY_CHANNEL)
    return go("admin.suppressions", done="added")


@bp.get("/suppressions/lift")
@allowed(Right.LIFT_STOPS, fresh=True)
def lift_form() -> ResponseReturnValue:
    """Say what would be removed, and ask why; several need a second person."""
    return _lift(Form(), _numbers(request.args.getlist("id")))


@bp.post("/suppressions/lift")
@allowed(post=Right.LIFT_STOPS, fresh=True)
def lift_stops() -> ResponseReturnValue:
    """Remove one opt-out, or ask a second person about several."""
    form, numbers = Form(), _numbers(request.form.getlist("id"))
    why, evidence = request.form.get("why", ""), form.text("evidence")
    try:
        if len(numbers) == 1:
            entry = services().stop_list.lift(numbers[0], why, evidence, by=me())
            return go("admin.suppressions", done=entry_reference(entry.id))
        about = services().stop_list.ask(numbers, why, evidence, by=me())
    except InvalidInput as error:
        form.refused(error)
        return _lift(form, numbers, 422)
    return go("admin.lift_many", about=about)


@bp.get("/suppressions/lifts/<about>")
@allowed(Right.LIFT_STOPS)
def lift_many(about: str) -> ResponseReturnValue:
    """Show what a second person is asked, and the button once they said yes."""
    question = services().stop_list.question(about)
    return show("suppressions/many.html", question=question, about=about, number=len(question.what["entries"]), why=WHY)


@bp.post("/suppressions/lifts/<about>")
@allowed(post=Right.LIFT_STOPS, fresh=True)
def lift_approved(about: str) -> ResponseReturnValue:
    """Remove what a second person said yes to."""
    number = services().stop_list.lift_approved(about, by=me())
    return go("admin.suppressions", done=f"lifted-{number}")


def _filter() -> tuple[StopFilter, Person | None, str]:
    """Return what to look for, whose it is, and a sentence where the person cannot be told."""
    reason, channel = request.args.get("reason", ""), request.args.get("channel", "")
    typed = request.args.get("person", "").strip()[:320]
    found: list[Person] = services().persons.find(typed) if typed else []
    said = ""
    if typed and len(found) != 1:
        said = "We hold no one with that address." if not found else "Several people match. Type more of it."
    wanted = StopFilter(
        reason=Reason(reason) if reason in SUPPRESSION_REASONS else None,
        source=request.args.get("source") or None,
        channel=channel if channel in dict(_CHANNELS) else None,
        subjects=(found[0].subjects if len(found) == 1 else ()) if typed else None,
    )
    return wanted, found[0] if len(found) == 1 else None, said


def _row(entry: Entry, person: Person | None) -> dict[str, object]:
    return {
        "entry": entry,
        "reference": entry_reference(entry.id),
        "person": person,
        "name": person.name(full=False) if person else "Deleted person",
        "what": telling.what(entry, services().kit.catalogue),
        "reason": REASON_WORDS[entry.reason].short if entry.reason else "",
        "source": telling.source(entry.source),
        "liftable": may_be_lifted(entry),
    }


def _numbers(given: list[str]) -> list[int]:
    """Return the entries that were ticked; anything else is left out."""
    return list(dict.fromkeys(int(one) for one in given if one.isascii() and one.isdigit() and len(one) < 19))


def _lift(form: Form, numbers: list[int], status: int = 200) -> ResponseReturnValue:
    entries = services().stop_list.chosen(numbers)
    whom = services().persons.of_subjects(entry.subject for entry in entries)
    return show(
        "suppressions/lift.html",
        status,
        form=form,
        rows=[_row(entry, whom.get(entry.subject)) for entry in entries],
        people=len({entry.subject for entry in entries}),
        why=[(value, label, "") for value, label in WHY.items()],
        chosen=request.form.get("why", ""),
        evidence=request.form.get("evidence", ""),
    )


def _new(form: Form, status: int = 200) -> ResponseReturnValue:
    topics = [one for one in services().kit.catalogue.topics if one.message_class is MessageClass.MARKETING]
    scopes = [("all", "All marketing"), *((f"topic:{one.slug}", one.name) for one in topics if not one.retired)]
    return show(
        "suppressions/new.html",
        status,
        form=form,
        channels=[("", "Choose"), *_CHANNELS],
        scopes=scopes,
        reasons=[("", "Choose"), *((str(one), REASON_WORDS[one].short) for one in _addable())],
        filled=request.form,
    )


def _addable() -> list[Reason]:
    """Return the reasons this person may add: "do not contact" blocks service messages too (contract D9)."""
    return [one for one in ADDABLE if one is not Reason.DO_NOT_CONTACT or i_may(Right.LIFT_STOPS)]


def _wish(form: Form) -> Wish | None:
    to = form.required("to", "Enter an email address or a mobile number")
    channel = form.chosen("channel", tuple(value for value, _ in _CHANNELS), "Choose a channel")
    reason = form.chosen("reason", tuple(str(one) for one in _addable()), "Choose a reason")
    note = form.required("note", "Say where this comes from")
    if form:
        return None
    return Wish(
        channel=None if channel == EVERY_CHANNEL else Channel(channel),
        to=to,
        scope=request.form.get("scope", "all"),
        reason=Reason(reason),
        source="staff",
        note=note,
    )
