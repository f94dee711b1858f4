"""Import other tools' suppression lists: read, sort by key, merge part by part, each row once.

First the file is read and every usable row goes to one of some part files by its key. Then
each part is merged, sorted, in transactions of its own. Either phase goes on where it stopped:
the first from the offset in ``state.json``, the second from ``next_part`` (invariant I10). An
import adds stops and facts about addresses; it never removes. Only a list of people who agreed,
with its proof and a second person's yes, adds consents (contract D31; ``consent_rows``).
"""

import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection

from prefs.domain.address import Address, masked, parse_address, region_named
from prefs.domain.agreed import AgreedPlan, make_agreed_plan
from prefs.domain.formats import HEX_DIGITS, HOW, WHAT, named
from prefs.domain.ledger import Entry, still_in_force
from prefs.domain.listed import Fact, Plan, RowProblem, make_plan, read_time, safe_cell
from prefs.domain.reasons import CONTACTABILITY_REASONS
from prefs.domain.terms import CHANNELS_OF_KIND, KIND_OF_CHANNEL, Act, AddressKind, Channel, Reason
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services.alone import LOCK, alone_in
from prefs.services.consent_rows import ConsentRow, ConsentRows, Written, whole_keys
from prefs.services.hash_lists import HashLists
from prefs.services.kit import Doing, Kit, act, address_context, bad_address, entry_key, lift, place_of, stop
from prefs.services.listfile import Layout, as_lines, digest_of, lay_out, read_rows, repairer, written
from prefs.storage import bulk, imports, jobs, ledger, people
from prefs.storage.base import alone
from prefs.storage.bulk import Form, Fresh, Shared
from prefs.storage.imports import DONE, FAILED, QUEUED, RUNNING, UNDOING, UNDONE, Import
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, Wanted
from prefs.storage.tables import from_microseconds, to_microseconds

log = logging.getLogger(__name__)

PART_ROWS = 20_000
"""Rows a merging transaction: well under a second's work, so that nobody waits long behind it."""

MOST_PARTS = 4_096
SLICE_SECONDS = 10.0
"""How long the worker stays with one import before it looks after messages again."""

KEPT_FOR = timedelta(hours=24)
DRAFTS = "up_*"
"""Folders of files that were sent in the console and not imported yet (``services.import_wizard``)."""

JOB, UNDO_JOB = "import", "import_undo"
_OPEN = frozenset({QUEUED, RUNNING})
_BUFFERED = 200_000
_ONE_BY_ONE = 500
_LOOK_AT_CLOCK = 2_000
FIRST_ROWS = 10
"""How many rows that would be added a dry run shows."""

Progress = Callable[[str, float], None]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """A file and what the caller says about it; ``format`` None is recognised from the header.

    ``name`` is what the file is called at the caller's, ``approved_by`` the second person; neither makes
    another import of it. ``region`` is where numbers without + are from, the service's own where it is None.
    ``consents`` is the console's alone: the rows are people who agreed, to ``topic`` where no column says it.
    ``own``: another caller's import of the same file is another import.
    """

    path: Path
    actor: str
    channel: Channel | None = None
    format: str | None = None
    scope: str = "all"
    column: str | None = None
    dry_run: bool = False
    name: str | None = None
    region: str | None = None
    consents: bool = False
    topic: str | None = None
    approved_by: str | None = None
    own: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What makes an import of the same file another import."""
        said = {"channel": self.channel, "format": self.format, "scope": self.scope, "column": self.column}
        region = {"region": self.region} if self.region else {}
        return said | region | ({"consents": True, "topic": self.topic} if self.consents else {})

    @property
    def notes(self) -> dict[str, Any]:
        """What is kept beside them."""
        kept = {"name": self.name, "approved_by": self.approved_by}
        return {name: value for name, value in kept.items() if value}


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an import is: the share of the file that was read, and its rows once that is all of it."""

    read: float
    rows: int | None


@dataclass(slots=True)
class _State:
    """How far the first phase is; kept in ``state.json`` beside the part files.

    ``said`` is how many usable rows say each of the ``facts``.
    """

    path: str
    offset: int = -1
    line: int = 0
    read: bool = False
    facts: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rejects: int = 0
    invalid: int = 0
    ignored: int = 0
    usable: int = 0
    said: list[int] = field(default_factory=list)
    agreed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.said += [0] * (len(self.facts) - len(self.said))  # a state of an earlier version counted none


@dataclass(slots=True)
class _Row:
    """A usable row as it stands in a part file."""

    key: bytes
    line: int
    fact: Fact
    occurred_at: datetime
    text: str


class _DryRun(Exception):
    """Ends a transaction of a dry run: what it found is known, nothing of it stays."""


