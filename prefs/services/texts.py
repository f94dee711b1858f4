"""Texts that wait for a person: what was unclear, and what somebody made of it (rules.md T-2).

Marketing is held from the moment such a text came; a person may narrow that, never before.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from prefs.domain.address import Address, masked
from prefs.domain.ledger import INFERRED, live_entries
from prefs.domain.terms import Channel, Source, TextClass
from prefs.errors import Conflict, NotFound
from prefs.services.kit import Kit, act, keep_proof, lift, stop
from prefs.storage import inbound, ledger, people
from prefs.storage.inbound import WaitingText
from prefs.storage.people import KnownAddress


class Verdict(StrEnum):
    """What a person makes of an unclear text."""

    STOP = "stop"
    """They meant to stop: what was held is now a stop of its own, no longer a guess."""

    NO_STOP = "no_stop"
    """They meant something else: what this text took is given back, and nothing else."""


@dataclass(frozen=True, slots=True)
class QueuedText:
    """One text of the queue; ``words`` is empty where they were forgotten by retention."""

    id: int
    words: str
    address: str
    channel: Channel
    rule: str
    holds_marketing: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Texts:
    """The use cases of the staff queue."""

    kit: Kit

    def waiting(self, *, after: int = 0, limit: int = 50) -> list[QueuedText]:
        """Return unclear texts nobody has looked at, oldest first, addresses masked."""
        with self.kit.store.read() as connection:
            rows = inbound.waiting(connection, TextClass.UNCLEAR, after=after, limit=limit)
            known = people.by_subject(connection, {row.subject for row in rows})
        return [self._queued(row, known.get(row.subject)) for row in rows]

    def count(self) -> int:
        """Return how many texts wait."""
        with self.kit.store.read() as connection:
            return inbound.count_waiting(connection, TextClass.UNCLEAR)

    def decide(self, number: int, verdict: Verdict, *, actor: str) -> None:
        """Record what a person made of a text.

        Raises:
            NotFound: There is no such text in the queue.
            Conflict: Somebody else has decided about it already.
        """
        with self.kit.store.write() as connection:
            text = inbound.read_text(connection, number)
            if text is None:
                raise NotFound("There is no such text.")
            if text.handled_at is not None:
                raise Conflict("Somebody has decided about this text already.", code="already_decided")
            known = people.locate(connection, text.subject)
            if known is not None:
                self._settle(connection, text, known, verdict, actor)
            inbound.settle_text(connection, number, verdict, actor, self.kit.now())

    def _settle(
        self, connection: Connection, text: WaitingText, known: KnownAddress, verdict: Verdict, actor: str
    ) -> None:
        contacts = [known.contact] if known.contact is not None else []
        book = ledger.open_book(connection, [known], contacts)
        entries = [entry for of_one in book.entries.values() for entry in of_one]
        held = [e for e in live_entries(entries) if e.act_id == text.act_id and e.flag == INFERRED]
        doing = act(
            Source.STAFF,
            self.kit.now(),
            key=f"verdict:{text.provider_id}",
            actor=actor,
            proof={"text": text.provider_id, "verdict": str(verdict)},
        )
        if verdict is Verdict.STOP:
            facts = [
                stop(doing, book, e.subject, e.channel, reason=e.reason, sender=e.sender)
                for e in held
                if e.reason is not None
            ]
        else:
            facts = [lift(doing, book, e.subject, f"entry:{e.entry_key}") for e in held]
        added = ledger.append(connection, book, facts)
        keep_proof(connection, self.kit, doing, [entry.subject for entry in added])

    def _queued(self, row: WaitingText, known: KnownAddress | None) -> QueuedText:
        context = f"text:{row.provider_id}".encode()
        clear = self.kit.clear(known) if known else None
        return QueuedText(
            id=row.id,
            words=self.kit.vault.open_json(row.sealed, context=context)["body"] if row.sealed else "",
            address=masked(Address(known.kind, clear, clear)) if known and clear else "",
            channel=Channel(row.channel),
            rule=row.rule,
            holds_marketing=row.changed,
            received_at=row.received_at,
        )
