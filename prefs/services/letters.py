"""Stops that reached a person of the staff: by letter, telephone, mail, or at the desk (rules.md T-9, G-1).

They count when they are recorded, like any other stop. The day they reached us is kept as
evidence and starts the clock: ten business days, and sooner is better.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, calling_code_region_is_eea_or_uk, parse_address
from prefs.domain.deadlines import REVOCATION_DAYS, business_days_after
from prefs.domain.ledger import ALL, Entry, still_in_force
from prefs.domain.references import act_reference, person_reference
from prefs.domain.regions import EEA, UK
from prefs.domain.terms import CHANNELS_OF_KIND, AddressKind, Channel, Reason
from prefs.errors import InvalidAddress, InvalidInput
from prefs.services import audit
from prefs.services.errands import Errands
from prefs.services.kit import Doing, Kit, act, evidence_context, keep_proof, stop
from prefs.storage import evidence, ledger, people, stops
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, Wanted

MOST_ADDRESSES = 20
LONGEST_SAID = 2_000
_FARTHEST_EAST = timedelta(hours=14)  # it is tomorrow there already
LARGEST_SCAN = 5 * 1024 * 1024

# How it reached us: the source that the ledger keeps, and its name.
WAYS: dict[str, str] = {"letter": "Letter", "phone": "Phone", "email": "Email", "in_person": "In person"}

# What a scan or recording may be, by its first bytes: name ending and how it is served.
SCAN_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"RIFF", "audio/wav"),
)


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan or recording as it was sent up."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What somebody told us. Without ``channels`` and ``topics`` they named no limit: all marketing stops.

    A channel in ``channels`` stops altogether; a topic in ``topics`` stops on every channel.
    """

    addresses: tuple[str, ...]
    how: str
    received_on: date
    channels: tuple[Channel, ...] = ()
    topics: tuple[str, ...] = ()
    said: str = ""
    scan: Scan | None = None

    @property
    def limited(self) -> bool:
        """True where they named what should stop."""
        return bool(self.channels or self.topics)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of one address: its reference, and whether it had been stopped by the same way before."""

    reference: str
    already: bool


@dataclass(frozen=True, slots=True)
class Printed:
    """A confirmation to print, every text in the person's language."""

    language: str
    direction: str
    today: str
    heading: str
    said: str
    facts: tuple[tuple[str, str], ...]
    office: str


