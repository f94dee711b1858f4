"""The preference center: what a person gets now, and saving what they change (ux.md P3).

A save carries changes against the version that was shown: a stop always counts, a start only
if nothing newer stands against it, and only with proof of the address (invariant I08, D20).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from prefs.domain.catalogue import MERGED, Topic
from prefs.domain.decision import Decision, Question, RecipientState, decide
from prefs.domain.ledger import ALL, Entry, Standing, live_entries
from prefs.domain.reasons import SUPPRESSION_REASONS, Rule
from prefs.domain.terms import (
    CHANNELS_OF_KIND,
    KIND_OF_CHANNEL,
    Act,
    Channel,
    ConsentKind,
    MessageClass,
    Reason,
    Source,
)
from prefs.links import ASKED_FOR, LinkTarget, Purpose
from prefs.services import presses, stopping
from prefs.services.errands import LINK_GOOD_FOR, Errands
from prefs.services.kit import Doing, Kit, keep_proof, open_key, start, stop
from prefs.services.stopping import EVERY_CHANNEL, NOTHING_SEEN, Seen
from prefs.services.unsubscribe import masked_address
from prefs.storage import choices, ledger, people, requests
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, KnownContact

SHOWN_FOR = timedelta(days=60)
PAUSE_FOR = timedelta(days=30)
SEND, STOP = "send", "stop"
_CLOCK_SKEW = timedelta(minutes=5)
_MAY_START = frozenset({Channel.EMAIL, Channel.SMS})
_SHOWN_ALWAYS = (Channel.EMAIL, Channel.SMS, Channel.PUSH)


@dataclass(frozen=True, slots=True)
class Row:
    """One choice: a topic on one address, or everything on a channel that is chosen as one.

    ``name`` is what forms call it; ``topic`` None is a merged row. ``may_start`` is False
    where only the person's own device or a letter can start it.
    """

    name: str
    channel: Channel
    topic: Topic | None
    sends: bool
    may_start: bool
    address: KnownAddress


@dataclass(frozen=True, slots=True)
class Section:
    """A channel with its rows; ``masked`` is the address they go to."""

    channel: Channel
    masked: str
    rows: tuple[Row, ...]

    @property
    def sending(self) -> int:
        """How many of its rows are on."""
        return sum(row.sends for row in self.rows)


@dataclass(frozen=True, slots=True)
class PreferenceView:
    """What the page may show: the choices of every address of the contact, each masked (V05).

    ``too_old`` links show nothing but the way to stop. ``version`` is the last ledger entry
    about the person. ``stopped_since`` is set where nothing at all is sent. ``restricted`` is
    the reference of an open request that holds everything.
    """

    channel: Channel
    masked: str
    made_on: datetime
    asked_for: bool
    too_old: bool
    language: str | None
    version: int = 0
    sections: tuple[Section, ...] = ()
    all_stopped: bool = False
    stopped_since: datetime | None = None
    paused_until: datetime | None = None
    restricted: str | None = None
    can_undo: bool = False
    start_number: str | None = None

    @property
    def rows(self) -> list[Row]:
        """Every row of every section."""
        return [row for section in self.sections for row in section.rows]


@dataclass(slots=True)
class Saved:
    """What a save did, row by row, for the banner that names it."""

    stopped: list[Row] = field(default_factory=list)
    started: list[Row] = field(default_factory=list)
    asked_by_mail: list[Row] = field(default_factory=list)
    asked_by_text: list[Row] = field(default_factory=list)
    text_start: list[Row] = field(default_factory=list)
    kept: list[tuple[Row, datetime]] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Person:
    """Everybody behind one link: the address it was made for, and those of the same contact."""

    known: KnownAddress
    contact: KnownContact | None
    addresses: tuple[KnownAddress, ...]
    book: Book

    @property
    def entries(self) -> list[Entry]:
        return [entry for entries in self.book.entries.values() for entry in entries]

    @property
    def version(self) -> int:
        return max((entry.id for entry in self.entries if entry.act is not Act.SALE_OPT_OUT), default=0)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The use cases behind ``/p/<token>``."""

    kit: Kit
    errands: Errands

    def view(self, token: str) -> PreferenceView:
        """Return what the page may show now. Changes nothing.

        Raises:
            InvalidLink: Not a ``manage`` token of ours.
            StoreUnavailable: The state cannot be read.
        """
        target = self.kit.links.read(token, Purpose.MANAGE)
        with self.kit.store.read() as connection:
            person = self._look(connection, target)
            if person is None:
                return self._unknown(target)
            view = self._view(connection, target, person)
        if view.too_old:
            return view
        entries = stopping.bearing(person.book, person.known, token)
        can_undo = bool(entries) and bool(presses.undoable(entries, token, self.kit.now()))
        return replace(view, can_undo=can_undo)

    def save(
        self,
        token: str,
        wanted: Mapping[str, str],
        shown: Iterable[str],
        version: int,
        *,
        may_raise: bool,
        language: str,
        seen: Seen = NOTHING_SEEN,
    ) -> Saved:
        """Save what was changed against what was shown; return what came of each row.

        ``wanted`` maps row names to ``send`` or ``stop``; ``shown`` names the rows that stood on
        ``send``; ``version`` is the page's. Without ``may_raise`` (the form was not proven to be
        ours) stops are saved and starts are refused.

        Raises:
            InvalidLink: Not a ``manage`` token of ours.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.MANAGE)
        doing = stopping.by_page(Source.PREFERENCE_PAGE, self.kit, seen, token=token)
        saved = Saved()
        on_before = frozenset(shown)
        with self.kit.store.write() as connection:
            person = self._open(connection, target)
            rows = self._rows(person)
            lowered = [row for row in rows if wanted.get(row.name) == STOP and row.name in on_before]
            raised = [row for row in rows if wanted.get(row.name) == SEND and row.name not in on_before]
            self._lower(connection, person, doing, lowered, saved)
            raised = [row for row in raised if row.may_start]
            if not may_raise or self._too_old(target) or self._restriction(connection, person):
                saved.refused = raised
            else:
                self._raise(connection, person, target, doing, raised, version, language, saved)
            changed = [row.address.subject for row in (*saved.stopped, *saved.started)]
            keep_proof(connection, self.kit, doing, changed)
        return saved

    def check(self, token: str, scope: str = EVERY_CHANNEL) -> None:
        """Refuse a press that could never be stored. Raises ``InvalidLink`` or ``UnknownTopic``."""
        self.kit.links.read(token, Purpose.MANAGE)
        stopping.read_scope(self.kit, scope)

    def stop_all(self, token: str, scope: str = EVERY_CHANNEL, *, seen: Seen = NOTHING_SEEN) -> str:
        """Stop all marketing, everywhere or on the link's channel; return the reference.

        Raises: As ``save``. Works with a link of any age.
        """
        target = self.kit.links.read(token, Purpose.MANAGE)
        doing = stopping.by_page(Source.PREFERENCE_PAGE, self.kit, seen, token=token)
        channel = None if scope == EVERY_CHANNEL else target.channel
        return presses.reference(stopping.press(self.kit, doing, target, channel, stopping.read_scope(self.kit, scope)))

    def pause(self, token: str, *, seen: Seen = NOTHING_SEEN) -> datetime:
        """Pause all marketing on every channel for 30 days and return until when. Raises as ``save``."""
        target = self.kit.links.read(token, Purpose.MANAGE)
        doing = stopping.by_page(Source.PREFERENCE_PAGE, self.kit, seen, token=token)
        until = self.kit.now() + PAUSE_FOR
        with self.kit.store.write() as connection:
            person = self._open(connection, target)
            subject = person.known.contact if person.known.contact is not None else person.known.subject
            paused = stop(doing, person.book, subject, None, reason=Reason.SNOOZED, until=until)
            ledger.append(connection, person.book, [paused])
            keep_proof(connection, self.kit, doing, [subject])
        return until

    def undo(self, token: str) -> bool:
        """Take back what the last save or press with this link did; False where that is over (D19)."""
        target = self.kit.links.read(token, Purpose.MANAGE)
        return stopping.take_back(self.kit, token, target, Source.PREFERENCE_PAGE)

    def of_contact(self, external_id: str) -> tuple[Section, ...] | None:
        """Return the choices of a contact for its caller, or None where there is no such contact."""
        with self.kit.store.read() as connection:
            contact = people.find_contact(connection, external_id)
            if contact is None:
                return None
            addresses = people.of_contact(connection, [contact.subject])
            if not addresses:
                return ()
            book = ledger.open_book(connection, addresses)
        return self._sections(_Person(addresses[0], contact, tuple(addresses), book))

    def _look(self, connection: Connection, target: LinkTarget) -> _Person | None:
        known = people.find(connection, [target.address_key]).get(target.address_key)
        if known is None:
            return None
        contact = people.contact_of(connection, known.contact) if known.contact is not None else None
        addresses = people.of_contact(connection, [contact.subject]) if contact else [known]
        return _Person(known, contact, tuple(addresses), ledger.open_book(connection, addresses))

    def _open(self, connection: Connection, target: LinkTarget) -> _Person:
        """Return the person with their locks held."""
        known = open_key(connection, self.kit, target.address_key, KIND_OF_CHANNEL[target.channel])
        contact = people.contact_of(connection, known.contact) if known.contact is not None else None
        book = ledger.open_book(connection, [known], stopping.contacts_of(known))
        return _Person(known, contact, tuple(book.addresses.values()), book)

    def _unknown(self, target: LinkTarget) -> PreferenceView:
        """An address we never stored: what everybody gets, and nothing to tell it by."""
        nobody = KnownAddress(0, target.address_key, KIND_OF_CHANNEL[target.channel], None, None)
        person = _Person(nobody, None, (nobody,), Book({0: nobody}))
        return PreferenceView(
            channel=target.channel,
            masked="",
            made_on=target.issued_at or self.kit.now(),
            asked_for=target.number == ASKED_FOR,
            too_old=self._too_old(target),
            language=None,
            sections=() if self._too_old(target) else self._sections(person),
        )

    def _view(self, connection: Connection, target: LinkTarget, person: _Person) -> PreferenceView:
        too_old = self._too_old(target)
        sections = () if too_old else self._sections(person)
        stopped = bool(sections) and not any(section.sending for section in sections)
        facts = [fact for one in person.addresses for fact in person.book.standing(one)]
        restriction = self._restriction(connection, person)
        return PreferenceView(
            channel=target.channel,
            masked=masked_address(self.kit, person.known),
            made_on=target.issued_at or self.kit.now(),
            asked_for=target.number == ASKED_FOR,
            too_old=too_old,
            language=person.contact.locale if person.contact else None,
            version=person.version,
            sections=sections,
            all_stopped=stopped,
            stopped_since=_all_stopped_since(facts) if stopped else None,
            paused_until=_paused_until(facts, self.kit.now()),
            restricted=restriction,
            start_number=self._start_number(facts),
        )

    def _restriction(self, connection: Connection, person: _Person) -> str | None:
        """Return the reference of an open request to restrict, or None."""
        subjects = {one.subject for one in person.addresses} | set(stopping.contacts_of(person.known))
        row = requests.open_restriction(connection, subjects)
        return row.reference if row else None

    def _too_old(self, target: LinkTarget) -> bool:
        now = self.kit.now()
        good_for = LINK_GOOD_FOR if target.number == ASKED_FOR else SHOWN_FOR
        made = target.issued_at
        return made is None or now >= made + good_for or made > now + _CLOCK_SKEW

    def _sections(self, person: _Person) -> tuple[Section, ...]:
        by_place: dict[tuple[Channel, int], list[Row]] = {}
        for row in self._rows(person):
            by_place.setdefault((row.channel, row.address.subject), []).append(row)
        made = [
            Section(channel, masked_address(self.kit, rows[0].address), tuple(rows))
            for (channel, _), rows in by_place.items()
        ]
        # The link's own address comes first within its channel; push is always told about.
        made.sort(key=lambda one: (list(Channel).index(one.channel), one.rows[0].address != person.known))
        if not any(one.channel is Channel.PUSH for one in made):
            made.append(Section(Channel.PUSH, "", ()))
        return tuple(made)

    def _rows(self, person: _Person) -> list[Row]:
        rows: list[Row] = []
        for address in person.addresses:
            facts = person.book.standing(address)
            for channel in CHANNELS_OF_KIND[address.kind]:
                mentioned = any(fact.channel is channel for fact in facts)
                if channel in _SHOWN_ALWAYS or mentioned:
                    rows += self._rows_of(person, address, channel, facts)
        return rows

    def _rows_of(
        self, person: _Person, address: KnownAddress, channel: Channel, facts: Sequence[Standing]
    ) -> list[Row]:
        topics = self.kit.catalogue.marketing_topics(channel)
        country = person.contact.country if person.contact else None
        state = RecipientState(tuple(f for f in facts if f.channel in (None, channel)), country)
        on = {topic.number: self._would_send(channel, topic, state) for topic in topics}
        place = f"{channel}.{hashlib.sha256(b'row:' + address.key).hexdigest()[:8]}"
        may_start = channel in _MAY_START
        if channel in MERGED:
            return [Row(f"{place}.all", channel, None, any(on.values()), may_start, address)]
        rows = [Row(f"{place}.{t.slug}", channel, t, on[t.number], may_start, address) for t in topics]
        # What only the device can start is shown only while it is on.
        return rows if may_start else [row for row in rows if row.sends]

    def _would_send(self, channel: Channel, topic: Topic, state: RecipientState) -> bool:
        """True where choices and law would let it go; whether the address works is not a choice."""
        decision = choice_of(self.kit, channel, topic, state)
        return decision.allowed or decision.rule in NO_CHOICE

    def _start_number(self, facts: Sequence[Standing]) -> str | None:
        """Return the number to text START to, where the provider itself holds a block (rules.md W-11)."""
        if not any(fact.reason is Reason.PROVIDER_BLOCK and fact.channel is Channel.SMS for fact in facts):
            return None
        sender = self.kit.catalogue.default_sender(Channel.SMS, "default", MessageClass.MARKETING)
        return next(iter((*sender.inbound, sender.address)), None) if sender else None

    def _lower(self, connection: Connection, person: _Person, doing: Doing, rows: Sequence[Row], saved: Saved) -> None:
        """Stop these rows; one that is stopped already stays as it is."""
        wanted = [
            stop(doing, person.book, row.address.subject, row.channel, scope=row.topic.number if row.topic else ALL)
            for row in rows
            if row.sends
        ]
        ledger.append(connection, person.book, wanted)
        saved.stopped = [row for row in rows if row.sends]

    def _raise(
        self,
        connection: Connection,
        person: _Person,
        target: LinkTarget,
        doing: Doing,
        rows: Sequence[Row],
        version: int,
        language: str,
        saved: Saved,
    ) -> None:
        """Start what may be started: at once with proof, else after the person confirms (contract D20)."""
        free: list[Row] = []
        for row in rows:
            newer = _newer_stop(person, row, version)
            if newer is not None:
                saved.kept.append((row, newer.effective_at))
            elif not row.sends:
                free.append(row)
        for row in free:
            if row.channel is Channel.SMS:
                blocked = self._start_number(person.book.standing(row.address)) is not None
                (saved.text_start if blocked else saved.asked_by_text).append(row)
            elif row.address == person.known and target.number == ASKED_FOR:
                saved.started.append(row)
            else:
                saved.asked_by_mail.append(row)
        consents = [
            start(
                doing,
                person.book,
                row.address.subject,
                row.channel,
                topic=row.topic.number,
                kind=ConsentKind.OWN_ACT,
            )
            for row in saved.started
            if row.topic
        ]
        ledger.append(connection, person.book, consents)
        self._ask(connection, person, doing, [*saved.asked_by_mail, *saved.asked_by_text], language)

    def _ask(self, connection: Connection, person: _Person, doing: Doing, rows: Sequence[Row], language: str) -> None:
        by_address: dict[tuple[int, Channel], list[Row]] = {}
        for row in rows:
            by_address.setdefault((row.address.subject, row.channel), []).append(row)
        for (subject, channel), asked in by_address.items():
            topics = [row.topic.number for row in asked if row.topic]
            if not topics:
                topics = [topic.number for topic in self.kit.catalogue.marketing_topics(channel)]
            choice = choices.add(
                connection,
                subject=subject,
                channel=channel,
                topics=topics,
                version=person.version,
                act_id=doing.id,
                language=language,
                now=self.kit.now(),
            )
            self.errands.ask_to_confirm(connection, asked[0].address, choice)


NO_CHOICE = frozenset({Rule.ADDRESS_WORKING, Rule.TIMING})
"""What may keep a message back although the person wants it."""


def choice_of(kit: Kit, channel: Channel, topic: Topic, state: RecipientState) -> Decision:
    """Return what would be decided about a marketing topic now, by the default brand and sender."""
    sender = kit.catalogue.default_sender(channel, "default", MessageClass.MARKETING)
    question = Question(
        channel=channel,
        message_class=MessageClass.MARKETING,
        at=kit.now(),
        topic=topic,
        brand=kit.catalogue.brand("default").number,
        sender=sender.number if sender else None,
        country=state.country,
    )
    return decide(question, state)


def _newer_stop(person: _Person, row: Row, version: int) -> Entry | None:
    """Return the newest stop recorded behind the page's version that covers this row (invariant I08)."""
    topic = row.topic.number if row.topic else ALL
    stops = [
        entry
        for entry in live_entries(person.book.of(row.address))
        if entry.act is Act.OPT_OUT
        and entry.id > version
        and entry.channel in (None, row.channel)
        and entry.scope in (ALL, topic)
    ]
    return max(stops, key=lambda entry: entry.id, default=None)


def _all_stopped_since(facts: Sequence[Standing]) -> datetime | None:
    stops = [fact for fact in facts if fact.reason in SUPPRESSION_REASONS and fact.until is None]
    whole = [fact for fact in stops if fact.scope == ALL]
    return max((fact.effective_at for fact in whole or stops), default=None)


def _paused_until(facts: Sequence[Standing], now: datetime) -> datetime | None:
    ends = [fact.until for fact in facts if fact.reason is Reason.SNOOZED and fact.until and fact.in_force(now)]
    return max(ends, default=None)
