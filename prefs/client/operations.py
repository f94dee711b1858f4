"""What the service can be asked, once for both clients: each yields calls and returns a value.

Every change carries an ``Idempotency-Key``, made here where the caller gives none, so that a try
whose answer was lost can be repeated. ``save_contact`` has none and is never repeated.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from prefs.client.answers import (
    Accepted,
    AnyChannel,
    Batch,
    BatchDecision,
    Change,
    Channel,
    Choice,
    ChoiceResult,
    Consent,
    Contact,
    Decision,
    HistoryEntry,
    Links,
    Message,
    MessageClass,
    Page,
    Suppression,
    SuppressionResult,
    Topic,
    read_page,
)
from prefs.client.errors import OddAnswer
from prefs.client.protocol import MB, Call, Operation

MOST_DECISIONS = 50_000
MOST_SUPPRESSIONS = 1_000
"""The service takes ten times as many, in one transaction that keeps other writers waiting meanwhile."""
MOST_BODY = 15 * MB
"""A little under what the service takes, for the rest of the body."""
_DONE = frozenset({200, 201})


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """A block to put on record with ``suppress_many``; either ``to`` or ``contact``."""

    channel: AnyChannel
    to: str | None = field(default=None, repr=False)
    contact: str | None = field(default=None, repr=False)
    scope: str = "all"
    reason: str = "unsubscribed"
    source: str = "api"
    occurred_at: datetime | None = None
    until: datetime | None = None
    reference: str | None = None
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ChoiceChange:
    """A choice to change; without ``topic`` all marketing of the channel (stops only), without ``to`` every address."""

    channel: Channel
    send: bool
    topic: str | None = None
    to: str | None = field(default=None, repr=False)


def decide(
    channel: Channel,
    to: str | None = None,
    *,
    contact: str | None = None,
    topic: str | None = None,
    message_class: MessageClass | None = None,
    brand: str | None = None,
    sender: str | None = None,
    country: str | None = None,
    at: datetime | None = None,
    explain: bool = False,
    links: bool = False,
) -> Operation[Decision]:
    """May this be sent now? Send only if ``allowed``; an error means that nobody said so.

    Give ``to`` or ``contact``, and ``topic`` or ``message_class="transactional"``. For one message
    at a time a ``Guard`` is the safer way.
    """
    body = _body(locals(), drop_false=("explain", "links"))
    found = yield Call("POST", "/v1/decisions", body=body)
    decision = Decision.read(found.fields)
    asked = (channel, to or decision.to, topic or decision.topic, message_class or decision.message_class)
    if asked != (decision.channel, decision.to, decision.topic, decision.message_class):
        raise OddAnswer("The answer is to another question.")
    return decision


def decide_many(
    channel: Channel,
    to: Iterable[str],
    *,
    topic: str | None = None,
    message_class: MessageClass | None = None,
    brand: str | None = None,
    sender: str | None = None,
    country: str | None = None,
    at: datetime | None = None,
    only: Literal["allowed", "blocked"] | None = None,
) -> Operation[Batch]:
    """Ask about any number of addresses; answers come in the order asked.

    50,000 go into one call and see one snapshot. A part that fails fails the whole: ask again.
    """
    given = locals()
    common = _body({name: given[name] for name in given if name != "to"})
    decisions: list[BatchDecision] = []
    counts = {"allowed": 0, "blocked": 0, "deferred": 0}
    positions: list[int] = []
    for part in _parts(list(to), MOST_DECISIONS):
        found = yield Call("POST", "/v1/decisions/batch", body={**common, "to": part}, bulk=True)
        answered = found.fields.each("decisions", BatchDecision.read)
        _belongs(answered, part, only)
        decisions += answered
        counts = {name: number + found.fields.within("counts").number(name) for name, number in counts.items()}
        positions.append(found.fields.number("ledger_position"))
    return Batch(tuple(decisions), counts, min(positions, default=0))


def decision(receipt: str) -> Operation[Decision]:
    """Work an old decision out again by its ``id``, as things stood then, with its steps."""
    found = yield Call("GET", f"/v1/decisions/{_segment(receipt)}")
    return Decision.read(found.fields)


def suppress(
    channel: AnyChannel,
    to: str | None = None,
    *,
    contact: str | None = None,
    scope: str = "all",
    reason: str = "unsubscribed",
    source: str = "api",
    occurred_at: datetime | None = None,
    until: datetime | None = None,
    reference: str | None = None,
    note: str | None = None,
    idempotency_key: str | None = None,
) -> Operation[Suppression]:
    """Put a block on record. When this returns it is on disk, and every later decision says so."""
    body = _body(locals(), leave_out=("idempotency_key",))
    found = yield Call("POST", "/v1/suppressions", body=body, expect=_DONE, key=_key(idempotency_key))
    return Suppression.read(found.fields, created=found.status == 201)


def suppress_many(
    suppressions: Iterable[NewSuppression], *, idempotency_key: str | None = None
) -> Operation[tuple[SuppressionResult, ...]]:
    """Put any number of blocks on record; results come in the order given, a bad item fails only itself.

    1,000 go into one call. After an error the parts before it are on record: give the whole list
    again under the same key, and they change nothing the second time.
    """
    bodies = [_body({name: getattr(one, name) for name in NewSuppression.__slots__}) for one in suppressions]
    key = _key(idempotency_key)
    results: list[SuppressionResult] = []
    for number, part in enumerate(_parts(bodies, MOST_SUPPRESSIONS)):
        call = Call("POST", "/v1/suppressions/batch", body={"suppressions": part}, key=f"{key}-{number}", bulk=True)
        found = yield call
        answered = found.fields.each("data", SuppressionResult.read)
        if len(answered) != len(part):
            raise OddAnswer("The answer has not one result per item.")
        results += [_renumbered(one, len(results)) for one in answered]
    return tuple(results)


def suppressions(
    channel: Channel | None = None,
    to: str | None = None,
    *,
    reason: str | None = None,
    scope: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Operation[Page[Suppression]]:
    """List the blocks that stand, about one address or about everybody, newest first."""
    found = yield Call("GET", "/v1/suppressions", query=_query(locals()))
    return read_page(found.fields, Suppression.read)


def lift(
    suppression_id: str, *, evidence: str, source: str, idempotency_key: str | None = None
) -> Operation[Suppression]:
    """End a suppression; ``evidence`` says what shows that the person wants this."""
    body = {"evidence": evidence, "source": source}
    path = f"/v1/suppressions/{_segment(suppression_id)}/lift"
    found = yield Call("POST", path, body=body, key=_key(idempotency_key))
    return Suppression.read(found.fields)


def consent(
    channel: Channel,
    to: str,
    topic: str,
    *,
    source: str,
    kind: Literal["express", "implied", "soft_opt_in"] = "express",
    wording: str | None = None,
    evidence: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    expires_at: datetime | None = None,
    double_opt_in: bool = False,
    idempotency_key: str | None = None,
) -> Operation[Consent]:
    """Put a consent on record. It never outranks a later opt-out: ``Conflict`` with ``later_opt_out``."""
    body = _body(locals(), leave_out=("idempotency_key",), drop_false=("double_opt_in",))
    found = yield Call("POST", "/v1/consents", body=body, expect=frozenset({201}), key=_key(idempotency_key))
    return Consent.read(found.fields)


def links(channel: Channel, to: str, topic: str | None = None) -> Operation[Links]:
    """Make the unsubscribe and preference links and the headers for an address; nothing is written."""
    found = yield Call("POST", "/v1/links", body=_body(locals()))
    return Links.read(found.fields)


def send(
    channel: Channel,
    to: str,
    topic: str,
    *,
    subject: str | None = None,
    text: str | None = None,
    html: str | None = None,
    sender: str | None = None,
    campaign: str | None = None,
    send_at: datetime | None = None,
    idempotency_key: str | None = None,
) -> Operation[Accepted]:
    """Let the service send a message; it decides now and once more when it hands the message over."""
    body = _body(locals(), leave_out=("idempotency_key",))
    found = yield Call("POST", "/v1/messages", body=body, expect=frozenset({202}), key=_key(idempotency_key))
    return Accepted.read(found.fields)


def message(message_id: str) -> Operation[Message]:
    """Tell what became of a message."""
    found = yield Call("GET", f"/v1/messages/{_segment(message_id)}")
    return Message.read(found.fields)


def save_contact(
    external_id: str,
    addresses: Sequence[tuple[Channel, str]] = (),
    *,
    locale: str | None = None,
    country: str | None = None,
    time_zone: str | None = None,
) -> Operation[Contact]:
    """Make or change a contact; addresses join it and bring their stops along. Never tried twice by itself."""
    listed = [{"channel": channel, "value": value} for channel, value in addresses]
    body = {"addresses": listed, **_body({"locale": locale, "country": country, "time_zone": time_zone})}
    found = yield Call("PUT", f"/v1/contacts/{_segment(external_id)}", body=body, repeatable=False)
    return Contact.read(found.fields)


def contact(external_id: str) -> Operation[Contact]:
    """Read a contact."""
    found = yield Call("GET", f"/v1/contacts/{_segment(external_id)}")
    return Contact.read(found.fields)


def preferences(external_id: str) -> Operation[tuple[Choice, ...]]:
    """Tell what a contact gets now, for each address, channel and marketing topic."""
    found = yield Call("GET", f"/v1/contacts/{_segment(external_id)}/preferences")
    return found.fields.each("data", Choice.read)


def change_preferences(
    external_id: str,
    changes: Iterable[ChoiceChange],
    *,
    source: str,
    evidence: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    idempotency_key: str | None = None,
) -> Operation[tuple[ChoiceResult, ...]]:
    """Report what a contact told you: stops first, then starts, which a later stop refuses one by one."""
    listed = [_body({name: getattr(one, name) for name in ChoiceChange.__slots__}) for one in changes]
    body = {"changes": listed, **_body({"source": source, "evidence": evidence, "occurred_at": occurred_at})}
    path = f"/v1/contacts/{_segment(external_id)}/preferences"
    found = yield Call("PATCH", path, body=body, key=_key(idempotency_key))
    return found.fields.each("data", ChoiceResult.read)


def history(external_id: str, after: int = 0, *, limit: int = 1000) -> Operation[Page[HistoryEntry]]:
    """Read everything that ever changed a contact's standing, oldest first."""
    path = f"/v1/contacts/{_segment(external_id)}/history"
    found = yield Call("GET", path, query={"after": str(after), "limit": str(limit)})
    return read_page(found.fields, HistoryEntry.read)