@dataclass(frozen=True, slots=True)
class Letters:
    """The use case of "Record an opt-out"."""

    kit: Kit
    errands: Errands

    def record(self, heard: Heard, *, actor: str) -> list[Stopped]:
        """Put a stop on record for every address, all or none, and queue the confirmation of each.

        An address we did not know is kept, so that a provider can be told of the stop; one whose
        data were deleted stays a key alone.

        Raises:
            InvalidInput: Something cannot be as stated; ``field`` names the part.
            StoreUnavailable: Nothing was stored.
        """
        addresses = self._checked(heard)
        scopes = [self.kit.catalogue.topic(slug, field="topics").number for slug in heard.topics]
        with self.kit.store.write() as connection:
            opened = self._open(connection, addresses)
            contacts = {one.contact for one in opened if one.contact is not None}
            book = ledger.open_book(connection, opened, sorted(contacts))
            return [self._stop(connection, book, known, heard, scopes, actor) for known in opened]

    def printed(self, entry: Entry, address: str) -> Printed:
        """Return the confirmation of a stop as a letter, in the person's language; ``address`` as it may be shown."""
        with self.kit.store.read() as connection:
            known = people.by_subject(connection, [entry.subject]).get(entry.subject)
            contact = people.contact_of(connection, known.contact if known and known.contact else entry.subject)
        language = words.first_spoken([contact.locale if contact else None])
        say, ours = partial(words.gettext, language), self.errands.organisation
        everything = entry.channel is None and entry.scope == ALL
        facts = [
            (say("Stopped"), self.errands.stopped_part(entry, language)),
            (say("Address"), address),
            (say("Still sent"), say("Appointment times, results notices, receipts and safety notices")),
            (say("Reference"), act_reference(entry.act_id)),
        ]
        return Printed(
            language=language,
            direction=words.direction(language),
            today=words.day(self.kit.now(), language),
            heading=say("All marketing is stopped") if everything else say("We changed what we send you"),
            said=say(
                "Your request of %(date)s is done. Keep this as your record.",
                date=words.day(entry.occurred_at, language),
            ),
            facts=tuple((name, value) for name, value in facts if value),
            office=say(
                "Privacy Office, %(organisation)s, %(address)s", organisation=ours.name, address=ours.postal_address
            ),
        )

    def _checked(self, heard: Heard) -> list[Address]:
        """Return the addresses, each once, or refuse what cannot be."""
        if heard.how not in WAYS:
            raise InvalidInput("Choose how they told us.", field="how")
        if heard.received_on > (self.kit.now() + _FARTHEST_EAST).date():
            raise InvalidInput("This date is in the future. Use the day it reached us.", field="received")
        if len(heard.said) > LONGEST_SAID:
            raise InvalidInput(f"Use {LONGEST_SAID} characters at most.", field="said", code="too_long")
        if heard.scan is not None:
            _check_scan(heard.scan)
        return self.read(heard.addresses)

    def read(self, lines: Sequence[str]) -> list[Address]:
        """Return what the lines say, each address once. Raises ``InvalidInput`` naming the line, never what it says."""
        found: dict[str, Address] = {}
        typed = [line.strip() for line in lines if line.strip()]
        if not typed:
            raise InvalidInput("Enter an email address or a mobile number.", field="addresses", code="missing")
        if len(typed) > MOST_ADDRESSES:
            raise InvalidInput(f"Enter {MOST_ADDRESSES} addresses at most.", field="addresses", code="too_many")
        for number, line in enumerate(typed, 1):
            channel = Channel.EMAIL if "@" in line or not any(c.isdigit() for c in line) else Channel.SMS
            try:
                address = parse_address(channel, line, default_region=self.kit.default_region)
            except InvalidAddress as error:
                raise InvalidInput(f"Line {number}: {error}", field="addresses", code=error.code) from error
            found.setdefault(address.value, address)
        return list(found.values())

    def _open(self, connection: Connection, addresses: Sequence[Address]) -> list[KnownAddress]:
        candidates = [self.kit.address_keys.candidates(one) for one in addresses]
        known = people.find(connection, [key for keys in candidates for key in keys], lock=True)
        gone = stops.held_back(connection, [one.key for one in known.values() if one.sealed is None])
        wanted = [
            Wanted(keys, address.kind) if self._is_erased(keys, known, gone) else self.kit.wanted(address)
            for address, keys in zip(addresses, candidates, strict=True)
        ]
        return people.open_addresses(connection, wanted, self.kit.now())

    def _is_erased(
        self, keys: Sequence[bytes], known: dict[bytes, KnownAddress], gone: dict[bytes, dict[str, datetime]]
    ) -> bool:
        return any(Reason.ERASED in gone.get(known[key].key, {}) for key in keys if key in known)

    def _stop(
        self,
        connection: Connection,
        book: Book,
        known: KnownAddress,
        heard: Heard,
        scopes: Sequence[int],
        actor: str,
    ) -> Stopped:
        now = self.kit.now()
        occurred = datetime(heard.received_on.year, heard.received_on.month, heard.received_on.day, tzinfo=UTC)
        doing = act(heard.how, now, occurred_at=occurred, actor=actor, proof=_proof(heard))
        wanted = self._entries(connection, doing, book, known, heard, scopes)
        standing = book.standing(known)
        already = [still_in_force(standing, entry) for entry in wanted]
        added = ledger.append(connection, book, [e for e, old in zip(wanted, already, strict=True) if old is None])
        self._keep(connection, doing, heard, [entry.subject for entry in added])
        done = doing.id if added else _act_of(book.of(known), already[0].entry_id if already[0] else 0)
        self._confirm(connection, known, heard, done)
        about = person_reference(known.contact if known.contact is not None else known.subject)
        reference = act_reference(done)
        audit.note(connection, now, actor, "stop_recorded", about, record=reference, how=heard.how, new=bool(added))
        return Stopped(reference, not added)

    def _entries(
        self,
        connection: Connection,
        doing: Doing,
        book: Book,
        known: KnownAddress,
        heard: Heard,
        scopes: Sequence[int],
    ) -> list[Entry]:
        whole = known.contact if known.contact is not None else known.subject
        if not heard.limited:
            reason = Reason.OBJECTION if self._is_in_europe(connection, known) else Reason.UNSUBSCRIBED
            return [stop(doing, book, whole, None, reason=reason)]
        entries = [stop(doing, book, whole, None, scope=scope) for scope in scopes]
        for channel in heard.channels:
            own = channel in CHANNELS_OF_KIND[known.kind]
            if not own and known.contact is None:
                raise InvalidInput(
                    "One of these addresses belongs to nobody we know by another address. Enter the number or "
                    "address that should get no more, too.",
                    field="addresses",
                    code="other_channel",
                )
            reason = Reason.DO_NOT_CALL if channel is Channel.VOICE else Reason.UNSUBSCRIBED
            entries.append(stop(doing, book, known.subject if own else whole, channel, reason=reason))
        return entries

    def _is_in_europe(self, connection: Connection, known: KnownAddress) -> bool:
        """True for a contact known to be in the EEA or UK, or a number from there that is nobody's (D10)."""
        if known.contact is not None:
            contact = people.contact_of(connection, known.contact)
            return contact is not None and contact.country in EEA | UK
        clear = self.kit.clear(known)
        return known.kind is AddressKind.PHONE and clear is not None and calling_code_region_is_eea_or_uk(clear)

    def _keep(self, connection: Connection, doing: Doing, heard: Heard, subjects: Sequence[int]) -> None:
        keep_proof(connection, self.kit, doing, list(subjects))
        for subject in dict.fromkeys(subjects) if heard.scan else ():
            context = evidence_context(doing.id, subject) + b":scan"
            sealed = self.kit.vault.seal(heard.scan.content if heard.scan else b"", context=context)
            evidence.add(connection, doing.id, subject, sealed, doing.recorded_at, evidence.SCAN)

    def _confirm(self, connection: Connection, known: KnownAddress, heard: Heard, act_id: str) -> None:
        """Queue M1 or its text where all marketing stopped, M3 where a part did; a text cannot say which part."""
        once = f"{act_id}:{known.subject}"
        if not heard.limited:
            self.errands.send_record(connection, known, act_id, words.DEFAULT, once=once)
        elif known.kind is AddressKind.EMAIL:
            self.errands.tell_changes(connection, known, act_id, words.DEFAULT, once=once)


