"""Privacy requests at the console (ux.md A4): the list, one request, a new one, deletion with a second person.

Only the privacy office reads them. Opening a request, seeing an address and making a copy are
noted before anything is shown (reliability.md item 25).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from prefs import words
from prefs.admin import nav
from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, show, zone
from prefs.admin.people import a_copy, address_of
from prefs.domain.deadlines import countdown
from prefs.domain.roles import Right as StaffRight
from prefs.domain.terms import Channel
from prefs.edge import services
from prefs.errors import InvalidInput, NotFound
from prefs.services.access import CopyFormat
from prefs.services.casework import COPIES, Did, Right
from prefs.services.requests import CHECKED, DOORS, PENDING, PER_PAGE, TABS, NewRequest, RequestDetail, RequestItem

KINDS: dict[Right, str] = {
    Right.ACCESS: "Copy of data",
    Right.RECTIFICATION: "Correct",
    Right.ERASURE: "Erase",
    Right.RESTRICTION: "Restrict",
    Right.OBJECTION: "Object to marketing",
    Right.PORTABILITY: "Copy to take along",
}
BY: dict[str, str] = {"letter": "by letter", "email": "by email", "phone": "by phone", "web": "by page"}
TAB_NAMES = {"open": "Open", "mine": "Mine", "nobody": "Nobody’s", "answered": "Answered"}

LOG_WORDS: dict[Did, str] = {
    Did.RECEIVED: "Taken down",
    Did.TAKEN: "Taken on",
    Did.RELEASED: "Given back to nobody",
    Did.CONTACT: "Contact",
    Did.LINK_SENT: "Sent the link that shows whose address it is",
    Did.LINK_PRESSED: "Pressed the button behind our link",
    Did.VERIFIED: "Identity checked",
    Did.PAUSED: "Waiting for the person",
    Did.RESUMED: "What was missing is here",
    Did.EXTENDED: "Took more time",
    Did.CONFIRMED: "Restriction confirmed: service messages stop too",
    Did.CORRECTED: "Address corrected",
    Did.APPROVAL_ASKED: "Asked a second person to approve",
    Did.APPROVED: "Approved by a second person",
    Did.ERASED: "Data deleted",
    Did.ANSWERED: "Answered",
    Did.CLOSED: "Restriction ended",
    Did.WITHDRAWN: "Withdrawn",
    Did.DOWNLOADED: "Copy fetched",
}

SAID: dict[str, tuple[str, str]] = {
    "recorded": ("The request is taken down", "Its clock runs from the day it reached us."),
    "take": ("This request is yours", ""),
    "release": ("This request is nobody’s now", ""),
    "note": ("The contact is in the log", ""),
    "link": ("The link is on its way", "Once they press the button behind it, you see it here."),
    "accept": ("Identity checked", "You can go on."),
    "proof": ("Identity checked", "You can go on."),
    "pause": ("Waiting for the person", "The due date stays: it counts from arrival."),
    "resume": ("The work goes on", ""),
    "more-time": ("The due date is later now", "The person was told why by email."),
    "more-time-unsent": (
        "The due date is later now",
        "We know no email address. Write to the person before the first date.",
    ),
    "confirm": ("The restriction is confirmed", "Service messages stop too, but for essential ones."),
    "correct": ("The address is corrected", "Its stops moved along. Consents did not."),
    "answer": ("Answered", "The person was told by email where the answer is."),
    "answer-unsent": ("Answered", "We know no email address. Send the answer by letter."),
    "close": ("The restriction has ended", "The person was told by email."),
    "close-unsent": ("The restriction has ended", "We know no email address. Tell the person by letter."),
    "withdraw": ("The request is withdrawn", ""),
    "ask": ("A second person is asked", "They find it under “For a second person”."),
    "erased": (
        "The person’s data is deleted",
        "A fingerprint of each address stays, so that we do not contact them again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One of the four steps of a request; ``state`` is ``done``, ``start`` or ``wait``."""

    name: str
    state: str
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline in words, with its bar; ``share`` of 100 is used up."""

    words: str
    share: int
    kind: str
    small: str = ""


@bp.get("/requests")
@allowed(StaffRight.REQUESTS)
def requests() -> ResponseReturnValue:
    """List the requests, nearest deadline first."""
    tab = request.args.get("tab", "open")
    tab = tab if tab in TABS else "open"
    page = int(request.args.get("page", "1")) if request.args.get("page", "1").isdecimal() else 1
    found = services().requests.listing(tab, me().actor, page=max(page, 1))
    return show(
        "requests/list.html",
        tab=tab,
        tabs=[(name, TAB_NAMES[name], found.counts[name]) for name in TABS],
        found=found,
        rows=[(one, due_of(one)) for one in found.items],
        identity=identity,
        page=max(page, 1),
        pages=-(-found.counts[tab] // PER_PAGE),
        names=_names(),
        **_words(),
    )


@bp.get("/requests/new")
@allowed(StaffRight.REQUESTS)
def new_request() -> ResponseReturnValue:
    """Show the form for a request that came by letter, email or phone; a person's page may fill it in.

    ``?to=`` fills in a contact's id, ``?person=`` the address of ``CT-…``: no address is in a link.
    """
    to = address_of(request.args.get("person", "")) or request.args.get("to", "")
    return _new(Form(), given={"to": to})


@bp.post("/requests/new")
@allowed(post=StaffRight.REQUESTS)
def record_request() -> ResponseReturnValue:
    """Take a request down."""
    form = Form()
    kind = form.chosen("kind", tuple(Right), "Choose what they ask for")
    door = form.chosen("received_by", DOORS, "Choose how it reached us")
    to = form.required("to", "Enter the email address, phone number or contact it is about")
    received = _date(form, "received")
    if form or received is None:
        return _new(form, 422)
    wanted = NewRequest(
        kind=Right(kind),
        received_at=received,
        received_by=door,
        about=form.text("about", longest=4000),
        language=form.text("language") or words.DEFAULT,
        **_whose(to),
    )
    try:
        item = services().requests.record(wanted, actor=me().actor)
    except InvalidInput as error:
        form.refused(error, "received" if error.field == "received_at" else error.field)
        return _new(form, 422)
    except NotFound:
        form.problem("to", "There is no contact with this id")
        return _new(form, 422)
    services().audit.note(me().actor, "request_changed", item.reference, did="recorded")
    return go("admin.request", reference=item.reference, said="recorded")


@bp.get("/requests/<reference>", endpoint="request")
@allowed(StaffRight.REQUESTS)
def one_request(reference: str) -> ResponseReturnValue:
    """Show one request: its tasks, its clock, its log."""
    detail = services().requests.get(_number(reference))
    services().audit.note(me().actor, "request_opened", detail.item.reference)
    return _page(detail, Form())


@bp.post("/requests/<reference>/address")
@allowed(post=StaffRight.SEE_ADDRESSES)
def request_address(reference: str) -> ResponseReturnValue:
    """Show the address in full, noted first."""
    detail = services().requests.get(_number(reference))
    services().audit.note(me().actor, "address_revealed", detail.item.reference)
    return _page(detail, Form(), revealed=True)


@bp.post("/requests/<reference>/copy")
@allowed(post=StaffRight.EXPORT_FULL)
def request_copy(reference: str) -> ResponseReturnValue:
    """Hand the copy of the person's data to the privacy office, to check it or to send it by letter."""
    number = _number(reference)
    wanted = request.form.get("form", "")
    form = CopyFormat(wanted) if wanted in set(CopyFormat) else CopyFormat.HTML
    made, name = services().requests.copy(number, me().actor, form, services().copies)
    services().audit.note(me().actor, "request_exported", name.partition(".")[0], form=str(form))
    return a_copy(made, form, name)