def changes(after: int = 0, *, limit: int = 1000) -> Operation[Page[Change]]:
    """Read the ledger behind a position, oldest first. Keep the last ``position`` to go on from."""
    found = yield Call("GET", "/v1/changes", query={"after": str(after), "limit": str(limit)})
    return read_page(found.fields, Change.read)


def topics() -> Operation[tuple[Topic, ...]]:
    """List the topics there are, retired ones marked."""
    found = yield Call("GET", "/v1/topics")
    return found.fields.each("data", Topic.read)


def _belongs(answered: Sequence[BatchDecision], part: Sequence[str], only: str | None) -> None:
    """Refuse an answer that is not about exactly these addresses, in this order."""
    got = [one.to for one in answered]
    if only is None:
        fits = got == list(part)
    else:
        rest = iter(part)
        fits = all(one in rest for one in got) and all(one.allowed == (only == "allowed") for one in answered)
    if not fits:
        raise OddAnswer("The answer is about other addresses than were asked about.")


def _parts(items: Sequence[Any], most: int) -> Iterator[list[Any]]:
    """Cut a list into parts that the service takes, by number and by size."""
    part: list[Any] = []
    size = 0
    for item in items:
        weight = len(json.dumps(item)) + 1
        if part and (len(part) == most or size + weight > MOST_BODY):
            yield part
            part, size = [], 0
        part.append(item)
        size += weight
    if part:
        yield part


