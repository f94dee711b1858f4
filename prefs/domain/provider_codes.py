"""What a text provider's error code says, and what we do about it: one table (rules.md 5.5).

Twilio changes codes without notice, so nothing is wired to a number: a code that is not here
changes nothing about the person and is logged.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from prefs.domain.terms import Reason


class Meaning(StrEnum):
    """What a code is about."""

    OPTED_OUT = "opted_out"
    """The provider holds an opt-out for this sender; one we did not know of becomes a suppression (W-9)."""

    BLOCKED_BY_PERSON = "blocked_by_person"
    """The person blocked the channel itself: no more marketing there."""

    BAD_NUMBER = "bad_number"
    GIVEN_UP = "given_up"
    """The number is in nobody's hands: the consent given for it is stale too (A-1)."""

    OUT_OF_REACH = "out_of_reach"
    """Often passing; only several, on several days, say something about the number."""

    OUR_FAULT = "our_fault"
    """Content, sender or account: a person of ours must look, nothing changes for the recipient."""

    LATER = "later"
    """A full queue or a rate limit: send again, after asking again."""


@dataclass(frozen=True, slots=True)
class Code:
    """One row; ``status`` is how far the fact was checked (rules.md section 0)."""

    code: str
    meaning: Meaning
    says: str
    status: str
    reason: Reason | None = None


CODES = {
    row.code: row
    for row in (
        Code("21610", Meaning.OPTED_OUT, "recipient opted out of this sender", "verified", Reason.PROVIDER_BLOCK),
        Code("63014", Meaning.BLOCKED_BY_PERSON, "blocked by the person", "verified", Reason.PROVIDER_BLOCK),
        Code("21211", Meaning.BAD_NUMBER, "no valid number", "verified (2nd hand)", Reason.INVALID_ADDRESS),
        Code("21614", Meaning.BAD_NUMBER, "not a mobile", "verified (2nd hand)", Reason.NOT_SMS_CAPABLE),
        Code("21635", Meaning.BAD_NUMBER, "a landline", "verified", Reason.NOT_SMS_CAPABLE),
        Code("30006", Meaning.BAD_NUMBER, "a landline or unreachable carrier", "verified", Reason.NOT_SMS_CAPABLE),
        Code("30005", Meaning.GIVEN_UP, "unknown or inactive", "verified (2nd hand)", Reason.INVALID_ADDRESS),
        Code("30003", Meaning.OUT_OF_REACH, "handset out of reach", "verified"),
        Code("30004", Meaning.OUT_OF_REACH, "message blocked", "from memory"),
        Code("30007", Meaning.OUR_FAULT, "filtered as spam", "verified (2nd hand)"),
        Code("30001", Meaning.LATER, "queue overflow", "verified"),
        Code("21611", Meaning.LATER, "the sender's queue is full", "verified"),
        Code("63017", Meaning.LATER, "rate limit of the account", "verified"),
        Code("20429", Meaning.LATER, "rate limit of the API", "verified (2nd hand)"),
    )
}

OUT_OF_REACH_DAYS = 3
"""On so many different days within ``OUT_OF_REACH_WITHIN`` a number was out of reach: it is bad."""

OUT_OF_REACH_WITHIN = timedelta(days=30)


def meaning_of(code: str | None) -> Code | None:
    """Return the row of a code, or None for one that is not in the table."""
    return CODES.get(code or "")
