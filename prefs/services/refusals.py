"""What a text provider's refusals and delivery reports teach us about a number (rules.md 5.5, W-9, A-1)."""

import logging
from collections.abc import Callable

from sqlalchemy import Connection

from prefs.domain.ledger import ALL, Entry
from prefs.domain.provider_codes import CODES, OUT_OF_REACH_DAYS, OUT_OF_REACH_WITHIN, Code, Meaning, meaning_of
from prefs.domain.terms import MessageClass, Reason, Source
from prefs.services.kit import Doing, Kit, act, bad_address, stop
from prefs.storage import ledger, messages, people
from prefs.storage.ledger import Book
from prefs.storage.messages import Queued
from prefs.storage.people import KnownAddress

log = logging.getLogger(__name__)

_Facts = Callable[[Doing, Book, KnownAddress, Queued, Code], list[Entry]]


def learn(connection: Connection, kit: Kit, queued: Queued, code: str | None) -> Code | None:
    """Put on record what a code says about the number of a message; return the code's row, or None.

    The message's own history already holds the refusal. An unknown code changes nothing (W-8).
    """
    row = meaning_of(code)
    if row is None:
        if code:
            log.warning("provider_code_unknown", extra={"code": code, "message_id": queued.id})
        return None
    if row.meaning is Meaning.OUR_FAULT:
        log.error("provider_refused_our_message", extra={"code": row.code, "message_id": queued.id})
    known = people.locate(connection, queued.subject)
    if known is None:
        return row
    doing = act(Source.PROVIDER_OPTOUT, kit.now(), key=f"refused:{queued.id}:{queued.fence}:{row.code}")
    book = ledger.open_book(connection, [known])
    if row.meaning is Meaning.OUT_OF_REACH:
        if _is_never_in_reach(connection, kit, queued):
            bad = bad_address(doing, book, known.subject, queued.channel, reason=Reason.INVALID_ADDRESS)
            ledger.append(connection, book, [bad])
    elif row.meaning in _TEACHES:
        ledger.append(connection, book, _TEACHES[row.meaning](doing, book, known, queued, row))
    return row


def _opted_out(doing: Doing, book: Book, known: KnownAddress, queued: Queued, row: Code) -> list[Entry]:
    facts = [_block(doing, book, known, queued)]
    if queued.message_class is MessageClass.MARKETING:
        log.error("provider_knew_an_opt_out_we_did_not", extra={"message_id": queued.id})
        facts.append(stop(doing, book, known.subject, queued.channel, sender=queued.sender))
    return facts


def _blocked_by_person(doing: Doing, book: Book, known: KnownAddress, queued: Queued, row: Code) -> list[Entry]:
    return [_block(doing, book, known, queued), stop(doing, book, known.subject, queued.channel)]


def _bad_number(doing: Doing, book: Book, known: KnownAddress, queued: Queued, row: Code) -> list[Entry]:
    reason = row.reason or Reason.INVALID_ADDRESS
    return [bad_address(doing, book, known.subject, queued.channel, reason=reason, scope=ALL)]


def _given_up(doing: Doing, book: Book, known: KnownAddress, queued: Queued, row: Code) -> list[Entry]:
    lost = bad_address(doing, book, known.subject, queued.channel, reason=Reason.NUMBER_REASSIGNED)
    return [*_bad_number(doing, book, known, queued, row), lost]


def _block(doing: Doing, book: Book, known: KnownAddress, queued: Queued) -> Entry:
    number = queued.sender
    return bad_address(
        doing, book, known.subject, queued.channel, reason=Reason.PROVIDER_BLOCK, scope=number, sender=number
    )


def _is_never_in_reach(connection: Connection, kit: Kit, queued: Queued) -> bool:
    codes = {row.code for row in CODES.values() if row.meaning is Meaning.OUT_OF_REACH}
    since = kit.now() - OUT_OF_REACH_WITHIN
    return len(messages.days_with_codes(connection, queued.subject, codes, since)) >= OUT_OF_REACH_DAYS


_TEACHES: dict[Meaning, _Facts] = {
    Meaning.OPTED_OUT: _opted_out,
    Meaning.BLOCKED_BY_PERSON: _blocked_by_person,
    Meaning.BAD_NUMBER: _bad_number,
    Meaning.GIVEN_UP: _given_up,
}
