"""Write the suppression list to a file: in full, in part, or as hashes for a partner; never unlogged.

Addresses of people who opted out leave this service only for suppression (rules.md C-5): each
export is put on record with who took it, for whom and why, before the file has its name.

A delta is two files: what came behind a ledger position, in the form of a whole list, and, beside
it, what a list of that position had and this moment has not. A whole list less the second and
with the first is the whole list of now.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypedDict

from sqlalchemy import Connection

from prefs.domain.address import Address, masked, parse_address
from prefs.domain.formats import HEX_DIGITS, LIFTED
from prefs.domain.ledger import Entry
from prefs.domain.listed import safe_cell
from prefs.domain.reasons import SUPPRESSION_REASONS
from prefs.domain.terms import CHANNELS_OF_KIND, Act, AddressKind, Channel, Reason
from prefs.errors import InvalidInput
from prefs.services.deltas import check_since, earliest, moved
from prefs.services.kit import Kit
from prefs.services.listfile import written
from prefs.storage import facts, imports, ledger, people
from prefs.storage.listing import Stands, folded_facts, standing_facts
from prefs.storage.people import CHUNK, KnownAddress

log = logging.getLogger(__name__)

COLUMNS = ("channel", "to", "scope", "reason", "source", "since", "until")
LIFTED_COLUMNS = ("channel", LIFTED, "scope", "reason")
"""Not the columns of a list, so that no import takes who is to come off for who is to go on."""
NOTICE = "For suppression only: these people asked for no marketing. Do not contact them, match them or pass them on."
_TELL_EVERY = 5_000
_ENDING = (Act.LIFT, Act.OPT_IN)
"""Entries that can end what stands; of all others something stands more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is taken, by whom, for whom and why. ``since`` is a ledger position: only what moved behind it.

    ``masked`` hides the addresses; such a list cannot be imported again.
    """

    path: Path
    actor: str
    recipient: str
    purpose: str
    channel: Channel | None = None
    reasons: tuple[Reason, ...] = ()
    scope: str | None = None
    since: int = 0
    hashed: str | None = None
    masked: bool = False
    columns: tuple[str, ...] = COLUMNS

    @property
    def lifted_path(self) -> Path:
        """Where a delta says what stands no more."""
        return self.path.with_name(f"{self.path.stem}.lifted{self.path.suffix}")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. ``unnamed`` are facts about addresses of which only a key is kept: they are not in the file.

    Everything up to ``position`` is in it, and some of what is newer may be: the next delta has that
    again. ``lifted`` counts the rows of the file beside it; None where there is none: a whole list.
    """

    export: int
    rows: int
    unnamed: int
    sha256: str
    position: int
    recipient: str
    purpose: str
    notice: str = NOTICE
    lifted: int | None = None
    lifted_sha256: str | None = None


class Filters(TypedDict):
    """Which facts are taken; ``scope`` is the catalogue's number."""

    reasons: Collection[str]
    channel: Channel | None
    scope: int | None


