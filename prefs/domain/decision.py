"""``decide(question, state)``: may this be sent now, and why.

Pure: the same question and state always give the same answer, so a receipt can be worked out
again years later (rules.md P-2). The ladder and its words are shared by the API, the console
and the evidence export (contract D14).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from prefs.domain.catalogue import Topic
from prefs.domain.ledger import ALL, CONFIRMED, REVOKE_ALL, Standing, reopened
from prefs.domain.reasons import REASONS, Rule, Transactional
from prefs.domain.regions import counting_kinds, region_need
from prefs.domain.terms import Channel, ConsentKind, MessageClass, Need, Outcome, Reason

POLICY = "2026-11"
"""Names this edition of the rules; a change of rules or tables changes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be sent. ``topic`` is None only where the caller named just a class.

    ``brand`` and ``sender`` are catalogue numbers; ``country`` is the caller's word, else the
    contact's; ``at`` moves the clock for time rules only (UTC).
    """

    channel: Channel
    message_class: MessageClass
    at: datetime
    topic: Topic | None = None
    brand: int | None = None
    sender: int | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A rule of time that holds marketing back, whatever is on record; ``until`` None is for good."""

    reason: Reason
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RecipientState:
    """What is true about one address: standing facts of it and of its contact.

    A fact whose ``channel`` is None reaches every channel. ``parsable`` is False for text that
    is no address; ``available`` is False when the store could not be asked. ``hold`` is what the
    clock says about a telephone now; ``registry_stale`` is True for a telephone that must be
    looked up in a do-not-call registry of which our copy is too old (rules.md G-10).
    """

    facts: tuple[Standing, ...] = ()
    country: str | None = None
    time_zone: str | None = None
    address_last: int = 0
    contact_last: int = 0
    parsable: bool = True
    available: bool = True
    hold: Hold | None = None
    registry_stale: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder: what was asked and what came out, in words for a person."""

    rule: Rule
    result: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. ``fact`` is the record that decided, where a record did."""

    outcome: Outcome
    reason: Reason | None = None
    fact: Standing | None = None
    rule: Rule | None = None
    not_before: datetime | None = None
    verified: bool = True
    detail: str = ""

    @property
    def allowed(self) -> bool:
        """True where the message may go now."""
        return self.outcome is Outcome.ALLOWED


ALLOWED = Decision(Outcome.ALLOWED)


def decide(question: Question, state: RecipientState) -> Decision:
    """Say whether this message may go to this recipient, and why: the first rung that blocks decides."""
    if not state.parsable:
        return _block(Reason.INVALID_ADDRESS)
    if question.message_class is MessageClass.EMERGENCY:
        return ALLOWED
    if not state.available:
        return _unavailable(question)
    for _, check in LADDERS[question.message_class]:
        if found := check(question, state):
            return found
    return ALLOWED


def explain(question: Question, state: RecipientState) -> tuple[Decision, tuple[Step, ...]]:
    """Return the decision with every rung: passed, decided, or skipped because it was not reached."""
    decision = decide(question, state)
    checks = dict(LADDERS.get(question.message_class, ()))
    steps = [_first_step(question)]
    over = decision.rule is None and not decision.allowed
    for rule in list(Rule)[1:]:
        if over or rule not in checks:
            steps.append(Step(rule, "skip", _SKIPPED if over else _NOT_ASKED))
        elif decision.rule is rule:
            result = "defer" if decision.outcome is Outcome.DEFERRED else "block"
            steps.append(Step(rule, result, decision.detail))
            over = True
        else:
            steps.append(Step(rule, "pass", _PASSED[rule]))
    return decision, tuple(steps)


_SKIPPED = "Not reached."
_NOT_ASKED = "Not asked for this kind of message."
_PASSED = {
    Rule.ERASED_OR_RESTRICTED: "Neither erased nor restricted.",
    Rule.STOPPED_ALL: "Not stopped on every channel.",
    Rule.STOPPED_CHANNEL: "Not opted out of this channel.",
    Rule.STOPPED_TOPIC: "Not opted out of this topic.",
    Rule.CONSENT: "Consent is on record, or none is needed.",
    Rule.ADDRESS_WORKING: "The address works.",
    Rule.TIMING: "No time rule holds it back.",
}


