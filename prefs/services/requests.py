"""Privacy requests as the privacy office works on them: intake, identity, clocks, log, answer (ux.md A4).

An objection and a restriction act in the transaction that takes them down; whoever asks for a
copy, a correction or deletion must be shown to be the person first (rules.md G-2). The due date
counts from receipt and no pause moves it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, masked, parse_address
from prefs.domain.deadlines import answer_by, day_received, extended_until, honour_by
from prefs.domain.ledger import ALL, CONFIRMED
from prefs.domain.terms import Channel, Source
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services import casework
from prefs.services.access import AccessFiles, CopyFormat
from prefs.services.casework import ACTS_AT_ONCE, COPIES, LONGEST, NEEDS_PROOF, Did, LogLine, Person, Right
from prefs.services.errands import Errands
from prefs.services.kit import Kit, keep_proof
from prefs.services.unsubscribe import masked_address
from prefs.storage import ledger, people, requests
from prefs.storage.people import KnownAddress, Wanted
from prefs.storage.requests import NoticeRow, RequestRow

DOORS = ("letter", "email", "phone", "web")
PENDING, CHECKED, NOT_NEEDED = "pending_verification", "checked", "not_needed"
PRESSED = "Pressed the button behind the link we mailed to the address we know."
PER_PAGE = 50
_RECENTLY = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A request as it reached us: about a contact, or about an address on a channel.

    ``scopes`` limits an objection to what was named, like ``topic:surveys``; empty is all marketing.
    """

    kind: Right
    channel: Channel | None = None
    to: str | None = None
    contact: str | None = None
    received_at: datetime | None = None
    received_by: str = "letter"
    about: str = ""
    language: str = words.DEFAULT
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestItem:
    """A request as lists show it. ``identity`` is ``pending_verification``, ``checked`` or ``not_needed``."""

    number: int
    reference: str
    kind: Right
    status: str
    identity: str
    masked: str
    received_by: str
    received_at: datetime
    received_on: date
    due_on: date
    first_due_on: date
    act_by: date | None
    acted_at: datetime | None
    answered_at: datetime | None
    closed_at: datetime | None
    paused_at: datetime | None
    checking_at: datetime | None
    link_pressed_at: datetime | None
    owner: str | None

    @property
    def is_open(self) -> bool:
        """True until it is closed."""
        return self.status in requests.OPEN

    @property
    def has_deadline(self) -> bool:
        """True while somebody waits for our answer."""
        return self.status in {"received", "working"}

    @property
    def acted_late(self) -> bool:
        """True for a revocation that was honoured after its ten business days, or not at all yet (T-9)."""
        return self.act_by is not None and (self.acted_at is None or self.acted_at.date() > self.act_by)


