"""Compare with what the provider itself remembers, and add what we miss (reliability.md item 14).

Adds stops and numbers that changed hands, nothing else: no opt-in ever comes from a sync
(reliability.md R5), so a START that never reached us is counted and left to the person.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from prefs.domain.address import parse_address
from prefs.domain.keywords import read_keyword
from prefs.domain.terms import Channel, MessageClass, Reason, Source, TextClass
from prefs.errors import InvalidAddress, ProviderError
from prefs.providers.ports import LoggedText, TextLog
from prefs.services.inbound import Inbound, InboundText
from prefs.services.kit import Kit, act, bad_address, how_far, move_mark, stop
from prefs.services.numbers import Numbers
from prefs.storage import inbound, ledger, people

log = logging.getLogger(__name__)

TWILIO, DEACTIVATIONS = "twilio", "twilio_deactivations"
FIRST_LOOK_BACK = timedelta(days=3)
OVERLAP = timedelta(hours=1)
"""Read again each time: the provider's log may fill in late, and a text is applied once anyway."""

OPTED_OUT, _NO_LIST_YET = "21610", "20404"
_CHUNK = 1_000
_PREFIXES = {"whatsapp:": Channel.WHATSAPP, "rcs:": Channel.SMS}


@dataclass(slots=True)
class Drift:
    """What a comparison found; everything but ``starts_left`` was put right, unless it was a dry run."""

    texts_read: int = 0
    stops_missed: int = 0
    opted_out_there: int = 0
    starts_left: int = 0
    numbers_deactivated: int = 0


@dataclass(frozen=True, slots=True)
class Sync:
    """The use case of ``prefs sync twilio`` and of the worker's hourly comparison."""

    kit: Kit
    inbound: Inbound
    numbers: Numbers
    log: TextLog

    def run(self, *, dry_run: bool = False) -> Drift:
        """Compare, put right what we miss, and move the marks; again changes nothing.

        Raises:
            ProviderError: The provider did not answer; the marks stay.
            StoreUnavailable: Nothing more could be stored; the marks stay.
        """
        drift = Drift()
        now = self.kit.now()
        since = how_far(self.kit, TWILIO) or now - FIRST_LOOK_BACK
        for text in self.log.texts_since(since - OVERLAP):
            drift.texts_read += 1
            self._compare(text, drift, dry_run=dry_run)
        if not dry_run:
            move_mark(self.kit, TWILIO, now)
        self._deactivations(now, drift, dry_run=dry_run)
        if drift.stops_missed or drift.opted_out_there:
            log.error("sync_found_missed_stops", extra={"texts": drift.stops_missed, "there": drift.opted_out_there})
        return drift

    def _compare(self, text: LoggedText, drift: Drift, *, dry_run: bool) -> None:
        if not text.inbound:
            if text.error == OPTED_OUT:
                drift.opted_out_there += self._opted_out_there(text, dry_run=dry_run)
            return
        kind = read_keyword(text.body).kind
        if kind not in {TextClass.STOP, TextClass.UNCLEAR, TextClass.START}:
            return
        with self.kit.store.read() as connection:
            if not inbound.is_new(connection, text.provider_id):
                return
        if kind is TextClass.START:
            drift.starts_left += 1
            return
        drift.stops_missed += 1
        if not dry_run:
            self._apply(text)

    def _apply(self, text: LoggedText) -> None:
        prefix = text.from_.partition(":")[0] + ":"
        missed = InboundText(
            provider_id=text.provider_id,
            channel=_PREFIXES.get(prefix, Channel.SMS),
            from_=text.from_.removeprefix(prefix),
            to=text.to.removeprefix(prefix),
            body=text.body,
            received_at=text.sent_at,
            service_sid=text.service_sid,
            sent_at=text.sent_at,
        )
        try:
            self.inbound.handle_text(missed)
        except InvalidAddress:
            log.warning("text_from_no_address", extra={"sid": text.provider_id})

    def _opted_out_there(self, text: LoggedText, *, dry_run: bool) -> int:
        """Put on record that the provider refuses a number for a sender; 1 where we did not know."""
        sender = self.kit.catalogue.sender_receiving(text.from_, text.service_sid)
        if sender is None:
            return 0
        try:
            address = parse_address(Channel.SMS, text.to)
        except InvalidAddress:
            return 0
        with self.kit.store.write() as connection:
            known = people.open_addresses(connection, [self.kit.wanted(address)], self.kit.now())[0]
            book = ledger.open_book(connection, [known])
            blocked = {(fact.reason, fact.sender) for fact in book.standing(known)}
            if (Reason.PROVIDER_BLOCK, sender.number) in blocked:
                return 0
            if not dry_run:
                doing = act(Source.PROVIDER_OPTOUT, self.kit.now(), key=f"sync:{text.provider_id}")
                block = bad_address(
                    doing,
                    book,
                    known.subject,
                    Channel.SMS,
                    reason=Reason.PROVIDER_BLOCK,
                    scope=sender.number,
                    sender=sender.number,
                    at=text.sent_at,
                )
                facts = [block]
                if sender.message_class is MessageClass.MARKETING:
                    facts.append(stop(doing, book, known.subject, Channel.SMS, sender=sender.number, at=text.sent_at))
                ledger.append(connection, book, facts)
        return 1

    def _deactivations(self, now: datetime, drift: Drift, *, dry_run: bool) -> None:
        """End the consent of numbers that carriers gave up, day by day since the last look (rules.md A-1)."""
        yesterday = now.date() - timedelta(days=1)
        last = how_far(self.kit, DEACTIVATIONS)
        day = last.date() + timedelta(days=1) if last else yesterday
        while day <= yesterday:
            try:
                drift.numbers_deactivated += self._deactivated(self.log.deactivated_on(day), day, dry_run=dry_run)
            except ProviderError as error:
                if error.provider_code != _NO_LIST_YET:
                    raise
                return
            if not dry_run:
                move_mark(self.kit, DEACTIVATIONS, now.replace(year=day.year, month=day.month, day=day.day))
            day += timedelta(days=1)

    def _deactivated(self, numbers: Iterable[str], day: date, *, dry_run: bool) -> int:
        waiting, key = iter(numbers), f"deactivated:{day}"
        found = 0
        while chunk := list(islice(waiting, _CHUNK)):
            found += self.numbers.note_lost(chunk, source=Source.PROVIDER_OPTOUT, key=key, dry_run=dry_run)
        return found
