"""The endpoints: each parses, calls one service method, and words the answer."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request, stream_with_context

from prefs.api import batches, schemas
from prefs.api.http import Reply, caller, endpoint, entry_key, read_body, refusal_of
from prefs.domain.address import parse_address
from prefs.domain.ledger import ALL, Entry
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.terms import Channel, Reason
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, NotAllowed, PrefsError
from prefs.services.contact_choices import Change, HistoryLine, Report
from prefs.services.decisions import Answer, Asked, record_id
from prefs.services.linking import MessageLinks
from prefs.services.requests import PENDING, NewRequest
from prefs.services.sending import MessageRequest
from prefs.services.suppression import Agreement, Search, SuppressionView, Wish

if TYPE_CHECKING:
    from prefs.wiring import Services

LINES_TYPE = "application/x-ndjson"

bp = Blueprint("api", __name__, url_prefix="/v1")


@bp.post("/decisions")
@endpoint("decide", body=schemas.DecisionBody, answer="A decision")
def decide_one(body: schemas.DecisionBody) -> Reply:
    """May this be sent now? One question, one answer, with its reason."""
    if (body.to is None) == (body.contact is None):
        raise InvalidInput("Give either `to` or `contact`.", field="to", code="missing")
    if body.contact is not None:
        answer = services().decisions.ask_contact(_asked(body), body.contact, steps=body.explain)
    else:
        answer = plain_answer(services(), body)
    return Reply(_answer(answer, links=body.links))


@bp.get("/decisions/<receipt>")
@endpoint("read", answer="The same decision, worked out again, with its steps")
def decide_again(receipt: str) -> Reply:
    """Work an old decision out again, as of its own ledger position."""
    answer = services().decisions.again(receipt)
    found = _answer(answer, links=False)
    return Reply({name: value for name, value in found.items() if name != "to"})


@endpoint("decide", body=schemas.BatchBody, answer="Decisions in the order asked", lines=batches.FORM)
def decide_batch(body: schemas.BatchBody) -> Reply:
    """Up to 50,000 addresses at once, from one snapshot; a bad address never fails the batch."""
    found = services().decisions.ask_many(_asked(body), body.to)
    return Reply(parts=batches.as_object(found, body.to, body.only))


@bp.post("/decisions/batch", endpoint="decide_batch")
@body_limit(16 * MB)
def decide_many() -> Response:
    """Answer a batch in the form it came in: one JSON object, or lines of any number (see ``batches``)."""
    if request.mimetype != LINES_TYPE:
        return decide_batch()
    refusal = refusal_of(request.headers.get("Authorization", ""), "decide")
    if refusal is not None:
        return refusal
    request.max_content_length = sys.maxsize  # read as it comes, never held; None would mean the app's own limit
    line, held = batches.first_line(request.stream)
    body = read_body(schemas.LinesBody, line)
    if isinstance(body, Response):
        return body
    asked = _asked(body)
    services().decisions.question(asked)  # a question that cannot be asked is refused before the first line
    lines = batches.as_lines(services().decisions, asked, request.stream, held, body.only)
    return Response(stream_with_context(lines), mimetype=LINES_TYPE)


@bp.post("/suppressions")
@endpoint("suppress", body=schemas.SuppressionBody, answer="The suppression", changes=True)
def add_suppression(body: schemas.SuppressionBody) -> Reply:
    """Put a block on record: 201 when it is new, 200 when it stood already."""
    view = services().suppressions.add(_wish(body), actor=caller().id, key=entry_key())
    return Reply(_suppression(view), 201 if view.created else 200)


@bp.post("/suppressions/batch")
@body_limit(16 * MB)
@endpoint("suppress", body=schemas.SuppressionBatchBody, answer="A result per item", changes=True)
def add_suppressions(body: schemas.SuppressionBatchBody) -> Reply:
    """Up to 10,000 blocks; each has its own result, and a bad one does not stop the rest."""
    results = services().suppressions.add_many([_wish(one) for one in body.suppressions], actor=caller().id)
    return Reply({"data": [_result(number, result) for number, result in enumerate(results)]})


@bp.get("/suppressions")
@endpoint("read", answer="A list of suppressions")
def list_suppressions() -> Reply:
    """The blocks that stand, newest first: of everybody, or about one address on a channel."""
    known = {"channel", "to", "reason", "scope", "limit", "after"}
    for name in request.args.keys() - known:
        raise InvalidInput(f"Filters are: {', '.join(sorted(known))}.", field=name, code="unknown_field")
    given = request.args
    limit = _number("limit", 100)
    if not 1 <= limit <= 1000:
        raise InvalidInput("A part has 1 to 1000 lines.", field="limit")
    search = Search(
        channel=_channel(given["channel"]) if "channel" in given else None,
        to=given.get("to"),
        reason=_suppression_reason(given["reason"]) if "reason" in given else None,
        scope=given.get("scope"),
        after=given.get("after"),
        limit=limit,
    )
    found, following = services().suppressions.search(search)
    return Reply({"data": [_suppression(one) for one in found], "next": following})


@bp.post("/suppressions/<suppression>/lift")
@endpoint("admin", body=schemas.LiftBody, answer="The suppression that ended", changes=True)
def lift_suppression(body: schemas.LiftBody, suppression: str) -> Reply:
    """End a suppression by a new entry; the evidence is kept."""
    view = services().suppressions.lift(suppression, evidence=body.evidence, source=body.source, actor=caller().id)
    return Reply(_suppression(view))


@bp.post("/consents")
@endpoint("consent", body=schemas.ConsentBody, answer="The consent", changes=True)
def record_consent(body: schemas.ConsentBody) -> Reply:
    """Put a consent on record; it never outranks a later opt-out (409 `later_opt_out`)."""
    view = services().suppressions.record_consent(Agreement(**dict(body)), actor=caller().id, key=entry_key())
    return Reply(_plain(asdict(view)), 201)


@bp.put("/contacts/<external_id>")
@endpoint("contacts", body=schemas.ContactBody, answer="The contact")
def save_contact(body: schemas.ContactBody, external_id: str) -> Reply:
    """Make or change a contact; an address that joins it brings its stops along."""
    view = services().contacts.save(
        external_id,
        [(one.channel, one.value) for one in body.addresses],
        locale=body.locale,
        country=body.country,
        time_zone=body.time_zone,
    )
    return Reply(asdict(view))


@bp.get("/contacts/<external_id>")
@endpoint("contacts", answer="The contact")
def read_contact(external_id: str) -> Reply:
    """A contact with its addresses."""
    return Reply(asdict(services().contacts.get(external_id)))


@bp.get("/contacts/<external_id>/preferences")
@endpoint("contacts", answer="A choice per address, channel and marketing topic")
def read_preferences(external_id: str) -> Reply:
    """What a contact gets now, and why not what it does not get."""
    choices = services().contact_choices.view(external_id)
    return Reply({"data": [asdict(one) for one in choices], "next": None})


@bp.patch("/contacts/<external_id>/preferences")
@endpoint("contacts", body=schemas.PreferencesBody, answer="What came of each change", changes=True)
def change_preferences(body: schemas.PreferencesBody, external_id: str) -> Reply:
    """Report what a contact told you: stops count always, starts need the scope `consent` and no later stop."""
    if any(change.send for change in body.changes) and not {"consent", "admin"} & set(caller().scopes):
        raise NotAllowed("Changing a choice to `send` needs the scope `consent` too.")
    report = Report(
        changes=[Change(**dict(change)) for change in body.changes],
        source=body.source,
        evidence=body.evidence,
        occurred_at=body.occurred_at,
    )
    changed = services().contact_choices.report(external_id, report, actor=caller().id, key=entry_key())
    return Reply({"data": [asdict(one) for one in changed], "next": None})


@bp.get("/contacts/<external_id>/history")
@endpoint("contacts", answer="Ledger entries about the contact, oldest first")
def read_history(external_id: str) -> Reply:
    """Everything that ever changed a contact's standing, oldest first."""
    after, limit = _number("after", 0), min(_number("limit", 100), 1000)
    lines, following = services().contact_choices.history(external_id, after, limit)
    data = [_line(line) for line in lines]
    return Reply({"data": data, "next": str(following) if following else None})


