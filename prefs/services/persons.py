"""A person as the console shows them: found, opened, with what may be sent and what is on record.

A person is a contact with their addresses, or one address that belongs to nobody yet. Nothing
here writes; who looked is noted by the page, before it shows anything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, masked, parse_address
from prefs.domain.decision import Decision
from prefs.domain.ledger import Entry
from prefs.domain.references import person_reference, read_act, read_entry, read_person
from prefs.domain.terms import CHANNELS_OF_KIND, KIND_OF_CHANNEL, AddressKind, Channel, MessageClass, Reason
from prefs.errors import InvalidAddress, InvalidInput, NotFound
from prefs.services.decisions import Answer, Asked, Decisions, Weighed
from prefs.services.kit import Kit, evidence_context
from prefs.storage import evidence, ledger, people, requests, seals, staff, stops
from prefs.storage.messages import MessageFilter, Queued
from prefs.storage.messages import page as messages_page
from prefs.storage.people import KnownAddress, KnownContact
from prefs.storage.seals import Covering

MOST_FOUND = 50
SERVICE_MESSAGES = "transactional"
_TRIED_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.POSTAL)
_ALWAYS_SHOWN = (Channel.EMAIL, Channel.SMS, Channel.PUSH)


@dataclass(frozen=True, slots=True)
class PersonAddress:
    """One address: as it is where we hold it in clear, and masked."""

    known: KnownAddress
    clear: str | None
    masked: str

    @property
    def kind(self) -> AddressKind:
        """What the address is."""
        return self.known.kind


@dataclass(frozen=True, slots=True)
class Person:
    """Who a reference leads to.

    ``erased_on`` is the day their data were deleted; all that is left then is a key.
    ``restricted_since`` goes with the request that asked for it, where one is open.
    ``moved_to`` is the contact that this address has joined since.
    """

    subject: int
    contact: KnownContact | None
    addresses: tuple[PersonAddress, ...]
    erased_on: date | None = None
    restricted_since: datetime | None = None
    restriction: str | None = None
    moved_to: str | None = None

    @property
    def reference(self) -> str:
        """``CT-…``."""
        return person_reference(self.subject)

    @property
    def subjects(self) -> tuple[int, ...]:
        """Whom the ledger's entries about this person name."""
        return (self.subject, *(one.known.subject for one in self.addresses if one.known.subject != self.subject))

    def name(self, *, full: bool) -> str:
        """Return what to call the person: an address as far as may be shown, else the caller's id."""
        shown = [one.clear if full else one.masked for one in self.addresses if one.clear]
        return next((one for one in shown if one), None) or self.own_id(full=full) or self.reference

    def own_id(self, *, full: bool) -> str:
        """Return the caller's id; one that is an address itself is masked like any address."""
        own = self.contact.external_id if self.contact else ""
        if full or not ("@" in own or own.startswith("+")):
            return own
        try:
            return masked(parse_address(Channel.EMAIL if "@" in own else Channel.SMS, own)) or "•••"
        except InvalidAddress:
            return "•••"


