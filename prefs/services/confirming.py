"""Choices that a person confirms by pressing a button behind a mailed link (ux.md P11, contract D20).

Only the press counts, never the opening: scanners open links. A stop recorded after the link
was made makes it void (invariant I07).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from prefs.domain.catalogue import Topic
from prefs.domain.ledger import ALL, Entry, live_entries
from prefs.domain.terms import KIND_OF_CHANNEL, Act, Channel, ConsentKind, Source
from prefs.errors import InvalidLink
from prefs.links import LinkTarget, Purpose
from prefs.services import stopping
from prefs.services.kit import Kit, keep_proof, open_key, start
from prefs.services.stopping import NOTHING_SEEN, Seen
from prefs.services.unsubscribe import masked_address
from prefs.storage import choices, ledger, people
from prefs.storage.choices import PendingChoice

GOOD_FOR = timedelta(days=7)
ASK, DONE, KEPT, OLD = "ask", "done", "kept", "old"


@dataclass(frozen=True, slots=True)
class ConfirmView:
    """What the page may show: ``state`` is ``ask``, ``done``, ``kept`` (a newer stop stands) or ``old``.

    ``stop_token`` is an unsubscribe token for the same address, so that the way out stands
    beside the way in; ``stopped_at`` is when the stop came that was kept.
    """

    state: str
    channel: Channel
    masked: str
    topics: tuple[Topic, ...]
    made_on: datetime
    stopped_at: datetime | None
    stop_token: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Confirming:
    """The use cases behind ``/confirm/<token>``."""

    kit: Kit

    def view(self, token: str) -> ConfirmView:
        """Return what the page may show now. Changes nothing.

        Raises:
            InvalidLink: Not a ``confirm`` token of ours, or its choice is gone.
            StoreUnavailable: The state cannot be read.
        """
        target = self.kit.links.read(token, Purpose.CONFIRM)
        with self.kit.store.read() as connection:
            choice = _choice(connection, target)
            known, book = stopping.look(connection, self.kit, target.address_key)
            contact = people.contact_of(connection, known.contact) if known and known.contact is not None else None
        entries = book.of(known) if known else []
        newer = _newer_stops(entries, choice)
        left = self._left(choice, newer)
        topics = tuple(t for n in (left or choice.topics) if (t := self.kit.catalogue.topic_numbered(n)))
        return ConfirmView(
            state=self._state(target, choice, left),
            channel=choice.channel,
            masked=masked_address(self.kit, known),
            topics=topics,
            made_on=target.issued_at or choice.created_at,
            stopped_at=max((entry.effective_at for entry in newer), default=None),
            stop_token=self.kit.links.make(LinkTarget(Purpose.UNSUBSCRIBE, target.channel, ALL, target.address_key)),
            language=contact.locale if contact else choice.language,
        )

    def confirm(self, token: str, *, seen: Seen = NOTHING_SEEN) -> str:
        """Start what the choice names, once, and return the state of the page that follows.

        Raises:
            InvalidLink: As ``view``.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.CONFIRM)
        with self.kit.store.write() as connection:
            known = open_key(connection, self.kit, target.address_key, KIND_OF_CHANNEL[target.channel])
            book = ledger.open_book(connection, [known])
            choice = _choice(connection, target)
            left = self._left(choice, _newer_stops(book.of(known), choice))
            state = self._state(target, choice, left)
            if state != ASK:
                return state
            doing = stopping.by_page(Source.CONFIRM_PAGE, self.kit, seen, key=f"confirm:{choice.id}")
            consents = [
                start(doing, book, known.subject, choice.channel, topic=number, kind=ConsentKind.OWN_ACT)
                for number in left
            ]
            ledger.append(connection, book, consents)
            keep_proof(connection, self.kit, doing, [known.subject])
            choices.spend(connection, choice.id, self.kit.now())
        return DONE

    def _left(self, choice: PendingChoice, newer: list[Entry]) -> list[int]:
        """Return the topics that no newer stop covers."""
        if any(entry.scope == ALL for entry in newer):
            return []
        stopped = {entry.scope for entry in newer}
        return [number for number in choice.topics if number not in stopped]

    def _state(self, target: LinkTarget, choice: PendingChoice, left: list[int]) -> str:
        if not left:
            return KEPT
        if choice.spent_at is not None:
            return DONE
        made = target.issued_at or choice.created_at
        return OLD if self.kit.now() >= made + GOOD_FOR else ASK


def _choice(connection: Connection, target: LinkTarget) -> PendingChoice:
    found = choices.read(connection, target.number)
    if found is None:
        raise InvalidLink("This link does not work. Part of it may be missing.")
    return found


def _newer_stops(entries: list[Entry], choice: PendingChoice) -> list[Entry]:
    """Return the stops recorded after the choice was made that bear on what it would start."""
    return [
        entry
        for entry in live_entries(entries)
        if entry.act is Act.OPT_OUT
        and entry.id > choice.version
        and entry.channel in (None, choice.channel)
        and entry.scope in (ALL, *choice.topics)
    ]
