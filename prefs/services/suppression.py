"""Add, list and lift suppressions; record consents. What operators and other systems do.

Suppressions, consents and contactability are three things (contract D13): a reason that only
says the address is bad is stored as such and never listed as a suppression.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, parse_address
from prefs.domain.deadlines import IMPLIED_MONTHS, implied_until
from prefs.domain.ledger import ALL, Entry, Standing, fold, reopened, still_in_force
from prefs.domain.reasons import CONTACTABILITY_REASONS, STATABLE_REASONS, SUPPRESSION_REASONS, ends
from prefs.domain.terms import CHANNELS_OF_KIND, Act, Channel, ConsentKind, Reason, Source
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.errands import Errands
from prefs.services.kit import Doing, Kit, act, bad_address, keep_proof, keep_proofs, lift, open_address, start, stop
from prefs.storage import choices, ledger, people
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A suppression somebody asks for. ``channel`` None is ``any``; either ``to`` or ``contact`` is given."""

    channel: Channel | None
    to: str | None = None
    contact: str | None = None
    scope: str = "all"
    reason: Reason = Reason.UNSUBSCRIBED
    source: str = Source.API
    occurred_at: datetime | None = None
    until: datetime | None = None
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionView:
    """A standing block as callers see it; ``id`` is ``sup_…`` and names its ledger entry."""

    id: str
    channel: str
    to: str | None
    contact: str | None
    scope: str
    reason: str
    source: str
    since: datetime
    until: datetime | None
    created: bool = False
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which suppressions to list; ``after`` is the id of the last one seen."""

    channel: Channel | None = None
    to: str | None = None
    reason: Reason | None = None
    scope: str | None = None
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A consent a caller reports. ``evidence`` is required for the weaker kinds (contract D12)."""

    channel: Channel
    to: str
    topic: str
    source: str
    kind: ConsentKind = ConsentKind.EXPRESS
    wording: str | None = None
    evidence: dict[str, Any] | None = None
    occurred_at: datetime | None = None
    expires_at: datetime | None = None
    double_opt_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentView:
    """A consent on record; ``id`` is ``con_…``. ``wording_on_record`` says whether its words are kept.

    ``status`` is ``given``, or ``pending`` until the person has confirmed it.
    """

    id: str
    channel: str
    to: str
    topic: str
    kind: str
    source: str
    since: datetime
    expires_at: datetime | None
    wording_on_record: bool
    status: str = "given"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a wish lands: a subject, its address if it is one, and what is on record."""

    subject: int
    known: KnownAddress | None
    book: Book
    standing: list[Standing]


_Where = tuple[int, KnownAddress | None]
"""The subject a wish lands on, and its address if it named one."""

_AT_ONCE = 1_000
"""Wishes a transaction: SQLite's writers wait for each other, and PostgreSQL's hold their locks meanwhile."""


@dataclass(frozen=True, slots=True)
class Suppressions:
    """The use cases of ``/v1/suppressions`` and ``/v1/consents``."""

    kit: Kit
    errands: Errands

    def add(self, wish: Wish, *, actor: str | None = None, key: str | None = None) -> SuppressionView:
        """Put a block on record and return it; ``created`` is False where it stood already.

        Raises:
            InvalidInput: The wish cannot be; ``field`` names the part.
            NotFound: No such contact.
            StoreUnavailable: Nothing was stored.
        """
        address = self._checked(wish)
        with self.kit.store.write() as connection:
            return self._add(connection, wish, address, actor, key)

    def add_many(self, wishes: Sequence[Wish], *, actor: str | None = None) -> list[SuppressionView | Exception]:
        """Put blocks on record, each with its own result; one bad item does not stop the rest.

        A thousand share a transaction. The results are those of ``add`` for one wish after the other.

        Raises:
            StoreUnavailable: The thousand it happened in, and what follows, is not on record; what
                went before is, and is found there when the list is given again.
        """
        results: list[SuppressionView | Exception] = []
        for begin in range(0, len(wishes), _AT_ONCE):
            results += self._add_some(wishes[begin : begin + _AT_ONCE], actor)
        return results

    def _add_some(self, wishes: Sequence[Wish], actor: str | None) -> list[SuppressionView | Exception]:
        results: dict[int, SuppressionView | Exception] = {}
        sound: dict[int, tuple[Wish, Address | None]] = {}
        for number, wish in enumerate(wishes):
            try:
                sound[number] = (wish, self._checked(wish))
            except InvalidInput as error:
                results[number] = error
        with self.kit.store.write() as connection:
            places, book = self._places(connection, sound)
            unknown = sound.keys() - places.keys()
            results |= {number: NotFound("There is no contact with this id.") for number in unknown}
            for turn in _turns(places):
                results |= self._add_turn(
                    connection, book, {number: (sound[number][0], turn[number]) for number in turn}, actor
                )
        return [results[number] for number in range(len(wishes))]

    def _add_turn(
        self, connection: Connection, book: Book, turn: dict[int, tuple[Wish, _Where]], actor: str | None
    ) -> dict[int, SuppressionView]:
        """Write wishes about different people at once; return their results by number."""
        results: dict[int, SuppressionView] = {}
        written: dict[int, tuple[Doing, Entry]] = {}
        for number, (wish, (subject, known)) in turn.items():
            doing = self._doing(wish, actor, None)
            place = _Place(subject, known, book, _standing_at(book, subject, known))
            entry = self._entry(doing, place, wish)
            already = still_in_force(place.standing, entry)
            if already is None:
                written[number] = (doing, entry)
            else:
                results[number] = self._view(book, _entry_of(place, already.entry_id), known)
        added = {
            one.entry_key: one for one in ledger.append(connection, book, [entry for _, entry in written.values()])
        }
        keep_proofs(connection, self.kit, [(doing, [entry.subject]) for doing, entry in written.values()])
        for number, (_, entry) in written.items():
            stored = added.get(entry.entry_key)
            results[number] = self._view(book, stored or entry, turn[number][1][1], created=stored is not None)
        return results

    def _places(
        self, connection: Connection, sound: dict[int, tuple[Wish, Address | None]]
    ) -> tuple[dict[int, _Where], Book]:
        """Open what the wishes are about, contacts first (reliability.md R6); unknown contacts are absent."""
        named = {wish.contact for wish, _ in sound.values() if wish.contact is not None}
        contacts = people.find_contacts(connection, named)
        wanted = {number: self.kit.wanted(address) for number, (_, address) in sound.items() if address is not None}
        everywhere = [number for number in wanted if sound[number][0].channel is None]
        known_before = people.find(connection, [key for number in everywhere for key in wanted[number].keys])
        theirs = {one.contact for one in known_before.values() if one.contact is not None}
        whole = {one.subject for one in contacts.values()} | theirs
        people.lock_contacts(connection, whole)
        opened = dict(
            zip(wanted, people.open_addresses(connection, list(wanted.values()), self.kit.now()), strict=True)
        )
        whole |= {one.contact for number, one in opened.items() if number in everywhere and one.contact is not None}
        book = ledger.open_book(connection, opened.values(), whole)
        places: dict[int, _Where] = {}
        for number, (wish, _) in sound.items():
            if number in opened:
                known = opened[number]
                on_contact = wish.channel is None and known.contact is not None
                places[number] = (known.contact if on_contact and known.contact else known.subject, known)
            elif wish.contact in contacts:
                places[number] = (contacts[wish.contact].subject, None)
        return places, book

    def lift(self, suppression_id: str, *, evidence: str, source: str, actor: str | None = None) -> SuppressionView:
        """End one suppression by a new entry; the old one stays in the ledger. Needs evidence (D9).

        Raises:
            NotFound: No such suppression stands.
            InvalidInput: The evidence is missing.
        """
        with self.kit.store.write() as connection:
            return self.lift_in(connection, suppression_id, evidence=evidence, source=source, actor=actor)

    def lift_in(
        self, connection: Connection, suppression_id: str, *, evidence: str, source: str, actor: str | None = None
    ) -> SuppressionView:
        """End one suppression in the caller's transaction. Raises what ``lift`` raises."""
        if not evidence.strip():
            raise InvalidInput("Say what shows that the person wants this.", field="evidence", code="missing")
        entry = _entry_named(connection, suppression_id)
        known = people.locate(connection, entry.subject)
        book = ledger.open_book(connection, [known] if known else [], [] if known else [entry.subject])
        doing = act(source, self.kit.now(), actor=actor, proof={"evidence": evidence})
        view = self._view(book, entry, known)
        if not ledger.append(connection, book, [lift(doing, book, entry.subject, f"entry:{entry.entry_key}")]):
            raise NotFound("There is no such suppression.")
        keep_proof(connection, self.kit, doing, [entry.subject])
        return view

    def of_address(self, channel: Channel, to: str) -> list[SuppressionView]:
        """Return the suppressions that stand about one address on a channel, its contact's included.

        Raises:
            InvalidAddress: The text is no address.
        """
        address = parse_address(channel, to, default_region=self.kit.default_region)
        with self.kit.store.read() as connection:
            found = people.find(connection, self.kit.address_keys.candidates(address))
            book = ledger.open_book(connection, found.values())
        views = {}
        for known in found.values():
            entries = {entry.id: entry for entry in book.of(known)}
            for fact in book.standing(known):
                if fact.channel in (None, channel) and fact.reason in SUPPRESSION_REASONS:
                    views[fact.entry_id] = self._view(book, entries[fact.entry_id], known)
        return [views[number] for number in sorted(views, reverse=True)]

    def search(self, wanted: Search) -> tuple[list[SuppressionView], str | None]:
        """Return the suppressions that stand, of everybody or about one address, newest first.

        The second value is the id to go on behind, or None at the end. A contact's own stop is
        one line, whatever addresses it reaches.

        Raises:
            InvalidInput: A filter cannot be; ``field`` names it.
        """
        before = _number_of(wanted.after) if wanted.after is not None else None
        scope = self.kit.catalogue.scope_number(wanted.scope) if wanted.scope is not None else None
        one = wanted.to is not None
        found = self._search_one(wanted, before) if one else self._search_all(wanted, before, scope)
        kept = found[: wanted.limit]
        return kept, kept[-1].id if len(found) > len(kept) else None

    def _search_one(self, wanted: Search, before: int | None) -> list[SuppressionView]:
        if wanted.channel is None:
            raise InvalidInput("Name the `channel` of the address in `to`.", field="channel", code="missing")
        return [
            one
            for one in self.of_address(wanted.channel, wanted.to or "")
            if wanted.reason in (None, one.reason)
            and wanted.scope in (None, one.scope)
            and (before is None or _number_of(one.id) < before)
        ]

    def _search_all(self, wanted: Search, before: int | None, scope: int | None) -> list[SuppressionView]:
        """Return one more than the limit where there are as many. Dead stops are passed over."""
        found: list[SuppressionView] = []
        with self.kit.store.read() as connection:
            while len(found) <= wanted.limit:
                entries = ledger.stops(
                    connection,
                    before=before,
                    limit=wanted.limit + 1,
                    channel=wanted.channel,
                    reason=wanted.reason,
                    scope=scope,
                )
                if not entries:
                    break
                found += self._standing_of(connection, entries, wanted.channel)
                before = entries[-1].id
        return found

    def _standing_of(
        self, connection: Connection, entries: Sequence[Entry], channel: Channel | None
    ) -> list[SuppressionView]:
        """Return those of these stops that stand and still lead to somebody."""
        subjects = {entry.subject for entry in entries}
        addresses = people.by_subject(connection, subjects)
        contacts = people.contacts_by_subject(connection, subjects - addresses.keys())
        book = ledger.open_book(connection, addresses.values())
        for entry in ledger.history(connection, contacts.keys() - book.entries.keys()):
            book.entries[entry.subject].append(entry)
        standing = {fact.entry_id for one in (*addresses, *contacts) for fact in fold(book.entries[one])}
        views = []
        for entry in entries:
            known = addresses.get(entry.subject)
            if entry.id not in standing or (known and channel and channel not in CHANNELS_OF_KIND[known.kind]):
                continue
            contact = contacts.get(entry.subject)
            views.append(replace(self._view(book, entry, known), contact=contact.external_id if contact else None))
        return views

    def record_consent(self, given: Agreement, *, actor: str | None = None, key: str | None = None) -> ConsentView:
        """Put a consent on record. It never outranks a later opt-out (contract D7, D9).

        Raises:
            InvalidInput: The consent cannot be as stated.
            Conflict: A later opt-out, or one that this kind of consent cannot end, stands.
        """
        topic = self.kit.catalogue.topic(given.topic)
        address = parse_address(given.channel, given.to, default_region=self.kit.default_region)
        now = self.kit.now()
        check_kind(given, now)
        given = replace(given, expires_at=ends_at(given))
        doing = act(given.source, now, key=key, occurred_at=given.occurred_at, actor=actor, proof=proof_of(given))
        with self.kit.store.write() as connection:
            known = open_address(connection, self.kit, address)
            book = ledger.open_book(connection, [known])
            entry = start(
                doing,
                book,
                known.subject,
                given.channel,
                topic=topic.number,
                kind=given.kind,
                at=given.occurred_at,
                until=given.expires_at,
            )
            rows = self.kit.rows_of(connection, known)
            facts = [fact for one in rows for fact in ledger.open_book(connection, rows).standing(one)]
            refuse_over_stop(facts, entry, stated=given.occurred_at is not None)
            if given.double_opt_in:
                entry = start(doing, book, known.subject, given.channel, topic=topic.number, kind=ConsentKind.PENDING)
            added = ledger.append(connection, book, [entry])
            keep_proof(connection, self.kit, doing, [known.subject] if added else [])
            if added and given.double_opt_in:
                self._ask_to_confirm(connection, known, book, added[0])
        stored = added[0] if added else entry
        return ConsentView(
            id=f"con_{stored.id}",
            channel=given.channel,
            to=given.to,
            topic=given.topic,
            kind=given.kind,
            source=given.source,
            since=stored.effective_at,
            expires_at=given.expires_at,
            wording_on_record=given.wording is not None,
            status="pending" if given.double_opt_in else "given",
        )

    def _ask_to_confirm(self, connection: Connection, known: KnownAddress, book: Book, entry: Entry) -> None:
        """Queue the confirmation; what a later stop makes void is found out when it is pressed (I07)."""
        choice = choices.add(
            connection,
            subject=known.subject,
            channel=entry.channel or Channel.EMAIL,
            topics=[entry.scope],
            version=max(one.id for one in book.of(known)),
            act_id=entry.act_id,
            language=words.DEFAULT,
            now=self.kit.now(),
        )
        self.errands.ask_to_confirm(connection, known, choice)

    def _checked(self, wish: Wish) -> Address | None:
        """Refuse a wish that cannot be, before anything is opened; return its address if it has one."""
        if (wish.to is None) == (wish.contact is None):
            raise InvalidInput("Give either `to` or `contact`.", field="to", code="missing")
        if wish.reason not in STATABLE_REASONS:
            raise InvalidInput(f"`{wish.reason}` cannot be set from outside.", field="reason")
        if wish.until is not None and wish.reason is not Reason.SNOOZED:
            raise InvalidInput("`until` goes with the reason `snoozed` only.", field="until")
        if wish.reason is Reason.SNOOZED and wish.until is None:
            raise InvalidInput("A pause needs `until`.", field="until", code="missing")
        self.kit.catalogue.scope_number(wish.scope)
        if wish.to is None:
            return None
        channel = wish.channel or (Channel.EMAIL if "@" in wish.to else Channel.SMS)
        return parse_address(channel, wish.to, default_region=self.kit.default_region)

    def _add(
        self, connection: Connection, wish: Wish, address: Address | None, actor: str | None, key: str | None
    ) -> SuppressionView:
        doing = self._doing(wish, actor, key)
        place = self._place(connection, wish, address)
        entry = self._entry(doing, place, wish)
        already = still_in_force(place.standing, entry)
        if already is not None:
            return self._view(place.book, _entry_of(place, already.entry_id), place.known)
        added = ledger.append(connection, place.book, [entry])
        keep_proof(connection, self.kit, doing, [place.subject])
        return self._view(place.book, added[0] if added else entry, place.known, created=bool(added))

    def _doing(self, wish: Wish, actor: str | None, key: str | None) -> Doing:
        proof = {"reference": wish.reference, "note": wish.note} if wish.reference or wish.note else None
        return act(wish.source, self.kit.now(), key=key, occurred_at=wish.occurred_at, actor=actor, proof=proof)

    def _place(self, connection: Connection, wish: Wish, address: Address | None) -> _Place:
        if address is None:
            contact = people.find_contact(connection, wish.contact or "", lock=True)
            if contact is None:
                raise NotFound("There is no contact with this id.")
            book = ledger.open_book(connection, [], [contact.subject])
            return _Place(contact.subject, None, book, list(fold(book.entries[contact.subject])))
        known = open_address(connection, self.kit, address)
        if wish.channel is None and known.contact is not None:
            book = ledger.open_book(connection, [known], [known.contact])
            return _Place(known.contact, known, book, book.standing(known))
        book = ledger.open_book(connection, [known])
        return _Place(known.subject, known, book, book.standing(known))

    def _entry(self, doing: Doing, place: _Place, wish: Wish) -> Entry:
        scope = self.kit.catalogue.scope_number(wish.scope)
        sender = scope if wish.scope.startswith("sender:") else None
        if wish.reason in CONTACTABILITY_REASONS:
            return bad_address(
                doing, place.book, place.subject, wish.channel, reason=wish.reason, scope=scope, sender=sender
            )
        return stop(
            doing,
            place.book,
            place.subject,
            wish.channel,
            reason=wish.reason,
            scope=scope,
            sender=sender,
            until=wish.until,
        )

    def _view(self, book: Book, entry: Entry, known: KnownAddress | None, *, created: bool = False) -> SuppressionView:
        facts = book.standing(known) if known else list(fold(book.entries[entry.subject]))
        fact = next((one for one in facts if one.entry_id == entry.id), None)
        catalogue = self.kit.catalogue
        exceptions = [
            catalogue.scope_name(one.scope)
            for one in facts
            if fact and fact.scope == ALL and one.consent and reopened(fact, one.scope, facts)
        ]
        return SuppressionView(
            id=f"sup_{entry.id}",
            channel=str(entry.channel or "any"),
            to=self.kit.clear(known) if known else None,
            contact=None,
            scope=catalogue.scope_name(entry.scope),
            reason=str(entry.reason),
            source=entry.source,
            since=entry.effective_at,
            until=entry.until,
            created=created,
            exceptions=tuple(dict.fromkeys(exceptions)),
        )