@bp.post("/links")
@endpoint("decide", body=schemas.LinksBody, answer="Links and headers")
def make_links(body: schemas.LinksBody) -> Reply:
    """Unsubscribe and preference links with the headers for an address; nothing is written."""
    kit = services().kit
    address = parse_address(body.channel, body.to, default_region=kit.default_region)
    topic = kit.catalogue.topic(body.topic).number if body.topic else ALL
    made = services().linking.for_address(body.channel, kit.address_keys.key(address), topic)
    return Reply({**_links(made), "mailto": made.mailto})


@bp.post("/messages")
@endpoint("send", body=schemas.MessageBody, answer="Its id, status and decision", changes=True, long_texts=True)
def send_message(body: schemas.MessageBody) -> Reply:
    """Hand over a message: it is decided now, queued, and decided again at hand-over."""
    accepted = services().sending.accept(MessageRequest(**dict(body)), key=entry_key())
    return Reply({"id": accepted.id, "status": accepted.status, "decision": _answer(accepted.answer, links=False)}, 202)


@bp.get("/messages/<message>")
@endpoint("send", answer="Its status and history")
def read_message(message: str) -> Reply:
    """What became of a message."""
    return Reply(_plain(asdict(services().sending.status(message))))


@bp.post("/privacy-requests")
@endpoint("admin", body=schemas.PrivacyRequestBody, answer="The request with its due date", changes=True)
def record_privacy_request(body: schemas.PrivacyRequestBody) -> Reply:
    """Take down what somebody asked the privacy office for; objecting and restricting count at once."""
    item = services().requests.record(NewRequest(**dict(body)), actor=caller().id, key=entry_key())
    found = {
        "id": item.reference,
        "kind": item.kind,
        "status": PENDING if item.identity == PENDING and item.is_open else item.status,
        "identity": item.identity,
        "received_by": item.received_by,
        "received_at": _time(item.received_at),
        "due_on": item.due_on.isoformat(),
        "act_by": item.act_by.isoformat() if item.act_by else None,
        "acted_at": _time(item.acted_at),
    }
    return Reply(found, 201)


