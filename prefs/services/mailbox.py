"""Mails that come to us: ``mailto:`` unsubscribes and letters to the privacy office (rules.md E-10, M-9).

A token in the envelope is the authority, whoever wrote. Without one, only a sender whose
domain vouched for the mail is believed. Everything a person must read goes to the queue, and
nothing is ever answered automatically, so no loop can begin (RFC 3834).
"""

import hashlib
import logging
import re
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.keywords import read_keyword
from prefs.domain.ledger import INFERRED, still_in_force
from prefs.domain.regions import EEA, UK
from prefs.domain.terms import Channel, Reason, Source, TextClass
from prefs.errors import InvalidAddress, InvalidLink
from prefs.links import LOCAL_PART_PREFIX, LinkTarget
from prefs.services import stopping
from prefs.services.kit import Kit, act, keep_proof, stop
from prefs.services.unsubscribe import Unsubscribe
from prefs.storage import ledger, mails, people
from prefs.storage.people import KnownAddress

log = logging.getLogger(__name__)

LINK, SENDER, AUTOMATIC = "link", "sender", "automatic"
_UNSUBSCRIBE_ADDRESSES = re.compile(r"(unsub|unsubscribe|stop|leave)([+._-].*)?", re.IGNORECASE)
_QUOTED = re.compile(r"^\s*(>|-{2,}|_{5,}|On .{5,200} wrote:|Am .{5,200} schrieb|Le .{5,200} a écrit)", re.MULTILINE)
_LONGEST_WISH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMail:
    """A mail as its webhook read it; ``text`` is cut to its beginning.

    ``to`` are the envelope's recipients. ``authentic`` says that the domain of ``from_`` vouched
    for it, by DKIM or SPF. ``automatic`` says that no person wrote it: a bounce, an auto-reply, a list.
    """

    mail_id: str
    to: tuple[str, ...]
    from_: str | None
    subject: str
    text: str
    authentic: bool
    automatic: bool


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The use case behind ``/webhooks/sendgrid/inbound``."""

    kit: Kit
    unsubscribe: Unsubscribe

    def take(self, mail: InboundMail) -> str:
        """Act on a mail and return what became of it: ``link``, ``sender``, ``automatic`` or ``queue``.

        Raises:
            StoreUnavailable: Nothing was stored; the provider sends it again.
        """
        key = hashlib.sha256(mail.mail_id.encode("utf-8", "replace")).hexdigest()
        targets = self._targets(mail)
        for target in targets:
            self.unsubscribe.by_target(target, source=Source.MAIL, key=f"mail:{key}")
        with self.kit.store.write() as connection:
            kind, known = self._without_token(connection, mail, key) if not targets else (LINK, None)
            sealed = None
            if kind in {mails.QUEUE, SENDER}:
                sealed = self.kit.vault.seal_json(asdict(mail), context=f"mail:{key}".encode())
            subject = known.subject if known else None
            mails.keep(connection, key, kind=kind, subject=subject, sealed=sealed, now=self.kit.now())
        log.info("mail_taken", extra={"kind": kind})
        return kind

    def _targets(self, mail: InboundMail) -> list[LinkTarget]:
        """Return what the tokens among the envelope's recipients name."""
        found = []
        for address in mail.to:
            local_part = address.rpartition("@")[0].strip("<> ")
            if not local_part.lower().startswith(LOCAL_PART_PREFIX):
                continue
            try:
                found.append(self.kit.links.read_local_part(local_part))
            except InvalidLink:
                log.warning("mail_token_unreadable")
        return found

    def _without_token(self, connection: Connection, mail: InboundMail, key: str) -> tuple[str, KnownAddress | None]:
        if mail.automatic:
            return AUTOMATIC, None
        to_list = any(_UNSUBSCRIBE_ADDRESSES.fullmatch(one.rpartition("@")[0].strip("<> ")) for one in mail.to)
        wish = TextClass.STOP if to_list else _read(mail)
        known = self._sender(connection, mail)
        if known is None or wish not in {TextClass.STOP, TextClass.UNCLEAR}:
            return mails.QUEUE, known
        self._stop(connection, mail, key, known, inferred=wish is TextClass.UNCLEAR)
        # A letter to the privacy office may ask for more: a person reads it all the same.
        return (SENDER if to_list else mails.QUEUE), known

    def _sender(self, connection: Connection, mail: InboundMail) -> KnownAddress | None:
        """Return the known address behind an authentic sender, or None."""
        if not mail.authentic or mail.from_ is None:
            return None
        try:
            address: Address = parse_address(Channel.EMAIL, mail.from_)
        except InvalidAddress:
            return None
        candidates = self.kit.address_keys.candidates(address)
        found = people.find(connection, candidates, lock=True)
        return next((found[one] for one in candidates if one in found), None)

    def _stop(
        self, connection: Connection, mail: InboundMail, key: str, known: KnownAddress, *, inferred: bool
    ) -> None:
        """A mail that limits nothing stops marketing mail; in the EEA and UK all marketing (rules.md G-1)."""
        contact = people.contact_of(connection, known.contact) if known.contact is not None else None
        everywhere = contact is not None and contact.country in EEA | UK
        book = ledger.open_book(connection, [known], stopping.contacts_of(known) if everywhere else ())
        proof = {"subject": mail.subject[:200], "text": mail.text[:2000]}
        doing = act(Source.MAIL, self.kit.now(), key=f"mail:{key}", proof=proof)
        subject = contact.subject if contact and everywhere else known.subject
        wanted = stop(
            doing,
            book,
            subject,
            None if everywhere else Channel.EMAIL,
            reason=Reason.OBJECTION if everywhere else Reason.UNSUBSCRIBED,
            flag=INFERRED if inferred else None,
        )
        if still_in_force(book.standing(known), wanted) is None:
            ledger.append(connection, book, [wanted])
            keep_proof(connection, self.kit, doing, [subject])


def _read(mail: InboundMail) -> TextClass:
    """Return what a mail asks for: its subject, or the person's own words above what they quote."""
    own_words = _QUOTED.split(mail.text, maxsplit=1)[0].strip()
    lines = [line.strip() for line in own_words.splitlines() if line.strip()]
    for said in (mail.subject, own_words[:_LONGEST_WISH], *lines[:3]):
        kind = read_keyword(said).kind
        if kind in {TextClass.STOP, TextClass.UNCLEAR}:
            return kind
    return TextClass.NONE
