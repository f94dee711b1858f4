"""Contacts: people known by the caller's own id, and what an address brings along when it joins one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.ledger import Entry, live_entries
from prefs.domain.terms import Act, AddressKind, Channel, Source
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.kit import Kit, act, open_address, stop
from prefs.storage import ledger, people
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, KnownContact

_CHANNEL_OF_KIND = {
    AddressKind.EMAIL: Channel.EMAIL,
    AddressKind.PHONE: Channel.SMS,
    AddressKind.PUSH: Channel.PUSH,
    AddressKind.POSTAL: Channel.POSTAL,
}


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact as its caller sees it."""

    external_id: str
    locale: str | None
    country: str | None
    time_zone: str | None
    addresses: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Contacts:
    """The use cases of ``/v1/contacts``."""

    kit: Kit

    def save(
        self,
        external_id: str,
        addresses: Sequence[tuple[Channel, str]],
        *,
        locale: str | None = None,
        country: str | None = None,
        time_zone: str | None = None,
    ) -> ContactView:
        """Make or change a contact and let addresses join it; none ever leaves by being left out.

        Raises:
            InvalidAddress: One of the addresses is none; ``field`` says which.
            Conflict: One of them belongs to somebody else.
        """
        parsed = [self._parsed(number, channel, value) for number, (channel, value) in enumerate(addresses)]
        with self.kit.store.write() as connection:
            contact = people.save_contact(
                connection, external_id, locale=locale, country=country, time_zone=time_zone, now=self.kit.now()
            )
            for number, address in enumerate(sorted(parsed, key=lambda one: self.kit.address_keys.key(one))):
                self._join(connection, contact, address, number)
        return self.get(external_id)

    def get(self, external_id: str) -> ContactView:
        """Return a contact. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            contact = people.find_contact(connection, external_id)
            if contact is None:
                raise NotFound("There is no contact with this id.")
            known = people.of_contact(connection, [contact.subject])
        shown = [{"channel": _CHANNEL_OF_KIND[one.kind], "value": self.kit.clear(one) or ""} for one in known]
        return ContactView(
            external_id, contact.locale, contact.country, contact.time_zone, [dict(one) for one in shown]
        )

    def _parsed(self, number: int, channel: Channel, value: str) -> Address:
        try:
            return parse_address(channel, value, default_region=self.kit.default_region)
        except InvalidInput as error:
            error.field = f"addresses.{number}.value"
            raise

    def _join(self, connection: Connection, contact: KnownContact, address: Address, number: int) -> None:
        """Join one address: its stops on every channel pass up, the contact's stops pass down (contract D4)."""
        known = open_address(connection, self.kit, address)
        if known.contact == contact.subject:
            return
        if known.contact is not None:
            raise Conflict(f"The address in `addresses.{number}` belongs to another contact.", code="address_taken")
        book = ledger.open_book(connection, [known], [contact.subject])
        joined = ledger.join(connection, book, known, contact.subject)
        passed = [*self._passed_up(book, joined, contact), *self._taken_over(book, joined, contact)]
        ledger.append(connection, book, passed)

    def _passed_up(self, book: Book, joined: KnownAddress, contact: KnownContact) -> list[Entry]:
        own = [entry for entry in stops_among(book.entries[joined.subject]) if entry.channel is None]
        return [copied(self.kit, book, entry, contact.subject) for entry in own]

    def _taken_over(self, book: Book, joined: KnownAddress, contact: KnownContact) -> list[Entry]:
        siblings = [
            one
            for one in book.addresses.values()
            if one.contact == contact.subject and one.subject != joined.subject and one.kind is joined.kind
        ]
        stops = [
            entry for one in siblings for entry in stops_among(book.entries[one.subject]) if entry.channel is not None
        ]
        return [copied(self.kit, book, entry, joined.subject) for entry in stops]


def copied(kit: Kit, book: Book, entry: Entry, subject: int, source: str = Source.CONTACT_JOIN) -> Entry:
    """Return the same stop for another subject, at its own time, once for ever."""
    doing = act(source, kit.now(), key=f"join:{entry.entry_key}", occurred_at=entry.occurred_at)
    made = stop(
        doing,
        book,
        subject,
        entry.channel,
        scope=entry.scope,
        sender=entry.sender,
        until=entry.until,
        flag=entry.flag,
        at=entry.effective_at,
    )
    return replace(made, reason=entry.reason)


def stops_among(entries: Sequence[Entry]) -> list[Entry]:
    """Return the opt-outs that nothing has lifted."""
    return [entry for entry in live_entries(entries) if entry.act is Act.OPT_OUT]