def _standing_at(book: Book, subject: int, known: KnownAddress | None) -> list[Standing]:
    return book.standing(known) if known else list(fold(book.entries[subject]))


def _entry_of(place: _Place, entry_id: int) -> Entry:
    entries = place.book.of(place.known) if place.known else place.book.entries[place.subject]
    return next(entry for entry in entries if entry.id == entry_id)


def _turns(places: dict[int, _Where]) -> Iterator[dict[int, _Where]]:
    """Yield the places in turns that name each person once, so that each sees what the one before it did."""
    waiting = places
    while waiting:
        turn: dict[int, _Where] = {}
        later: dict[int, _Where] = {}
        seen: set[int] = set()
        for number, where in waiting.items():
            subject, known = where
            person = known.contact if known is not None and known.contact is not None else subject
            (later if person in seen else turn)[number] = where
            seen.add(person)
        yield turn
        waiting = later


def _number_of(suppression_id: str) -> int:
    number = suppression_id.removeprefix("sup_")
    if not (suppression_id.startswith("sup_") and number.isascii() and number.isdigit() and len(number) < 19):
        raise InvalidInput("Give the `next` of the part before.", field="after")
    return int(number)


def _entry_named(connection: Connection, suppression_id: str) -> Entry:
    number = suppression_id.removeprefix("sup_")
    entry = ledger.entry_numbered(connection, int(number)) if number.isascii() and number.isdigit() else None
    if entry is None or entry.act not in {Act.OPT_OUT, Act.UNREACHABLE}:
        raise NotFound("There is no such suppression.")
    return entry