def due_on(received_on: date) -> date:
    """Return the last day on which a stop that reached us on a day may still be unrecorded (rules.md T-9)."""
    return business_days_after(received_on, REVOCATION_DAYS)


def scan_type(content: bytes) -> str | None:
    """Return the media type of a scan, by its first bytes, or None for anything we do not take."""
    return next((kind for start, kind in SCAN_KINDS if content.startswith(start)), None)


def _check_scan(scan: Scan) -> None:
    if len(scan.content) > LARGEST_SCAN:
        most = LARGEST_SCAN // 1024 // 1024
        raise InvalidInput(f"This file is larger than {most} MB. Scan it again in black and white.", field="scan")
    if scan_type(scan.content) is None:
        raise InvalidInput("Use a PDF, JPEG, PNG or TIFF file, or an MP3, OGG or WAV recording.", field="scan")


def _proof(heard: Heard) -> dict[str, Any]:
    proof: dict[str, Any] = {
        "how": heard.how,
        "received_on": heard.received_on.isoformat(),
        "due_on": due_on(heard.received_on).isoformat(),
        "said": heard.said,
    }
    if heard.scan:
        digest = hashlib.sha256(heard.scan.content).hexdigest()
        proof["scan"] = {"name": heard.scan.name[:100], "size": len(heard.scan.content), "sha256": digest}
    return proof


def _act_of(entries: Sequence[Entry], number: int) -> str:
    return next(entry.act_id for entry in entries if entry.id == number)
