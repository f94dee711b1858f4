"""What is on record, told in the console's words: entries of the ledger, their doors, their evidence."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from markupsafe import Markup, escape

from prefs import words
from prefs.admin.frame import day_words, when
from prefs.domain.catalogue import Catalogue
from prefs.domain.deadlines import business_days_between
from prefs.domain.decision import Decision
from prefs.domain.ladder import CHANNEL_NAMES, MARKETING_BY, REASON_WORDS, rungs, sentence
from prefs.domain.ledger import ALL, Entry
from prefs.domain.reasons import Rule
from prefs.domain.references import act_reference, entry_reference
from prefs.domain.terms import Act, Channel, ConsentKind, Outcome, Reason
from prefs.services.decisions import Answer
from prefs.services.persons import Cell, Record

# Every door in words. A caller's own word, which may be any, is shown as it is.
SOURCES: dict[str, str] = {
    "one_click": "Pressed “Unsubscribe” in their mail program",
    "unsubscribe_page": "Pressed a button on the unsubscribe page",
    "preference_page": "Saved their choices",
    "stop_page": "Typed their address on our website",
    "confirm_page": "Pressed the button in our confirmation mail",
    "rights_page": "Asked on the page about data rights",
    "mail": "Sent an email",
    "browser_signal": "Their browser said so (Global Privacy Control)",
    "sms_keyword": "Sent a text",
    "sendgrid_event": "Reported by the mail provider",
    "provider_optout": "Told to the provider",
    "provider_times": "Worked out from the provider’s times",
    "api": "Told by another of our systems",
    "cli": "Entered on the command line",
    "contact_join": "Taken over when an address joined the person",
    "staff": "Done by staff",
    "letter": "Wrote a letter",
    "phone": "Called us",
    "email": "Wrote to us",
    "in_person": "Told us in person",
    "import": "Imported from a list",
    "import-consents": "Imported with its proof, by two people",
}

_OPTED_OUT: dict[Reason, str] = {
    Reason.UNSUBSCRIBED: "Opted out of {what}",
    Reason.OBJECTION: "Objected to {what}",
    Reason.COMPLAINT: "Marked a message as spam",
    Reason.DO_NOT_CALL: "Asked not to be called",
    Reason.SNOOZED: "Paused {what}",
    Reason.REVOKED_IN_REPLY: "Stopped every text",
    Reason.ERASED: "Their data were deleted",
    Reason.RESTRICTED: "Asked us not to use their data for now",
    Reason.DO_NOT_CONTACT: "“Do not contact” was set",
}
_AGREED: dict[ConsentKind, str] = {
    ConsentKind.OWN_ACT: "Agreed to {what}",
    ConsentKind.EXPRESS: "Agreed to {what}",
    ConsentKind.SOFT_OPT_IN: "Bought from us, and was told how to say no to {what}",
    ConsentKind.IMPLIED: "Has dealings with us that allow {what}",
    ConsentKind.PENDING: "Was asked to confirm {what}",
}


def source(word: str) -> str:
    """Return a door in words."""
    return SOURCES.get(word, word.replace("_", " ").capitalize())


def what(entry: Entry, catalogue: Catalogue) -> str:
    """Return what an entry is about, like ``all marketing emails``."""
    topic = catalogue.topic_numbered(entry.scope)
    if topic is not None:
        by = f" by {CHANNEL_NAMES[entry.channel].lower()}" if entry.channel else " on every channel"
        return f"“{topic.name}”{by}"
    if entry.scope == ALL:
        return f"all {MARKETING_BY[entry.channel]}" if entry.channel else "all marketing"
    sender = catalogue.sender_numbered(entry.scope)
    return f"messages from {sender.slug}" if sender else f"marketing of {catalogue.scope_name(entry.scope)}"


def title(entry: Entry, catalogue: Catalogue) -> tuple[str, str]:
    """Return the kind of an event ("out", "in" or empty) and what happened."""
    about = what(entry, catalogue)
    if entry.act is Act.OPT_OUT and entry.reason:
        return "out", _OPTED_OUT.get(entry.reason, REASON_WORDS[entry.reason].said).format(what=about)
    if entry.act is Act.OPT_IN and entry.consent:
        return ("" if entry.consent is ConsentKind.PENDING else "in"), _AGREED[entry.consent].format(what=about)
    if entry.act is Act.UNREACHABLE and entry.reason:
        return "", REASON_WORDS[entry.reason].said
    return ("in", "An opt-out was ended") if entry.act is Act.LIFT else ("out", "Asked us not to sell or share data")


def cell(shown: Cell, channel: Channel, *, service: bool) -> tuple[str, str]:
    """Return the sign and the words of one field of "What we may send today"."""
    if shown.decision is None:
        return "na", "Off in app" if channel is Channel.PUSH else "No address"
    more = f" ({shown.holds_for} of {shown.of} addresses)" if shown.holds_for < shown.of else ""
    if shown.decision.allowed:
        said = "Always sent" if service else "Agreed" if shown.agreed else "Not objected"
        return "yes", said + more
    reason = shown.decision.reason
    if reason is Reason.NO_CONSENT:
        return "na", ("Off in app" if channel is Channel.PUSH else "No consent") + more
    sign = "na" if shown.decision.outcome is Outcome.DEFERRED else "no"
    return sign, (REASON_WORDS[reason].short if reason else "Blocked") + more


def verdict(answer: Answer) -> str:
    """Return the sentence under a verdict, with its date where a record decided."""
    decision = answer.decision
    said = sentence(decision)
    if decision.fact is not None:
        by = source(decision.fact.source).lower()
        record = entry_reference(decision.fact.entry_id)
        return f"{said} on {day_words(decision.fact.effective_at)} ({by}). {record}."
    if decision.not_before is not None:
        return f"{said}. It may go out from {words.day_and_time(decision.not_before, words.DEFAULT)}."
    return f"{said}."


def ladder(answer: Answer) -> list[tuple[str, str, str, str]]:
    """Return the rungs as the template's macro takes them."""
    return [(one.result, one.question, one.answer, one.detail) for one in rungs(answer.steps, answer.decision)]


