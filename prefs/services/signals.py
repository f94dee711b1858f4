"""Global Privacy Control: the right not to have data sold or shared, as a right of its own (rules.md G-8)."""

from dataclasses import dataclass

from prefs.domain.ledger import Entry, live_entries
from prefs.domain.terms import KIND_OF_CHANNEL, Act, Source
from prefs.errors import InvalidLink
from prefs.links import Purpose
from prefs.services import stopping
from prefs.services.kit import Kit, keep_proof, open_key, sale_opt_out
from prefs.services.stopping import Seen
from prefs.storage import ledger


@dataclass(frozen=True, slots=True)
class Signals:
    """Records what a browser says for its user. Neither makes nor ends a marketing opt-out."""

    kit: Kit

    def opt_out_of_sale(self, token: str, seen: Seen) -> bool:
        """Record it once for the person behind a link; True where that was new.

        A token of another kind, or none of ours, is nobody and changes nothing.
        """
        try:
            target = self.kit.links.read(token, *Purpose)
        except InvalidLink:
            return False
        with self.kit.store.read() as connection:
            known, book = stopping.look(connection, self.kit, target.address_key)
        if known is not None and opted_out_of_sale(book.of(known)):
            return False
        doing = stopping.by_page(Source.BROWSER_SIGNAL, self.kit, seen)
        with self.kit.store.write() as connection:
            known = open_key(connection, self.kit, target.address_key, KIND_OF_CHANNEL[target.channel])
            book = ledger.open_book(connection, [known], stopping.contacts_of(known))
            if opted_out_of_sale(book.of(known)):
                return False
            subject = known.contact if known.contact is not None else known.subject
            ledger.append(connection, book, [sale_opt_out(doing, book, subject)])
            keep_proof(connection, self.kit, doing, [subject])
        return True


def opted_out_of_sale(entries: list[Entry]) -> bool:
    """True where the person's data may not be sold or shared."""
    return any(entry.act is Act.SALE_OPT_OUT for entry in live_entries(entries))
