"""What the service answers, as values. Each is read strictly: a wrong type is an ``OddAnswer``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from prefs.client.errors import FieldError, OddAnswer
from prefs.client.reading import Fields

Channel = Literal["email", "sms", "voice", "whatsapp", "push", "postal"]
AnyChannel = Literal["email", "sms", "voice", "whatsapp", "push", "postal", "any"]
MessageClass = Literal["marketing", "transactional"]

T = TypeVar("T")
_OUTCOMES = frozenset({"allowed", "blocked", "deferred"})


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder: ``result`` is ``pass``, ``block``, ``defer`` or ``skip``."""

    rule: str
    result: str
    detail: str

    @classmethod
    def read(cls, found: Fields) -> "Step":
        """Return the step in an answer."""
        return cls(found.text("rule"), found.text("result"), found.text("detail"))


@dataclass(frozen=True, slots=True)
class Links:
    """The links and headers of a message. Whoever holds them can stop for this person: do not log them."""

    unsubscribe: str = field(repr=False)
    preferences: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    mailto: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, found: Fields) -> "Links":
        """Return the links in an answer."""
        links = found.within("links")
        return cls(
            links.text("unsubscribe"), links.text("preferences"), found.words("headers"), found.maybe_text("mailto")
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to "may this be sent now?". ``verified`` is False where the service could not look it up.

    ``to`` is the address asked about, and ``""`` when an old decision is read again by its ``id``.
    """

    id: str
    allowed: bool
    outcome: str
    reason: str | None
    channel: str
    to: str = field(repr=False)
    topic: str | None
    message_class: str
    scope: str | None
    since: datetime | None
    not_before: datetime | None
    alternative: str | None
    suppression_id: str | None
    ledger_position: int
    policy_version: str
    verified: bool
    steps: tuple[Step, ...]
    links: Links | None

    @classmethod
    def read(cls, found: Fields) -> "Decision":
        """Return the decision in an answer, if it does not contradict itself."""
        made = cls(
            id=found.text("id"),
            allowed=found.truth("allowed"),
            outcome=_outcome(found),
            reason=found.maybe_text("reason"),
            channel=found.text("channel"),
            to=found.maybe_text("to") or "",
            topic=found.maybe_text("topic"),
            message_class=found.text("message_class"),
            scope=found.maybe_text("scope"),
            since=found.maybe_moment("since"),
            not_before=found.maybe_moment("not_before"),
            alternative=found.maybe_text("alternative"),
            suppression_id=found.maybe_text("suppression_id"),
            ledger_position=found.number("ledger_position"),
            policy_version=found.text("policy_version"),
            verified=found.truth("verified", absent=True),
            steps=found.each("steps", Step.read, absent=True),
            links=Links.read(found) if "links" in found.raw() else None,
        )
        if made.outcome == "deferred" and made.not_before is None:
            raise OddAnswer("The answer defers without saying until when.")
        return made


@dataclass(frozen=True, slots=True)
class BatchDecision:
    """The answer for one address of a batch."""

    to: str = field(repr=False)
    allowed: bool
    outcome: str
    reason: str | None
    verified: bool

    @classmethod
    def read(cls, found: Fields) -> "BatchDecision":
        """Return one line of a batch's answer."""
        return cls(
            found.text("to"),
            found.truth("allowed"),
            _outcome(found),
            found.maybe_text("reason"),
            found.truth("verified", absent=True),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Decisions in the order asked. ``counts`` are of the whole list, also where ``only`` trims it.

    A list that took several calls has several snapshots; ``ledger_position`` is then the oldest.
    """

    decisions: tuple[BatchDecision, ...]
    counts: dict[str, int]
    ledger_position: int


@dataclass(frozen=True, slots=True)
class Suppression:
    """A standing block; ``created`` is False where it stood already."""

    id: str
    channel: str
    to: str | None = field(repr=False)
    contact: str | None = field(repr=False)
    scope: str
    reason: str
    source: str
    since: datetime
    until: datetime | None
    exceptions: tuple[str, ...]
    created: bool = False

    @classmethod
    def read(cls, found: Fields, *, created: bool = False) -> "Suppression":
        """Return the suppression in an answer."""
        return cls(
            id=found.text("id"),
            channel=found.text("channel"),
            to=found.maybe_text("to"),
            contact=found.maybe_text("contact"),
            scope=found.text("scope"),
            reason=found.text("reason"),
            source=found.text("source"),
            since=found.moment("since"),
            until=found.maybe_moment("until"),
            exceptions=found.texts("exceptions"),
            created=created,
        )


@dataclass(frozen=True, slots=True)
class SuppressionResult:
    """What became of one item of a batch: ``created``, ``already``, or ``invalid`` with its errors."""

    status: str
    suppression: Suppression | None
    errors: tuple[FieldError, ...] = ()

    @classmethod
    def read(cls, found: Fields) -> "SuppressionResult":
        """Return one line of a batch's answer."""
        status = found.text("status")
        made = found.maybe("suppression", lambda inner: Suppression.read(inner, created=status == "created"))
        if status not in {"created", "already", "invalid"} or (made is None) != (status == "invalid"):
            raise OddAnswer("An item of the answer does not say what became of it.")
        return cls(status, made, found.each("errors", read_field_error, absent=True))


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent on record; ``status`` is ``given``, or ``pending`` until the person confirms it."""

    id: str
    channel: str
    to: str = field(repr=False)
    topic: str
    kind: str
    source: str
    status: str
    since: datetime
    expires_at: datetime | None
    wording_on_record: bool

    @classmethod
    def read(cls, found: Fields) -> "Consent":
        """Return the consent in an answer."""
        return cls(
            id=found.text("id"),
            channel=found.text("channel"),
            to=found.text("to"),
            topic=found.text("topic"),
            kind=found.text("kind"),
            source=found.text("source"),
            status=found.text("status"),
            since=found.moment("since"),
            expires_at=found.maybe_moment("expires_at"),
            wording_on_record=found.truth("wording_on_record"),
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that was taken: ``queued``, ``blocked`` or ``deferred``, and the decision that says why."""

    id: str
    status: str
    decision: Decision

    @classmethod
    def read(cls, found: Fields) -> "Accepted":
        """Return what became of a message at once."""
        return cls(found.text("id"), found.text("status"), Decision.read(found.within("decision")))


@dataclass(frozen=True, slots=True)
class Message:
    """What became of a message; ``history`` has a line per step, oldest first."""

    id: str
    status: str
    channel: str
    topic: str | None
    campaign: str | None
    reason: str | None
    alternative: str | None
    created_at: datetime
    history: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, found: Fields) -> "Message":
        """Return the message in an answer."""
        return cls(
            id=found.text("id"),
            status=found.text("status"),
            channel=found.text("channel"),
            topic=found.maybe_text("topic"),
            campaign=found.maybe_text("campaign"),
            reason=found.maybe_text("reason"),
            alternative=found.maybe_text("alternative"),
            created_at=found.moment("created_at"),
            history=found.each("history", Fields.raw),
        )


@dataclass(frozen=True, slots=True)
class Contact:
    """A person under the caller's own id, with (channel, address) pairs."""

    external_id: str = field(repr=False)
    locale: str | None
    country: str | None
    time_zone: str | None
    addresses: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def read(cls, found: Fields) -> "Contact":
        """Return the contact in an answer."""
        return cls(
            found.text("external_id"),
            found.maybe_text("locale"),
            found.maybe_text("country"),
            found.maybe_text("time_zone"),
            found.each("addresses", lambda one: (one.text("channel"), one.text("value"))),
        )


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the catalogue; ``needs`` says per channel ``consent`` or ``no_objection``."""

    slug: str
    name: str
    description: str
    message_class: str
    needs: dict[str, str]
    retired: bool

    @classmethod
    def read(cls, found: Fields) -> "Topic":
        """Return the topic in an answer."""
        return cls(
            found.text("slug"),
            found.text("name"),
            found.text("description"),
            found.text("message_class"),
            found.words("needs"),
            found.truth("retired"),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the ledger. ``subject`` is a number that leads to nobody outside the service."""

    position: int
    act: str
    subject: str
    channel: str
    scope: str
    reason: str | None
    consent: str | None
    source: str
    effective_at: datetime
    recorded_at: datetime
    until: datetime | None

    @classmethod
    def read(cls, found: Fields) -> "Change":
        """Return the entry in an answer."""
        return cls(
            position=found.number("position"),
            act=found.text("act"),
            subject=found.text("subject"),
            channel=found.text("channel"),
            scope=found.text("scope"),
            reason=found.maybe_text("reason"),
            consent=found.maybe_text("consent"),
            source=found.text("source"),
            effective_at=found.moment("effective_at"),
            recorded_at=found.moment("recorded_at"),
            until=found.maybe_moment("until"),
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a topic goes to one of a contact's addresses on a channel, and if not, why."""

    channel: str
    to: str | None = field(repr=False)
    topic: str
    send: bool
    reason: str | None

    @classmethod
    def read(cls, found: Fields) -> "Choice":
        """Return one line of a contact's choices."""
        return cls(
            found.text("channel"),
            found.maybe_text("to"),
            found.text("topic"),
            found.truth("send"),
            found.maybe_text("reason"),
        )


@dataclass(frozen=True, slots=True)
class ChoiceResult:
    """What came of a change: ``stopped``, ``started``, ``unchanged``, or ``refused`` with its code."""

    channel: str
    to: str | None = field(repr=False)
    topic: str | None
    result: str
    code: str | None

    @classmethod
    def read(cls, found: Fields) -> "ChoiceResult":
        """Return one line of the answer."""
        return cls(
            found.text("channel"),
            found.maybe_text("to"),
            found.maybe_text("topic"),
            found.text("result"),
            found.maybe_text("code"),
        )


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry about a contact; ``to`` is None where it is about the contact as a whole."""

    position: int
    act: str
    channel: str
    to: str | None = field(repr=False)
    scope: str
    reason: str | None
    consent: str | None
    source: str
    occurred_at: datetime
    effective_at: datetime
    recorded_at: datetime
    until: datetime | None

    @classmethod
    def read(cls, found: Fields) -> "HistoryEntry":
        """Return one line of a contact's history."""
        return cls(
            position=found.number("position"),
            act=found.text("act"),
            channel=found.text("channel"),
            to=found.maybe_text("to"),
            scope=found.text("scope"),
            reason=found.maybe_text("reason"),
            consent=found.maybe_text("consent"),
            source=found.text("source"),
            occurred_at=found.moment("occurred_at"),
            effective_at=found.moment("effective_at"),
            recorded_at=found.moment("recorded_at"),
            until=found.maybe_moment("until"),
        )


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; ``next`` is what to give as ``after`` for the part behind it, None at the end."""

    data: tuple[T, ...]
    next: str | None


def read_page(found: Fields, read: Callable[[Fields], T]) -> Page[T]:
    """Return the page in an answer."""
    return Page(found.each("data", read), found.maybe_text("next"))


def read_field_error(found: Fields) -> FieldError:
    """Return what is wrong with one field."""
    return FieldError(found.text("field"), found.text("code"), found.text("detail"))


def _outcome(found: Fields) -> str:
    """Return the outcome, if ``allowed`` says the same: an answer at odds with itself is none."""
    outcome = found.text("outcome")
    if outcome not in _OUTCOMES or found.truth("allowed") != (outcome == "allowed"):
        raise OddAnswer("The answer's `allowed` and `outcome` contradict each other.")
    return outcome
