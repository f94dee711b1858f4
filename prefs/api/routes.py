"""The endpoints: each parses, calls one service method, and words the answer."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from prefs.api import schemas
from prefs.api.http import Reply, caller, endpoint, entry_key
from prefs.domain.address import parse_address
from prefs.domain.decision import Decision
from prefs.domain.ledger import ALL, Entry
from prefs.domain.terms import Channel, Outcome
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, PrefsError
from prefs.services.decisions import Answer, Asked, record_id
from prefs.services.linking import MessageLinks
from prefs.services.requests import PENDING, NewRequest
from prefs.services.sending import MessageRequest
from prefs.services.suppression import Agreement, SuppressionView, Wish

bp = Blueprint("api", __name__, url_prefix="/v1")


@bp.post("/decisions")
@endpoint("decide", body=schemas.DecisionBody, answer="A decision")
def decide_one(body: schemas.DecisionBody) -> Reply:
    """May this be sent now? One question, one answer, with its reason."""
    asked = _asked(body)
    if (body.to is None) == (body.contact is None):
        raise InvalidInput("Give either `to` or `contact`.", field="to", code="missing")
    decisions = services().decisions
    if body.contact is not None:
        answer = decisions.ask_contact(asked, body.contact, steps=body.explain)
    else:
        answer = decisions.ask(asked, body.to, steps=body.explain)
    return Reply(_answer(answer, links=body.links))


@bp.get("/decisions/<receipt>")
@endpoint("read", answer="The same decision, worked out again, with its steps")
def decide_again(receipt: str) -> Reply:
    """Work an old decision out again, as of its own ledger position."""
    answer = services().decisions.again(receipt)
    found = _answer(answer, links=False)
    return Reply({name: value for name, value in found.items() if name != "to"})


@bp.post("/decisions/batch")
@body_limit(16 * MB)
@endpoint("decide", body=schemas.BatchBody, answer="Decisions in the order asked")
def decide_batch(body: schemas.BatchBody) -> Reply:
    """Up to 50,000 addresses at once, from one snapshot; a bad address never fails the batch."""
    found = services().decisions.ask_many(_asked(body), body.to)
    counts = dict.fromkeys((str(outcome) for outcome in Outcome), 0)
    items = []
    for to, decision in zip(body.to, found.decisions, strict=True):
        counts[decision.outcome] += 1
        if body.only is None or decision.allowed == (body.only == "allowed"):
            items.append(f'{{"to":{json.dumps(to)},{_tail(decision)}}}')
    head = json.dumps({"ledger_position": found.position, "counts": counts}, separators=(",", ":"))
    return Reply(text=f'{head[:-1]},"decisions":[{",".join(items)}]}}')


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
    """The blocks that stand about one address on a channel."""
    channel, to = request.args.get("channel"), request.args.get("to")
    if not channel or not to:
        raise InvalidInput("Name the `channel` and the address in `to`.", field="to", code="missing")
    found = services().suppressions.of_address(_channel(channel), to)
    wanted = {name: request.args[name] for name in ("reason", "scope") if name in request.args}
    kept = [one for one in found if all(getattr(one, name) == value for name, value in wanted.items())]
    return Reply({"data": [_suppression(one) for one in kept], "next": None})


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


def _asked(body: schemas.DecisionBody | schemas.BatchBody) -> Asked:
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


def _wish(body: schemas.SuppressionBody) -> Wish:
    given = dict(body)
    given["channel"] = None if body.channel == "any" else Channel(body.channel)
    return Wish(**given)


def _channel(word: str) -> Channel:
    try:
        return Channel(word)
    except ValueError as error:
        raise InvalidInput(f"Channels are: {', '.join(Channel)}.", field="channel") from error


def _answer(answer: Answer, *, links: bool) -> dict[str, Any]:
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
    if links and any(answer.address_key):
        topic = answer.question.topic
        made = services().linking.for_address(
            answer.question.channel, answer.address_key, topic.number if topic else ALL
        )
        found |= _links(made)
    return found


def _links(made: MessageLinks) -> dict[str, Any]:
    return {"links": {"unsubscribe": made.unsubscribe, "preferences": made.preferences}, "headers": made.headers}


def _tail(decision: Decision) -> str:
    reason = f'"{decision.reason}"' if decision.reason else "null"
    verified = "" if decision.verified else ',"verified":false'
    return f'"allowed":{str(decision.allowed).lower()},"outcome":"{decision.outcome}","reason":{reason}{verified}'


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
