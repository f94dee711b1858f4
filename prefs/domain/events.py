"""What a provider reports about an email, and what each report does: rules.md 6.1 as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefs.domain.terms import Act, Reason
from prefs.errors import InvalidInput

_MILLISECONDS_FROM = 100_000_000_000
_DIGITS = 14


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One report about one address, in our words.

    ``kind`` is the provider's event name, with the bounce type or drop reason after a colon;
    ``group`` is the provider's number of an unsubscribe group.
    """

    kind: str
    email: str
    event_id: str
    occurred_at: datetime
    group: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a report writes into the ledger; ``by_group`` narrows it to the topic of its group."""

    act: Act
    reason: Reason
    by_group: bool = False


UNSUBSCRIBED = Consequence(Act.OPT_OUT, Reason.UNSUBSCRIBED)
WANTS_NO_SPAM = Consequence(Act.OPT_OUT, Reason.COMPLAINT)
HARD_BOUNCE = Consequence(Act.UNREACHABLE, Reason.HARD_BOUNCE)
INVALID = Consequence(Act.UNREACHABLE, Reason.INVALID_ADDRESS)

# Kinds that are not here (processed, delivered, deferred, open, click, a blocked bounce …) change
# nothing; opens and clicks never prove a wish (rules.md E-12).
CONSEQUENCES: dict[str, Consequence] = {
    "unsubscribe": UNSUBSCRIBED,
    "group_unsubscribe": Consequence(Act.OPT_OUT, Reason.UNSUBSCRIBED, by_group=True),
    "group_resubscribe": Consequence(Act.LIFT, Reason.UNSUBSCRIBED, by_group=True),
    "spamreport": WANTS_NO_SPAM,
    "bounce:bounce": HARD_BOUNCE,
    "dropped:unsubscribed address": UNSUBSCRIBED,
    "dropped:spam reporting address": WANTS_NO_SPAM,
    "dropped:bounced address": HARD_BOUNCE,
    "dropped:invalid": INVALID,
}

_QUALIFIERS = {"bounce": "type", "dropped": "reason"}


def consequence_of(event: ProviderEvent) -> Consequence | None:
    """Return what an event does, or None where it does nothing (rules.md M-5)."""
    return CONSEQUENCES.get(event.kind)


def read_event(item: Any) -> ProviderEvent:
    """Return a provider's JSON item as an event.

    ::

        {"email": "ana@example.com", "event": "bounce", "type": "bounce", "timestamp": 1732000000,
         "sg_event_id": "ZXZl...", "sg_message_id": "LRzX..."}

    Raises:
        InvalidInput: Not an event; the caller sets it aside (rules.md M-3).
    """
    if not isinstance(item, Mapping):
        raise InvalidInput("The item is not an object.", code="not_an_object")
    name, email = item.get("event"), item.get("email")
    if not isinstance(name, str) or not isinstance(email, str) or not email:
        raise InvalidInput("The item has no event or no email.", code="incomplete")
    moment = _moment(item.get("timestamp"))
    qualifier = item.get(_QUALIFIERS[name]) if name in _QUALIFIERS else None
    kind = f"{name}:{str(qualifier).strip().lower()}" if name in _QUALIFIERS else name
    group = item.get("asm_group_id")
    return ProviderEvent(
        kind=kind,
        email=email,
        event_id=_event_id(item, name, email, moment),
        occurred_at=moment,
        group=group if isinstance(group, int) else None,
        detail=str(item.get("reason", ""))[:500],
    )


def looks_like_opt_out(item: Any) -> bool:
    """True for a spoilt item that might be somebody's wish: a person must look at it (V32)."""
    return isinstance(item, Mapping) and any(
        word in str(item.get("event", "")).lower() for word in ("unsub", "spam", "complain")
    )


def _moment(value: Any) -> datetime:
    """Seconds, milliseconds, or either as text: the provider's own samples have all of them."""
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidInput("The item has no readable time.", code="bad_timestamp")
    number = int(text)
    return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)


def _event_id(item: Mapping[str, Any], name: str, email: str, moment: datetime) -> str:
    given = item.get("sg_event_id")
    if isinstance(given, str) and given:
        return given[:200]
    # Asynchronous reports may lack the id; then these four make it the same (rules.md M-2).
    return "\x1f".join((name, email.lower(), str(item.get("sg_message_id", "")), moment.isoformat()))