@dataclass(frozen=True, slots=True)
class Imports:
    """The use cases of ``prefs import`` and ``/v1/imports``."""

    kit: Kit
    hash_lists: HashLists
    consents: ConsentRows
    folder: Path

    def begin(self, request: ImportRequest) -> Import:
        """Put an import on record, or find the one of the same file that was interrupted.

        One that somebody else is at is returned as it is, and nothing of it is touched.

        Raises:
            InvalidInput: The file cannot be read as asked; nothing was stored.
            Conflict: Another process is beginning it just now.
            StoreUnavailable: Nothing was stored.
        """
        return self._begin(request, take=False)

    def accept(self, request: ImportRequest) -> Import:
        """Take an uploaded file over and queue its import for the worker. Raises what ``begin`` raises."""
        found = self._begin(request, take=True)
        self._queue(found, "begin")
        return found

    def _begin(self, request: ImportRequest, *, take: bool) -> Import:
        now, file_hash = self.kit.now(), digest_of(request.path)
        number = self._number(request, file_hash)
        values = {
            "id": number,
            "file_hash": file_hash,
            "options": request.options | request.notes,
            "dry_run": request.dry_run,
            "status": QUEUED,
            "actor": request.actor,
            "uploaded_at": now,
        }
        place = self.folder / number
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with _alone(place):
                return self._lay_down(request, place, values, take=take)
        except Conflict:
            found = self._read(number)
            if found is None:
                raise
            return found

    def _number(self, request: ImportRequest, file_hash: bytes) -> str:
        """Return the number of the import of this file that is not finished, or of a new one."""
        options = {**request.options, "dry_run": request.dry_run}
        with self.kit.store.read() as connection:
            same = [
                one
                for one in imports.of_file(connection, file_hash)
                if {**_without_notes(one.options), "dry_run": one.dry_run} == options
                and (not request.own or one.actor == request.actor)
            ]
        open_one = next((one for one in same if one.status in _OPEN), None)
        if open_one:
            return open_one.id
        name = [file_hash.hex(), options, len(same), *([request.actor] if request.own else [])]
        return f"imp_{hashlib.sha256(json.dumps(name, sort_keys=True).encode()).hexdigest()[:24]}"

    def _lay_down(self, request: ImportRequest, place: Path, values: dict[str, Any], *, take: bool) -> Import:
        """Make an import's folder ready, with ``take`` the file moved into it, and put it on record if it is new."""
        known = self._read(place.name)
        if known is not None and known.status not in _OPEN:
            return known
        path = Path(shutil.move(request.path, place / "upload")) if take else request.path
        try:
            path = as_lines(path, place / "lines.csv")
            plan = self.plan(lay_out(path), request.options)
        except InvalidInput:
            if known is None:
                shutil.rmtree(place)
            raise
        state = _load(place) if known is not None and (place / "state.json").exists() else _State("")
        _save(place, replace(state, path=str(path)))
        _stamp(place, self.kit.now())
        if known is None:
            with self.kit.store.write() as connection:
                imports.add(connection, {**values, "format": plan.format.name})
        return self.view(place.name)

    def view(self, import_id: str) -> Import:
        """Return an import. Raises ``NotFound``."""
        found = self._read(import_id)
        if found is None:
            raise NotFound("There is no import with this id.")
        return found

    def _read(self, import_id: str) -> Import | None:
        with self.kit.store.read() as connection:
            return imports.read(connection, import_id)

    def page(
        self, limit: int, *, before: tuple[datetime, str] | None = None, after: tuple[datetime, str] | None = None
    ) -> list[Import]:
        """Return imports newest first, dry runs left out: older than a place, or the next newer than one."""
        with self.kit.store.read() as connection:
            return imports.page(connection, limit, before=before, after=after)

    def progress(self, found: Import) -> "Reached":
        """Return how far an import is."""
        place = self.folder / found.id
        if found.status not in _OPEN or not (place / "state.json").exists():
            return Reached(1.0, found.usable + found.invalid + found.ignored)
        state = _load(place)
        if state.read:
            return Reached(1.0, state.usable + state.invalid + state.ignored)
        size = Path(state.path).stat().st_size if Path(state.path).exists() else 0
        return Reached(max(0, state.offset) / size if size else 0.0, None)

    def rejects(self, import_id: str) -> Path | None:
        """Return the file of rows that could not be imported, or None: there were none, or a day has passed."""
        path = self.folder / self.view(import_id).id / "rejects.csv"
        return path if path.exists() else None

    def difference(self, import_id: str) -> dict[str, Any] | None:
        """Return what a finished dry run would change, or None: it was none, or a day has passed.

        ``facts`` are the rows by channel, reason and scope: how many are new and how many say what is on
        record or stood in the file before. ``first`` are the first rows that are new, addresses masked.
        """
        path = self.folder / self.view(import_id).id / "difference.json"
        return cast(dict[str, Any], json.loads(path.read_text())) if path.exists() else None

    def advance(self, import_id: str, seconds: float | None = None, progress: Progress | None = None) -> Import:
        """Go on with an import for about ``seconds``, or to its end; what was done stays done.

        Raises:
            Conflict: Another process is at it.
            InvalidInput: The file is not what it seemed; rows merged before stay.
            StoreUnavailable: Nothing more could be stored; call again to go on.
        """
        found, tell = self.view(import_id), progress or (lambda what, done: None)
        if found.status not in _OPEN:
            return found
        until = time.monotonic() + seconds if seconds is not None else float("inf")
        place = self.folder / import_id
        with _alone(place):
            self._go_on(self.view(import_id), place, until, tell)
        return self.view(import_id)

    def _go_on(self, found: Import, place: Path, until: float, tell: Progress) -> None:
        """Read and merge, alone with the import; it may have ended meanwhile."""
        if found.status not in _OPEN:
            return
        _stamp(place, self.kit.now())
        state = _load(place)
        reading, merging = (_Agreements, _Agreeing) if found.are_consents else (_Reading, _Merging)
        if not state.read:
            reading(self, found, place, state).run(until, tell)
        if state.read:
            merging(self, found, place, state).run(until, tell)

    def work(self, payload: dict[str, Any]) -> None:
        """Do a slice of a queued import and queue the next: the worker's job."""
        try:
            found = self.advance(payload["id"], SLICE_SECONDS)
        except InvalidInput as error:
            self.fail(payload["id"], str(error))
            return
        if found.status in _OPEN:
            state = _load(self.folder / found.id)
            self._queue(found, f"{state.offset}:{found.next_part}")

    def fail(self, import_id: str, why: str) -> None:
        """Note that an import cannot go on. Rows merged before it stay, and block."""
        with self.kit.store.write() as connection:
            imports.change(connection, import_id, status=FAILED, error=why[:300], finished_at=self.kit.now())

    def undo(self, import_id: str, actor: str, progress: Progress | None = None) -> Import:
        """Lift the facts an import added, save those a later list confirmed; again goes on where it stopped.

        Whoever imported cannot undo it (reliability.md item 24). What came through another door
        meanwhile is a fact of its own and stands.

        Raises:
            NotFound: No such import.
            Conflict: It was a dry run, is not finished, was undone, or the same person asks.
        """
        found = self.view(import_id)
        with self.kit.store.write() as connection:
            found = self._begin_undo(connection, found, actor)
        after = found.first_entry
        while after < found.last_entry:
            after = self._undo_next(found, after, actor)
            if progress:
                progress("undo", (after - found.first_entry) / max(1, found.last_entry - found.first_entry))
        return self._end_undo(found, actor)

    def queue_undo(self, connection: Connection, import_id: str, actor: str) -> None:
        """Queue an undo for the worker in the caller's transaction. Raises what ``undo`` raises."""
        found = imports.read(connection, import_id, lock=True)
        if found is None:
            raise NotFound("There is no import with this id.")
        found = self._begin_undo(connection, found, actor)
        self._queue_undo(connection, found, found.first_entry, actor)

    def work_undo(self, payload: dict[str, Any]) -> None:
        """Do a slice of a queued undo and queue the next: the worker's job."""
        found, after, until = self.view(payload["id"]), payload["after"], time.monotonic() + SLICE_SECONDS
        if found.status != UNDOING:
            return
        while after < found.last_entry and time.monotonic() < until:
            after = self._undo_next(found, after, payload["actor"])
        if after >= found.last_entry:
            self._end_undo(found, payload["actor"])
            return
        with self.kit.store.write() as connection:
            self._queue_undo(connection, found, after, payload["actor"])

    def forget_files(self) -> int:
        """Delete what is left of imports after a day (reliability.md items 37, 43), and return of how many.

        One that nobody went on with for a day is given up; what it merged stays. One that a process is
        at is left alone.
        """
        gone, before = 0, self.kit.now() - KEPT_FOR
        for place in sorted(self.folder.glob("imp_*")) if self.folder.is_dir() else ():
            with suppress(Conflict), _alone(place):
                gone += self._forget(place, before)
        old = time.time() - KEPT_FOR.total_seconds()
        for left in self.folder.glob("incoming-*"):
            if left.stat().st_mtime < old:
                left.unlink(missing_ok=True)
        for draft in self.folder.glob(DRAFTS):
            if draft.stat().st_mtime < old:
                shutil.rmtree(draft, ignore_errors=True)
                gone += 1
        return gone

    def _forget(self, place: Path, before: datetime) -> bool:
        """Delete one import's folder where nobody went on with it since; True where that was done."""
        found = self._read(place.name)
        if found is not None and (found.finished_at or max(found.uploaded_at, _stamped(place))) >= before:
            return False
        if found is not None and found.status in _OPEN:
            self.fail(found.id, "Nobody went on with it for a day.")
        shutil.rmtree(place, ignore_errors=True)
        return True

    def agreed(self, import_id: str) -> list[tuple[str, str, int]]:
        """Return how many rows of a list agreed to which topic in which way, most first."""
        place = self.folder / import_id
        counted = _load(place).agreed if (place / "state.json").exists() else {}
        ranked = sorted(counted.items(), key=lambda one: -one[1])
        return [(*slot.split("\t"), number) for slot, number in ranked]  # type: ignore[misc]

    def plan(self, layout: Layout, options: dict[str, Any]) -> Plan | AgreedPlan:
        """Return how a file will be read. Raises ``InvalidInput`` where the caller has to say more."""
        channel = Channel(options["channel"]) if options["channel"] else None
        self._region(options)
        if options.get("consents"):
            return make_agreed_plan(
                layout.header,
                layout.sample,
                channel=channel,
                column=options["column"],
                topic=options["topic"],
                topics=self.consents.topics(),
                now=self.kit.now(),
            )
        return make_plan(
            layout.header,
            layout.sample,
            format=named(options["format"]) if options["format"] else None,
            channel=channel,
            scope=self.kit.catalogue.scope_number(options["scope"]),
            spoken=self.kit.catalogue.scope_number,
            column=options["column"],
        )

    def _region(self, options: dict[str, Any]) -> str:
        """Return where an import's numbers without + are from. Raises ``InvalidInput``."""
        return region_named(options["region"]) if options.get("region") else self.kit.default_region

    def _begin_undo(self, connection: Connection, found: Import, actor: str) -> Import:
        if found.dry_run or found.status not in {DONE, FAILED, UNDOING}:
            raise Conflict("Only an import that is finished, and was no dry run, can be undone.")
        if found.actor == actor:
            raise Conflict("Undoing an import takes a second person: somebody else must do it.", code="same_person")
        last = found.last_entry or ledger.position(connection)
        imports.change(connection, found.id, status=UNDOING, last_entry=last)
        return replace(found, status=UNDOING, last_entry=last)

    def _undo_next(self, found: Import, after: int, actor: str) -> int:
        """Lift the next entries an import made, and return how far that is."""
        with self.kit.store.write() as connection:
            entries, after = imports.unconfirmed(connection, found, after, _ONE_BY_ONE)
            imports.count(connection, found.id, lifted=self._lift(connection, found, entries, actor))
        return after

    def _end_undo(self, found: Import, actor: str) -> Import:
        with self.kit.store.write() as connection:
            imports.change(connection, found.id, status=UNDONE)
        undone = self.view(found.id)
        log.warning("import_undone", extra={"import": found.id, "actor": actor, "lifted": undone.lifted})
        return undone

    def _queue_undo(self, connection: Connection, found: Import, after: int, actor: str) -> None:
        payload = {"id": found.id, "after": after, "actor": actor}
        jobs.add(connection, UNDO_JOB, payload, key=f"{UNDO_JOB}:{found.id}:{after}", now=self.kit.now())

    def _queue(self, found: Import, step: str) -> None:
        with self.kit.store.write() as connection:
            jobs.add(connection, JOB, {"id": found.id}, key=f"import:{found.id}:{step}", now=self.kit.now())

    def _lift(self, connection: Connection, found: Import, entries: Sequence[Entry], actor: str) -> int:
        """End these entries, those whose person was erased meanwhile left as they are."""
        subjects = {entry.subject for entry in entries}
        rows = people.by_subject(connection, subjects)
        known = set(people.find(connection, [one.key for one in rows.values()], lock=True).values())
        contacts = [subject for subject in subjects - rows.keys() if people.contact_of(connection, subject)]
        book = ledger.open_book(connection, known, contacts)
        doing = replace(act("import-undo", self.kit.now(), key=f"undo:{found.id}", actor=actor), id=f"un{found.id}")
        reachable = rows.keys() | set(contacts)
        lifts = [
            lift(doing, book, entry.subject, f"entry:{entry.entry_key}")
            for entry in entries
            if entry.subject in reachable
        ]
        return len(ledger.append(connection, book, lifts))