@bp.get("/requests/<reference>/erase")
@allowed(StaffRight.REQUESTS)
def preview_erasure(reference: str) -> ResponseReturnValue:
    """Show what a deletion takes and what stays, counted, and where the second person's yes stands."""
    detail = services().requests.get(_number(reference))
    if detail.item.kind is not Right.ERASURE or not detail.item.is_open:
        raise NotFound("There is no open request for deletion with this number.")
    services().audit.note(me().actor, "request_opened", detail.item.reference, page="deletion")
    return _erasure(detail)


@bp.post("/requests/<reference>/erase")
@allowed(post=StaffRight.REQUESTS, fresh=True)
def carry_out_erasure(reference: str) -> ResponseReturnValue:
    """Delete the person's data, with the second person's yes."""
    number = _number(reference)
    services().audit.note(me().actor, "request_changed", f"PR-{number:04}", did="erase")
    services().erasures.carry_out(number, me().actor)
    return go("admin.request", reference=f"PR-{number:04}", said="erased")


@bp.post("/requests/<reference>/<act>")
@allowed(post=StaffRight.REQUESTS)
def work_on_request(reference: str, act: str) -> ResponseReturnValue:
    """Do one of the small things there are to do about a request."""
    number = _number(reference)
    if act not in ACTS:
        raise NotFound("There is no such thing to do.")
    form = Form()
    services().audit.note(me().actor, "request_changed", f"PR-{number:04}", did=act)
    try:
        sent = ACTS[act](number, form)
    except InvalidInput as error:
        form.refused(error, f"{act}-{error.field}" if act == "correct" else act)
        return _page(services().requests.get(number), form, 422)
    said = act if sent is not False else f"{act}-unsent"
    if act == "ask":
        return go("admin.preview_erasure", reference=f"PR-{number:04}", said=said)
    return go(
        "admin.request",
        reference=f"PR-{number:04}",
        said="answer" + said.removeprefix("refuse") if act == "refuse" else said,
    )


