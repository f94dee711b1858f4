"""Record an opt-out that reached staff (ux.md A3; rules.md T-9, G-1)."""

from contextlib import suppress
from datetime import date, timedelta

from flask import request, url_for
from flask.typing import ResponseReturnValue

from prefs import words
from prefs.admin.access import allowed, i_may, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, show, zone
from prefs.admin.people import address_of
from prefs.domain.ladder import MARKETING_BY
from prefs.domain.roles import Right
from prefs.domain.terms import Channel, MessageClass
from prefs.edge import MB, body_limit, services
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.kit import read_slip, write_slip
from prefs.services.letters import LARGEST_SCAN, WAYS, Heard, Scan, due_on

ALL_MARKETING, NAMED = "all", "named"
_SHOWN_FOR = timedelta(hours=8)
_LARGEST_BODY = LARGEST_SCAN + MB


@bp.get("/optout/new")
@allowed(Right.RECORD_STOPS)
def record_stop() -> ResponseReturnValue:
    """Show the form; a mail of the queue, or a person's page, may fill it in."""
    filled = _from_mail(request.args.get("mail", ""))
    if not filled and i_may(Right.SEE_ADDRESSES):
        address = address_of(request.args.get("person", ""))
        filled = {"addresses": address} if address else {}
    return _form(Form(), filled)


@bp.post("/optout/new")
@allowed(post=Right.RECORD_STOPS)
@body_limit(_LARGEST_BODY)
def save_stop() -> ResponseReturnValue:
    """Record it, and go on to the page that says so."""
    try:
        return _save()
    finally:
        request.close()  # a large scan lies in a file of its own until here


def _save() -> ResponseReturnValue:
    form = Form()
    heard = _heard(form)
    if heard is None or form:
        return _form(form, request.form.to_dict(), 422)
    try:
        done = services().letters.record(heard, actor=me().actor)
    except InvalidInput as error:
        form.refused(error)
        return _form(form, request.form.to_dict(), 422)
    typed = [one.original for one in services().letters.read(heard.addresses)]
    note = {
        "rows": [[address, one.reference, one.already] for address, one in zip(typed, done, strict=True)],
        "what": _what(heard),
        "how": heard.how,
        "received": heard.received_on.isoformat(),
        "limited": heard.limited,
    }
    mail = request.form.get("mail", "")
    if mail.isascii() and mail.isdigit() and i_may(Right.REQUESTS):
        with suppress(Conflict, NotFound):  # somebody dealt with the mail meanwhile; the stop is recorded
            services().waiting.settle_mail(int(mail), actor=me().actor)
    return go("admin.stop_recorded", r=write_slip(services().kit, "recorded", note, good_for=_SHOWN_FOR))


@bp.get("/optout/stopped")
@allowed(Right.RECORD_STOPS)
def stop_recorded() -> ResponseReturnValue:
    """Say what was stopped, with the reference of each address."""
    note = read_slip(services().kit, "recorded", request.args.get("r", ""))
    if note is None:
        raise NotFound("This page is too old. What was recorded is on the person’s page.")
    received = date.fromisoformat(note["received"])
    return show("optout/stopped.html", note=note, received=received, due=due_on(received), ways=WAYS)


@bp.get("/record/<reference>/letter")
@allowed(Right.RECORD_STOPS)
def letter(reference: str) -> ResponseReturnValue:
    """Show the confirmation as a letter to print, in the person's language."""
    entries = services().persons.behind_act(reference)
    if not entries:
        raise NotFound("Nothing was recorded under this reference.")
    services().audit.note(me().actor, "person_seen", reference)
    found = services().persons.of_subjects([entries[0].subject]).get(entries[0].subject)
    return show(
        "optout/letter.html",
        letter=services().letters.printed(entries[0], found.name(full=False) if found else ""),
        reference=reference,
        back=url_for("admin.record", reference=reference),
    )


def _form(form: Form, filled: dict[str, str], status: int = 200) -> ResponseReturnValue:
    marketing = [one for one in services().kit.catalogue.topics if one.message_class is MessageClass.MARKETING]
    return show(
        "optout/new.html",
        status,
        form=form,
        filled=filled,
        ways=list(WAYS.items()),
        channels=[(str(one), _begun(MARKETING_BY[one]), "") for one in Channel],
        topics=[(one.slug, one.name, "") for one in marketing if not one.retired],
        chosen_channels=request.form.getlist("channels"),
        chosen_topics=request.form.getlist("topics"),
        most=LARGEST_SCAN // MB,
    )


def _heard(form: Form) -> Heard | None:
    """Return what the form says, or None with what is to be fixed in it noted."""
    addresses = tuple(form.required("addresses", "Enter an email address or a mobile number").splitlines())
    scope = form.chosen("scope", (ALL_MARKETING, NAMED), "Choose what should stop")
    how = form.chosen("how", tuple(WAYS), "Choose how they told us")
    received = _date(form)
    named = scope == NAMED
    channels = tuple(Channel(one) for one in form.several("channels", tuple(Channel))) if named else ()
    topics = form.several("topics", tuple(one.slug for one in services().kit.catalogue.topics)) if named else ()
    if named and not (channels or topics):
        form.problem("channels", "Tick what they named, or choose “All marketing”")
    if received is None or form:
        return None
    return Heard(
        addresses=addresses,
        how=how,
        received_on=received,
        channels=channels,
        topics=topics,
        said=form.text("said"),
        scan=_scan(),
    )


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _date(form: Form) -> date | None:
    parts = [form.text(f"received_{part}", longest=4) for part in ("year", "month", "day")]
    try:
        year, month, day = (int(part) if part.isascii() else 0 for part in parts)
        found = date(year, month, day)
    except ValueError:
        form.problem("received", "Enter the day it reached us, like 12 5 2026")
        return None
    if found > services().kit.now().astimezone(zone()).date():
        form.problem("received", "This date is in the future. Use the day it reached us.")
    if found.year < services().kit.now().year - 10:
        form.problem("received", "This date is more than ten years ago. Check the year.")
    return found


def _scan() -> Scan | None:
    sent = request.files.get("scan")
    if sent is None or not sent.filename:
        return None
    return Scan(sent.filename, sent.stream.read(LARGEST_SCAN + 1))


def _what(heard: Heard) -> str:
    if not heard.limited:
        return "All marketing"
    names = {one.slug: one.name for one in services().kit.catalogue.topics}
    parts = [f"All {MARKETING_BY[one]}" for one in heard.channels]
    parts += [f"“{names[one]}” on every channel" for one in heard.topics]
    return words.listed(parts, words.DEFAULT)


def _from_mail(number: str) -> dict[str, str]:
    """Return what a mail of the queue says; only the privacy office reads those."""
    if not (number.isascii() and number.isdigit() and i_may(Right.REQUESTS)):
        return {}
    mail = services().waiting.mail(int(number))
    services().audit.note(me().actor, "address_revealed", f"mail:{number}")
    return {
        "mail": number,
        "addresses": mail.from_,
        "how": "email",
        "received_day": str(mail.received_at.day),
        "received_month": str(mail.received_at.month),
        "received_year": str(mail.received_at.year),
        "said": mail.subject[:200],
    }
