"""Correcting an address (rules.md 7.3, A-2; invariant I13): stops move along, consents do not.

The old address stays suppressed, and belongs to nobody any more; the new one inherits every stop
of the person and starts without any consent.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.ledger import Entry
from prefs.domain.terms import CHANNELS_OF_KIND, Act, AddressKind, Channel, Source
from prefs.errors import Conflict, InvalidInput
from prefs.services import casework
from prefs.services.casework import Did, Person, Right
from prefs.services.contacts import copied, stops_among
from prefs.services.errands import Errands
from prefs.services.kit import Doing, Kit, keep_proof, sale_opt_out, stop
from prefs.services.telling import SUPPRESS, Telling
from prefs.storage import ledger, people, requests
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress
from prefs.storage.requests import RequestRow


@dataclass(frozen=True, slots=True)
class Rectifying:
    """The use case behind "Correct something"."""

    kit: Kit
    errands: Errands
    telling: Telling

    def change_address(self, number: int, actor: str, *, channel: Channel, old: str, new: str) -> None:
        """Put a new address in the place of an old one of the same kind; what providers hold of it is stopped too.

        Raises:
            InvalidAddress: One of the two is none.
            InvalidInput: They are the same.
            Conflict: The old address is not this person's, the new one is somebody else's, or nobody
                checked who asks.
        """
        before, after = self._parsed(channel, old, "old"), self._parsed(channel, new, "new")
        if before.value == after.value:
            raise InvalidInput("The new address is the old one.", field="new", code="same_address")
        with self.kit.store.write() as connection:
            row = casework.read_open(connection, number)
            if row.kind != Right.RECTIFICATION:
                raise Conflict("This request is not about a correction.", code="not_a_rectification")
            casework.require_proof(row)
            person = casework.person_behind(connection, row, lock=True)
            leaving, arriving = self._both(connection, person, before, after)
            self._move(connection, row, person, leaving, arriving, actor)
            self._finish(connection, row, person, leaving, arriving, actor)

    def _parsed(self, channel: Channel, text: str, name: str) -> Address:
        try:
            return parse_address(channel, text, default_region=self.kit.default_region)
        except InvalidInput as error:
            error.field = name
            raise

    def _both(
        self, connection: Connection, person: Person, before: Address, after: Address
    ) -> tuple[KnownAddress, KnownAddress]:
        wanted = [self.kit.wanted(one) for one in (before, after)]
        mine = {one.subject for one in person.addresses}
        found = people.find(connection, wanted[0].keys)
        if not any(one.subject in mine for one in found.values()):
            raise Conflict("The old address is not one of this person's.", code="not_theirs")
        leaving, arriving = people.open_addresses(connection, wanted, self.kit.now())
        own = person.contact.subject if person.contact else None
        if arriving.contact not in (None, own):
            raise Conflict("The new address belongs to another contact.", code="address_taken")
        return leaving, arriving

    def _move(
        self,
        connection: Connection,
        row: RequestRow,
        person: Person,
        leaving: KnownAddress,
        arriving: KnownAddress,
        actor: str,
    ) -> None:
        contacts = [person.contact.subject] if person.contact else []
        book = ledger.open_book(connection, [leaving, arriving], contacts)
        doing = casework.staff_doing(self.kit, row, f"corrected:{row.id}:{arriving.subject}", actor)
        theirs = stops_among(book.entries[person.contact.subject]) if person.contact else []
        inherited = self._inherited(book, doing, leaving, arriving)
        left_behind = [copied(self.kit, book, one, leaving.subject, Source.RECTIFICATION) for one in theirs]
        if person.contact:
            arriving = ledger.join(connection, book, arriving, person.contact.subject)
            people.join_contact(connection, leaving.subject, None)
            book.addresses[leaving.subject] = replace(leaving, contact=None)
        closing = [stop(doing, book, leaving.subject, one) for one in CHANNELS_OF_KIND[leaving.kind]]
        ledger.append(connection, book, [*inherited, *left_behind, *closing])
        keep_proof(connection, self.kit, doing, [leaving.subject, arriving.subject])

    def _inherited(self, book: Book, doing: Doing, leaving: KnownAddress, arriving: KnownAddress) -> list[Entry]:
        """Return the old address's stops for the new one, and the wish not to have data sold."""
        entries = book.entries[leaving.subject]
        made = [copied(self.kit, book, one, arriving.subject, Source.RECTIFICATION) for one in stops_among(entries)]
        sold = any(entry.act is Act.SALE_OPT_OUT for entry in entries)
        return [*made, sale_opt_out(doing, book, arriving.subject)] if sold else made

    def _finish(
        self,
        connection: Connection,
        row: RequestRow,
        person: Person,
        leaving: KnownAddress,
        arriving: KnownAddress,
        actor: str,
    ) -> None:
        values = {"acted_at": self.kit.now(), "status": "working", "owner": row.owner or actor}
        if row.subject == leaving.subject:
            values["subject"] = person.contact.subject if person.contact else arriving.subject
        requests.change(connection, row.id, **values)
        casework.log(connection, self.kit, row.id, Did.CORRECTED, actor=actor)
        if leaving.kind is AddressKind.EMAIL and (clear := self.kit.clear(leaving)) is not None:
            self.telling.queue(connection, row.id, SUPPRESS, emails=[clear], messages=())
