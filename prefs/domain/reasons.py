"""One table of reasons: what each does to each message class, and what ends it.

Source: contract D9, rules.md section 9. Everything that blocks a message looks here; adding a
reason means adding a row.
"""

from dataclasses import dataclass
from enum import StrEnum

from prefs.domain.terms import Channel, ConsentKind, Outcome, Reason


class Rule(StrEnum):
    """The ladder, in the order it is climbed (contract D14)."""

    IS_MARKETING = "is_marketing"
    ERASED_OR_RESTRICTED = "erased_or_restricted"
    STOPPED_ALL = "stopped_all"
    STOPPED_CHANNEL = "stopped_channel"
    STOPPED_TOPIC = "stopped_topic"
    CONSENT = "consent"
    ADDRESS_WORKING = "address_working"
    TIMING = "timing"


class Family(StrEnum):
    """Suppressions, consents and contactability are three different things (contract D13)."""

    SUPPRESSION = "suppression"
    CONTACTABILITY = "contactability"
    ANSWER = "answer"


class Ender(StrEnum):
    """What may end a reason."""

    CONSENT = "consent"
    OWN_ACT = "own_act"
    LIFT = "lift"
    START = "start"
    TIME = "time"
    SCRUB = "scrub"


class Transactional(StrEnum):
    """What a reason does to transactional messages."""

    NOTHING = "nothing"
    BLOCKS = "blocks"
    BLOCKS_SENDER = "blocks_sender"
    BLOCKS_CONFIRMED = "blocks_confirmed"
    BLOCKS_IF_NEEDED = "blocks_if_needed"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One row of the table; ``channels`` is empty where the reason applies to all of them."""

    family: Family
    marketing: Outcome
    transactional: Transactional
    ended_by: frozenset[Ender]
    rule: Rule | None = None
    channels: frozenset[Channel] = frozenset()


def _row(
    family: Family,
    transactional: Transactional,
    *ended_by: Ender,
    rule: Rule | None = None,
    marketing: Outcome = Outcome.BLOCKED,
    channels: tuple[Channel, ...] = (),
) -> ReasonRow:
    return ReasonRow(family, marketing, transactional, frozenset(ended_by), rule, frozenset(channels))


_STOP, _BAD, _ANSWER = Family.SUPPRESSION, Family.CONTACTABILITY, Family.ANSWER
_FREE, _BLOCKS, _NEEDED = Transactional.NOTHING, Transactional.BLOCKS, Transactional.BLOCKS_IF_NEEDED
_PERSON = (Ender.CONSENT, Ender.OWN_ACT, Ender.LIFT, Ender.START)

# ``rule=None`` on a suppression: its reach decides the rung (everywhere, channel, topic).
REASONS: dict[Reason, ReasonRow] = {
    Reason.ERASED: _row(_STOP, _FREE, Ender.OWN_ACT, rule=Rule.ERASED_OR_RESTRICTED),
    Reason.RESTRICTED: _row(_STOP, Transactional.BLOCKS_CONFIRMED, Ender.LIFT, rule=Rule.ERASED_OR_RESTRICTED),
    Reason.DO_NOT_CONTACT: _row(_STOP, _BLOCKS, Ender.LIFT, rule=Rule.ERASED_OR_RESTRICTED),
    Reason.REVOKED_IN_REPLY: _row(_STOP, _BLOCKS, *_PERSON, rule=Rule.STOPPED_CHANNEL, channels=(Channel.SMS,)),
    Reason.COMPLAINT: _row(_STOP, _FREE, Ender.OWN_ACT, Ender.LIFT),
    Reason.OBJECTION: _row(_STOP, _FREE, *_PERSON),
    Reason.UNSUBSCRIBED: _row(_STOP, _FREE, *_PERSON),
    Reason.DO_NOT_CALL: _row(_STOP, _FREE, *_PERSON, channels=(Channel.SMS, Channel.VOICE)),
    Reason.SNOOZED: _row(_STOP, _FREE, Ender.TIME, Ender.OWN_ACT, Ender.LIFT),
    Reason.NUMBER_REASSIGNED: _row(
        _BAD,
        _BLOCKS,
        Ender.CONSENT,
        Ender.OWN_ACT,
        Ender.LIFT,
        rule=Rule.CONSENT,
        channels=(Channel.SMS, Channel.VOICE),
    ),
    Reason.DNC_SCRUB_STALE: _row(_ANSWER, _FREE, Ender.SCRUB, rule=Rule.CONSENT),
    Reason.NO_CONSENT: _row(_ANSWER, _NEEDED, Ender.CONSENT, Ender.OWN_ACT, rule=Rule.CONSENT),
    Reason.CONSENT_PENDING: _row(_ANSWER, _NEEDED, Ender.CONSENT, Ender.OWN_ACT, rule=Rule.CONSENT),
    Reason.CONSENT_EXPIRED: _row(_ANSWER, _NEEDED, Ender.CONSENT, Ender.OWN_ACT, rule=Rule.CONSENT),
    Reason.HARD_BOUNCE: _row(_BAD, _BLOCKS, Ender.OWN_ACT, Ender.LIFT, rule=Rule.ADDRESS_WORKING),
    Reason.INVALID_ADDRESS: _row(_BAD, _BLOCKS, Ender.OWN_ACT, Ender.LIFT, rule=Rule.ADDRESS_WORKING),
    Reason.NOT_SMS_CAPABLE: _row(_BAD, _BLOCKS, Ender.OWN_ACT, Ender.LIFT, rule=Rule.ADDRESS_WORKING),
    Reason.PROVIDER_BLOCK: _row(_BAD, Transactional.BLOCKS_SENDER, Ender.START, Ender.LIFT, rule=Rule.ADDRESS_WORKING),
    Reason.UNAVAILABLE: _row(_ANSWER, Transactional.UNVERIFIED, Ender.TIME, rule=Rule.STOPPED_ALL),
    Reason.QUIET_HOURS: _row(_ANSWER, _FREE, Ender.TIME, rule=Rule.TIMING, marketing=Outcome.DEFERRED),
    Reason.FREQUENCY_CAP: _row(_ANSWER, _FREE, Ender.TIME, rule=Rule.TIMING, marketing=Outcome.DEFERRED),
}

SUPPRESSION_REASONS = frozenset(reason for reason, row in REASONS.items() if row.family is Family.SUPPRESSION)
CONTACTABILITY_REASONS = frozenset(reason for reason, row in REASONS.items() if row.family is Family.CONTACTABILITY)

# The reasons a caller may state; the rest are set by the service's own acts (contract D13).
STATABLE_REASONS = (SUPPRESSION_REASONS | CONTACTABILITY_REASONS) - {Reason.ERASED, Reason.RESTRICTED}

# What each kind of consent is able to end. Soft and implied consents end nothing (contract D12).
ENDER_OF_CONSENT: dict[ConsentKind, Ender] = {
    ConsentKind.OWN_ACT: Ender.OWN_ACT,
    ConsentKind.EXPRESS: Ender.CONSENT,
}


def ends(consent: ConsentKind, reason: Reason) -> bool:
    """True where a consent of this kind, given later, reopens what this reason closed."""
    ender = ENDER_OF_CONSENT.get(consent)
    return ender is not None and ender in REASONS[reason].ended_by
