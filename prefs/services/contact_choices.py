"""A contact's choices and history for its caller: ``/v1/contacts/{id}/preferences`` and ``/history``.

What the person sees at ``/p/…`` is ``services.preferences``; here a caller reports what it was told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import parse_address
from prefs.domain.catalogue import Topic
from prefs.domain.decision import RecipientState
from prefs.domain.ledger import ALL, Entry, Standing, still_in_force
from prefs.domain.terms import CHANNELS_OF_KIND, KIND_OF_CHANNEL, Channel, ConsentKind
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.kit import Doing, Kit, act, keep_proof, start, stop
from prefs.services.preferences import NO_CHOICE, choice_of
from prefs.services.suppression import refuse_over_stop
from prefs.storage import ledger, people
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, KnownContact


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a topic goes to an address on a channel now, and if not, why."""

    channel: Channel
    to: str | None
    topic: str
    send: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One choice to change. ``topic`` None is all marketing of the channel; ``to`` None all its addresses."""

    channel: Channel
    send: bool
    topic: str | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a caller was told, through which door, and the proof it has."""

    changes: Sequence[Change]
    source: str
    evidence: dict[str, Any] | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of one change on one address: ``stopped``, ``started``, ``unchanged`` or ``refused`` with a code."""

    channel: Channel
    to: str | None
    topic: str | None
    result: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One entry about a contact; ``to`` is None where it is about the contact as a whole."""

    entry: Entry
    to: str | None


@dataclass(slots=True)
class _Work:
    """A report on its way into the ledger, with the contact's locks held."""

    contact: KnownContact
    book: Book
    doing: Doing
    stated: bool
    own: set[int] = field(default_factory=set)
    changed: list[int] = field(default_factory=list)

    def standing(self, known: KnownAddress) -> list[Standing]:
        """Return what stands against a start: a stop of this very report does not, unless the start is older."""
        facts = self.book.standing(known)
        return facts if self.stated else [fact for fact in facts if fact.entry_id not in self.own]


