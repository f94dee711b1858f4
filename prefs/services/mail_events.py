"""Apply SendGrid's events, exactly once: a batch is stored whole or not at all (rules.md M-3)."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.events import Consequence, ProviderEvent, consequence_of
from prefs.domain.ledger import ALL, Entry, live_entries
from prefs.domain.terms import Act, Channel, Source
from prefs.errors import InvalidAddress
from prefs.services.kit import Doing, Kit, act, address_context, bad_address, lift, new_address, stop
from prefs.storage import first_facts, inbound, ledger, people
from prefs.storage.first_facts import Newcomer
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of a batch of events."""

    applied: int
    ignored: int
    set_aside: int


@dataclass(frozen=True, slots=True)
class _Report:
    """An event that does something, and the keys its address may be stored under."""

    event: ProviderEvent
    consequence: Consequence
    address: Address
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MailEvents:
    """The use case behind SendGrid's Event Webhook."""

    kit: Kit

    def record(self, events: Sequence[ProviderEvent], spoilt: Sequence[tuple[Any, str]] = ()) -> Recorded:
        """Apply a batch of events in one transaction; what cannot be applied is set aside, never lost.

        Raises:
            StoreUnavailable: Nothing was stored; the provider sends it again.
        """
        wanted: list[_Report] = []
        aside = list(spoilt)
        for event in events:
            consequence = consequence_of(event)
            if consequence is None:
                continue
            try:
                address = parse_address(Channel.EMAIL, event.email)
            except InvalidAddress:
                aside.append(({"event": event.kind, "id": event.event_id, "email": event.email}, "invalid_address"))
            else:
                wanted.append(_Report(event, consequence, address, self.kit.address_keys.candidates(address)))
        if not wanted and not aside:
            return Recorded(0, len(events), 0)
        with self.kit.store.write() as connection:
            applied = self._apply(connection, wanted)
            for item, problem in aside:
                self._set_aside(connection, item, problem)
        return Recorded(applied, len(events) - len(wanted), len(aside))

    def _apply(self, connection: Connection, wanted: Sequence[_Report]) -> int:
        """Write the first facts about people nobody knew, then what is about all others; return how many were new."""
        newcomers = self._newcomers(wanted)
        made = first_facts.write(connection, newcomers, self.kit.now())
        written = [one for one in newcomers if one.known.subject in made]
        done = {one.known.key for one in written}
        left = [one for one in wanted if one.keys[0] not in done]
        return sum(len(one.entries) for one in written) + (self._add(connection, left) if left else 0)

    def _newcomers(self, wanted: Sequence[_Report]) -> list[Newcomer]:
        """Return everybody named, as though nobody knew them; nobody where that cannot be told by one key alone.

        A lift hangs on what stands, and makes the whole batch go the general way: writing first
        here and locking then there must not wait for each other (reliability.md R6).
        """
        if any(len(one.keys) > 1 or one.consequence.act is Act.LIFT for one in wanted):
            return []
        by_key: dict[bytes, list[_Report]] = {}
        for report in wanted:
            by_key.setdefault(report.keys[0], []).append(report)
        items = ((reports[0].address.original.encode(), address_context(key)) for key, reports in by_key.items())
        nothing = Book({})
        newcomers = []
        for (key, reports), sealed in zip(by_key.items(), self.kit.vault.seal_many(items), strict=True):
            known = new_address(key, reports[0].address.kind, sealed)
            entries = [self._entry(nothing, known, report) for report in reports]
            newcomers.append(Newcomer(known, list({one.entry_key: one for one in entries if one}.values())))
        return newcomers

    def _add(self, connection: Connection, wanted: Sequence[_Report]) -> int:
        """Write about addresses that are known, or may be; return how many facts were new."""
        opened = people.open_addresses(connection, [self.kit.wanted(one.address) for one in wanted], self.kit.now())
        book = ledger.open_book(connection, opened)
        entries = [self._entry(book, known, report) for report, known in zip(wanted, opened, strict=True)]
        return len(ledger.append(connection, book, [entry for entry in entries if entry is not None]))

    def _entry(self, book: Book, known: KnownAddress, report: _Report) -> Entry | None:
        event, consequence = report.event, report.consequence
        doing = act(
            Source.SENDGRID_EVENT,
            self.kit.now(),
            key=f"sendgrid:{event.event_id}",
            occurred_at=event.occurred_at,
            proof={"event": event.kind, "detail": event.detail},
        )
        scope = self._group_scope(event) if consequence.by_group else ALL
        at = event.occurred_at
        if consequence.act is Act.LIFT:
            return self._resubscribe(doing, book, known, scope, at)
        if consequence.act is Act.UNREACHABLE:
            return bad_address(doing, book, known.subject, Channel.EMAIL, reason=consequence.reason, at=at)
        return stop(doing, book, known.subject, Channel.EMAIL, reason=consequence.reason, scope=scope, at=at)

    def _group_scope(self, event: ProviderEvent) -> int:
        """Return the topic of an unsubscribe group; one we do not know stops all marketing."""
        topic = self.kit.catalogue.topic_of_group(event.group)
        if topic is None:
            log.error("sendgrid_group_unknown", extra={"group": event.group})
        return topic.number if topic else ALL

    def _resubscribe(self, doing: Doing, book: Book, known: KnownAddress, scope: int, at: datetime) -> Entry | None:
        """End a stop made on the provider's own page for the same topic, if nothing else stands (M-4)."""
        stops = [e for e in live_entries(book.of(known)) if e.act is Act.OPT_OUT and e.channel in (None, Channel.EMAIL)]
        latest = max(stops, key=lambda entry: entry.effective_at, default=None)
        theirs = latest is not None and all(e.source == Source.SENDGRID_EVENT and e.scope == scope for e in stops)
        if latest is None or not theirs or scope == ALL or at <= latest.effective_at:
            return None
        return lift(doing, book, known.subject, f"act:{latest.act_id}")

    def _set_aside(self, connection: Connection, item: Any, problem: str) -> None:
        digest = hashlib.sha256(repr(item).encode("utf-8", "replace")).hexdigest()
        context = f"quarantine:{digest}".encode()
        sealed = self.kit.vault.seal_json(item, context=context)
        inbound.set_aside(connection, f"sendgrid:{digest}", "sendgrid", problem, sealed, self.kit.now())
        log.error("event_set_aside", extra={"problem": problem})