def rule_words(decision: Decision) -> str:
    """Return the deciding rule in a few words."""
    if decision.allowed:
        return "No rule blocked it"
    short = REASON_WORDS[decision.reason].short if decision.reason else "Blocked"
    reach = {
        Rule.STOPPED_ALL: " of all marketing",
        Rule.STOPPED_CHANNEL: " of the channel",
        Rule.STOPPED_TOPIC: " of the topic",
    }
    return short + (reach.get(decision.rule, "") if decision.rule and short == "Opted out" else "")


def evidence(record: Record) -> list[tuple[str, str | Markup]]:
    """Return the evidence of an entry as names with values, in the order people ask for them."""
    entry, proof = record.entry, record.proof
    rows: list[tuple[str, str | Markup]] = [("Came from", source(entry.source))]
    if record.about:
        rows.append(("Address", Markup('<bdi dir="ltr">{}</bdi>').format(record.about)))
    if entry.flag == "inferred":
        rows.append(("Read as", "A guess from free words; staff may narrow it"))
    rows += _shown_wording(proof)
    rows += _received(entry, proof)
    for name, label in (("said", "What they said"), ("text", "What they wrote"), ("evidence", "Evidence")):
        if proof.get(name):
            rows.append((label, _short(proof[name])))
    for name, label in (
        ("reference", "Their reference"),
        ("note", "Note"),
        ("event", "Report"),
        ("detail", "Provider’s words"),
    ):
        if proof.get(name):
            rows.append((label, _short(proof[name])))
    if record.device:
        rows.append(("Device", f"{record.device}. Details are kept for 90 days."))
    rows.append(("Took effect", Markup("{}, in our systems at once").format(when(entry.effective_at, seconds=True))))
    if entry.until:
        rows.append(("Until", when(entry.until)))
    rows.append(("Recorded by", _by(record)))
    rows.append(("Reference", _mono(act_reference(entry.act_id))))
    rows.append(("Seal", _seal(record)))
    return rows


def _shown_wording(proof: dict[str, Any]) -> list[tuple[str, str | Markup]]:
    version = proof.get("wording_version") or (proof.get("wording") if "page" in proof else None)
    if "page" in proof:
        language = proof.get("language", "")
        return [("Page wording", f"{proof['page']}, version {version or 'not kept'}, {_language(language)}")]
    if proof.get("wording"):
        return [("Wording", f"“{_short(proof['wording'])}”, version {version or 'not kept'}")]
    return [("Wording", "Not kept by who reported it")] if proof.get("kind") else []


def _received(entry: Entry, proof: dict[str, Any]) -> list[tuple[str, str | Markup]]:
    """When a stop reached staff, and whether it was recorded within its ten business days (rules.md T-9)."""
    if "received_on" not in proof:
        return []
    received, due = date.fromisoformat(proof["received_on"]), proof.get("due_on")
    if due is None:
        return [("Reached us", day_words(received))]
    late = business_days_between(date.fromisoformat(due), entry.recorded_at.date())
    said = f"{late} business day{'' if late == 1 else 's'} late" if late else "in time"
    return [("Reached us", f"{day_words(received)}. To be done by {day_words(due)}: {said}.")]


def _by(record: Record) -> str:
    if record.by:
        return record.by
    return "The person" if record.entry.source in _BY_THE_PERSON else "The service"


_BY_THE_PERSON = frozenset(
    {
        "one_click",
        "unsubscribe_page",
        "preference_page",
        "stop_page",
        "confirm_page",
        "rights_page",
        "mail",
        "sms_keyword",
    }
)


def _seal(record: Record) -> str | Markup:
    if record.sealed_by is None:
        return "Not sealed yet; a second or so"
    digest = record.sealed_by.digest
    short = f"{digest[:4]} {digest[4:8]} … {digest[-4:]}"
    follows = f", follows {entry_reference(record.entry.id - 1)}" if record.entry.id > 1 else ""
    return _mono(short + follows)


def _mono(text: str) -> Markup:
    return Markup('<span class="mono">{}</span>').format(text)


def _short(text: object) -> str:
    said = " ".join(str(text).split())
    return said if len(said) <= 500 else said[:500] + " …"


def _language(code: str) -> str:
    return words.LANGUAGES.get(code, code)


def joined(parts: Sequence[str | Markup]) -> Markup:
    """Return parts of a head line with dots between."""
    return Markup(" · ").join(escape(part) for part in parts if part)