def _renumbered(result: SuppressionResult, start: int) -> SuppressionResult:
    """Return a result whose fields are numbered as in the caller's whole list."""

    def shifted(text: str) -> str:
        return re.sub(r"^suppressions\.(\d+)", lambda hit: f"suppressions.{int(hit[1]) + start}", text)

    if not start or not result.errors:
        return result
    return replace(result, errors=tuple(replace(one, field=shifted(one.field)) for one in result.errors))


def _body(given: Mapping[str, Any], *, leave_out: Sequence[str] = (), drop_false: Sequence[str] = ()) -> dict[str, Any]:
    """Return what was said, in JSON's terms; None is not said."""
    return {
        name: _moment(name, value) if isinstance(value, datetime) else value
        for name, value in given.items()
        if value is not None and name not in leave_out and not (name in drop_false and value is False)
    }


def _query(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}


def _moment(name: str, value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"`{name}` needs a time zone: datetime(…, tzinfo=UTC).")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _key(given: str | None) -> str:
    """Return the caller's key or a fresh one; 240 characters leave room for the number of a part."""
    if given is None:
        return uuid.uuid4().hex
    if not re.fullmatch(r"[!-~]{1,240}", given):
        raise ValueError("`idempotency_key` is up to 240 ASCII characters without spaces.")
    return given


def _segment(text: str) -> str:
    """Return a text as one segment of a path, whatever it holds."""
    if text in {"", ".", ".."}:
        raise ValueError("An id is needed.")
    return quote(text, safe="")
