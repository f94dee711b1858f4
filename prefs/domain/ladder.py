"""The ladder and its verdict in words: the console, its "copy as text" and exports say the same (contract D14).

What each rung found is the engine's own ``Step.detail``; here are the rung as a question, the
short answer beside it, and the sentence above it all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prefs.domain.decision import Decision, Step
from prefs.domain.reasons import Rule
from prefs.domain.terms import Channel, Outcome, Reason

QUESTIONS: dict[Rule, str] = {
    Rule.IS_MARKETING: "Is it marketing?",
    Rule.ERASED_OR_RESTRICTED: "Erased or restricted?",
    Rule.STOPPED_ALL: "Stopped all marketing?",
    Rule.STOPPED_CHANNEL: "Opted out of this channel?",
    Rule.STOPPED_TOPIC: "Opted out of this topic?",
    Rule.CONSENT: "Consent on record?",
    Rule.ADDRESS_WORKING: "Address working?",
    Rule.TIMING: "Right time?",
}

# The short answer where a rung passed; the rest is "Yes, block" and its like.
_PASSED: dict[Rule, str] = {
    Rule.IS_MARKETING: "Yes, keep checking",
    Rule.CONSENT: "Yes, or not needed",
    Rule.ADDRESS_WORKING: "Yes",
    Rule.TIMING: "Yes",
}
_DECIDED: dict[Rule, str] = {
    Rule.CONSENT: "Missing, block",
    Rule.ADDRESS_WORKING: "No, block",
    Rule.TIMING: "No, wait",
}

CHANNEL_NAMES: dict[Channel, str] = {
    Channel.EMAIL: "Email",
    Channel.SMS: "Text",
    Channel.VOICE: "Call",
    Channel.WHATSAPP: "WhatsApp",
    Channel.PUSH: "Push",
    Channel.POSTAL: "Letter",
}

# What "all marketing" is called on each channel.
MARKETING_BY: dict[Channel, str] = {
    Channel.EMAIL: "marketing emails",
    Channel.SMS: "marketing texts",
    Channel.VOICE: "marketing calls",
    Channel.WHATSAPP: "marketing by WhatsApp",
    Channel.PUSH: "marketing push messages",
    Channel.POSTAL: "marketing letters",
}


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """A reason in two or three words for a table, and as what happened, for a sentence."""

    short: str
    said: str


REASON_WORDS: dict[Reason, ReasonWords] = {
    Reason.UNSUBSCRIBED: ReasonWords("Opted out", "They opted out"),
    Reason.COMPLAINT: ReasonWords("Marked as spam", "They marked a message as spam"),
    Reason.OBJECTION: ReasonWords("Objected", "They objected to marketing"),
    Reason.DO_NOT_CALL: ReasonWords("Do not call", "The number is on a do-not-call list"),
    Reason.DNC_SCRUB_STALE: ReasonWords("Registry too old", "Our copy of the do-not-call registry is too old"),
    Reason.SNOOZED: ReasonWords("Paused", "They paused marketing"),
    Reason.NO_CONSENT: ReasonWords("No consent", "No consent is on record, and one is needed"),
    Reason.CONSENT_PENDING: ReasonWords("Not confirmed", "Their consent is not confirmed yet"),
    Reason.CONSENT_EXPIRED: ReasonWords("Consent ended", "Their consent has ended"),
    Reason.NUMBER_REASSIGNED: ReasonWords("New owner", "The number has changed hands"),
    Reason.HARD_BOUNCE: ReasonWords("Bounced", "Messages to the address come back"),
    Reason.INVALID_ADDRESS: ReasonWords("Not an address", "This is not an address that works"),
    Reason.NOT_SMS_CAPABLE: ReasonWords("Cannot get texts", "The number cannot get texts"),
    Reason.PROVIDER_BLOCK: ReasonWords("Blocked at provider", "The provider blocks the number"),
    Reason.REVOKED_IN_REPLY: ReasonWords("Stopped all texts", "They stopped every text"),
    Reason.UNAVAILABLE: ReasonWords("Not known now", "The database cannot be asked just now"),
    Reason.ERASED: ReasonWords("Erased", "Their data were deleted at their wish"),
    Reason.RESTRICTED: ReasonWords("Restricted", "They asked us not to use their data for now"),
    Reason.DO_NOT_CONTACT: ReasonWords("Do not contact", "The privacy office set “do not contact”"),
    Reason.QUIET_HOURS: ReasonWords("Quiet hours", "It is too early or too late where they are"),
    Reason.FREQUENCY_CAP: ReasonWords("Often enough", "They have had as many as we promised at most"),
}

ALLOWED_WORDS = "No rule blocked it."


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung as people read it; ``result`` is the engine's word."""

    result: str
    question: str
    answer: str
    detail: str


def rungs(steps: Sequence[Step], decision: Decision) -> list[Rung]:
    """Return the ladder in words, with a last rung where nothing blocked. What passed needs no detail."""
    climbed = [Rung(step.result, QUESTIONS[step.rule], _answer(step), _detail(step)) for step in steps]
    if decision.allowed:
        climbed.append(Rung("pass", "All passed", "Allow", ALLOWED_WORDS))
    return climbed


def sentence(decision: Decision) -> str:
    """Return what decided, as a sentence without a date; the caller adds when."""
    return REASON_WORDS[decision.reason].said if decision.reason else ALLOWED_WORDS.rstrip(".")


def as_text(title: str, steps: Sequence[Step], decision: Decision) -> str:
    """Return the ladder as plain text, one line a rule, for a mail to a colleague."""
    lines = [title, ""]
    for number, rung in enumerate(rungs(steps, decision), 1):
        detail = f" ({rung.detail})" if rung.detail else ""
        lines.append(f"{number}. {rung.question} {rung.answer}.{detail}")
    return "\n".join(lines) + "\n"


def _answer(step: Step) -> str:
    if step.result == "skip":
        return "Not reached" if step.detail == "Not reached." else "Not asked"
    if step.result == "pass":
        marketing = step.rule is not Rule.IS_MARKETING or step.detail.startswith("It is marketing")
        return _PASSED.get(step.rule, "No") if marketing else "No"
    return _DECIDED.get(step.rule, "Yes, block")


def _detail(step: Step) -> str:
    decided = step.result in {"block", "defer"}
    return step.detail if decided or step.rule is Rule.IS_MARKETING else ""


def title(decision: Decision) -> str:
    """Return the verdict in a word or three."""
    words = {
        Outcome.ALLOWED: "No. It goes out.",
        Outcome.BLOCKED: "Yes. Blocked.",
        Outcome.DEFERRED: "Not yet. It waits.",
    }
    return words[decision.outcome]