@bp.get("/changes")
@endpoint("read", answer="Ledger entries, oldest first")
def list_changes() -> Reply:
    """The ledger as a feed, oldest first, for systems that keep copies."""
    after, limit = _number("after", 0), min(_number("limit", 100), 1000)
    entries, following = services().sealing.changes(after, limit)
    return Reply({"data": [_change(entry) for entry in entries], "next": str(following) if following else None})


@bp.get("/topics")
@endpoint("read", answer="The catalogue's topics")
def list_topics() -> Reply:
    """The topics there are, retired ones marked."""
    topics = services().kit.catalogue.topics
    data = [
        {
            "slug": topic.slug,
            "name": topic.name,
            "description": topic.description,
            "message_class": topic.message_class,
            "needs": dict(topic.needs),
            "retired": topic.retired,
        }
        for topic in topics
    ]
    return Reply({"data": data, "next": None})


@bp.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document; open to all, like the page at ``/v1/docs``."""
    from prefs.api.openapi import document  # noqa: PLC0415  builds from the endpoints above

    return Response(json.dumps(document(services().base_url)), mimetype="application/json")


def plain_answer(made: "Services", body: schemas.DecisionBody) -> Answer:
    """Return the answer about one address. Raises as ``Decisions.ask`` does."""
    return made.decisions.ask(_asked(body), body.to, steps=body.explain)


def _asked(body: schemas.DecisionBody | schemas.LinesBody) -> Asked:
    return Asked(
        channel=body.channel,
        topic=body.topic,
        message_class=body.message_class,
        brand=body.brand,
        sender=body.sender,
        country=body.country,
        at=body.at,
    )


def _number(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("Use a whole number.", field=name)
    return int(text)


def _change(entry: Entry) -> dict[str, Any]:
    """Return an entry without what names a person: the subject is a number that leads to nobody outside."""
    return {
        "position": entry.id,
        "act": entry.act,
        "subject": str(entry.subject),
        "channel": entry.channel or "any",
        "scope": services().kit.catalogue.scope_name(entry.scope),
        "reason": entry.reason,
        "consent": entry.consent,
        "source": entry.source,
        "effective_at": _time(entry.effective_at),
        "recorded_at": _time(entry.recorded_at),
        "until": _time(entry.until),
    }


def _line(line: HistoryLine) -> dict[str, Any]:
    """Return an entry about one contact: the feed's fields, with the address in place of the subject."""
    found = _change(line.entry)
    found.pop("subject")
    return {**found, "to": line.to, "occurred_at": _time(line.entry.occurred_at)}