_CALLERS_KINDS = frozenset({ConsentKind.EXPRESS, ConsentKind.IMPLIED, ConsentKind.SOFT_OPT_IN})
_CONFIRMED_BY_PERSON = frozenset({Channel.EMAIL, Channel.SMS})
_WANTED_EVIDENCE = {
    ConsentKind.SOFT_OPT_IN: (("sale_reference", "product_family", "refusal_offered_at"),),
    ConsentKind.IMPLIED: (("basis", "basis_date"), ("expires_at",)),
}


def proof_of(given: Agreement) -> dict[str, Any]:
    """Return what is kept of a consent: its words, their version, and the evidence as it was given."""
    proof = {"kind": str(given.kind), "wording": given.wording, "evidence": given.evidence}
    if given.wording is not None:
        proof["wording_version"] = hashlib.sha256(given.wording.encode()).hexdigest()[:16]
    return proof


def check_kind(given: Agreement, now: datetime) -> None:
    """Refuse a consent that cannot be, or lacks the evidence its kind needs (contract D12). Raises ``InvalidInput``."""
    if given.kind not in _CALLERS_KINDS:
        raise InvalidInput("A consent is `express`, `implied` or `soft_opt_in`.", field="kind")
    if given.double_opt_in and (given.channel not in _CONFIRMED_BY_PERSON or given.kind is not ConsentKind.EXPRESS):
        raise InvalidInput(
            "A double opt-in is an express consent by email or sms.", field="double_opt_in", code="not_possible"
        )
    if given.occurred_at and given.occurred_at > now:
        raise InvalidInput("This time is in the future. Use the time the person agreed.", field="occurred_at")
    known = {*(given.evidence or {}), *(["expires_at"] if given.expires_at else [])}
    choices = _WANTED_EVIDENCE.get(given.kind, ())
    if choices and not any(known.issuperset(choice) for choice in choices):
        wanted = " or ".join(", ".join(choice) for choice in choices)
        raise InvalidInput(f"A consent of this kind needs evidence: {wanted}.", field="evidence", code="missing")