def _first_step(question: Question) -> Step:
    words = {
        MessageClass.MARKETING: "It is marketing: every rule is asked.",
        MessageClass.TRANSACTIONAL: "It is not marketing: marketing choices do not matter.",
        MessageClass.EMERGENCY: "It is an approved emergency message: it goes out.",
    }
    return Step(Rule.IS_MARKETING, "pass", words[question.message_class])


def _block(reason: Reason, fact: Standing | None = None, *, rule: Rule | None = None) -> Decision:
    decision = Decision(Outcome.BLOCKED, reason, fact, rule or REASONS[reason].rule)
    return replace(decision, detail=_words(decision))


def _words(decision: Decision) -> str:
    reason = str(decision.reason).replace("_", " ")
    if decision.fact is None:
        return f"Blocked: {reason}."
    since = decision.fact.effective_at.date().isoformat()
    inferred = f", {decision.fact.flag}" if decision.fact.flag else ""
    return f"Blocked: {reason}, since {since}, from {decision.fact.source or 'an import'}{inferred}."


def _unavailable(question: Question) -> Decision:
    if question.message_class is MessageClass.MARKETING:
        return _block(Reason.UNAVAILABLE)
    return Decision(Outcome.ALLOWED, Reason.UNAVAILABLE, verified=False)


def _latest(facts: Iterable[Standing]) -> Standing | None:
    return max(facts, key=lambda fact: (fact.effective_at, fact.entry_id), default=None)


def _covers(fact: Standing, question: Question) -> bool:
    topic = question.topic.number if question.topic else None
    if fact.scope in (ALL, topic, question.brand):
        return True
    # Without a known sender any stop on a sender blocks (contract D5); the reader of states
    # leaves ``sender`` None only then.
    return fact.scope == question.sender or (question.sender is None and fact.sender == fact.scope)


def _stands(fact: Standing, question: Question, state: RecipientState) -> bool:
    if fact.reason is None or not fact.in_force(question.at) or not _covers(fact, question):
        return False
    applies = REASONS[fact.reason].channels
    if applies and question.channel not in applies:
        return False
    return not (question.topic and reopened(fact, question.topic.number, state.facts))


def _rung(fact: Standing) -> Rule:
    assert fact.reason is not None  # only called for facts that stand under a reason
    row = REASONS[fact.reason]
    if row.rule:
        return row.rule
    if fact.scope != ALL:
        return Rule.STOPPED_TOPIC
    return Rule.STOPPED_ALL if fact.channel is None else Rule.STOPPED_CHANNEL


_Check = Callable[[Question, RecipientState], Decision | None]


def _marketing_stop(rule: Rule) -> _Check:
    def check(question: Question, state: RecipientState) -> Decision | None:
        found = _latest(f for f in state.facts if _stands(f, question, state) and _rung(f) is rule)
        return _block(found.reason, found, rule=rule) if found and found.reason else None

    return check


def _transactional_stop(rule: Rule) -> _Check:
    def check(question: Question, state: RecipientState) -> Decision | None:
        standing = (f for f in state.facts if _stands(f, question, state) and _rung(f) is rule)
        found = _latest(f for f in standing if _stops_transactional(f, question, state))
        return _block(found.reason, found, rule=rule) if found and found.reason else None

    return check


def _stops_transactional(fact: Standing, question: Question, state: RecipientState) -> bool:
    assert fact.reason is not None  # only called for facts that stand under a reason
    effect = REASONS[fact.reason].transactional
    if effect is Transactional.BLOCKS_SENDER:
        return fact.scope in (ALL, question.sender)
    if effect is Transactional.BLOCKS_CONFIRMED:
        essential = question.topic is not None and question.topic.essential
        return fact.flag == CONFIRMED and not essential and consent_for(question, state) is None
    exempt = fact.flag == REVOKE_ALL and question.topic is not None and question.topic.exempt
    return effect is Transactional.BLOCKS and not exempt


