"""What the worker sends on our own behalf: records, links, confirmations (ux.md section 5, M1 to M6).

A page only queues an errand, in the transaction of what it did; whether an address is known
is found out later, so that no page's answer or timing can tell (contract D21).
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, masked, parse_address
from prefs.domain.decision import Question, RecipientState, decide
from prefs.domain.ledger import ALL, Entry, fold
from prefs.domain.terms import Act, AddressKind, Channel, MessageClass
from prefs.links import ASKED_FOR
from prefs.services import casework, notices, replies
from prefs.services.casework import NEEDS_PROOF, Person
from prefs.services.kit import Kit
from prefs.services.linking import Linking
from prefs.services.organisation import Organisation
from prefs.services.presses import reference
from prefs.services.sending import Sending
from prefs.storage import choices, jobs, ledger, people, requests
from prefs.storage.people import KnownAddress
from prefs.storage.requests import RequestRow

LINK_GOOD_FOR = timedelta(hours=24)
RECORD = "record:"


def _(text: str) -> str:
    """Mark a text for the catalogues; it is looked up when it is said."""
    return text


ALL_MARKETING: dict[Channel | None, str] = {
    None: _("All marketing, on every channel"),
    Channel.EMAIL: _("All marketing emails"),
    Channel.SMS: _("All marketing texts"),
    Channel.VOICE: _("All marketing calls"),
    Channel.WHATSAPP: _("All marketing by WhatsApp"),
    Channel.PUSH: _("All push notifications"),
    Channel.POSTAL: _("All marketing letters"),
}

_CHANNEL = {AddressKind.EMAIL: Channel.EMAIL, AddressKind.PHONE: Channel.SMS}


@dataclass(frozen=True, slots=True)
class Errands:
    """Queues errands (first half) and runs them in the worker (second half)."""

    kit: Kit
    sending: Sending
    linking: Linking
    organisation: Organisation

    def send_record(
        self, connection: Connection, known: KnownAddress, act_id: str, language: str, *, once: str | None = None
    ) -> None:
        """Queue M1 about one act, once; ``once`` where several addresses get the record of one act."""
        payload = {"key": known.key.hex(), "act": act_id, "language": language, "once": once or act_id}
        jobs.add(connection, "record", payload, key=RECORD + payload["once"], now=self.kit.now())

    def send_link(self, connection: Connection, key: bytes, language: str, *, once: str) -> None:
        """Queue M2 to the address behind a key."""
        payload = {"key": key.hex(), "language": language}
        jobs.add(connection, "link", payload, key=f"link:{once}", now=self.kit.now())

    def send_link_to_typed(self, connection: Connection, address: Address, language: str, *, once: str) -> None:
        """Queue M2 to an address somebody typed; whether we know it is the worker's to find out."""
        sealed = self.kit.vault.seal_text(address.value, context=b"errand")
        payload = {"typed": base64.b64encode(sealed).decode(), "kind": address.kind, "language": language}
        jobs.add(connection, "link", payload, key=f"link:{once}", now=self.kit.now())

    def ask_to_confirm(self, connection: Connection, known: KnownAddress, choice: int) -> None:
        """Queue M6 (or, on sms, the text that asks for YES) about one pending choice."""
        payload = {"key": known.key.hex(), "choice": choice}
        jobs.add(connection, "confirm", payload, key=f"confirm:{choice}", now=self.kit.now())

    def report_request(self, connection: Connection, request: int) -> None:
        """Queue M4 about a privacy request that came in."""
        jobs.add(connection, "request", {"request": request}, key=f"request:{request}", now=self.kit.now())

    def send_changes(self, connection: Connection, request: int, act_id: str) -> None:
        """Queue the record of what staff stopped on somebody's behalf: M1 where it is everything, else M3."""
        row = requests.read(connection, request)
        known = self.addressee(row, casework.person_behind(connection, row)) if row else None
        if row is None or known is None:
            return
        book = ledger.open_book(connection, [known])
        acted = [entry for entry in book.of(known) if entry.act_id == act_id]
        if any(entry.scope == ALL for entry in acted):
            self.send_record(connection, known, act_id, row.language)
        elif acted:
            self.tell_changes(connection, known, act_id, row.language)

    def tell_changes(
        self, connection: Connection, known: KnownAddress, act_id: str, language: str, *, once: str | None = None
    ) -> None:
        """Queue M3 about one act of staff, once; ``once`` where several addresses are told of one act."""
        payload = {"key": known.key.hex(), "act": act_id, "language": language, "once": once or act_id}
        jobs.add(connection, "changes", payload, key=f"changes:{payload['once']}", now=self.kit.now())

    def addressee(self, row: RequestRow, person: Person) -> KnownAddress | None:
        """Return the email address we write to about a request, or None where we know none.

        It is the address the request names. What staff took down about a contact, or about a
        number of theirs, is written to their first email address; what was typed on the web never is.
        """
        emails = [one for one in person.addresses if one.kind is AddressKind.EMAIL and one.sealed is not None]
        named = next((one for one in emails if one.subject == row.subject), None)
        return named or next((one for one in emails if row.received_by != "web"), None)

    def tell_received(self, connection: Connection, row: RequestRow, *, again: bool = False) -> bool:
        """Queue M4, first; True where there is somebody to write to. ``again`` sends it once more."""

        def compose(url: str) -> notices.Notice:
            return notices.request_received(
                row.language,
                reference=row.reference,
                due=row.due_on,
                progress_url=url,
                at_once=row.kind not in NEEDS_PROOF,
                typed=row.received_by == "web",
            )

        once = f":{self.kit.now().isoformat()}" if again else ""
        return self._write_about(connection, row, compose, key=f"request:{row.id}{once}")

    def tell_delay(self, connection: Connection, row: RequestRow, due: date, why: str) -> bool:
        """Queue M4, second: more time, and why; True where there is somebody to write to."""

        def compose(url: str) -> notices.Notice:
            return notices.request_delayed(row.language, reference=row.reference, due=due, why=why, progress_url=url)

        return self._write_about(connection, row, compose, key=f"request:{row.id}:delayed")

    def tell_answer(self, connection: Connection, row: RequestRow) -> bool:
        """Queue M4, last; True where there is somebody to write to. The answer itself is behind the link."""

        def compose(url: str) -> notices.Notice:
            return notices.request_answered(row.language, reference=row.reference, progress_url=url)

        return self._write_about(connection, row, compose, key=f"request:{row.id}:answered:{row.status}")

    def tell_erased(self, connection: Connection, row: RequestRow, known: KnownAddress, *, passed_on: bool) -> None:
        """Queue the last mail to an address that is being forgotten; it goes the way of the rest once handed over."""
        notice = notices.request_erased(row.language, reference=row.reference, passed_on=passed_on)
        content = {**notices.render(notice, row.language, self.organisation), "forget": True}
        self.sending.notify(connection, known, Channel.EMAIL, content, key=f"request:{row.id}:erased")

    def handlers(self) -> Mapping[str, Callable[[dict[str, Any]], None]]:
        """Return who runs which errand."""
        return {
            "record": self._record,
            "link": self._link,
            "confirm": self._confirm,
            "request": self._request,
            "changes": self._changes,
        }

    def _record(self, payload: dict[str, Any]) -> None:
        with self.kit.store.write() as connection:
            known = self._known(connection, bytes.fromhex(payload["key"]))
            if known is None:
                return
            language = self._language(connection, known, payload["language"])
            book = ledger.open_book(connection, [known])
            acted = [e for e in book.of(known) if e.act_id == payload["act"] and e.act is Act.OPT_OUT]
            if not acted:
                return
            content = self._record_content(connection, known, book.of(known), acted, language)
            self.sending.notify(
                connection, known, _CHANNEL[known.kind], content, key=RECORD + payload.get("once", payload["act"])
            )

    def stopped_part(self, entry: Entry, language: str) -> str:
        """Return what one entry stopped, in a person's language."""
        topic = self.kit.catalogue.topic_numbered(entry.scope)
        if topic is not None:
            return topic.said(language)[0]
        return words.gettext(language, ALL_MARKETING[entry.channel])

    def _record_content(
        self,
        connection: Connection,
        known: KnownAddress,
        entries: Sequence[Entry],
        acted: Sequence[Entry],
        language: str,
    ) -> dict[str, Any]:
        number = reference(acted[0].act_id)
        if known.kind is AddressKind.PHONE:
            return {"text": replies.word(replies.RECORDED, self.organisation, language, reference=number)}
        topics = self._sent_before(known, entries, acted)
        start_url = None
        if topics:
            choice = choices.add(
                connection,
                subject=known.subject,
                channel=Channel.EMAIL,
                topics=topics,
                version=max(entry.id for entry in entries),
                act_id=acted[0].act_id,
                language=language,
                now=self.kit.now(),
            )
            start_url = self.linking.to_confirm(Channel.EMAIL, known.key, choice)
        notice = notices.stopped(
            language,
            at=acted[0].occurred_at,
            what=self._what_stopped(acted, language),
            address=self._masked(known),
            reference=number,
            choose_url=self.linking.to_choices(Channel.EMAIL, known.key),
            start_url=start_url,
        )
        return notices.render(notice, language, self.organisation)

    def _sent_before(self, known: KnownAddress, entries: Sequence[Entry], acted: Sequence[Entry]) -> list[int]:
        """Return the topics that went to this address until the act: what "start again" would start."""
        earlier = [entry for entry in entries if entry.act_id != acted[0].act_id]
        facts = tuple(fact for fact in fold(earlier) if fact.channel in (None, Channel.EMAIL))
        now = self.kit.now()
        return [
            topic.number
            for topic in self.kit.catalogue.marketing_topics(Channel.EMAIL)
            if decide(
                Question(channel=Channel.EMAIL, message_class=MessageClass.MARKETING, at=now, topic=topic),
                RecipientState(facts),
            ).allowed
        ]

    def _what_stopped(self, acted: Sequence[Entry], language: str) -> str:
        say = partial(words.gettext, language)
        if any(entry.channel is None for entry in acted):
            return say("Email, text and push marketing to this address")
        if any(entry.scope == ALL for entry in acted):
            return say("All marketing emails")
        topics = [self.kit.catalogue.topic_numbered(entry.scope) for entry in acted]
        return words.listed([topic.said(language)[0] for topic in topics if topic], language)

    def _link(self, payload: dict[str, Any]) -> None:
        with self.kit.store.write() as connection:
            known = self._addressee(connection, payload)
            if known is None or known.kind not in _CHANNEL:
                return
            channel, language = _CHANNEL[known.kind], self._language(connection, known, payload["language"])
            choose_url = self.linking.to_choices(channel, known.key, kind=ASKED_FOR)
            if channel is Channel.SMS:
                content = {"text": replies.word(replies.LINK, self.organisation, language, link=choose_url)}
            else:
                stop_url = self.linking.for_address(channel, known.key).unsubscribe
                until = self.kit.now() + LINK_GOOD_FOR
                notice = notices.link(language, until=until, choose_url=choose_url, stop_url=stop_url)
                content = notices.render(notice, language, self.organisation)
            self.sending.notify(connection, known, channel, content, key=f"{choose_url}")

    def _confirm(self, payload: dict[str, Any]) -> None:
        with self.kit.store.write() as connection:
            known = self._known(connection, bytes.fromhex(payload["key"]))
            choice = choices.read(connection, payload["choice"])
            if known is None or choice is None:
                return
            language = self._language(connection, known, choice.language)
            if choice.channel is Channel.SMS:
                content = {"text": replies.word(replies.ASK_FOR_YES, self.organisation, language)}
            else:
                content = self._confirm_content(known, choice, language)
            self.sending.notify(connection, known, choice.channel, content, key=f"confirm:{choice.id}")

    def _confirm_content(self, known: KnownAddress, choice: choices.PendingChoice, language: str) -> dict[str, Any]:
        topics = [self.kit.catalogue.topic_numbered(number) for number in choice.topics]
        names = [f"“{topic.said(language)[0]}”" for topic in topics if topic]
        notice = notices.confirm(
            language,
            topics=words.listed(names, language),
            address=self._masked(known),
            confirm_url=self.linking.to_confirm(choice.channel, known.key, choice.id),
            stop_url=self.linking.for_address(choice.channel, known.key).unsubscribe,
        )
        return notices.render(notice, language, self.organisation)

    def _request(self, payload: dict[str, Any]) -> None:
        with self.kit.store.write() as connection:
            row = requests.read(connection, payload["request"])
            if row is None or not self.tell_received(connection, row):
                return
            if row.kind in NEEDS_PROOF and row.checking_at is None:
                requests.change(connection, row.id, checking_at=self.kit.now())

    def _changes(self, payload: dict[str, Any]) -> None:
        with self.kit.store.write() as connection:
            known = self._known(connection, bytes.fromhex(payload["key"]))
            if known is None or known.kind is not AddressKind.EMAIL:
                return
            language = self._language(connection, known, payload["language"])
            book = ledger.open_book(connection, [known])
            acted = [entry for entry in book.of(known) if entry.act_id == payload["act"]]
            sentences = self._what_changed(acted, language)
            if not sentences:
                return
            notice = notices.changed(
                language,
                at=acted[0].occurred_at,
                changes=sentences,
                choose_url=self.linking.to_choices(Channel.EMAIL, known.key),
                stop_url=self.linking.for_address(Channel.EMAIL, known.key).unsubscribe,
            )
            content = notices.render(notice, language, self.organisation)
            self.sending.notify(connection, known, Channel.EMAIL, content, key=f"changes:{payload['once']}")

    def _what_changed(self, acted: Sequence[Entry], language: str) -> tuple[str, ...]:
        """Return a sentence for each channel that something stopped on, and one for what began by email."""
        named: dict[tuple[Act, Channel | None], list[str]] = {}
        for entry in acted:
            topic = self.kit.catalogue.topic_numbered(entry.scope)
            name = topic.said(language)[0] if topic else words.gettext(language, "All marketing")
            named.setdefault((entry.act, entry.channel), []).append(name)
        return tuple(
            notices.change_in_words(language, act, channel, words.listed(names, language))
            for (act, channel), names in named.items()
            if act in {Act.OPT_OUT, Act.OPT_IN}
        )

    def _write_about(
        self, connection: Connection, row: RequestRow, compose: Callable[[str], notices.Notice], *, key: str
    ) -> bool:
        known = self.addressee(row, casework.person_behind(connection, row))
        if known is None:
            return False
        notice = compose(self.linking.to_request(known.key, row.id, mailed=True))
        content = notices.render(notice, row.language, self.organisation)
        self.sending.notify(connection, known, Channel.EMAIL, content, key=key)
        return True

    def _addressee(self, connection: Connection, payload: dict[str, Any]) -> KnownAddress | None:
        if "key" in payload:
            return self._known(connection, bytes.fromhex(payload["key"]))
        typed = self.kit.vault.open_text(base64.b64decode(payload["typed"]), context=b"errand")
        channel = _CHANNEL[AddressKind(payload["kind"])]
        candidates = self.kit.address_keys.candidates(parse_address(channel, typed))
        found = people.find(connection, candidates)
        known = next((found[key] for key in candidates if key in found), None)
        return known if known and known.sealed is not None else None

    def _known(self, connection: Connection, key: bytes) -> KnownAddress | None:
        """Return an address we hold in clear; one that was only ever a key is nobody we write to."""
        known = people.find(connection, [key]).get(key)
        return known if known and known.sealed is not None else None

    def _language(self, connection: Connection, known: KnownAddress, shown: str) -> str:
        """Return the contact's own language, else the one the page was shown in."""
        contact = people.contact_of(connection, known.contact) if known.contact is not None else None
        return words.first_spoken([contact.locale if contact else None, shown])

    def _masked(self, known: KnownAddress) -> str:
        clear = self.kit.clear(known)
        return masked(Address(known.kind, clear, clear)) if clear else ""
