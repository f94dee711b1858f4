"""The copy of somebody's data (rules.md G-5; GDPR 15 and 20): as JSON, and as a page that anybody can read.

Made when it is asked for and stored nowhere. It holds everything beside our own working notes:
every consent and stop with time, source, channel and the version of the words shown, messages,
texts, mails, requests, and which providers were told.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, masked
from prefs.domain.ledger import Entry
from prefs.domain.terms import Act, Channel, ConsentKind, Reason
from prefs.errors import NotFound
from prefs.services import casework
from prefs.services.casework import Person, Right
from prefs.services.kit import Kit, evidence_context
from prefs.services.organisation import Organisation
from prefs.services.rendering import mail_templates
from prefs.services.telling import DONE, SUPPRESS
from prefs.storage import evidence, ledger, personal, requests
from prefs.storage.requests import RequestRow

FORMAT = "prefs-access/1"


class CopyFormat(StrEnum):
    """How a copy is written."""

    JSON = "json"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """Makes copies. ``carriers`` are the providers that carry our messages, by channel."""

    kit: Kit
    organisation: Organisation
    carriers: dict[str, str]

    def make(self, connection: Connection, row: RequestRow, form: CopyFormat, language: str) -> bytes:
        """Return the copy for a request, whole, in UTF-8. The caller has checked who gets it."""
        return self._written(self.collect(connection, row), form, language)

    def of_person(self, subject: int, reference: str, form: CopyFormat, language: str) -> bytes:
        """Return the same copy for a person of the console, asked for by nobody but the office.

        Raises:
            NotFound: There is nobody behind this subject any more.
        """
        with self.kit.store.snapshot() as connection:
            person = casework.person_of(connection, subject)
            if not person.subjects:
                raise NotFound("There is no person with this reference.")
            found = self._collected(connection, person, reference)
        return self._written(found, form, language)

    def _written(self, found: dict[str, Any], form: CopyFormat, language: str) -> bytes:
        if form is CopyFormat.JSON:
            return json.dumps(found, ensure_ascii=False, indent=1).encode()
        page = mail_templates(language).get_template("copy.html")
        values = {"copy": found, "org": self.organisation, "cell": self._cells(language), "sections": SECTIONS}
        return page.render(values).encode()

    def collect(self, connection: Connection, row: RequestRow) -> dict[str, Any]:
        """Return everything we hold about the person behind a request, as plain values."""
        return self._collected(connection, casework.person_behind(connection, row), row.reference)

    def _collected(self, connection: Connection, person: Person, reference: str) -> dict[str, Any]:
        book = ledger.open_book(connection, person.addresses, [person.contact.subject] if person.contact else [])
        entries = sorted((one for many in book.entries.values() for one in many), key=lambda one: one.id)
        whose = self._places(person)
        mine = requests.of_subjects(connection, person.subjects)
        now = self.kit.now()
        return {
            "format": FORMAT,
            "made_at": _time(now),
            "reference": reference,
            "addresses": [{"kind": str(one.kind), "address": self.kit.clear(one) or ""} for one in person.addresses],
            "contact": _contact(person),
            "now": self._standing(person, book),
            "history": [self._entry(entry, whose) | self._proof(connection, entry) for entry in entries],
            "messages": [self._message(one) for one in personal.messages(connection, person.subjects)],
            "texts": [self._text(one) for one in personal.texts(connection, person.subjects)],
            "mails": [self._mail(one) for one in personal.mails(connection, person.subjects)],
            "requests": [self._request(one) for one in mine],
            "providers": {
                "carry_messages": dict(self.carriers),
                "told": [_told(one) for one in requests.notices(connection, [one.id for one in mine])]
                + self._pushed(connection, entries, person),
            },
        }

    def _pushed(self, connection: Connection, entries: Sequence[Entry], person: Person) -> list[dict[str, Any]]:
        """Return to which providers a stop was passed on, and when (rules.md G-5)."""
        kept = evidence.of_acts(connection, [one.act_id for one in entries], person.subjects)
        found = []
        for (act_id, subject, part), sealed in kept.items():
            if part == evidence.PUSHED:
                said = self.kit.vault.open_json(sealed, context=evidence_context(act_id, subject))
                at = _time(datetime.fromisoformat(said["at"]))
                found.append(
                    {"provider": said["provider"], "what": SUPPRESS, "status": DONE, "asked_at": at, "done_at": at}
                )
        return sorted(found, key=lambda one: str(one["done_at"]))

    def _cells(self, language: str) -> Callable[[str, Any], str]:
        """Return what writes a cell of the readable copy: times, channels, topics and acts in words."""
        say = partial(words.gettext, language)
        known = _vocabulary(language)

        def cell(name: str, value: Any) -> str:
            if value is None or value == {}:
                return ""
            if name in _TIMES:
                return words.day_and_time(datetime.fromisoformat(value), language)
            if isinstance(value, dict):
                return "\n".join(_lines(value.items()))
            if name == "scope":
                return say("All marketing") if value == "all" else self._scope(value, language)
            return known.get(str(value), str(value).replace("_", " ")) if name in _WORDS else str(value)

        return cell

    def _scope(self, value: str, language: str) -> str:
        kind, _, slug = value.partition(":")
        topic = next((one for one in self.kit.catalogue.topics if kind == "topic" and one.slug == slug), None)
        return topic.said(language)[0] if topic else slug or value

    def _places(self, person: Person) -> dict[int, str]:
        found = {}
        for one in person.addresses:
            clear = self.kit.clear(one)
            found[one.subject] = masked(Address(one.kind, clear, clear)) if clear else ""
        return found

    def _standing(self, person: Person, book: ledger.Book) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for one in person.addresses:
            for fact in book.standing(one):
                found[fact.entry_id] = {
                    "kind": fact.fact,
                    "channel": str(fact.channel or "any"),
                    "scope": self.kit.catalogue.scope_name(fact.scope),
                    "since": _time(fact.effective_at),
                    "until": _time(fact.until),
                    "source": fact.source,
                }
        return [found[number] for number in sorted(found)]

    def _entry(self, entry: Entry, whose: dict[int, str]) -> dict[str, Any]:
        return {
            "at": _time(entry.effective_at),
            "happened_at": _time(entry.occurred_at),
            "recorded_at": _time(entry.recorded_at),
            "what": str(entry.act),
            "kind": entry.fact,
            "channel": str(entry.channel or "any"),
            "scope": self.kit.catalogue.scope_name(entry.scope),
            "address": whose.get(entry.subject, ""),
            "source": entry.source,
            "until": _time(entry.until),
        }

    def _proof(self, connection: Connection, entry: Entry) -> dict[str, Any]:
        """Return what shows the act: the version of the words, the page, and the evidence as it was kept."""
        opened: dict[str, Any] = {}
        for part in (evidence.PROOF, evidence.DEVICE):
            for sealed in evidence.of_act(connection, entry.act_id, entry.subject, part):
                opened |= self.kit.vault.open_json(sealed, context=evidence_context(entry.act_id, entry.subject))
        version = opened.get("wording") if "page" in opened else None
        return {"text_version": version or opened.get("wording_version") or opened.get("rules"), "evidence": opened}

    def _message(self, one: personal.StoredMessage) -> dict[str, Any]:
        content = self.kit.vault.open_json(one.sealed, context=f"message:{one.id}".encode())
        topic = self.kit.catalogue.topic_numbered(one.topic or 0)
        return {
            "id": one.id,
            "at": _time(one.created_at),
            "channel": one.channel,
            "class": one.message_class,
            "topic": topic.slug if topic else None,
            "campaign": one.campaign,
            "to": content["to"],
            "subject": content.get("subject"),
            "text": _without_tokens(content.get("text")),
            "html": _without_tokens(content.get("html")),
            "status": one.status,
            "events": [{"status": status, "at": _time(at)} for status, at in one.events],
        }

    def _text(self, one: personal.StoredText) -> dict[str, Any]:
        context = f"text:{one.provider_id}".encode()
        said = self.kit.vault.open_json(one.sealed, context=context)["body"] if one.sealed else None
        return {
            "at": _time(one.received_at),
            "channel": one.channel,
            "text": said,
            "read_as": one.kind,
            "rule": one.rule,
            "rules": one.rule_version,
        }

    def _mail(self, one: personal.StoredMail) -> dict[str, Any]:
        context = f"mail:{one.mail_key}".encode()
        opened = self.kit.vault.open_json(one.sealed, context=context) if one.sealed else {}
        return {"at": _time(one.received_at), "subject": opened.get("subject"), "text": opened.get("text")}

    def _request(self, row: RequestRow) -> dict[str, Any]:
        return {
            "reference": row.reference,
            "kind": row.kind,
            "status": row.status,
            "received_by": row.received_by,
            "received_at": _time(row.received_at),
            "due_on": row.due_on.isoformat(),
            "answered_at": _time(row.answered_at),
            "about": casework.said(self.kit, row).get("about") or None,
        }


# The tables of the readable copy: the part, and its columns. Their names are said in the template.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("now", ("kind", "channel", "scope", "since", "until", "source")),
    ("history", ("at", "kind", "channel", "scope", "address", "source", "text_version", "evidence")),
    ("messages", ("at", "channel", "topic", "to", "subject", "text", "status")),
    ("texts", ("at", "channel", "text", "read_as")),
    ("mails", ("at", "subject", "text")),
    ("requests", ("reference", "kind", "received_at", "about", "status", "answered_at")),
)


_TIMES = frozenset({"at", "since", "until", "received_at", "answered_at"})
_WORDS = frozenset({"kind", "channel", "source", "status", "read_as"})
_OUR_LINKS = re.compile(r"(/(?:u|p|confirm|rights)/)[A-Za-z0-9_-]{40,}")


def _without_tokens(text: str | None) -> str | None:
    """Return a message without what its links can do: a copy passes through more hands than the mail did."""
    return _OUR_LINKS.sub(r"\1…", text) if text else text


def _vocabulary(language: str) -> dict[str, str]:
    """Return our own words for facts, channels and requests as a person reads them."""
    say = partial(words.gettext, language)
    broken = say("Address does not work")
    yes = say("Said yes")
    return {
        Reason.UNSUBSCRIBED: say("Unsubscribed"),
        Reason.OBJECTION: say("Objected"),
        Reason.COMPLAINT: say("Marked as spam"),
        Reason.DO_NOT_CALL: say("Do not call"),
        Reason.REVOKED_IN_REPLY: say("Stopped by text"),
        Reason.SNOOZED: say("Paused"),
        Reason.RESTRICTED: say("Restricted"),
        Reason.DO_NOT_CONTACT: say("Do not contact"),
        Reason.NUMBER_REASSIGNED: say("The number belongs to somebody else"),
        Reason.HARD_BOUNCE: broken,
        Reason.INVALID_ADDRESS: broken,
        Reason.NOT_SMS_CAPABLE: broken,
        Reason.PROVIDER_BLOCK: broken,
        ConsentKind.EXPRESS: yes,
        ConsentKind.OWN_ACT: say("Said yes through this address"),
        ConsentKind.PENDING: say("Asked to confirm"),
        ConsentKind.SOFT_OPT_IN: say("Is a customer"),
        ConsentKind.IMPLIED: say("Is a customer"),
        Act.LIFT: say("Taken back"),
        Act.SALE_OPT_OUT: say("No sale of data"),
        Channel.EMAIL: say("Email"),
        Channel.SMS: say("Text messages"),
        Channel.VOICE: say("Phone calls"),
        Channel.WHATSAPP: say("WhatsApp messages"),
        Channel.PUSH: say("Push notifications"),
        Channel.POSTAL: say("Letters"),
        "any": say("Every channel"),
        Right.ACCESS: say("Send me a copy of my data"),
        Right.PORTABILITY: say("Send me a copy of my data"),
        Right.RECTIFICATION: say("Correct something"),
        Right.ERASURE: say("Delete my data"),
        Right.RESTRICTION: say("Stop using my data for now (restrict)"),
    }


def _contact(person: Person) -> dict[str, Any] | None:
    if person.contact is None:
        return None
    known = person.contact
    return {
        "external_id": known.external_id,
        "locale": known.locale,
        "country": known.country,
        "time_zone": known.time_zone,
    }


def _told(notice: requests.NoticeRow) -> dict[str, Any]:
    return {
        "provider": notice.provider,
        "what": notice.what,
        "status": notice.status,
        "asked_at": _time(notice.created_at),
        "done_at": _time(notice.done_at),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _lines(items: Iterable[tuple[str, Any]]) -> list[str]:
    return [
        f"{name}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}"
        for name, value in items
        if value not in (None, "", {})
    ]
