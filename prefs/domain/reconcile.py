"""Does a provider's list say something we do not know? Pure: entries in, verdict out (rules.md M-6).

The newer one wins, whoever has it, and only stops are taken over (reliability.md I16, R5).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from prefs.domain.events import HARD_BOUNCE, INVALID, UNSUBSCRIBED, WANTS_NO_SPAM, Consequence
from prefs.domain.ledger import ALL, Entry, fold, live_entries
from prefs.domain.reasons import ENDER_OF_CONSENT
from prefs.domain.terms import Act, Reason

GROUPS = "groups"

# The lists of rules.md 6.3 and what a line of each means. A block passes by itself: it changes nothing.
LISTS: Mapping[str, Consequence | None] = {
    "unsubscribes": UNSUBSCRIBED,
    "spam_reports": WANTS_NO_SPAM,
    "bounces": HARD_BOUNCE,
    "invalid_emails": INVALID,
    "blocks": None,
}

# What of ours says at least as much as a line under this reason.
_SAYS_AS_MUCH: Mapping[Reason, frozenset[Reason]] = {
    Reason.UNSUBSCRIBED: frozenset({Reason.UNSUBSCRIBED, Reason.OBJECTION, Reason.DO_NOT_CONTACT, Reason.ERASED}),
    Reason.COMPLAINT: frozenset({Reason.COMPLAINT, Reason.ERASED}),
    Reason.HARD_BOUNCE: frozenset({Reason.HARD_BOUNCE, Reason.ERASED}),
    Reason.INVALID_ADDRESS: frozenset({Reason.INVALID_ADDRESS, Reason.ERASED}),
}


class Verdict(StrEnum):
    """What a line of their list is to us; ``ended``: we had it, and it ended here later than they say."""

    KNOWN = "known"
    MISSED = "missed"
    ENDED = "ended"


def judge(entries: Sequence[Entry], wanted: Entry) -> Verdict:
    """Compare a line, worded as the entry it would become, with every entry about its address."""
    says = _SAYS_AS_MUCH[wanted.reason or Reason.UNSUBSCRIBED]
    live = live_entries(entries)
    let_in = [one for one in live if one.act is Act.OPT_IN and one.consent in ENDER_OF_CONSENT]
    for fact in fold(entries):
        same = fact.reason in says and fact.channel in (None, wanted.channel) and fact.scope in (ALL, wanted.scope)
        # What was let in between our stop and theirs is a new wish, as at our own doors (ledger.still_in_force).
        if same and not any(fact.effective_at < one.effective_at < wanted.effective_at for one in let_in):
            return Verdict.KNOWN
    kept = {one.entry_key for one in live}
    for one in entries:
        same = one.reason in says and one.channel in (None, wanted.channel) and one.scope in (ALL, wanted.scope)
        if same and one.entry_key not in kept and _stood(one, entries, wanted):
            return Verdict.ENDED
    stands = any(fact.entry_id == wanted.id for fact in fold([*entries, wanted]))
    return Verdict.MISSED if stands else Verdict.ENDED


def _stood(ended: Entry, entries: Sequence[Entry], wanted: Entry) -> bool:
    """True where a fact that has ended still stood when the line was written, or came after it."""
    then = [one for one in entries if one.effective_at <= wanted.effective_at or one is ended]
    return any(one is ended for one in live_entries(then))