def _text(act: str, form: Form) -> str:
    return form.text(act, longest=4000)


def _correct(number: int, form: Form) -> bool | None:
    channel = form.chosen("correct-channel", ("email", "sms"), "Choose what kind of address it is")
    if not channel:
        raise InvalidInput("Choose what kind of address it is.", field="channel")
    old, new = form.text("correct-old"), form.text("correct-new")
    services().rectifying.change_address(number, me().actor, channel=Channel(channel), old=old, new=new)
    return None


# What can be done about a request: what the service says is whether the person could be mailed.
ACTS: Mapping[str, Callable[[int, Form], bool | int | None]] = {
    "take": lambda number, form: services().requests.take(number, me().actor),
    "release": lambda number, form: services().requests.release(number, me().actor),
    "note": lambda number, form: services().requests.note_contact(number, me().actor, _text("note", form)),
    "link": lambda number, form: services().requests.send_link(number, me().actor),
    "accept": lambda number, form: services().requests.accept_press(number, me().actor),
    "proof": lambda number, form: services().requests.record_proof(number, me().actor, _text("proof", form)),
    "pause": lambda number, form: services().requests.pause(number, me().actor, _text("pause", form)),
    "resume": lambda number, form: services().requests.resume(number, me().actor),
    "more-time": lambda number, form: services().requests.extend(number, me().actor, _text("more-time", form)),
    "confirm": lambda number, form: services().requests.confirm_restriction(number, me().actor, _text("confirm", form)),
    "correct": _correct,
    "answer": lambda number, form: services().requests.answer(number, me().actor, _text("answer", form)),
    "refuse": lambda number, form: services().requests.refuse(number, me().actor, _text("refuse", form)),
    "close": lambda number, form: services().requests.close(number, me().actor, _text("close", form)),
    "withdraw": lambda number, form: services().requests.withdraw(number, me().actor, _text("withdraw", form)),
    "ask": lambda number, form: services().erasures.ask(me(), number),
}


def due_of(item: RequestItem) -> Due:
    """Return a request's deadline in words first: "6 days left", "Due today", "Overdue by 1 day"."""
    if item.status == "in_force" and item.answered_at:
        return Due(f"In force since {_day(item.answered_at)}", 100, "")
    if not item.is_open:
        done = "Withdrawn" if item.status == "withdrawn" else "Answered"
        missed = item.answered_at is not None and item.answered_at.date() > item.due_on
        when = _day(item.closed_at) if item.closed_at else ""
        return Due(f"{done} {when}{', late' if missed else ''}", 100, "")
    left = countdown(item.received_on, item.due_on, services().kit.now().date())
    said = _left(left.days_left, at_once=item.kind is Right.OBJECTION)
    if item.paused_at is not None:
        said += f", waiting since {_day(item.paused_at)}"
    late = "Stopped later than 10 business days" if item.acted_late else ""
    return Due(said, round(left.passed * 100), "" if left.tone == "calm" else left.tone, late)


def identity(item: RequestItem) -> tuple[str, str]:
    """Return the badge of a request's identity check: its kind and its words."""
    if item.identity == CHECKED:
        return "ok", "Checked"
    if item.identity != PENDING:
        return "", "Not needed"
    if item.paused_at is not None:
        return "warn", "Waiting for person"
    if item.link_pressed_at is not None:
        return "acc", "Pressed our link"
    return ("acc", "Checking") if item.checking_at else ("line", "Not started")


def tasks_of(detail: RequestDetail) -> list[Task]:
    """Return the four steps of a request and how far each is."""
    item = detail.item
    checked = item.identity != PENDING
    done = {line.did for line in detail.log}
    acted = item.acted_at is not None
    found = acted or bool(done & {Did.DOWNLOADED, Did.CORRECTED, Did.CONFIRMED, Did.APPROVAL_ASKED})
    after = "start" if checked else "wait"
    check = ("done", "Done") if item.identity == CHECKED else ("done", "Not needed") if checked else ("start", "Start")
    answered = item.answered_at is not None
    return [
        Task("Check identity", *check, "check"),
        Task("Find the data", *(("done", "Done") if found else _state(after)), "data"),
        Task(
            "Decide",
            *(("done", "Done") if acted or answered else _state(after)),
            _DECIDED_AT.get(item.kind, "answer-h"),
        ),
        Task("Answer", *(("done", "Done") if answered else _state(after)), "answer-h"),
    ]


