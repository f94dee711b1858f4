"""Consents by file (contract D31): a row is put on record only while nothing about its address says stop.

Whether somebody has stopped is asked under the lock of the address, in the transaction that
writes, so an opt-out that came after the check, or after the second person's yes, wins.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.agreed import Agreed, AgreedPlan
from prefs.domain.formats import AGREED
from prefs.domain.ledger import Entry, Standing
from prefs.domain.listed import RowProblem
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.terms import Channel, ConsentKind, MessageClass, Reason, Source
from prefs.errors import InvalidInput
from prefs.services.kit import Doing, Kit, keep_proofs, start
from prefs.services.suppression import Agreement, check_kind, ends_at, proof_of
from prefs.storage import ledger, people
from prefs.storage.imports import Import
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress

SOURCE = f"{Source.IMPORT}-{AGREED.name}"
_STOPS = SUPPRESSION_REASONS | {Reason.PROVIDER_BLOCK}
_STRENGTH = {ConsentKind.IMPLIED: 1, ConsentKind.SOFT_OPT_IN: 1, ConsentKind.EXPRESS: 2, ConsentKind.OWN_ACT: 3}


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """A usable row as it stands in a part file: the agreement, and the cells it was read from."""

    key: bytes
    line: int
    given: Agreement
    cells: list[str]


@dataclass(slots=True)
class Written:
    """What became of some rows; ``standing`` are the entries that said as much before."""

    added: int = 0
    standing: list[int] = field(default_factory=list)
    refused: list[tuple[ConsentRow, RowProblem]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConsentRows:
    """Reads rows into part files, and writes those nobody has opted out of."""

    kit: Kit

    def topics(self) -> dict[str, str]:
        """Return what can be agreed to: the slugs of marketing topics, by slug and by name in small letters."""
        found = [
            one for one in self.kit.catalogue.topics if one.message_class is MessageClass.MARKETING and not one.retired
        ]
        return {one.name.casefold(): one.slug for one in found} | {one.slug: one.slug for one in found}

    def line(self, plan: AgreedPlan, agreed: Agreed, cells: Sequence[str], number: int) -> str:
        """Return a row as a part file holds it, led by its address's key. Raises ``RowProblem``."""
        address = plan.address(agreed, self.kit.default_region)
        given = self._given(agreed, address)
        said = {**asdict(given), "occurred_at": _text(given.occurred_at), "expires_at": _text(given.expires_at)}
        kept = json.dumps({"given": said, "cells": list(cells)})
        return f"{self.kit.address_keys.key(address).hex()}\t{number}\t{kept}\n"

    def read(self, lines: Iterable[str]) -> list[ConsentRow]:
        """Return the rows of a part file by key and line."""
        return sorted(map(_row, lines), key=attrgetter("key", "line"))

    def write(self, connection: Connection, found: Import, rows: Sequence[ConsentRow]) -> Written:
        """Put agreements on record; ``rows`` are in order of their keys, and all rows of a key are there.

        Those whose address has a stop are refused and leave nothing behind, not even the address.
        """
        addresses = {row.key: self._address(row.given) for row in rows}
        written = Written()
        free, _, _ = self._refuse(connection, rows, addresses, written)
        opened = self._open(connection, {row.key: addresses[row.key] for row in free})
        # Asked again under the locks: what was written since the look above is seen here.
        free, book, facts = self._refuse(connection, free, addresses, written)
        fresh: dict[str, Doing] = {}
        entries: dict[tuple[object, ...], Entry] = {}
        for row in free:
            doing = _doing(row, found, self.kit.now())
            entry = self._entry(doing, book, opened[row.key], row.given)
            before = next((fact for fact in facts[row.key] if _says_as_much(fact, entry)), None)
            if before is not None:
                written.standing.append(before.entry_id)
            elif entries.setdefault(_meaning(entry), entry) is entry:
                fresh[entry.entry_key] = doing
        added = ledger.append(connection, book, list(entries.values()))
        keep_proofs(connection, self.kit, [(fresh[one.entry_key], [one.subject]) for one in added])
        written.added = len(added)
        return written

    def _given(self, agreed: Agreed, address: Address) -> Agreement:
        """Return the row as a consent a caller would report. Raises ``RowProblem`` where the proof is none (D12)."""
        now = self.kit.now()
        given = Agreement(
            channel=agreed.channel,
            to=address.original,
            topic=agreed.topic,
            source=agreed.source,
            kind=agreed.kind,
            wording=agreed.wording,
            evidence=dict(agreed.evidence) or None,
            occurred_at=agreed.agreed_at,
            expires_at=agreed.expires_at,
        )
        try:
            check_kind(given, now)
            given = replace(given, expires_at=ends_at(given))
        except InvalidInput as error:
            raise RowProblem("The proof that this kind of consent needs is missing", str(error)) from error
        if given.expires_at is not None and given.expires_at <= now:
            raise RowProblem("This consent has ended already", "Leave the row out, or ask them anew.")
        return given

    def _entry(self, doing: Doing, book: Book, known: KnownAddress, given: Agreement) -> Entry:
        topic = self.kit.catalogue.topic(given.topic).number
        at, until = given.occurred_at, given.expires_at
        return start(doing, book, known.subject, given.channel, topic=topic, kind=given.kind, at=at, until=until)

    def _refuse(
        self,
        connection: Connection,
        rows: Sequence[ConsentRow],
        addresses: dict[bytes, Address],
        written: Written,
    ) -> tuple[list[ConsentRow], Book, dict[bytes, list[Standing]]]:
        """Note the rows whose address has a stop at this moment; return the others, and what stands about them."""
        now = self.kit.now()
        book, known = self._look(connection, {row.key: addresses[row.key] for row in rows})
        facts = {key: [fact for one in mine for fact in book.standing(one)] for key, mine in known.items()}
        stops = {key: _stop(standing, now) for key, standing in facts.items()}
        free = []
        for row in rows:
            problem = stops[row.key]
            if problem is None:
                free.append(row)
            else:
                written.refused.append((row, problem))
        return free, book, facts

    def _address(self, given: Agreement) -> Address:
        return parse_address(given.channel, given.to, default_region=self.kit.default_region)

    def _look(
        self, connection: Connection, addresses: dict[bytes, Address]
    ) -> tuple[Book, dict[bytes, list[KnownAddress]]]:
        """Return every row that may be about each address, its hashes and older keys among them (contract D34)."""
        candidates = {key: self.kit.address_keys.candidates(address) for key, address in addresses.items()}
        rows = people.find(connection, [one for several in candidates.values() for one in several])
        known = {
            key: list({rows[one].subject: rows[one] for one in several if one in rows}.values())
            for key, several in candidates.items()
        }
        return ledger.open_book(connection, {one.subject: one for one in rows.values()}.values()), known

    def _open(self, connection: Connection, addresses: dict[bytes, Address]) -> dict[bytes, KnownAddress]:
        wanted = [self.kit.wanted(address) for address in addresses.values()]
        return dict(zip(addresses, people.open_addresses(connection, wanted, self.kit.now()), strict=True))