@dataclass(frozen=True, slots=True)
class RequestDetail:
    """One request with all that its page shows; ``address`` in clear is for the privacy office alone."""

    item: RequestItem
    address: str
    about: str
    language: str
    verified_by: str | None
    reachable: bool
    known: bool
    log: tuple[LogLine, ...]
    told: tuple[NoticeRow, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Figures:
    """How the last 90 days went: requests answered, how many on time, and the typical days it took."""

    answered: int
    on_time: int
    typical_days: int | None


@dataclass(frozen=True, slots=True)
class RequestList:
    """One page of a tab, the count of every tab, and what presses."""

    items: tuple[RequestItem, ...]
    counts: dict[str, int]
    overdue: tuple[RequestItem, ...]
    due_today: tuple[RequestItem, ...]
    last_answered_on: date | None
    figures: Figures


TABS = ("open", "mine", "nobody", "answered")


@dataclass(frozen=True, slots=True)
class Requests:
    """The use cases of the privacy office and of ``/v1/privacy-requests``."""

    kit: Kit
    errands: Errands
    doors: tuple[str, ...] = field(default=DOORS)

    def record(self, wanted: NewRequest, *, actor: str | None = None, key: str | None = None) -> RequestItem:
        """Take a request down; an objection or restriction counts at once, without a check (rules.md G-2, G-4).

        Raises:
            InvalidInput: The request cannot be as stated; ``field`` names the part.
            NotFound: No such contact.
            StoreUnavailable: Nothing was stored.
        """
        address = self._checked(wanted)
        scopes = [self.kit.catalogue.scope_number(scope) for scope in wanted.scopes] or [ALL]
        with self.kit.store.write() as connection:
            known = requests.keyed(connection, key) if key else None
            if known is None:
                known = self._take_down(connection, wanted, address, scopes, actor, key)
            return self._item(connection, casework.read_row(connection, known))

    def get(self, number: int) -> RequestDetail:
        """Return one request with its log. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            row = casework.read_row(connection, number)
            person = casework.person_behind(connection, row)
            lines = tuple(casework.opened(self.kit, row.id, note) for note in requests.notes(connection, row.id))
            said = casework.said(self.kit, row)
            return RequestDetail(
                item=self._item(connection, row),
                address=said.get("address", ""),
                about=said.get("about", ""),
                language=row.language,
                verified_by=row.verified_by,
                reachable=self.errands.addressee(row, person) is not None,
                known=any(one.sealed is not None for one in person.addresses),
                log=lines,
                told=tuple(requests.notices(connection, [row.id])),
                answer=next((line.words for line in reversed(lines) if line.did is Did.ANSWERED), ""),
            )

    def listing(self, tab: str, actor: str, *, page: int = 1) -> RequestList:
        """Return a page of one tab: nearest deadline first, answered ones newest first."""
        now = self.kit.now()
        with self.kit.store.read() as connection:
            rows = requests.listed(connection, tab, actor, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
            counts = {name: requests.counted(connection, name, actor) for name in TABS}
            pressing = [self._item(connection, row) for row in requests.pressing(connection, now.date())]
            newest = requests.listed(connection, "answered", actor, limit=1)
            return RequestList(
                items=tuple(self._item(connection, row) for row in rows),
                counts=counts,
                overdue=tuple(one for one in pressing if one.due_on < now.date()),
                due_today=tuple(one for one in pressing if one.due_on == now.date()),
                last_answered_on=newest[0].closed_at.date() if newest and newest[0].closed_at else None,
                figures=_figures(requests.answered_since(connection, now - _RECENTLY)),
            )

    def pressing(self) -> int:
        """Return how many requests are due today or overdue."""
        with self.kit.store.read() as connection:
            return len(requests.pressing(connection, self.kit.now().date()))

    def copy(self, number: int, actor: str, form: CopyFormat, files: AccessFiles) -> tuple[bytes, str]:
        """Return the copy of the person's data for the office, with its file name; it is in the log.

        Raises:
            Conflict: Not a request for a copy, or nobody checked who asks.
        """
        with self.kit.store.write() as connection:
            row = casework.read_row(connection, number, lock=True)
            if row.kind not in COPIES or row.subject is None:
                raise Conflict("This request is not about a copy.", code="not_a_copy")
            casework.require_proof(row)
            made = files.make(connection, row, form, row.language)
            casework.log(connection, self.kit, row.id, Did.DOWNLOADED, actor=actor)
        return made, f"{row.reference}.{form}"

    def take(self, number: int, actor: str) -> None:
        """Make a request somebody's own. Raises ``NotFound``, ``Conflict`` where somebody was quicker."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.owner not in (None, actor):
                raise Conflict("Somebody else has taken this request.", code="request_taken")
            self._work(connection, row, Did.TAKEN, actor, owner=actor)

    def release(self, number: int, actor: str) -> None:
        """Give a request back to nobody. Raises ``NotFound``, ``Conflict``."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            requests.change(connection, row.id, owner=None)
            casework.log(connection, self.kit, row.id, Did.RELEASED, actor=actor)

    def note_contact(self, number: int, actor: str, said: str) -> None:
        """Add what was said to or by the person to the log. Raises ``NotFound``, ``InvalidInput``."""
        with self.kit.store.write() as connection:
            row = casework.read_row(connection, number, lock=True)
            casework.log(connection, self.kit, row.id, Did.CONTACT, actor=actor, words=_words(said, "note"))

    def send_link(self, number: int, actor: str) -> None:
        """Mail the person the link that shows that the address is theirs, again if need be.

        Raises:
            Conflict: We know no email address of the person, or no check is needed.
        """
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.kind not in NEEDS_PROOF or row.verified_at is not None:
                raise Conflict("This request needs no check any more.", code="no_check_needed")
            if not self.errands.tell_received(connection, row, again=True):
                raise Conflict("We know no email address of this person. Check by phone or letter.", code="no_address")
            self._work(connection, row, Did.LINK_SENT, actor, checking_at=self.kit.now())

    def record_proof(self, number: int, actor: str, how: str) -> None:
        """Record how it was checked that this is the person (rules.md G-2). Raises ``Conflict``, ``InvalidInput``."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.verified_at is None:
                self._prove(connection, row, actor, _words(how, "how"))

    def accept_press(self, number: int, actor: str) -> None:
        """Record as proof that the button behind the link we mailed was pressed (rules.md G-2).

        Raises:
            NotFound: No such request.
            Conflict: It is closed, or nobody pressed it.
        """
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.link_pressed_at is None:
                raise Conflict("Nobody pressed the button behind our link yet.", code="not_pressed")
            if row.verified_at is None:
                self._prove(connection, row, actor, PRESSED)

    def pause(self, number: int, actor: str, missing: str) -> None:
        """Note that we wait for the person, and what for. The due date stays where it is."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            self._work(connection, row, Did.PAUSED, actor, _words(missing, "missing"), paused_at=self.kit.now())

    def resume(self, number: int, actor: str) -> None:
        """Note that we have what was missing."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.paused_at is not None:
                self._work(connection, row, Did.RESUMED, actor, paused_at=None)

    def extend(self, number: int, actor: str, why: str) -> bool:
        """Take two months more and tell the person why (M4); True where the mail could be sent.

        Where it could not, the office must write: the log and the page say so.

        Raises:
            Conflict: The first date has passed, or more time was taken before.
        """
        reason = _words(why, "why")
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            person = casework.person_behind(connection, row)
            if row.first_due_on is not None:
                raise Conflict("More time can be taken once.", code="extended_before")
            if self.kit.now().date() > row.due_on or row.status == "in_force":
                raise Conflict("The first date has passed: answer as soon as you can.", code="too_late")
            later = extended_until(self._received_on(row, person))
            self._work(connection, row, Did.EXTENDED, actor, reason, due_on=later, first_due_on=row.due_on)
            return self.errands.tell_delay(connection, row, later, reason)

    def confirm_restriction(self, number: int, actor: str, note: str = "") -> None:
        """Confirm a restriction: service messages stop too, for the whole person (rules.md G-4).

        Raises:
            Conflict: Not an open restriction.
        """
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.kind != Right.RESTRICTION:
                raise Conflict("Only a restriction is confirmed.", code="not_a_restriction")
            person = casework.person_behind(connection, row, lock=True)
            doing = casework.staff_doing(self.kit, row, f"confirmed:{row.id}", actor, note=note)
            book = ledger.open_book(connection, person.addresses, _contacts(person))
            subject = _whole(row, person)
            ledger.append(
                connection,
                book,
                casework.stops_of(self.kit, row, book, subject, [ALL], doing=doing, flag=CONFIRMED),
            )
            keep_proof(connection, self.kit, doing, [subject])
            self._work(connection, row, Did.CONFIRMED, actor, note or None)

    def answer(self, number: int, actor: str, said: str) -> bool:
        """Answer, tell the person (M4), and close; True where the mail could be sent.

        A restriction is answered and holds on until ``close`` ends it. An erasure is answered by
        carrying it out.

        Raises:
            Conflict: Nobody checked who asks, or it is an erasure.
        """
        reply = _words(said, "answer")
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            casework.require_proof(row)
            if row.kind == Right.ERASURE:
                raise Conflict("Deletion is answered by a second person's approval.", code="needs_approval")
            now = self.kit.now()
            holds = row.kind == Right.RESTRICTION
            requests.change(
                connection,
                row.id,
                status="in_force" if holds else "answered",
                answered_at=row.answered_at or now,
                closed_at=None if holds else now,
                paused_at=None,
                acted_at=row.acted_at or now,
            )
            casework.log(connection, self.kit, row.id, Did.ANSWERED, actor=actor, words=reply)
            return self.errands.tell_answer(connection, row)

    def refuse(self, number: int, actor: str, why: str) -> bool:
        """Answer that we do not do what was asked, and why; closes any request. True where mailed.

        Needs no check of who asks: the answer says nothing about anybody.
        """
        reason = _words(why, "answer")
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.kind == Right.RESTRICTION:
                casework.end_restriction(connection, self.kit, row, Source.PRIVACY_OFFICE, actor)
            now = self.kit.now()
            requests.change(connection, row.id, status="answered", answered_at=row.answered_at or now, closed_at=now)
            casework.log(connection, self.kit, row.id, Did.ANSWERED, actor=actor, words=reason)
            return self.errands.tell_answer(connection, row)

    def close(self, number: int, actor: str, note: str = "") -> bool:
        """End a restriction that was in force; the person is told. Raises ``Conflict``."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.status != "in_force":
                raise Conflict("Answer this request instead.", code="not_answered")
            casework.end_restriction(connection, self.kit, row, Source.PRIVACY_OFFICE, actor)
            requests.change(connection, row.id, status="answered", closed_at=self.kit.now())
            casework.log(connection, self.kit, row.id, Did.CLOSED, actor=actor, words=note or None)
            return self.errands.tell_answer(connection, row)

    def withdraw(self, number: int, actor: str, note: str) -> None:
        """Close a request because the person wants it no more; a restriction ends with it."""
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.kind == Right.RESTRICTION:
                casework.end_restriction(connection, self.kit, row, Source.PRIVACY_OFFICE, actor)
            requests.change(connection, row.id, status="withdrawn", closed_at=self.kit.now())
            casework.log(connection, self.kit, row.id, Did.WITHDRAWN, actor=actor, words=_words(note, "note"))

    def _checked(self, wanted: NewRequest) -> Address | None:
        if (wanted.contact is None) == (wanted.to is None) or (wanted.to is not None) != (wanted.channel is not None):
            raise InvalidInput("Give either `contact`, or `channel` and `to`.", field="to", code="missing")
        if wanted.received_by not in self.doors:
            raise InvalidInput(f"It came by one of: {', '.join(self.doors)}.", field="received_by")
        if wanted.received_at is not None and wanted.received_at > self.kit.now():
            raise InvalidInput("This date is in the future. Use the day it reached us.", field="received_at")
        if len(wanted.about) > LONGEST:
            raise InvalidInput(f"Use {LONGEST} letters at most.", field="about", code="too_long")
        if wanted.scopes and wanted.kind is not Right.OBJECTION:
            raise InvalidInput("Only an objection can be limited to some topics.", field="scopes")
        if wanted.to is None or wanted.channel is None:
            return None
        return parse_address(wanted.channel, wanted.to, default_region=self.kit.default_region)

    def _take_down(
        self,
        connection: Connection,
        wanted: NewRequest,
        address: Address | None,
        scopes: list[int],
        actor: str | None,
        key: str | None,
    ) -> int:
        subject, time_zone = self._subject(connection, wanted, address)
        now = self.kit.now()
        received = wanted.received_at or now
        day = day_received(received, time_zone)
        acts = wanted.kind in ACTS_AT_ONCE
        number = requests.add(
            connection,
            {
                "kind": wanted.kind,
                "status": "received",
                "subject": subject,
                "sealed": None,
                "language": words.first_spoken([wanted.language]),
                "received_by": wanted.received_by,
                "received_at": received,
                "due_on": answer_by(day),
                "act_by": honour_by(day) if wanted.kind is Right.OBJECTION else None,
                "acted_at": now if acts else None,
                "request_key": key,
            },
        )
        typed = address.original if address else ""
        requests.change(connection, number, sealed=casework.seal_said(self.kit, number, typed, wanted.about))
        casework.log(connection, self.kit, number, Did.RECEIVED, actor=actor)
        row = casework.read_row(connection, number)
        if acts:
            self._act_at_once(connection, row, scopes, wanted.about, actor)
        if self.errands.tell_received(connection, row) and wanted.kind in NEEDS_PROOF:
            requests.change(connection, number, checking_at=now)
        return number

    def _subject(self, connection: Connection, wanted: NewRequest, address: Address | None) -> tuple[int, str | None]:
        """Return whom the request is about, and their time zone; an unknown address is kept as its key alone."""
        if address is None:
            contact = people.find_contact(connection, wanted.contact or "")
            if contact is None:
                raise NotFound("There is no contact with this id.")
            return contact.subject, contact.time_zone
        only_key = Wanted(self.kit.address_keys.candidates(address), address.kind)
        known = people.open_addresses(connection, [only_key], self.kit.now())[0]
        theirs = people.contact_of(connection, known.contact) if known.contact is not None else None
        return known.subject, theirs.time_zone if theirs else None

    def _act_at_once(
        self, connection: Connection, row: RequestRow, scopes: list[int], about: str, actor: str | None
    ) -> None:
        """Stop or hold on every channel of the person, from now on (contract D4, D7; rules.md G-1)."""
        person = casework.person_behind(connection, row, lock=True)
        doing = casework.staff_doing(self.kit, row, casework.act_id(row.id), actor, note=about)
        book = ledger.open_book(connection, person.addresses, _contacts(person))
        subject = _whole(row, person)
        added = ledger.append(connection, book, casework.stops_of(self.kit, row, book, subject, scopes, doing=doing))
        keep_proof(connection, self.kit, doing, [subject] if added else [])
        if row.kind == Right.OBJECTION and added:
            self.errands.send_changes(connection, row.id, doing.id)

    def _work(
        self,
        connection: Connection,
        row: RequestRow,
        did: Did,
        actor: str,
        said: str | None = None,
        **values: object,
    ) -> None:
        """Change a request and log it; whoever touches it first begins the work."""
        if row.status == "received":
            values["status"] = "working"
        if row.owner is None and did is not Did.TAKEN:
            values["owner"] = actor
        requests.change(connection, row.id, **values)
        casework.log(connection, self.kit, row.id, did, actor=actor, words=said)

    def _prove(self, connection: Connection, row: RequestRow, actor: str, how: str) -> None:
        proved = {"verified_at": self.kit.now(), "verified_by": actor, "paused_at": None}
        self._work(connection, row, Did.VERIFIED, actor, how, **proved)

    def _received_on(self, row: RequestRow, person: Person) -> date:
        return day_received(row.received_at, person.contact.time_zone if person.contact else None)

    def _item(self, connection: Connection, row: RequestRow) -> RequestItem:
        person = casework.person_behind(connection, row)
        identity = CHECKED if row.verified_at else PENDING if row.kind in NEEDS_PROOF else NOT_NEEDED
        return RequestItem(
            number=row.id,
            reference=row.reference,
            kind=Right(row.kind),
            status=row.status,
            identity=identity,
            masked=self._masked(row, person),
            received_by=row.received_by,
            received_at=row.received_at,
            received_on=self._received_on(row, person),
            due_on=row.due_on,
            first_due_on=row.first_due_on or row.due_on,
            act_by=row.act_by,
            acted_at=row.acted_at,
            answered_at=row.answered_at,
            closed_at=row.closed_at,
            paused_at=row.paused_at,
            checking_at=row.checking_at,
            link_pressed_at=row.link_pressed_at,
            owner=row.owner,
        )

    def _masked(self, row: RequestRow, person: Person) -> str:
        typed = casework.said(self.kit, row).get("address", "")
        if typed:
            channel = Channel.EMAIL if "@" in typed else Channel.SMS
            return masked(parse_address(channel, typed, default_region=self.kit.default_region))
        own: list[KnownAddress] = sorted(person.addresses, key=lambda one: one.kind)
        return next((shown for one in own if (shown := masked_address(self.kit, one))), "")


def _whole(row: RequestRow, person: Person) -> int:
    """Return the subject that stands for the whole person: the contact where there is one (contract D4)."""
    if person.contact is not None:
        return person.contact.subject
    if not person.addresses:
        raise Conflict("There is nobody left that this could be about.", code="nobody")
    return person.addresses[0].subject


def _contacts(person: Person) -> list[int]:
    return [person.contact.subject] if person.contact else []


def _words(text: str, name: str) -> str:
    """Return what staff wrote. Raises ``InvalidInput`` where it is nothing, or too long."""
    wanted = text.strip()
    if not wanted:
        raise InvalidInput("Write a sentence.", field=name, code="missing")
    if len(wanted) > LONGEST:
        raise InvalidInput(f"Use {LONGEST} letters at most.", field=name, code="too_long")
    return wanted


def _figures(answered: list[requests.Answered]) -> Figures:
    days = sorted((one.answered_at - one.received_at).days for one in answered)
    on_time = sum(one.answered_at.date() <= one.due_on for one in answered)
    return Figures(len(answered), on_time, days[len(days) // 2] if days else None)