@dataclass(frozen=True, slots=True)
class ContactChoices:
    """The use cases."""

    kit: Kit

    def view(self, external_id: str) -> list[Choice]:
        """Return every choice of a contact. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            contact = _found(people.find_contact(connection, external_id))
            addresses = people.of_contact(connection, [contact.subject])
            book = ledger.open_book(connection, addresses)
        return [
            self._choice(contact, book, known, channel, topic)
            for known in addresses
            for channel in CHANNELS_OF_KIND[known.kind]
            for topic in self.kit.catalogue.marketing_topics(channel)
        ]

    def report(self, external_id: str, report: Report, *, actor: str | None, key: str | None) -> list[Changed]:
        """Put changes on record: stops first and always, starts where nothing stands against them (D7, D9).

        Raises:
            NotFound: No such contact.
            InvalidInput: A change cannot be; nothing was stored.
            StoreUnavailable: Nothing was stored.
        """
        topics = [self._topic(number, change) for number, change in enumerate(report.changes)]
        if report.occurred_at and report.occurred_at > self.kit.now():
            raise InvalidInput("This time is in the future. Use the time you were told.", field="occurred_at")
        doing = act(
            report.source,
            self.kit.now(),
            key=key,
            occurred_at=report.occurred_at,
            actor=actor,
            proof={"evidence": report.evidence} if report.evidence else None,
        )
        with self.kit.store.write() as connection:
            contact = _found(people.find_contact(connection, external_id, lock=True))
            book = ledger.open_book(connection, [], [contact.subject])
            work = _Work(contact, book, doing, stated=report.occurred_at is not None)
            wanted = [
                (change, topic, known)
                for number, (change, topic) in enumerate(zip(report.changes, topics, strict=True))
                for known in self._addresses(book, number, change)
            ]
            lowered = [self._lower(connection, work, one) for one in wanted if not one[0].send]
            raised = [self._raise(connection, work, one, report) for one in wanted if one[0].send]
            keep_proof(connection, self.kit, doing, work.changed)
        return lowered + raised

    def history(self, external_id: str, after: int, limit: int) -> tuple[list[HistoryLine], int | None]:
        """Return entries about a contact and its addresses behind a position, oldest first. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            contact = _found(people.find_contact(connection, external_id))
            addresses = {one.subject: one for one in people.of_contact(connection, [contact.subject])}
            entries = ledger.history(connection, [contact.subject, *addresses])
        behind = sorted((entry for entry in entries if entry.id > after), key=lambda entry: entry.id)
        part = behind[:limit]
        clear = {subject: self.kit.clear(known) for subject, known in addresses.items()}
        lines = [HistoryLine(entry, clear.get(entry.subject)) for entry in part]
        return lines, part[-1].id if len(behind) > len(part) else None

    def _choice(self, contact: KnownContact, book: Book, known: KnownAddress, channel: Channel, topic: Topic) -> Choice:
        facts = tuple(fact for fact in book.standing(known) if fact.channel in (None, channel))
        decision = choice_of(self.kit, channel, topic, RecipientState(facts, contact.country))
        send = decision.allowed or decision.rule in NO_CHOICE
        return Choice(channel, self.kit.clear(known), topic.slug, send, None if send else str(decision.reason))

    def _topic(self, number: int, change: Change) -> Topic | None:
        if change.topic is None:
            if change.send:
                raise InvalidInput(
                    "Name the `topic` that may be sent.", field=f"changes.{number}.topic", code="missing"
                )
            return None
        try:
            topic = self.kit.catalogue.topic(change.topic)
        except InvalidInput as error:
            error.field = f"changes.{number}.topic"
            raise
        if topic not in self.kit.catalogue.marketing_topics(change.channel):
            raise InvalidInput(
                f"`{change.topic}` is no marketing topic of this channel.", field=f"changes.{number}.topic"
            )
        return topic

    def _addresses(self, book: Book, number: int, change: Change) -> list[KnownAddress]:
        """Return the contact's addresses that a change is about."""
        theirs = [one for one in book.addresses.values() if one.kind is KIND_OF_CHANNEL[change.channel]]
        if change.to is None:
            if not theirs:
                message = "This contact has no address on that channel."
                raise InvalidInput(message, field=f"changes.{number}.channel", code="no_address")
            return theirs
        try:
            address = parse_address(change.channel, change.to, default_region=self.kit.default_region)
        except InvalidInput as error:
            error.field = f"changes.{number}.to"
            raise
        keys = self.kit.address_keys.candidates(address)
        found = [one for one in theirs if one.key in keys]
        if not found:
            message = "This contact has no such address. Add it with PUT first."
            raise InvalidInput(message, field=f"changes.{number}.to", code="no_address")
        return found

    def _lower(self, connection: Connection, work: _Work, wanted: tuple[Change, Topic | None, KnownAddress]) -> Changed:
        change, topic, known = wanted
        entry = stop(work.doing, work.book, known.subject, change.channel, scope=topic.number if topic else ALL)
        if still_in_force(work.book.standing(known), entry) is not None:
            return self._changed(change, known, "unchanged")
        added = ledger.append(connection, work.book, [entry])
        work.own |= {one.id for one in added}
        work.changed += [known.subject] if added else []
        return self._changed(change, known, "stopped" if added else "unchanged")

    def _raise(
        self, connection: Connection, work: _Work, wanted: tuple[Change, Topic | None, KnownAddress], report: Report
    ) -> Changed:
        change, topic, known = wanted
        assert topic is not None  # ``_topic`` refuses a start without one
        entry = start(
            work.doing,
            work.book,
            known.subject,
            change.channel,
            topic=topic.number,
            kind=ConsentKind.EXPRESS,
            at=report.occurred_at,
        )
        try:
            refuse_over_stop(work.standing(known), entry, stated=work.stated)
        except Conflict as refused:
            return self._changed(change, known, "refused", refused.code)
        added = ledger.append(connection, work.book, [entry])
        work.changed += [known.subject] if added else []
        return self._changed(change, known, "started" if added else "unchanged")

    def _changed(self, change: Change, known: KnownAddress, result: str, code: str | None = None) -> Changed:
        return Changed(change.channel, self.kit.clear(known), change.topic, result, code)


def _found(contact: KnownContact | None) -> KnownContact:
    if contact is None:
        raise NotFound("There is no contact with this id.")
    return contact