def _stop(facts: Sequence[Standing], now: datetime) -> RowProblem | None:
    """Return why an address's rows are refused: any stop, on whatever channel and about whatever topic."""
    found = [fact for fact in facts if fact.reason in _STOPS and fact.in_force(now)]
    if not found:
        return None
    since = max(fact.effective_at for fact in found)
    return RowProblem(
        f"This person has opted out: {since:%Y-%m-%d}",
        "Leave the row out. An opt-out wins over what was agreed before; only the person can start again.",
    )


def _says_as_much(fact: Standing, entry: Entry) -> bool:
    """True where a consent on record is as strong, as fresh and as lasting as this one."""
    if fact.consent is None or entry.consent is None or (fact.channel, fact.scope) != (entry.channel, entry.scope):
        return False
    lasts = fact.until is None or (entry.until is not None and fact.until >= entry.until)
    strong = _STRENGTH.get(fact.consent, 0) >= _STRENGTH[entry.consent]
    return strong and lasts and fact.effective_at >= entry.effective_at


def _meaning(entry: Entry) -> tuple[object, ...]:
    """Return what two rows of a file share that say the same."""
    return (entry.subject, entry.channel, entry.scope, entry.consent, entry.effective_at, entry.until)


def _doing(row: ConsentRow, found: Import, now: datetime) -> Doing:
    """Return the row as an act of its own: each consent has its own proof."""
    proof = proof_of(row.given)
    where = {"where": row.given.source, "import": found.id, "approved_by": found.options.get("approved_by")}
    proof["evidence"] = {**(row.given.evidence or {}), **{name: value for name, value in where.items() if value}}
    agreed_at = row.given.occurred_at or now
    return Doing(f"{found.id}.{row.line}", f"{found.id}:{row.line}", SOURCE, agreed_at, now, found.actor, proof)


def whole_keys(rows: Sequence[ConsentRow], most: int) -> Iterator[list[ConsentRow]]:
    """Yield rows in parts of about ``most``, all rows of a key in one of them."""
    part: list[ConsentRow] = []
    for _, mine in groupby(rows, key=attrgetter("key")):
        part += mine
        if len(part) >= most:
            yield part
            part = []
    if part:
        yield part


def _row(line: str) -> ConsentRow:
    key, number, kept = line.split("\t")
    said: dict[str, Any] = json.loads(kept)
    given = said["given"]
    times = {name: datetime.fromisoformat(given[name]) if given[name] else None for name in _TIMES}
    words = {"channel": Channel(given["channel"]), "kind": ConsentKind(given["kind"])}
    return ConsentRow(bytes.fromhex(key), int(number), Agreement(**{**given, **times, **words}), said["cells"])


_TIMES = ("occurred_at", "expires_at")


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
