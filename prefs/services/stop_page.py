"""``/stop``: for people without a link. The same answer whether or not we know the address (contract D21)."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.ledger import still_in_force
from prefs.domain.terms import AddressKind, Channel, Source
from prefs.errors import InvalidAddress, PrefsError
from prefs.links import Purpose
from prefs.services import presses, stopping
from prefs.services.errands import Errands
from prefs.services.kit import Kit, keep_proof, stop
from prefs.services.stopping import NOTHING_SEEN, Seen
from prefs.services.unsubscribe import masked_address
from prefs.storage import ledger, limits, people
from prefs.storage.people import Wanted

LINKS_WITHIN = timedelta(minutes=15)
LINKS_PER_ADDRESS, LINKS_PER_CLIENT = 3, 20


class TooManyLinks(PrefsError):
    """Somebody asked for many links in a short time; stopping is never refused."""

    code = "too_many_links"


@dataclass(frozen=True, slots=True)
class StopPage:
    """The use cases behind ``/stop`` and the "send me a link" buttons."""

    kit: Kit
    errands: Errands

    def read(self, typed: str) -> Address:
        """Return the email address or telephone number somebody typed. Raises ``InvalidAddress``."""
        channel = Channel.SMS if _looks_like_a_number(typed) else Channel.EMAIL
        address = parse_address(channel, typed, default_region=self.kit.default_region)
        if channel is Channel.SMS and not _is_possible(address.value):
            raise InvalidAddress("This number is too short.", field="to", code="too_short")
        return address

    def stop(self, address: Address, language: str, *, seen: Seen = NOTHING_SEEN) -> str:
        """Stop all marketing to one address, on every channel it can carry; return the reference.

        An unknown address is kept as its key alone, so that no later import brings it back. A
        known one is sent the record of it, in case somebody else did this.

        Raises:
            StoreUnavailable: Nothing was stored.
        """
        doing = stopping.by_page(Source.STOP_PAGE, self.kit, seen)
        wanted = Wanted(self.kit.address_keys.candidates(address), address.kind)
        with self.kit.store.write() as connection:
            known = people.open_addresses(connection, [wanted], self.kit.now())[0]
            book = ledger.open_book(connection, [known])
            entry = stop(doing, book, known.subject, None)
            if still_in_force(book.standing(known), entry) is None:
                ledger.append(connection, book, [entry])
                keep_proof(connection, self.kit, doing, [known.subject])
            self.errands.send_record(connection, known, doing.id, language)
        return presses.reference(doing.id)

    def send_link(self, address: Address, language: str, client: str) -> None:
        """Queue a 24-hour link to an address, known or not; the worker finds out.

        Raises:
            TooManyLinks: Asked for too often, by this client or for this address.
            StoreUnavailable: Nothing was stored.
        """
        key = self.kit.address_keys.key(address)
        doing = stopping.by_page(Source.STOP_PAGE, self.kit, NOTHING_SEEN)
        with self.kit.store.write() as connection:
            self._count(connection, key, client)
            self.errands.send_link_to_typed(connection, address, language, once=doing.key)

    def send_link_of_token(self, token: str, language: str, client: str, *purposes: Purpose) -> bytes:
        """Queue a 24-hour link to the address a token was made for; return its key.

        Raises:
            InvalidLink: Not a token of ours for one of these purposes.
            TooManyLinks: As ``send_link``.
        """
        target = self.kit.links.read(token, *purposes)
        doing = stopping.by_page(Source.STOP_PAGE, self.kit, NOTHING_SEEN)
        with self.kit.store.write() as connection:
            self._count(connection, target.address_key, client)
            self.errands.send_link(connection, target.address_key, language, once=doing.key)
        return target.address_key

    def shown(self, key: bytes) -> tuple[str, bool]:
        """Return the address behind a key, masked (empty where we hold only its key), and whether it is a number."""
        with self.kit.store.read() as connection:
            known = people.find(connection, [key]).get(key)
        return masked_address(self.kit, known), known is not None and known.kind is AddressKind.PHONE

    def _count(self, connection: Connection, key: bytes, client: str) -> None:
        """Count a link for the address and for whoever asks; both must have room (contract D27)."""
        now = self.kit.now()
        who = hashlib.sha256(client.encode()).hexdigest()[:32]
        rooms = (
            limits.take(connection, f"link:a:{key.hex()}", most=LINKS_PER_ADDRESS, within=LINKS_WITHIN, now=now),
            limits.take(connection, f"link:c:{who}", most=LINKS_PER_CLIENT, within=LINKS_WITHIN, now=now),
        )
        if not all(rooms):
            raise TooManyLinks("You have asked for several links. Wait 15 minutes, then try again.")


def _is_possible(number: str) -> bool:
    """True for a number somebody could be reached at from anywhere: no short code, no missing area code."""
    import phonenumbers  # noqa: PLC0415  its tables load in 30 ms, and most addresses are email

    if not number.startswith("+"):
        return False
    reason = phonenumbers.is_possible_number_with_reason(phonenumbers.parse(number))
    return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)


def _looks_like_a_number(typed: str) -> bool:
    return "@" not in typed and any(letter.isdigit() for letter in typed)