# The card of the page where a kind of request is decided; the rest is decided by the answer.
_DECIDED_AT = {Right.RECTIFICATION: "decide", Right.RESTRICTION: "decide", Right.ERASURE: "data"}


def _state(state: str) -> tuple[str, str]:
    return state, "Start" if state == "start" else "Cannot start yet"


def _left(days: int, *, at_once: bool) -> str:
    start = "Done at once, reply " if at_once else ""
    if days < 0:
        return f"{start}{'overdue' if start else 'Overdue'} by {_days(-days)}"
    if days == 0:
        return f"{start}due today" if start else "Due today"
    return f"{start}due in {_days(days)}" if start else f"{_days(days)} left"


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"


def _day(moment: datetime) -> str:
    local = moment.astimezone(zone())
    return f"{local.day} {local:%b}"


def _words() -> dict[str, Any]:
    return {"kinds": KINDS, "by": BY, "short_day": _short}


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"


def _names() -> dict[str, str]:
    return {user.actor: user.email.partition("@")[0] for user in services().team.everyone()}


def _number(reference: str) -> int:
    """Return the number of ``PR-0442``. Raises ``NotFound``."""
    prefix, _, digits = reference.upper().partition("-")
    if prefix != "PR" or not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise NotFound("A request's reference is like PR-0442.")
    return int(digits)


def _whose(to: str) -> dict[str, Any]:
    """Return whom a request is about as typed: an email address, a number, or a contact's id."""
    if "@" in to:
        return {"channel": Channel.EMAIL, "to": to}
    if sum(letter.isdigit() for letter in to) >= 7 and not any(letter.isalpha() for letter in to):
        return {"channel": Channel.SMS, "to": to}
    return {"contact": to}


def _date(form: Form, name: str) -> datetime | None:
    """Return the day in three boxes: its noon, or now where it is today."""
    parts = [form.text(f"{name}_{part}") for part in ("year", "month", "day")]
    try:
        day = date(*(int(part) for part in parts))
    except ValueError:
        form.problem(name, "Enter the day it reached us, like 12 5 2026")
        return None
    now = services().kit.now()
    if day > now.astimezone(zone()).date():
        form.problem(name, "This date is in the future. Use the day it reached us.")
        return None
    noon = datetime.combine(day, time(12), tzinfo=zone()).astimezone(UTC)
    return min(noon, now)


def _new(form: Form, status: int = 200, given: Mapping[str, str] | None = None) -> Response:
    today = services().kit.now().astimezone(zone()).date()
    return show(
        "requests/new.html",
        status,
        form=form,
        given=request.form if given is None else given,
        today=today,
        languages=words.LANGUAGES,
        **_words(),
    )


def _page(detail: RequestDetail, form: Form, status: int = 200, *, revealed: bool = False) -> Response:
    item = detail.item
    return show(
        "requests/one.html",
        status,
        form=form,
        given=request.form,
        one=detail,
        item=item,
        due=due_of(item),
        badge=identity(item),
        tasks=tasks_of(detail),
        has_copy=item.kind in COPIES,
        log=[(line, LOG_WORDS[line.did], _who(line.actor)) for line in reversed(detail.log)],
        owner=_who(item.owner),
        said=SAID.get(request.args.get("said", "")),
        revealed=revealed,
        **_words(),
    )


def _who(actor: str | None) -> str:
    if actor is None:
        return ""
    return "the person" if actor == "link" else _names().get(actor, actor)


def _erasure(detail: RequestDetail) -> Response:
    asked = services().approvals.latest("erasure", detail.item.reference)
    fresh = asked is not None and asked.status in {"waiting", "approved"}
    return show(
        "requests/erase.html",
        item=detail.item,
        preview=services().erasures.preview(detail.item.number),
        asked=asked if fresh else None,
        asker=_who(asked.asked_by) if asked else "",
        approver=_who(asked.decided_by) if asked else "",
        said=SAID.get(request.args.get("said", "")),
        goes=GOES,
        stays=STAYS,
        **_words(),
    )


# What a deletion takes and what stays, in words, by the names of ``personal.HELD``.
GOES = {
    "addresses": "Addresses in clear",
    "contacts": "The contact with its language and country",
    "messages": "Messages, sent and waiting",
    "texts": "The words of texts they sent",
    "mails": "Emails they sent",
    "evidence": "Evidence of what they chose",
    "choices": "Choices that wait to be confirmed",
    "requests": "The words of their requests",
}
STAYS = {
    "fingerprints": "Fingerprints of addresses, which lead to nobody by themselves",
    "stops": "Stops on those fingerprints, so that no import brings them back",
    "entries": "Ledger entries, which lead to nobody any more",
}

nav.COUNTS["admin.requests"] = (lambda found: found.requests.pressing(), "overdue or due today")