def consent_for(question: Question, state: RecipientState) -> Standing | None:
    """Return the consent that counts for this question now, or None."""
    kinds = counting_kinds(question.country, question.channel)
    return _latest(f for f in _consents(question, state) if f.consent in kinds and f.in_force(question.at))


def _consents(question: Question, state: RecipientState) -> list[Standing]:
    topic = question.topic.number if question.topic else None
    return [fact for fact in state.facts if fact.consent is not None and fact.scope == topic]


def _need(question: Question) -> Need:
    own = question.topic.needs.get(question.channel, Need.CONSENT) if question.topic else Need.NO_OBJECTION
    if question.message_class is MessageClass.MARKETING:
        return Need.CONSENT if Need.CONSENT in (own, region_need(question.country, question.channel)) else own
    # Push goes to nobody who did not switch it on (contract section 1, rules.md P-1).
    return own if question.topic or question.channel is not Channel.PUSH else Need.CONSENT


def _consent(question: Question, state: RecipientState) -> Decision | None:
    own_number = _latest(f for f in state.facts if _stands(f, question, state) and _rung(f) is Rule.CONSENT)
    if own_number and own_number.reason:
        return _block(own_number.reason, own_number)
    if consent_for(question, state):
        return None
    if _need(question) is Need.NO_OBJECTION:
        return _block(Reason.DNC_SCRUB_STALE) if state.registry_stale else None
    given = _consents(question, state)
    kinds = counting_kinds(question.country, question.channel)
    expired = _latest(f for f in given if f.consent in kinds and not f.in_force(question.at))
    if expired:
        return _block(Reason.CONSENT_EXPIRED, expired)
    pending = _latest(f for f in given if f.consent is ConsentKind.PENDING)
    return _block(Reason.CONSENT_PENDING, pending) if pending else _block(Reason.NO_CONSENT)


def _provider_or_address(question: Question, state: RecipientState) -> Decision | None:
    standing = [
        fact
        for fact in state.facts
        if fact.reason is not None and fact.in_force(question.at) and _rung(fact) is Rule.ADDRESS_WORKING
    ]
    marketing = question.message_class is MessageClass.MARKETING
    found = _latest(f for f in standing if marketing or _stops_transactional(f, question, state))
    return _block(found.reason, found) if found and found.reason else None


def _timing(question: Question, state: RecipientState) -> Decision | None:
    hold = state.hold
    if hold is None:
        return None
    if hold.until is None:
        return _block(hold.reason)
    words = f"Wait: {str(hold.reason).replace('_', ' ')}, until {hold.until:%Y-%m-%d %H:%M %Z}."
    return Decision(Outcome.DEFERRED, hold.reason, None, Rule.TIMING, hold.until, detail=words)


_MARKETING: tuple[tuple[Rule, _Check], ...] = (
    *(
        (rule, _marketing_stop(rule))
        for rule in (Rule.ERASED_OR_RESTRICTED, Rule.STOPPED_ALL, Rule.STOPPED_CHANNEL, Rule.STOPPED_TOPIC)
    ),
    (Rule.CONSENT, _consent),
    (Rule.ADDRESS_WORKING, _provider_or_address),
    (Rule.TIMING, _timing),
)

_TRANSACTIONAL: tuple[tuple[Rule, _Check], ...] = (
    *((rule, _transactional_stop(rule)) for rule in (Rule.ERASED_OR_RESTRICTED, Rule.STOPPED_CHANNEL)),
    (Rule.CONSENT, _consent),
    (Rule.ADDRESS_WORKING, _provider_or_address),
)

LADDERS: dict[MessageClass, tuple[tuple[Rule, _Check], ...]] = {
    MessageClass.MARKETING: _MARKETING,
    MessageClass.TRANSACTIONAL: _TRANSACTIONAL,
}