class _Reading:
    """The first phase: rows into part files by their keys, what cannot be used into the rejects."""

    def __init__(self, service: Imports, found: Import, place: Path, state: _State) -> None:
        self._kit, self._hash_lists, self._consents = service.kit, service.hash_lists, service.consents
        self._found, self._place, self._state = found, place, state
        self._path = Path(state.path)
        self._layout = lay_out(self._path)
        self._plan = service.plan(self._layout, found.options)
        self._hashed = self._plan.format.name in HEX_DIGITS
        self._region = service._region(found.options)
        self._facts = {_fact(one): number for number, one in enumerate(state.facts)}
        self._size = self._path.stat().st_size
        if not state.sizes:
            state.sizes = [0] * self._parts()
            state.offset, state.line = self._layout.begins, self._layout.first_line
        self._buckets: list[list[str]] = [[] for _ in state.sizes]
        self._rejects: list[str] = []

    def run(self, until: float, tell: Progress) -> None:
        """Read until the end of the file or of the time; the state is on disk when this returns."""
        self._forget_later_rows()
        state = self._state
        read, repair = self._plan.reader(), repairer(self._layout)
        with self._path.open("rb") as file:
            rows = read_rows(file, state.offset, state.line, self._layout.separator)
            for number, row in enumerate(rows, start=1):
                cells = repair(row.cells)
                try:
                    if row.problem:
                        raise RowProblem(row.problem, "Mend the row by hand.")
                    if any(cells):
                        self._take(row.line, cells, read(cells))
                except RowProblem as problem:
                    self._reject(cells, problem)
                state.offset, state.line = row.end, row.next_line
                if number % _LOOK_AT_CLOCK == 0 and time.monotonic() > until:
                    break
                if number % _BUFFERED == 0:
                    self._flush()
                    tell("read", state.offset / self._size)
            else:
                state.read = True
        self._flush()
        tell("read", state.offset / self._size)

    def _take(self, line: int, _cells: Sequence[str], listed: Any) -> None:
        if listed is None:
            self._state.ignored += 1
            return
        plan = cast(Plan, self._plan)
        if self._hashed:
            key, text = self._kit.address_keys.digest_key(plan.digest(listed)), ""
        else:
            address = plan.address(listed, self._region)
            key, text = self._kit.address_keys.key(address), address.original
        number = self._facts.get(listed.fact)
        if number is None:
            number = self._facts[listed.fact] = len(self._facts)
            self._state.facts.append(_fact_as_json(listed.fact))
            self._state.said.append(0)
        self._state.said[number] += 1
        since = read_time(listed.since) if listed.since else None
        occurred = to_microseconds(since) if since else ""
        self._put(key, f"{key.hex()}\t{line}\t{number}\t{occurred}\t{text}\n")

    def _put(self, key: bytes, line: str) -> None:
        part = int.from_bytes(key[:4]) * len(self._buckets) >> 32
        self._state.usable += 1
        self._buckets[part].append(line)

    def _reject(self, cells: Sequence[str], problem: RowProblem) -> None:
        self._state.invalid += 1
        header = _header(self._layout)
        if not self._state.rejects and not self._rejects:
            self._rejects.append(written([*header, WHAT, HOW]))
        self._rejects.append(_rejected(header, cells, problem))

    def _parts(self) -> int:
        """Return into how many parts the rows go, from the size of the file and of its first rows."""
        sample = self._layout.sample
        a_row = max(8, sum(len(cell) + 1 for row in sample for cell in row) // max(1, len(sample)))
        return max(1, min(MOST_PARTS, self._size // a_row // PART_ROWS + 1))

    def _forget_later_rows(self) -> None:
        """Cut off what was written after the state was: those rows will be read again (invariant I10)."""
        for part, size in enumerate(self._state.sizes):
            _cut(_part(self._place, part), size)
        _cut(self._place / "rejects.csv", self._state.rejects)

    def _flush(self) -> None:
        for part, lines in enumerate(self._buckets):
            if lines:
                self._state.sizes[part] += _append(_part(self._place, part), lines)
                lines.clear()
        if self._rejects:
            self._state.rejects += _append(self._place / "rejects.csv", self._rejects)
            self._rejects.clear()
        _save(self._place, self._state)
        _stamp(self._place, self._kit.now())


class _Agreements(_Reading):
    """The first phase of a list of people who agreed."""

    def _take(self, line: int, cells: Sequence[str], listed: Any) -> None:
        row = self._consents.line(cast(AgreedPlan, self._plan), listed, cells, line)
        self._put(bytes.fromhex(row.partition("\t")[0]), row)
        slot = f"{listed.topic}\t{listed.kind}"
        self._state.agreed[slot] = self._state.agreed.get(slot, 0) + 1


class _Parts(ABC, Generic[Part]):
    """The second phase: each part, sorted by key, into address, ledger and standing."""

    def __init__(self, service: Imports, found: Import, place: Path, state: _State) -> None:
        self._service, self._kit = service, service.kit
        self._found, self._place, self._state = found, place, state
        self._hashed = found.format in HEX_DIGITS

    @abstractmethod
    def _prepared(self, part: int) -> Part:
        """Return a part, read and made ready while the database works on the one before."""

    @abstractmethod
    def _merge(self, part: int, prepared: Part) -> None:
        """Merge one part; a part that was interrupted is merged again, and finds its own rows there."""

    def run(self, until: float, tell: Progress) -> None:
        """Merge part after part until the last or until the time is over."""
        if self._found.status == QUEUED:
            self._start()
        parts = len(self._state.sizes)
        # While the database works on one part, the next one is made ready.
        with ThreadPoolExecutor(max_workers=1) as ahead:
            upcoming = ahead.submit(self._prepared, self._found.next_part)
            for part in range(self._found.next_part, parts):
                prepared = upcoming.result()
                if part + 1 < parts:
                    upcoming = ahead.submit(self._prepared, part + 1)
                self._merge(part, prepared)
                _stamp(self._place, self._kit.now())
                tell("merge", (part + 1) / parts)
                if time.monotonic() > until and part + 1 < parts:
                    return
        self._finish()

    def _start(self) -> None:
        if self._hashed and not self._found.dry_run:
            self._service.hash_lists.announce()
        with self._kit.store.write() as connection:
            imports.change(
                connection,
                self._found.id,
                status=RUNNING,
                first_entry=ledger.position(connection),
                parts=len(self._state.sizes),
                invalid=self._state.invalid,
                ignored=self._state.ignored,
            )
        self._found = self._service.view(self._found.id)

    def _finish(self) -> None:
        found = self._found
        # A message claimed while the hashes were written did not see them: it is out of the door
        # before this says "done", since nobody writes while the lock is held alone (promise 2).
        door = alone(self._kit.store) if self._hashed else self._kit.store.write()
        with door as connection:
            last = ledger.position(connection)
            imports.change(connection, found.id, status=DONE, finished_at=self._kit.now(), last_entry=last)
        for leftover in [*self._place.glob("part-*"), *self._place.glob("lines.csv*"), self._place / "upload"]:
            leftover.unlink(missing_ok=True)
        done = self._service.view(found.id)
        counts = {name: getattr(done, name) for name in ("added", "already", "invalid", "ignored")}
        log.info("import_done", extra={"import": found.id, "format": found.format, "dry_run": found.dry_run, **counts})

    def _lines(self, part: int) -> list[str]:
        path = _part(self._place, part)
        return path.read_text("utf-8").split("\n")[:-1] if path.exists() else []

    def _done(self, connection: Connection, part: int, rows: int, added: int = 0) -> None:
        imports.count(connection, self._found.id, usable=rows, added=added)
        imports.change(connection, self._found.id, next_part=part + 1)

    def _count(self, connection: Connection, added: int, standing: Sequence[int]) -> None:
        """Note what this transaction did, in the same transaction; a dry run ends it here and nothing stays."""
        if self._found.dry_run:
            raise _DryRun
        imports.count(connection, self._found.id, added=added)
        imports.confirm(connection, self._found.id, standing, self._found.first_entry)


class _Merging(_Parts["_Prepared"]):
    """The second phase of a list of stops."""

    def __init__(self, service: Imports, found: Import, place: Path, state: _State) -> None:
        super().__init__(service, found, place, state)
        self._facts = [_fact(one) for one in state.facts]

    def _merge(self, part: int, prepared: "_Prepared") -> None:
        shared = Shared(self._found.id, self._found.actor, self._found.uploaded_at, self._kit.now())
        try:
            with self._kit.store.write() as connection:
                merged = bulk.merge(connection, shared, prepared.forms, prepared.facts)
                self._count(connection, merged.added, merged.standing)
                if not merged.left and not prepared.odd:
                    self._done(connection, part, prepared.rows)
                    return
        except _DryRun:
            pass
        odd = sorted([*(self._row(prepared.plain[place]) for place in merged.left), *prepared.odd], key=_order)
        added: list[_Row] = []
        for start in range(0, len(odd), _ONE_BY_ONE):
            added += self._one_by_one(odd[start : start + _ONE_BY_ONE])
        if self._found.dry_run:
            known = {*merged.left, *merged.already}
            added += (self._row(cells) for place, cells in enumerate(prepared.plain) if place not in known)
            self._note_new(part, added)
        with self._kit.store.write() as connection:
            self._done(connection, part, prepared.rows, added=len(added) if self._found.dry_run else 0)

    def _note_new(self, part: int, rows: Sequence[_Row]) -> None:
        """Keep beside the part what a dry run found new in it; done twice it is done once."""
        counts = Counter(row.fact for row in rows)
        first = nsmallest(FIRST_ROWS, rows, key=lambda row: row.line)
        said = {"counts": [counts[fact] for fact in self._facts], "first": [self._shown(row) for row in first]}
        (self._place / f"new-{part:04}").write_text(json.dumps(said))

    def _shown(self, row: _Row) -> dict[str, Any]:
        kind = _kind(row.fact, row.text)
        to = masked(Address(kind, row.text, row.text)) if row.text else ""
        return {"line": row.line, "to": to, **self._named(row.fact)}

    def _named(self, fact: Fact) -> dict[str, str]:
        """Return a fact as exports write it, without its source."""
        scope = self._kit.catalogue.scope_name(fact.scope)
        return {"channel": fact.channel or "any", "reason": fact.reason, "scope": scope}

    def _finish(self) -> None:
        parts = sorted(self._place.glob("new-*"))
        if self._found.dry_run:
            said = self._difference([json.loads(path.read_text()) for path in parts])
            (self._place / "difference.json").write_text(json.dumps(said))
        super()._finish()
        for path in parts:
            path.unlink(missing_ok=True)

    def _difference(self, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return what ``Imports.difference`` promises, from what was kept beside the parts."""
        facts: dict[tuple[str, ...], dict[str, Any]] = {}
        for number, fact in enumerate(self._facts):
            named = self._named(fact)
            line = facts.setdefault(tuple(named.values()), {**named, "new": 0, "already": 0})
            new = sum(one["counts"][number] for one in parts)
            line["new"] += new
            line["already"] += self._state.said[number] - new
        ranked = sorted(facts.values(), key=lambda one: -(one["new"] + one["already"]))
        first = nsmallest(FIRST_ROWS, chain.from_iterable(one["first"] for one in parts), key=itemgetter("line"))
        return {"facts": ranked, "first": first}

    def _prepared(self, part: int) -> "_Prepared":
        """Return a part sorted and sorted out, with the rows that each plain fact about a new address would get."""
        lines = self._lines(part)
        lines.sort()
        plain, odd = _sorted_out(lines)
        pauses = [number for number, fact in enumerate(self._facts) if fact.until is not None]
        if pauses:
            odd += [cells for cells in plain if int(cells[2]) in pauses]
            plain = [cells for cells in plain if int(cells[2]) not in pauses]
        forms, facts = self._fresh(plain)
        return _Prepared(len(lines), plain, forms, facts, [self._row(cells) for cells in odd])

    def _fresh(self, plain: Sequence["_Cells"]) -> tuple[list[Form], list[Fresh]]:
        keys = [bytes.fromhex(cells[0]) for cells in plain]
        sealed: Sequence[bytes | None] = [None] * len(plain)
        if not self._hashed:
            contexts = ((cells[4].encode(), address_context(key)) for cells, key in zip(plain, keys, strict=True))
            sealed = self._kit.vault.seal_many(contexts)
        forms, places = self._forms()
        uploaded, subjects = to_microseconds(self._found.uploaded_at), _subjects(len(plain))
        several = not self._hashed and (
            self._kit.address_keys.may_have_several or any(form.kind is AddressKind.PHONE for form in forms)
        )
        facts = []
        mark = self._mark(keys[0]) if keys else ""
        for key, closed, subject, cells in zip(keys, sealed, subjects, plain, strict=True):
            _, line, number, occurred, text = cells
            form = 2 * int(number) + ("@" in text)
            name = mark + entry_key(f"{self._found.id}:{line}", subject, places[form], "")[_MARK:]
            others = self._others(key, text, forms[form].kind) if several else ()
            facts.append(Fresh(key, form, closed, subject, name, int(occurred) if occurred else uploaded, others))
        return forms, facts

    def _forms(self) -> tuple[list[Form], list[str]]:
        """Return two forms a fact, for telephones and for addresses with an @, and what their entries are about."""
        forms, places = [], []
        for fact in self._facts:
            act = Act.UNREACHABLE if fact.reason in CONTACTABILITY_REASONS else Act.OPT_OUT
            for text in ("", "@"):
                forms.append(Form(_kind(fact, text), act, fact.channel, fact.scope, fact.reason, fact.source))
                places.append(place_of(fact.channel, fact.scope, fact.reason))
        return forms, places

    def _others(self, key: bytes, text: str, kind: AddressKind) -> tuple[bytes, ...]:
        """Return the further keys an address may be stored under: other forms, older keys, its hashes."""
        if self._hashed:
            return ()
        address = parse_address(CHANNELS_OF_KIND[kind][0], text, default_region=self._kit.default_region)
        return tuple(one for one in self._kit.address_keys.candidates(address) if one != key)

    def _row(self, cells: "_Cells") -> _Row:
        key, line, number, occurred, text = cells
        when = from_microseconds(int(occurred)) if occurred else self._found.uploaded_at
        return _Row(bytes.fromhex(key), int(line), self._facts[int(number)], when, text)

    def _mark(self, key: bytes) -> str:
        """Return how the entry keys of a part begin: together they take one place in the index, not thousands."""
        part = int.from_bytes(key[:4]) * len(self._state.sizes) >> 32
        return hashlib.sha256(f"{self._found.id}:{part}".encode()).hexdigest()[:_MARK]

    def _one_by_one(self, rows: Sequence[_Row]) -> list[_Row]:
        """Write rows about known addresses as any other door would; return those that were new."""
        added: list[_Row] = []
        try:
            with self._kit.store.write() as connection:
                known, book = self._open(connection, rows)
                standing: list[int] = []
                for turn in _turns(rows):
                    entries: dict[str, tuple[Entry, _Row]] = {}
                    for row in turn:
                        entry = self._entry(book, known[row.key], row)
                        facts = book.standing(known[row.key])
                        erased = next((fact for fact in facts if fact.reason is Reason.ERASED), None)
                        same = still_in_force(facts, entry) or erased
                        if same:
                            standing.append(same.entry_id)
                        else:
                            entries[entry.entry_key] = (entry, row)
                    new = ledger.append(connection, book, [entry for entry, _ in entries.values()])
                    added += (entries[entry.entry_key][1] for entry in new)
                self._count(connection, len(added), standing)
        except _DryRun:
            pass
        return added

    def _open(self, connection: Connection, rows: Sequence[_Row]) -> tuple[dict[bytes, KnownAddress], Book]:
        """Lock the addresses of these rows; one that was erased stays a bare key (rules.md G-3)."""
        texts = {row.key: row for row in rows}
        keys = {key: (key, *self._others(key, row.text, _kind(row.fact, row.text))) for key, row in texts.items()}
        bare = [Wanted(keys[key], _kind(row.fact, row.text)) for key, row in texts.items()]
        known = dict(zip(texts, people.open_addresses(connection, bare, self._kit.now()), strict=True))
        book = ledger.open_book(connection, known.values(), self._contacts(rows, known))
        for key, one in known.items():
            erased = any(fact.reason is Reason.ERASED for fact in book.standing(one))
            if one.sealed is None and not self._hashed and not erased:
                sealed = self._kit.vault.seal_text(texts[key].text, context=address_context(one.key))
                people.keep_sealed(connection, one.subject, sealed)
        return known, book

    def _contacts(self, rows: Sequence[_Row], known: dict[bytes, KnownAddress]) -> set[int]:
        """Return the contacts that facts about every channel go to (contract D4)."""
        found = {known[row.key].contact for row in rows if row.fact.channel is None}
        return {contact for contact in found if contact is not None}

    def _entry(self, book: Book, known: KnownAddress, row: _Row) -> Entry:
        fact, found = row.fact, self._found
        doing = Doing(found.id, f"{found.id}:{row.line}", fact.source, row.occurred_at, self._kit.now(), found.actor)
        subject = known.contact if fact.channel is None and known.contact is not None else known.subject
        sender = fact.scope if self._kit.catalogue.scope_name(fact.scope).startswith("sender:") else None
        place: dict[str, Any] = {"reason": fact.reason, "scope": fact.scope, "sender": sender, "at": found.uploaded_at}
        if fact.reason in CONTACTABILITY_REASONS:
            entry = bad_address(doing, book, subject, fact.channel, **place)
        else:
            entry = stop(doing, book, subject, fact.channel, until=fact.until, **place)
        return replace(entry, entry_key=self._mark(row.key) + entry.entry_key[_MARK:])


class _Agreeing(_Parts[list[ConsentRow]]):
    """The second phase of a list of people who agreed: whoever has opted out by then is refused."""

    def _prepared(self, part: int) -> list[ConsentRow]:
        return self._service.consents.read(self._lines(part))

    def _merge(self, part: int, prepared: list[ConsentRow]) -> None:
        added, refused = 0, list[tuple[ConsentRow, RowProblem]]()
        for rows in whole_keys(prepared, _ONE_BY_ONE):
            done = self._write(rows)
            added += done.added
            refused += done.refused
        header = _header(lay_out(Path(self._state.path)))
        lines = [_rejected(header, row.cells, problem) for row, problem in refused]
        self._refused(part).write_text("".join(lines), "utf-8")
        with self._kit.store.write() as connection:
            imports.count(connection, self._found.id, ignored=len(refused))
            self._done(connection, part, len(prepared) - len(refused), added=added if self._found.dry_run else 0)

    def _write(self, rows: Sequence[ConsentRow]) -> Written:
        done = Written()
        try:
            with self._kit.store.write() as connection:
                done = self._service.consents.write(connection, self._found, rows)
                self._count(connection, done.added, done.standing)
        except _DryRun:
            pass
        return done

    def _finish(self) -> None:
        """Put the refused rows behind those that could not be read; done twice it is done once."""
        rejects, refused = self._place / "rejects.csv", sorted(self._place.glob("refused-*"))
        _cut(rejects, self._state.rejects)
        lines = [text for path in refused if (text := path.read_text("utf-8"))]
        if lines and not self._state.rejects:
            lines.insert(0, written([*_header(lay_out(Path(self._state.path))), WHAT, HOW]))
        if lines:
            _append(rejects, lines)
        super()._finish()
        for path in refused:
            path.unlink(missing_ok=True)

    def _refused(self, part: int) -> Path:
        return self._place / f"refused-{part:04}"


_MARK = 12


def _subjects(number: int) -> list[int]:
    """Return numbers nobody has yet, near a random one and in random order.

    They say no more about whose they are than any random number does, and together take one
    place in the indexes: into twenty million rows that is most of the work.
    """
    at, found = secrets.randbits(62) >> 1, []
    for gap in secrets.token_bytes(number):
        at += 1 + gap
        found.append(at)
    secrets.SystemRandom().shuffle(found)
    return found


_Cells = tuple[str, str, str, str, str]
"""Key, line, number of the fact, stored time or nothing, address: a row of a part file."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A part on its way into the database."""

    rows: int
    plain: list[_Cells]
    forms: list[Form]
    facts: list[Fresh]
    odd: list[_Row]


def _sorted_out(lines: Sequence[str]) -> tuple[list[_Cells], list[_Cells]]:
    """Return the addresses about which the file says one thing, once each, and the rows that need thought.

    ``lines`` are sorted by key. Of the same fact said twice the first line counts.
    """
    plain: list[_Cells] = []
    odd: list[_Cells] = []
    for _, group in groupby((cast(_Cells, tuple(line.split("\t"))) for line in lines), key=itemgetter(0)):
        first, *more = group
        if not more:
            plain.append(first)
            continue
        said: dict[str, _Cells] = {}
        for cells in sorted((first, *more), key=lambda cells: int(cells[1])):
            said.setdefault(cells[2], cells)
        (plain if len(said) == 1 else odd).extend(said.values())
    return plain, odd


def _order(row: _Row) -> tuple[bytes, int]:
    return (row.key, row.line)


def _kind(fact: Fact, text: str) -> AddressKind:
    if fact.channel:
        return KIND_OF_CHANNEL[fact.channel]
    return AddressKind.EMAIL if "@" in text else AddressKind.PHONE


def _turns(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Yield the rows in turns that name each address once, so that each sees what the one before it did."""
    waiting = sorted(rows, key=lambda row: row.line)
    while waiting:
        turn: list[_Row] = []
        later: list[_Row] = []
        seen: set[bytes] = set()
        for row in waiting:
            (later if row.key in seen else turn).append(row)
            seen.add(row.key)
        yield turn
        waiting = later


def _without_notes(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in {"name", "approved_by"}}


def _fact_as_json(fact: Fact) -> dict[str, Any]:
    return {**asdict(fact), "until": fact.until.isoformat() if fact.until else None}


def _fact(said: dict[str, Any]) -> Fact:
    return Fact(
        Channel(said["channel"]) if said["channel"] else None,
        said["scope"],
        Reason(said["reason"]),
        said["source"],
        datetime.fromisoformat(said["until"]) if said["until"] else None,
    )


def _header(layout: Layout) -> tuple[str, ...]:
    return layout.header or tuple(f"column_{at + 1}" for at in range(len(layout.sample[0])))


def _rejected(header: Sequence[str], cells: Sequence[str], problem: RowProblem) -> str:
    """Return a row that is not imported, with what is wrong with it and the mend."""
    own = [*cells[: len(header)], *[""] * (len(header) - len(cells))]
    return written([safe_cell(cell) for cell in (*own, problem.what, problem.how)])


def _part(place: Path, part: int) -> Path:
    return place / f"part-{part:04}"


def _append(path: Path, lines: Sequence[str]) -> int:
    data = "".join(lines).encode("utf-8")
    with path.open("ab") as file:
        file.write(data)
    return len(data)


def _cut(path: Path, size: int) -> None:
    if path.exists() and path.stat().st_size > size:
        with path.open("r+b") as file:
            file.truncate(size)


def _load(place: Path) -> _State:
    return _State(**json.loads((place / "state.json").read_text()))


def _save(place: Path, state: _State) -> None:
    fresh = place / "state.new"
    fresh.write_text(json.dumps(asdict(state)))
    fresh.replace(place / "state.json")


def _stamp(place: Path, at: datetime) -> None:
    """Note when somebody last went on with an import: ``forget_files`` gives up what rests for a day."""
    os.utime(place / LOCK, (at.timestamp(), at.timestamp()))


def _stamped(place: Path) -> datetime:
    return datetime.fromtimestamp((place / LOCK).stat().st_mtime, UTC)


def _alone(place: Path) -> AbstractContextManager[None]:
    return alone_in(
        place,
        busy="This import is running already.",
        cleared="The files of this import were cleared away. Send the list again.",
    )
