"""What callers may send, checked once at the door; unknown fields are refused (contract D28)."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from prefs.domain.regions import parse_country
from prefs.domain.terms import Channel, ConsentKind, MessageClass, Reason
from prefs.errors import InvalidInput
from prefs.services.casework import Right

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("an RFC 3339 time is wanted, like 2026-11-22T10:04:05Z")
    found = datetime.fromisoformat(value.upper()).astimezone(UTC)
    if found < _EARLIEST:
        raise ValueError("a time after 1970 is wanted")
    return found


def _country(value: Any) -> Any:
    try:
        return parse_country(value) if isinstance(value, str) else value
    except InvalidInput as error:
        raise ValueError(str(error)) from error


Moment = Annotated[datetime, BeforeValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
Slug = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Scope = Annotated[str, Field(max_length=80, pattern=r"^(all|(brand|topic|sender):[a-z0-9-]+)$")]
Country = Annotated[str, BeforeValidator(_country), Field(pattern=r"^[A-Z]{2}$")]
To = Annotated[str, Field(max_length=1000)]
ExternalId = Annotated[str, Field(min_length=1, max_length=255)]
AnyChannel = Annotated[str, Field(pattern="^(email|sms|voice|whatsapp|push|postal|any)$")]
ChannelWord = Annotated[Channel, Field(strict=False)]
ClassWord = Annotated[MessageClass, Field(strict=False)]
ReasonWord = Annotated[Reason, Field(strict=False)]
KindWord = Annotated[ConsentKind, Field(strict=False)]


class Body(BaseModel):
    """Every body: exact types, no unknown names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DecisionBody(Body):
    """``POST /v1/decisions``."""

    channel: ChannelWord
    to: To | None = None
    contact: ExternalId | None = None
    topic: Slug | None = None
    message_class: ClassWord | None = None
    brand: Slug | None = None
    sender: Slug | None = None
    country: Country | None = None
    at: Moment | None = None
    explain: bool = False
    links: bool = False


class LinesBody(Body):
    """The first line of a batch that comes as lines: the question without ``to``."""

    channel: ChannelWord
    topic: Slug | None = None
    message_class: ClassWord | None = None
    brand: Slug | None = None
    sender: Slug | None = None
    country: Country | None = None
    at: Moment | None = None
    only: Annotated[str, Field(pattern="^(blocked|allowed)$")] | None = None


class BatchBody(LinesBody):
    """``POST /v1/decisions/batch``."""

    to: Annotated[list[Any], Field(max_length=50_000)]


class SuppressionBody(Body):
    """``POST /v1/suppressions``."""

    channel: AnyChannel
    to: To | None = None
    contact: ExternalId | None = None
    scope: Scope = "all"
    reason: ReasonWord = Reason.UNSUBSCRIBED
    source: Slug = "api"
    occurred_at: Moment | None = None
    until: Moment | None = None
    reference: Annotated[str, Field(max_length=200)] | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


class SuppressionBatchBody(Body):
    """``POST /v1/suppressions/batch``."""

    suppressions: Annotated[list[SuppressionBody], Field(min_length=1, max_length=10_000)]


class LiftBody(Body):
    """``POST /v1/suppressions/{id}/lift``."""

    evidence: Annotated[str, Field(min_length=1, max_length=2000)]
    source: Slug


class ConsentBody(Body):
    """``POST /v1/consents``."""

    channel: ChannelWord
    to: To
    topic: Slug
    kind: KindWord = ConsentKind.EXPRESS
    source: Slug
    wording: Annotated[str, Field(max_length=10_000)] | None = None
    evidence: dict[str, Any] | None = None
    occurred_at: Moment | None = None
    expires_at: Moment | None = None
    double_opt_in: bool = False


class AddressBody(Body):
    """One address of a contact."""

    channel: ChannelWord
    value: To


class ContactBody(Body):
    """``PUT /v1/contacts/{external_id}``."""

    addresses: Annotated[list[AddressBody], Field(max_length=100)] = []
    locale: Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z0-9-]+$")] | None = None
    country: Country | None = None
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] | None = None


class ChangeBody(Body):
    """One choice to change; without ``to`` it is about every address of the channel."""

    channel: ChannelWord
    send: bool
    topic: Slug | None = None
    to: To | None = None


class PreferencesBody(Body):
    """``PATCH /v1/contacts/{external_id}/preferences``."""

    changes: Annotated[list[ChangeBody], Field(min_length=1, max_length=200)]
    source: Slug
    evidence: dict[str, Any] | None = None
    occurred_at: Moment | None = None


class LinksBody(Body):
    """``POST /v1/links``."""

    channel: ChannelWord
    to: To
    topic: Slug | None = None


class PrivacyRequestBody(Body):
    """``POST /v1/privacy-requests``."""

    kind: Annotated[Right, Field(strict=False)]
    contact: ExternalId | None = None
    channel: ChannelWord | None = None
    to: To | None = None
    received_at: Moment | None = None
    received_by: Annotated[str, Field(pattern="^(letter|email|phone|web)$")] = "letter"
    about: Annotated[str, Field(max_length=4000)] = ""
    language: Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z0-9-]+$")] = "en"


class MessageBody(Body):
    """``POST /v1/messages``."""

    channel: ChannelWord
    to: To
    topic: Slug
    subject: Annotated[str, Field(max_length=998)] | None = None
    text: str | None = None
    html: str | None = None
    sender: Slug | None = None
    campaign: Annotated[str, Field(max_length=100)] | None = None
    send_at: Moment | None = None