def _wish(body: schemas.SuppressionBody) -> Wish:
    given = dict(body)
    given["channel"] = None if body.channel == "any" else Channel(body.channel)
    return Wish(**given)


def _channel(word: str) -> Channel:
    try:
        return Channel(word)
    except ValueError as error:
        raise InvalidInput(f"Channels are: {', '.join(Channel)}.", field="channel") from error


def _suppression_reason(word: str) -> Reason:
    if word not in SUPPRESSION_REASONS:
        raise InvalidInput(f"Reasons are: {', '.join(sorted(SUPPRESSION_REASONS))}.", field="reason")
    return Reason(word)


def answer_fields(answer: Answer) -> dict[str, Any]:
    """Return an answer as callers read it (contract section 6)."""
    decision = answer.decision
    found: dict[str, Any] = {
        "id": answer.id,
        "allowed": decision.allowed,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "channel": answer.question.channel,
        "to": answer.to,
        "topic": answer.question.topic.slug if answer.question.topic else None,
        "message_class": answer.question.message_class,
        "scope": answer.scope,
        "since": _time(decision.fact.effective_at) if decision.fact else None,
        "not_before": _time(decision.not_before),
        "alternative": answer.alternative,
        "suppression_id": record_id(decision),
        "ledger_position": answer.position,
        "policy_version": answer.policy_version,
    }
    if not decision.verified:
        found["verified"] = False
    if answer.steps:
        found["steps"] = [{"rule": s.rule, "result": s.result, "detail": s.detail} for s in answer.steps]
    return found


def _answer(answer: Answer, *, links: bool) -> dict[str, Any]:
    found = answer_fields(answer)
    if links and any(answer.address_key):
        topic = answer.question.topic
        made = services().linking.for_address(
            answer.question.channel, answer.address_key, topic.number if topic else ALL
        )
        found |= _links(made)
    return found


def _links(made: MessageLinks) -> dict[str, Any]:
    return {"links": {"unsubscribe": made.unsubscribe, "preferences": made.preferences}, "headers": made.headers}


def _suppression(view: SuppressionView) -> dict[str, Any]:
    found = _plain(asdict(view))
    found.pop("created")
    return found


def _result(number: int, result: SuppressionView | Exception) -> dict[str, Any]:
    if isinstance(result, SuppressionView):
        return {"status": "created" if result.created else "already", "suppression": _suppression(result)}
    field = getattr(result, "field", "")
    place = f"suppressions.{number}.{field}" if field else f"suppressions.{number}"
    code = result.code if isinstance(result, PrefsError) else "invalid"
    return {"status": "invalid", "errors": [{"field": place, "code": code, "detail": str(result)}]}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    return value


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    shown = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return shown.replace("+00:00", "Z")