@dataclass(frozen=True, slots=True)
class Cell:
    """What may be sent by one channel: the decision, whether a consent counts, and on how many addresses it holds."""

    decision: Decision | None
    agreed: bool = False
    holds_for: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class Sendable:
    """What we may send today: kinds of message by channels, worked out by the code that answers send checks."""

    channels: tuple[Channel, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One entry with its evidence; ``proof`` is empty once it was forgotten, or where there was none."""

    entry: Entry
    proof: dict[str, Any] = field(default_factory=dict)
    device: str = ""
    by: str = ""
    sealed_by: Covering | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Persons:
    """The use cases of "Find a person" and of a person's page."""

    kit: Kit
    decisions: Decisions

    def find(self, typed: str) -> list[Person]:
        """Return everybody an address or a caller's id may mean, at most 51; never by likeness.

        An address is looked up by its key, so only the very address is found; a caller's id is
        found by its beginning, and no letter in it is a wildcard (V13).
        """
        keys = [key for address in self._readings(typed) for key in self.kit.address_keys.candidates(address)]
        with self.kit.store.read() as connection:
            found = {one.subject: one for one in people.find(connection, keys).values()}
            subjects = dict.fromkeys(one.contact or one.subject for one in found.values())
            beginning = people.contacts_beginning(connection, typed, MOST_FOUND + 1) if typed else []
            subjects |= dict.fromkeys(one.subject for one in beginning)
            referred = read_person(typed.upper())
            subjects |= {referred: None} if referred is not None else {}
            return self._people(connection, list(subjects)[: MOST_FOUND + 1])

    def open(self, reference: str) -> Person:
        """Return the person behind ``CT-…``. Raises ``NotFound``."""
        subject = read_person(reference)
        with self.kit.store.read() as connection:
            found = self._people(connection, [subject]) if subject is not None else []
            if not found:
                raise NotFound("There is no person with this reference.")
            person = found[0]
            own = person.addresses[0].known if person.addresses and person.contact is None else None
            if own is not None and own.contact is not None:
                return replace(person, moved_to=person_reference(own.contact))
            restriction = requests.open_restriction(connection, person.subjects)
        if restriction is None:
            return person
        since = person.restricted_since or restriction.received_at
        return replace(person, restricted_since=since, restriction=restriction.reference)

    def of_address(self, typed: str) -> Person | None:
        """Return the one person an address belongs to, or None."""
        found = self.find(typed)
        return found[0] if len(found) == 1 else None

    def of_subjects(self, subjects: Iterable[int]) -> dict[int, Person]:
        """Return people by the subjects that entries or messages name; whoever is gone is absent."""
        wanted = set(subjects)
        with self.kit.store.read() as connection:
            found = self._people(connection, sorted(wanted))
        return {one.subject: one for one in found}

    def behind_act(self, reference: str) -> list[Entry]:
        """Return the first entry about each subject of the act behind ``NW-…``; several acts may share it."""
        number = read_act(reference)
        if number is None:
            return []
        with self.kit.store.read() as connection:
            found = ledger.referred(connection, number)
        return list({(entry.act_id, entry.subject): entry for entry in reversed(found)}.values())[::-1]

    def behind_entry(self, reference: str) -> Entry:
        """Return the entry behind ``EV-…``. Raises ``NotFound``."""
        number = read_entry(reference)
        with self.kit.store.read() as connection:
            entry = ledger.entry_numbered(connection, number) if number is not None else None
        if entry is None:
            raise NotFound("There is no record with this reference.")
        return entry

    def sendable(self, person: Person) -> Sendable:
        """Return what we may send to a person today, by kind of message and channel; one query a channel."""
        now = self.kit.now()
        channels = self._channels(person)
        topics = [one for one in self.kit.catalogue.topics if not one.retired]
        marketing = [one for one in topics if one.message_class is MessageClass.MARKETING]
        columns = [self._column(person, channel, [*(one.slug for one in marketing), None]) for channel in channels]
        names = [(one.name, "") for one in marketing]
        names.append(("Service messages", "Appointments, results, receipts"))
        rows = tuple(
            (name, small, tuple(column[number] for column in columns)) for number, (name, small) in enumerate(names)
        )
        return Sendable(tuple(channels), rows, now)

    def check(self, person: Person, channel: Channel, topic: str) -> Answer:
        """Return whether one send would be blocked, with the ladder; of several addresses the first allowed.

        Raises:
            InvalidInput: The person has no address that the channel reaches.
            UnknownTopic: There is no such topic.
        """
        question = self.decisions.question(_asked(channel, topic))
        reached = [one for one in person.addresses if one.kind is KIND_OF_CHANNEL[channel]]
        if not reached:
            raise InvalidInput("We hold no address of theirs for this channel.", field="channel", code="no_address")
        answers = []
        for one in reached:
            weighed = self._weighed(one, channel)
            answers.append(self.decisions.look(question, weighed.address, weighed.keys, to=one.masked))
        return next((answer for answer in answers if answer.decision.allowed), answers[0])

    def history(
        self, person: Person, limit: int, *, before: int | None = None, after: int | None = None, words: bool = True
    ) -> list[Record]:
        """Return what is on record about a person, newest first, with its evidence in a fixed number of queries.

        Without ``words`` what they said, and what was noted about it, is left out.
        """
        with self.kit.store.read() as connection:
            entries = ledger.page_of(connection, person.subjects, limit, before=before, after=after)
            return self._records(connection, person, entries, words=words)

    def count(self, person: Person) -> int:
        """Return how many entries there are about a person."""
        with self.kit.store.read() as connection:
            return ledger.count_of(connection, person.subjects)

    def messages(self, person: Person, limit: int) -> list[Queued]:
        """Return the newest messages of our gateway to a person."""
        with self.kit.store.read() as connection:
            return messages_page(connection, MessageFilter(subjects=person.subjects), limit)

    def scan(self, entry: Entry) -> tuple[str, bytes]:
        """Return the name and the bytes of what was scanned for an entry. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            kept = evidence.of_act(connection, entry.act_id, entry.subject, evidence.SCAN)
            proofs = evidence.of_act(connection, entry.act_id, entry.subject)
        if not kept or not proofs:
            raise NotFound("There is no scan with this record.")
        context = evidence_context(entry.act_id, entry.subject)
        name = self.kit.vault.open_json(proofs[0], context=context)["scan"]["name"]
        return name, self.kit.vault.open(kept[0], context=context + b":scan")

    def _readings(self, typed: str) -> list[Address]:
        """Return every address that what was typed may be."""
        found = []
        for channel in _TRIED_CHANNELS:
            if channel is Channel.SMS and ("@" in typed or not any(letter.isdigit() for letter in typed)):
                continue
            try:
                found.append(parse_address(channel, typed, default_region=self.kit.default_region))
            except InvalidAddress:
                continue
        return found

    def _people(self, connection: Connection, subjects: Sequence[int]) -> list[Person]:
        """Return people by subject, in order, in four queries."""
        contacts = people.contacts_by_subject(connection, subjects)
        alone = people.by_subject(connection, [one for one in subjects if one not in contacts])
        addresses: dict[int, list[KnownAddress]] = {number: [known] for number, known in alone.items()}
        for known in people.of_contact(connection, contacts):
            addresses.setdefault(known.contact or 0, []).append(known)
        held = stops.held_back(connection, [known.key for of_one in addresses.values() for known in of_one])
        found = []
        for subject in subjects:
            if subject in contacts or subject in alone:
                ordered = sorted(addresses.get(subject, ()), key=lambda one: list(AddressKind).index(one.kind))
                mine = tuple(self._address(one) for one in ordered)
                found.append(_marked(Person(subject, contacts.get(subject), mine), held))
        return found

    def _address(self, known: KnownAddress) -> PersonAddress:
        clear = self.kit.clear(known)
        shown = masked(Address(known.kind, clear, clear)) if clear else ""
        return PersonAddress(known, clear, shown or (f"{known.kind} •••" if clear else "a fingerprint only"))

    def _channels(self, person: Person) -> list[Channel]:
        kinds = {one.kind for one in person.addresses}
        used = {channel for topic in self.kit.catalogue.topics for channel in topic.needs}
        return [one for one in Channel if one in _ALWAYS_SHOWN or (KIND_OF_CHANNEL[one] in kinds and one in used)]

    def _column(self, person: Person, channel: Channel, topics: Sequence[str | None]) -> list[Cell]:
        whom = [self._weighed(one, channel) for one in person.addresses if one.kind is KIND_OF_CHANNEL[channel]]
        if not whom:
            return [Cell(None)] * len(topics)
        questions = [self.decisions.question(_asked(channel, topic or SERVICE_MESSAGES)) for topic in topics]
        return [_cell(decided) for decided in self.decisions.weigh(questions, whom)]

    def _weighed(self, one: PersonAddress, channel: Channel) -> Weighed:
        address = parse_address(channel, one.clear) if one.clear else None
        keys = self.kit.address_keys.candidates(address) if address else ()
        return Weighed((one.known.key, *(key for key in keys if key != one.known.key)), address)

    def _records(
        self, connection: Connection, person: Person, entries: Sequence[Entry], *, words: bool
    ) -> list[Record]:
        acts = {entry.act_id for entry in entries}
        proofs = evidence.of_acts(connection, acts, person.subjects)
        covering = seals.covering(connection, [entry.id for entry in entries])
        actors = [int(one.partition(":")[2]) for e in entries if (one := e.actor or "").startswith("staff:")]
        names = {f"staff:{number}": user.email for number, user in staff.users_numbered(connection, actors).items()}
        owners = {one.known.subject: one.masked for one in person.addresses}
        return [
            Record(
                entry,
                self._proof(entry, proofs, words=words),
                self._device(entry, proofs),
                names.get(entry.actor or "", entry.actor or ""),
                covering.get(entry.id),
                owners.get(entry.subject, "") if len(person.addresses) > 1 else "",
            )
            for entry in entries
        ]

    def _proof(self, entry: Entry, kept: dict[tuple[str, int, str], bytes], *, words: bool) -> dict[str, Any]:
        sealed = kept.get((entry.act_id, entry.subject, evidence.PROOF))
        if sealed is None:
            return {}
        opened = self.kit.vault.open_json(sealed, context=evidence_context(entry.act_id, entry.subject))
        shown: dict[str, Any] = opened if words else {name: opened[name] for name in _SHOWN_TO_ALL if name in opened}
        return shown

    def _device(self, entry: Entry, kept: dict[tuple[str, int, str], bytes]) -> str:
        """Return the kind of device; its address on the net is never shown."""
        sealed = kept.get((entry.act_id, entry.subject, evidence.DEVICE))
        if sealed is None:
            return ""
        opened = self.kit.vault.open_json(sealed, context=evidence_context(entry.act_id, entry.subject))
        agent = str(opened.get("user_agent") or "")
        return "Phone or tablet" if "Mobi" in agent or "Android" in agent else "Computer" if agent else "Not known"


# Of a proof, what says nothing about the person: marketing operations may see it.
_SHOWN_TO_ALL = ("page", "wording", "wording_version", "language", "how", "received_on", "event", "kind")


def _asked(channel: Channel, topic: str) -> Asked:
    if topic == SERVICE_MESSAGES:
        return Asked(channel=channel, message_class=MessageClass.TRANSACTIONAL)
    return Asked(channel=channel, topic=topic)


def _cell(decided: Sequence[tuple[Decision, bool]]) -> Cell:
    """Return the first allowed answer, else the first; and for how many addresses it is the same."""
    decision, agreed = next((one for one in decided if one[0].allowed), decided[0])
    same = sum(one.outcome is decision.outcome and one.reason is decision.reason for one, _ in decided)
    return Cell(decision, agreed, same, len(decided))


def _marked(person: Person, held: dict[bytes, dict[str, datetime]]) -> Person:
    """Note whether the data were deleted or may not be used."""
    facts = [held.get(one.known.key, {}) for one in person.addresses]
    erased = [fact[Reason.ERASED] for fact in facts if Reason.ERASED in fact]
    restricted = [fact[Reason.RESTRICTED] for fact in facts if Reason.RESTRICTED in fact]
    gone = bool(erased) and all(one.clear is None for one in person.addresses)
    return replace(
        person,
        erased_on=max(erased).date() if gone else None,
        restricted_since=min(restricted) if restricted else None,
    )


def channels_of(person: Person) -> list[Channel]:
    """Return the channels that reach a person, in the order of the vocabulary."""
    reached = {channel for one in person.addresses for channel in CHANNELS_OF_KIND[one.kind]}
    return [one for one in Channel if one in reached]
