"""Decisions: our gateway's messages with the rule that decided, and any decision id worked out again (ux.md A6)."""

from datetime import timedelta
from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs.admin import telling
from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, show
from prefs.admin.paging import ROWS, Page, paged
from prefs.domain.ladder import CHANNEL_NAMES, REASON_WORDS
from prefs.domain.references import message_reference, read_message
from prefs.domain.roles import Right
from prefs.domain.terms import Channel, Reason
from prefs.edge import services
from prefs.errors import NotFound
from prefs.services.decisions import Answer
from prefs.services.outgoing import Explained
from prefs.services.persons import Person
from prefs.storage.messages import STATUSES, MessageFilter, Place, Queued
from prefs.storage.tables import from_microseconds, to_microseconds

# What each outcome means in the gateway's own words.
OUTCOMES: dict[str, tuple[str, ...]] = {
    "allowed": ("queued", "sending", "sent", "delivered", "failed", "unknown"),
    "blocked": ("blocked",),
    "deferred": ("deferred",),
}
TIMES: dict[str, tuple[str, timedelta | None]] = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
    "any": ("Any time", None),
}
_DEFAULT_TIME = "week"
_FILTERS = ("person", "campaign", "channel", "outcome", "time")


@bp.get("/decisions")
@allowed(Right.DECISIONS)
def decisions() -> ResponseReturnValue:
    """List the messages of our gateway, newest first, each with its last decision."""
    asked = request.args.get("id", "").strip()
    if asked.startswith("dec_"):
        return redirect(url_for("admin.decision", reference=asked), 303)
    form = Form()
    if asked:
        form.problem("id", "A decision id begins with dec_. Copy it from the system that asked.")
    services().audit.note(me().actor, "decisions_seen")
    return _list(None, form, 422 if form else 200)


@bp.get("/decisions/<reference>")
@allowed(Right.DECISIONS)
def decision(reference: str) -> ResponseReturnValue:
    """Show one decision beside the list: by a message's reference, or by the id another system kept."""
    services().audit.note(me().actor, "decisions_seen", reference[:40])
    if reference.startswith("dec_"):
        return _again(reference)
    message_id = read_message(reference) or (reference if reference.startswith("msg_") else "")
    try:
        return _list(services().outgoing.explain(message_id), Form())
    except NotFound:
        return show("decisions/unknown.html", 404, reference=reference)


def _again(receipt: str) -> ResponseReturnValue:
    try:
        answer = services().decisions.again(receipt)
    except NotFound:
        return show("decisions/unknown.html", 404, reference="")
    return show("decisions/again.html", receipt=receipt, **_shown(answer))


def _list(chosen: Explained | None, form: Form, status: int = 200) -> ResponseReturnValue:
    wanted, whom = _filter()
    before, after = _place("before"), _place("after")
    found = services().outgoing.page(wanted, ROWS + 1, before=before, after=after) if whom is not None else []
    page = paged(found, _placed, (before, after))
    queued = [chosen.queued] if chosen else []
    people = services().persons.of_subjects(one.subject for one in [*page.rows, *queued])
    return show(
        "decisions/list.html",
        status,
        form=form,
        page=page,
        rows=_rows(page, people),
        today=services().outgoing.today(),
        chosen=_chosen(chosen, people) if chosen else None,
        filters={name: request.args.get(name, "") for name in _FILTERS if request.args.get(name)},
        time=request.args.get("time") or _DEFAULT_TIME,
        times=[(value, words) for value, (words, _) in TIMES.items()],
        channels=[("", "Any"), *((str(one), CHANNEL_NAMES[one]) for one in Channel)],
        outcomes=[("", "Any"), *((one, one.capitalize()) for one in OUTCOMES)],
    )


def _filter() -> tuple[MessageFilter, tuple[int, ...] | None]:
    """Return what to look for, and whose; the second is None where nobody matches what was typed."""
    channel = request.args.get("channel", "")
    length = TIMES.get(request.args.get("time", ""), TIMES[_DEFAULT_TIME])[1]
    typed = request.args.get("person", "").strip()[:320]
    whom: tuple[int, ...] | None = ()
    if typed:
        found = services().persons.find(typed)
        whom = tuple(subject for one in found for subject in one.subjects) or None
    wanted = MessageFilter(
        statuses=OUTCOMES.get(request.args.get("outcome", ""), STATUSES),
        channel=Channel(channel) if channel in set(Channel) else None,
        campaign=request.args.get("campaign", "").strip() or None,
        since=services().kit.now() - length if length else None,
        subjects=whom or None,
    )
    return wanted, whom


def _rows(page: Page[Queued], people: dict[int, Person]) -> list[dict[str, object]]:
    return [_row(one, people.get(one.subject)) for one in page.rows]


def _row(queued: Queued, person: Person | None) -> dict[str, object]:
    topic = services().kit.catalogue.topic_numbered(queued.topic) if queued.topic else None
    kind = topic.name.lower() if topic else "service"
    outcome = next((name for name, statuses in OUTCOMES.items() if queued.status in statuses), "allowed")
    return {
        "reference": message_reference(queued.id),
        "name": person.name(full=False) if person else "Deleted person",
        "at": queued.created_at,
        "named": queued.campaign or (topic.name if topic else "Service message"),
        "kind": f"{CHANNEL_NAMES[queued.channel]}, {kind}",
        "outcome": outcome,
        "rule": _reason(queued.reason) if outcome != "allowed" else queued.status.capitalize(),
    }


def _reason(word: str | None) -> str:
    return REASON_WORDS[Reason(word)].short if word in set(Reason) else "Blocked"


def _chosen(explained: Explained, people: dict[int, Person]) -> dict[str, object]:
    queued = explained.queued
    person = people.get(queued.subject)
    sender = services().kit.catalogue.sender_numbered(queued.sender)
    return {
        **_row(queued, person),
        "id": queued.id,
        "person": person,
        "sender": sender.slug if sender else "",
        "history": explained.history,
        **(_shown(explained.answer) if explained.answer else {"answer": None}),
    }


def _shown(answer: Answer) -> dict[str, Any]:
    outcome = str(answer.decision.outcome)
    return {
        "answer": answer,
        "heading": f"{outcome.capitalize()}: {telling.rule_words(answer.decision).lower()}",
        "verdict": telling.verdict(answer),
        "rungs": telling.ladder(answer),
        "kind_of_message": answer.question.topic.name if answer.question.topic else "Service messages",
        "channel": CHANNEL_NAMES[answer.question.channel],
        "asked_at": answer.question.at,
    }


def _placed(queued: Queued) -> str:
    return f"{to_microseconds(queued.created_at)}.{queued.id}"


def _place(name: str) -> Place | None:
    """Return a place of the list from the query, or None where it is none."""
    moment, dot, message_id = request.args.get(name, "").partition(".")
    if not (dot and moment.isascii() and moment.isdigit() and len(moment) < 17):
        return None
    return from_microseconds(int(moment)), message_id[:40]