@dataclass(frozen=True, slots=True)
class Exports:
    """The use case of ``prefs export``."""

    kit: Kit

    def run(self, request: ExportRequest, progress: Callable[[int], None] | None = None) -> Exported:
        """Write the file and, beside it, ``FILE.json`` with the count and the checksum; put it on record.

        A file is whole or not there at all; a delta has ``lifted_path`` too. Cells are safe in
        spreadsheets (V20) and ``prefs import`` reads them back to the same facts.

        Raises:
            InvalidInput: A filter that cannot be, or ``since`` lies ahead of the ledger.
            StoreUnavailable: Nothing was written.
        """
        _check(request)
        # Before the reading, so that nothing up to it is missed.
        position = facts.settled_position(self.kit.store)
        check_since(request.since, position)
        fresh, fresh_lifted = (path.with_name(f"{path.name}.part") for path in (request.path, request.lifted_path))
        try:
            done = self._write(fresh, fresh_lifted, request, position, progress or (lambda rows: None))
            fresh.replace(request.path)
            if done.lifted is None:
                request.lifted_path.unlink(missing_ok=True)  # of an earlier delta: it says nothing about this list
            else:
                fresh_lifted.replace(request.lifted_path)
        finally:
            fresh.unlink(missing_ok=True)
            fresh_lifted.unlink(missing_ok=True)
        request.path.with_name(request.path.name + ".json").write_text(json.dumps(asdict(done), indent=2) + "\n")
        return done

    def _write(
        self, fresh: Path, fresh_lifted: Path, request: ExportRequest, position: int, tell: Callable[[int], None]
    ) -> Exported:
        now, unnamed = self.kit.now(), 0
        lifted: _Sheet | None = None
        with facts.one_moment(self.kit.store) as connection:
            with _sheet(fresh, [request.hashed] if request.hashed else request.columns) as sheet:
                for line in self._lines(connection, request, now):
                    if line is None:
                        unnamed += 1
                        continue
                    sheet.put(line)
                    if sheet.rows % _TELL_EVERY == 0:
                        tell(sheet.rows)
            if request.since:
                with _sheet(fresh_lifted, _lifted_columns(request)) as lifted:
                    for name in self._lifted(connection, request, now):
                        lifted.put(written([safe_cell(cell) for cell in name]))
        done = Exported(0, sheet.rows, unnamed, sheet.sha256, position, request.recipient, request.purpose)
        if lifted is not None:
            done = replace(done, lifted=lifted.rows, lifted_sha256=lifted.sha256)
        return self._on_record(request, done)

    def _on_record(self, request: ExportRequest, done: Exported) -> Exported:
        options = {
            name: getattr(request, name) and str(getattr(request, name))
            for name in ("channel", "scope", "since", "hashed")
        }
        options |= {"masked": True} if request.masked else {}
        options |= {"lifted": done.lifted} if done.lifted is not None else {}
        options |= {"columns": list(request.columns)} if request.columns != COLUMNS else {}
        values = {
            "actor": request.actor,
            "recipient": request.recipient[:200],
            "purpose": request.purpose[:200],
            "options": {**options, "reasons": [str(reason) for reason in request.reasons]},
            "number": done.rows,
            "unnamed": done.unnamed,
            "checksum": done.sha256,
            "position": done.position,
            "at": self.kit.now(),
        }
        with self.kit.store.write() as connection:
            number = imports.log_export(connection, values)
        log.warning(
            "list_exported",
            extra={"export": number, "actor": request.actor, "rows": done.rows, "hashed": request.hashed},
        )
        return replace(done, export=number)

    def _lines(self, connection: Connection, request: ExportRequest, now: datetime) -> Iterator[str | None]:
        """Yield each row as text, None for one whose address we do not have."""
        found = standing_facts(connection, now, after=request.since, **self._filters(request))
        subject, seen = -1, set[tuple[str, ...]]()
        places = [COLUMNS.index(name) for name in request.columns]
        for one in found:
            if one.known.subject != subject:
                subject, seen = one.known.subject, set()
            row = self._row(one, one_channel=request.channel is not None, is_masked=request.masked)
            row = row and tuple(row[place] for place in places)
            # A fact about every channel stands on each, and is one row; an address has one hash.
            name = () if request.hashed else row or (one.fact, str(one.scope), str(one.everywhere or one.channel))
            if name in seen:
                continue
            seen.add(name)
            if row is None:
                yield None
            elif request.hashed:
                yield self._hash(one, request.hashed) + "\n"
            else:
                yield written([safe_cell(cell) for cell in row])

    def _filters(self, request: ExportRequest) -> Filters:
        scope = self.kit.catalogue.scope_number(request.scope) if request.scope else None
        return {"reasons": request.reasons or tuple(SUPPRESSION_REASONS), "channel": request.channel, "scope": scope}

    def _lifted(self, connection: Connection, request: ExportRequest, now: datetime) -> Iterator[tuple[str, ...]]:
        """Yield what a list of the position ``since`` had and one of this moment has not."""
        then = earliest(connection, request.since)
        channels = [request.channel] if request.channel else list(Channel)
        keys = iter(sorted(moved(connection, channels, request.since, now, _ENDING)))
        while chunk := list(islice(keys, CHUNK)):
            found = people.find(connection, chunk)
            book = ledger.open_book(connection, found.values())
            for known in found.values():
                entries = book.of(known)
                earlier = [entry for entry in entries if entry.id <= request.since]
                gone = self._names(request, known, earlier, then)
                for other in self.kit.rows_of(connection, known) if gone else ():
                    # What stands under another key of the address stops it too.
                    theirs = entries if other is known else ledger.open_book(connection, [other]).of(other)
                    gone -= self._names(request, replace(other, sealed=known.sealed, key=known.key), theirs, now)
                yield from sorted(gone)

    def _names(
        self, request: ExportRequest, known: KnownAddress, entries: Sequence[Entry], at: datetime
    ) -> set[tuple[str, ...]]:
        """Return what tells the rows apart that these entries make for an address; none where we have only its key."""
        found = folded_facts(known, entries, at, **self._filters(request))
        if request.hashed:
            return {(self._hash(one, request.hashed),) for one in found if known.sealed is not None}
        rows = (self._row(one, one_channel=request.channel is not None, is_masked=request.masked) for one in found)
        return {row[: len(LIFTED_COLUMNS)] for row in rows if row is not None}

    def _row(self, one: Stands, *, one_channel: bool, is_masked: bool) -> tuple[str, ...] | None:
        clear = self.kit.clear(one.known)
        if clear is None:
            return None
        several = len(CHANNELS_OF_KIND[one.known.kind]) > 1 or one.known.kind is AddressKind.EMAIL
        channel = "any" if one.everywhere and several and not one_channel else str(one.channel)
        return (
            channel,
            masked(Address(one.known.kind, clear, clear)) if is_masked else clear,
            self.kit.catalogue.scope_name(one.scope),
            one.fact,
            one.source,
            one.since.isoformat().replace("+00:00", "Z"),
            one.until.isoformat().replace("+00:00", "Z") if one.until else "",
        )

    def _hash(self, one: Stands, name: str) -> str:
        """Return the hash of the canonical address: trimmed, lower-case, with ``+`` for numbers (rules.md A-3)."""
        clear = self.kit.clear(one.known) or ""
        value = parse_address(one.channel, clear, default_region=self.kit.default_region).value
        return hashlib.new(name, value.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Sheet:
    """A file being written that counts its rows and sums what is in it."""

    file: BinaryIO
    rows: int = -1  # the first line is the header
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def put(self, line: str) -> None:
        data = line.encode()
        self._digest.update(data)
        self.file.write(data)
        self.rows += 1

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def _sheet(path: Path, columns: Sequence[str]) -> Iterator[_Sheet]:
    """Open a new file that only we can read, with its header."""
    path.touch(mode=0o600)
    with path.open("wb") as file:
        sheet = _Sheet(file)
        sheet.put(written(columns))
        yield sheet


def _lifted_columns(request: ExportRequest) -> tuple[str, ...]:
    return (f"{LIFTED}_{request.hashed}",) if request.hashed else LIFTED_COLUMNS


def _check(request: ExportRequest) -> None:
    if request.hashed is not None and request.hashed not in HEX_DIGITS:
        raise InvalidInput(f"Hashes are: {', '.join(HEX_DIGITS)}.", field="hashed")
    if not request.columns or not set(request.columns) <= set(COLUMNS):
        raise InvalidInput(f"Columns are: {', '.join(COLUMNS)}.", field="columns")
    if not request.recipient.strip() or not request.purpose.strip():
        raise InvalidInput("Say who gets the list and what for.", field="recipient", code="missing")
