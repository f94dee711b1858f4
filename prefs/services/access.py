"""The copy of somebody's data (rules.md G-5; GDPR 15 and 20): as JSON, and as a page that anybody can read.

Made when it is asked for and stored nowhere. It holds everything beside our own working notes:
every consent and stop with time, source, channel and the version of the words shown, messages,
texts, mails, requests, and which providers were told.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, masked
from prefs.domain.ledger import Entry
from prefs.services import casework
from prefs.services.casework import Person
from prefs.services.kit import Kit, evidence_context
from prefs.services.organisation import Organisation
from prefs.services.rendering import mail_templates
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
        found = self.collect(connection, row)
        if form is CopyFormat.JSON:
            return json.dumps(found, ensure_ascii=False, indent=1).encode()
        page = mail_templates(language).get_template("copy.html")
        values = {"copy": found, "org": self.organisation, "moment": _in_words(language), "sections": SECTIONS}
        return page.render(values).encode()

    def collect(self, connection: Connection, row: RequestRow) -> dict[str, Any]:
        """Return everything we hold about the person behind a request, as plain values."""
        person = casework.person_behind(connection, row)
        book = ledger.open_book(connection, person.addresses, [person.contact.subject] if person.contact else [])
        entries = sorted((one for many in book.entries.values() for one in many), key=lambda one: one.id)
        whose = self._places(person)
        mine = requests.of_subjects(connection, person.subjects)
        now = self.kit.now()
        return {
            "format": FORMAT,
            "made_at": _time(now),
            "reference": row.reference,
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
                "told": [_told(one) for one in requests.notices(connection, [one.id for one in mine])],
            },
        }

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
                    "what": fact.fact,
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
            "text": content.get("text"),
            "html": content.get("html"),
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
    ("now", ("what", "channel", "scope", "since", "until", "source")),
    ("history", ("at", "what", "kind", "channel", "scope", "address", "source", "text_version", "evidence")),
    ("messages", ("at", "channel", "topic", "to", "subject", "text", "status")),
    ("texts", ("at", "channel", "text", "read_as")),
    ("mails", ("at", "subject", "text")),
    ("requests", ("reference", "kind", "received_at", "about", "status", "answered_at")),
)


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


def _in_words(language: str) -> Any:
    """Return what writes a cell of the readable copy: times in words, evidence as lines, the rest as it is."""

    def say(name: str, value: Any) -> str:
        if value is None or value == {}:
            return ""
        if name in {"at", "since", "until", "received_at", "answered_at"}:
            return words.day_and_time(datetime.fromisoformat(value), language)
        if isinstance(value, dict):
            return "\n".join(_lines(value.items()))
        return str(value)

    return say


def _lines(items: Iterable[tuple[str, Any]]) -> list[str]:
    return [
        f"{name}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}"
        for name, value in items
        if value not in (None, "", {})
    ]