def ends_at(given: Agreement) -> datetime | None:
    """Return when a consent ends: an implied one by its basis, never later than its caller says (rules.md K-1).

    Raises:
        InvalidInput: The basis or its date is none.
    """
    evidence = given.evidence or {}
    if given.kind is not ConsentKind.IMPLIED or "basis" not in evidence:
        return given.expires_at
    try:
        last = implied_until(str(evidence["basis"]), date.fromisoformat(str(evidence.get("basis_date"))[:10]))
    except (KeyError, ValueError) as error:
        known = ", ".join(IMPLIED_MONTHS)
        message = f"`basis` is one of: {known}; `basis_date` is a date like 2026-05-12."
        raise InvalidInput(message, field="evidence", code="bad_basis") from error
    ends = datetime(last.year, last.month, last.day, tzinfo=UTC)
    return min(ends, given.expires_at) if given.expires_at else ends


def refuse_over_stop(facts: Sequence[Standing], entry: Entry, *, stated: bool) -> None:
    """Refuse a consent that a standing opt-out outranks (contract D7)."""
    for fact in facts:
        reason = fact.reason
        if reason not in SUPPRESSION_REASONS or fact.channel not in (None, entry.channel):
            continue
        if reason is None or fact.scope not in (ALL, entry.scope) or reopened(fact, entry.scope, facts):
            continue
        kind = entry.consent or ConsentKind.EXPRESS
        if not stated or fact.effective_at >= entry.effective_at or not ends(kind, reason):
            raise Conflict(
                "The person opted out later than this, or in a way only they can take back.", code="later_opt_out"
            )
