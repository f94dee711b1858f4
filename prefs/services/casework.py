"""What every use case about privacy requests shares: the rights, the sealed words, the log, the person."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from prefs.domain.ledger import Entry
from prefs.domain.terms import Act, Reason, Source
from prefs.errors import Conflict, NotFound
from prefs.services.kit import Doing, Kit, act, lift, stop
from prefs.storage import ledger, people, requests
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, KnownContact
from prefs.storage.requests import NoteRow, RequestRow

LONGEST = 4000


class Right(StrEnum):
    """What can be asked for (contract section 6, ``/v1/privacy-requests``)."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    PORTABILITY = "portability"


# What counts from receipt, whoever asks; the reason it is recorded under.
ACTS_AT_ONCE = {Right.OBJECTION: Reason.OBJECTION, Right.RESTRICTION: Reason.RESTRICTED}

# Who asks for these must be shown to be the person; stopping never needs it (rules.md G-2).
NEEDS_PROOF = frozenset(Right) - ACTS_AT_ONCE.keys()

COPIES = frozenset({Right.ACCESS, Right.PORTABILITY})


class Did(StrEnum):
    """The lines of a request's log."""

    RECEIVED = "received"
    TAKEN = "taken"
    RELEASED = "released"
    CONTACT = "contact"
    LINK_SENT = "link_sent"
    LINK_PRESSED = "link_pressed"
    VERIFIED = "verified"
    PAUSED = "paused"
    RESUMED = "resumed"
    EXTENDED = "extended"
    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    APPROVAL_ASKED = "approval_asked"
    APPROVED = "approved"
    ERASED = "erased"
    ANSWERED = "answered"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    DOWNLOADED = "downloaded"


@dataclass(frozen=True, slots=True)
class Person:
    """Everybody and everything one request is about: all addresses of the contact, or the one address."""

    addresses: tuple[KnownAddress, ...]
    contact: KnownContact | None

    @property
    def subjects(self) -> list[int]:
        """The subjects entries and rows name: the addresses' and the contact's."""
        own = [one.subject for one in self.addresses]
        return [*own, self.contact.subject] if self.contact else own


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a request's log, opened."""

    did: Did
    actor: str | None
    words: str
    at: datetime


def person_behind(connection: Connection, row: RequestRow, *, lock: bool = False) -> Person:
    """Return the person a request is about; nobody where they were erased."""
    return person_of(connection, row.subject, lock=lock) if row.subject is not None else Person((), None)


def person_of(connection: Connection, subject: int, *, lock: bool = False) -> Person:
    """Return the person an address or a contact belongs to; nobody where neither is there."""
    addresses, contact = people.whole_person(connection, subject, lock=lock)
    return Person(tuple(addresses), contact)


def read_row(connection: Connection, number: int, *, lock: bool = False) -> RequestRow:
    """Return a request. Raises ``NotFound``."""
    row = requests.read(connection, number, lock=lock)
    if row is None:
        raise NotFound("There is no request with this number.")
    return row


def read_open(connection: Connection, number: int) -> RequestRow:
    """Return an open request, locked.

    Raises:
        NotFound: No such request.
        Conflict: It is closed.
    """
    row = read_row(connection, number, lock=True)
    if not row.is_open:
        raise Conflict("This request is closed. Record a new one.", code="request_closed")
    return row


def require_proof(row: RequestRow) -> None:
    """Refuse to go on before it is known who asks (rules.md G-2). Raises ``Conflict``."""
    if row.kind in NEEDS_PROOF and row.verified_at is None:
        raise Conflict("Check first that this is the person, and record how.", code="pending_verification")


def said(kit: Kit, row: RequestRow) -> dict[str, Any]:
    """Return what was typed or written: ``address`` and ``about``; empty once erased."""
    if row.sealed is None:
        return {}
    opened: dict[str, Any] = kit.vault.open_json(row.sealed, context=_said_context(row.id))
    return opened


def seal_said(kit: Kit, number: int, address: str, about: str) -> bytes:
    """Return what was asked, sealed for its own row."""
    return kit.vault.seal_json({"address": address, "about": about}, context=_said_context(number))


def log(
    connection: Connection, kit: Kit, number: int, did: Did, *, actor: str | None = None, words: str | None = None
) -> None:
    """Add a line to a request's log; words are sealed."""
    sealed = kit.vault.seal_text(words, context=_note_context(number, did)) if words else None
    requests.add_note(connection, number, did, actor=actor, sealed=sealed, now=kit.now())


def opened(kit: Kit, number: int, note: NoteRow) -> LogLine:
    """Return a line of the log with its words."""
    did = Did(note.kind)
    words = kit.vault.open_text(note.sealed, context=_note_context(number, did)) if note.sealed else ""
    return LogLine(did, note.actor, words, note.created_at)


def act_id(number: int) -> str:
    """Return the name of what a request did to the person's standing, so that its end can lift just that."""
    return f"request_{number}"


def stops_of(
    kit: Kit, row: RequestRow, book: Book, subject: int, scopes: list[int], *, doing: Doing, flag: str | None = None
) -> list[Entry]:
    """Return what an objection stops, or a restriction holds, on every channel."""
    reason = ACTS_AT_ONCE[Right(row.kind)]
    return [stop(doing, book, subject, None, reason=reason, scope=scope, flag=flag) for scope in scopes]


def end_restriction(connection: Connection, kit: Kit, row: RequestRow, source: str, actor: str | None = None) -> None:
    """Lift what a restriction holds, and nothing else (contract D9: it ends with its request)."""
    person = person_behind(connection, row, lock=True)
    book = ledger.open_book(connection, person.addresses, [person.contact.subject] if person.contact else [])
    doing = act(source, kit.now(), key=f"ended:{row.id}", actor=actor)
    mine = {
        entry.subject
        for entries in book.entries.values()
        for entry in entries
        if entry.act_id == act_id(row.id) and entry.act is Act.OPT_OUT
    }
    ledger.append(connection, book, [lift(doing, book, subject, f"act:{act_id(row.id)}") for subject in sorted(mine)])


def staff_doing(kit: Kit, row: RequestRow, key: str, actor: str | None, **proof: Any) -> Doing:
    """Return an act of staff about a request; it happened when the request reached us."""
    kept = {"request": row.reference, "received_by": row.received_by, **{k: v for k, v in proof.items() if v}}
    now = kit.now()
    return Doing(act_id(row.id), key, Source.PRIVACY_OFFICE, row.received_at, now, actor, kept)


def _said_context(number: int) -> bytes:
    return f"request:{number}".encode()


def _note_context(number: int, did: str) -> bytes:
    return f"request-note:{number}:{did}".encode()
