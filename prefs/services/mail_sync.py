"""Compare with the lists the email provider keeps, and add what we miss (rules.md M-6, reliability.md I16, I17).

Adds stops and addresses that do not work, nothing else: that somebody is *not* on a list of theirs
opts nobody in (R5), and nothing is deleted on either side. What we have and they lack is counted,
and passed on only where ``PREFS_PUSH_SUPPRESSIONS`` says so: sending never depends on it (W-10).
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.events import UNSUBSCRIBED, Consequence
from prefs.domain.ledger import ALL, Entry, Standing, reopened
from prefs.domain.reasons import CONTACTABILITY_REASONS
from prefs.domain.reconcile import GROUPS, LISTS, Verdict, judge
from prefs.domain.terms import Act, Channel, Reason, Source
from prefs.errors import InvalidAddress
from prefs.providers.ports import EmailLists, ListedEmail
from prefs.services.kit import Kit, act, bad_address, evidence_context, how_far, move_mark, stop
from prefs.storage import evidence, facts, ledger, listing, marks, people
from prefs.storage.ledger import Book

log = logging.getLogger(__name__)

SENDGRID = "sendgrid"
OVERLAP = timedelta(hours=1)
"""Read again each time: their clock is not ours, and a line is applied once anyway."""

FULL_AFTER = timedelta(hours=20)
"""So old the last comparison of whole lists may get: with a look each hour, one a day."""

CONFLICTS_KEPT = 50
_BATCH = 500
_WHOLE, _PUSHED, _BEGAN = f"{SENDGRID}:whole", f"{SENDGRID}:pushed", f"{SENDGRID}:pushing"
_COUNTED, _PAGES_COUNTED = 1_000, 20
_THEIR_DOORS = frozenset({Source.SENDGRID_EVENT, Source.PROVIDER_OPTOUT})
# What they would have to know of ours: wishes that last, of people whose address we still have.
_LASTING = (Reason.UNSUBSCRIBED, Reason.OBJECTION, Reason.COMPLAINT, Reason.DO_NOT_CONTACT)

REMOVED_THERE, ENDED_HERE, MISSING_THERE = "removed_there", "ended_here", "missing_there"


@dataclass(slots=True)
class ListDrift:
    """What a comparison found; what was missed was put right, unless it was a dry run.

    ``ended_here``, ``only_ours`` and ``removed_there`` are left to people. ``conflicts`` names some of
    them (no addresses: subjects and suppressions), and is None where only new lines were read.
    """

    lines_read: int = 0
    in_both: int = 0
    stops_missed: int = 0
    bad_addresses_missed: int = 0
    unreadable: int = 0
    ended_here: int = 0
    only_ours: int = 0
    removed_there: int = 0
    pushed: int = 0
    conflicts: list[dict[str, Any]] | None = None

    def note(self, kind: str, subject: int, since: datetime, suppression: int | None = None) -> None:
        """Keep a conflict for people to look at, as long as there are not too many of its kind."""
        if self.conflicts is None or sum(one["kind"] == kind for one in self.conflicts) >= CONFLICTS_KEPT:
            return
        named = f"sup_{suppression}" if suppression else None
        self.conflicts.append({"kind": kind, "subject": subject, "suppression": named, "since": since.isoformat()})


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a list, read: whose, and what it means."""

    address: Address
    keys: tuple[bytes, ...]
    consequence: Consequence
    scope: int
    created: datetime
    key: str


@dataclass(frozen=True, slots=True)
class _Judged:
    """A line and what it is to us; ``entry`` is what it would become."""

    line: _Line
    verdict: Verdict
    entry: Entry


@dataclass(frozen=True, slots=True)
class _Lack:
    """A stop of ours that they lack, on the global list (``group`` None) or in a group."""

    subject: int
    entry_id: int
    group: int | None
    source: str
    since: datetime


@dataclass(slots=True)
class _Theirs:
    """The address keys on their lists: who gets no marketing at all, and who left which group.

    A group that stands for no topic of ours counts as all marketing, as it does in the ledger.
    """

    everywhere: set[bytes] = field(default_factory=set)
    groups: dict[int, set[bytes]] = field(default_factory=dict)

    def add(self, line: _Line, group: int | None) -> None:
        if line.consequence.act is Act.OPT_OUT:
            named = self.everywhere if line.scope == ALL else self.groups.setdefault(group or 0, set())
            named.update(line.keys)


@dataclass(frozen=True, slots=True)
class MailSync:
    """The use case of ``prefs sync sendgrid`` and of the worker's hourly look."""

    kit: Kit
    lists: EmailLists
    push: bool = False

    def run(self, *, dry_run: bool = False, whole: bool | None = None) -> ListDrift:
        """Compare, put right what we miss, and move the marks; again changes nothing.

        ``whole`` reads everything rather than what is new; None does once a day, and when pushing was
        just switched on. A dry run always does.

        Raises:
            ProviderError: The provider did not answer; what was read is kept, its marks too.
            StoreUnavailable: Nothing more could be stored; likewise.
        """
        now = self.kit.now()
        drift = ListDrift()
        if dry_run or (self._is_due(now) if whole is None else whole):
            self._whole(now, drift, dry_run=dry_run)
        else:
            self._read_lists(now, drift, None, dry_run=False)
            if self.push:
                self._push_new(now, drift)
        if drift.stops_missed and not dry_run:
            log.error("sync_found_missed_stops", extra={"provider": SENDGRID, "stops": drift.stops_missed})
        return drift

    def push_new(self) -> int:
        """Pass on what was recorded since the last time and return how many stops that were.

        The first time their lists are read whole before, so that they get only what they lack.

        Raises:
            ProviderError: The provider did not take it all; what it took is known.
        """
        with self.kit.store.read() as connection:
            first = not marks.read_position(connection, _PUSHED)
        if first:
            return self.run(whole=True).pushed
        drift = ListDrift()
        self._push_new(self.kit.now(), drift)
        return drift.pushed

    def begin_pushing(self) -> None:
        """Note that pushing is on: a stop from before has waited since then, not since it was made."""
        with self.kit.store.read() as connection:
            if marks.read(connection, _BEGAN) is not None:
                return
        with self.kit.store.write() as connection:
            marks.begin(connection, _BEGAN, self.kit.now())

    def waiting(self, connection: Connection) -> tuple[int, datetime | None]:
        """Return how many stops they were not told of, counted up to a thousand, and since when the oldest waits."""
        began = marks.read(connection, _BEGAN) if self.push else None
        if began is None:
            return 0, None
        now, found = self.kit.now(), list[_Lack]()
        place = _after(marks.read_position(connection, _PUSHED))
        for _ in range(_PAGES_COUNTED):
            page = self._newer(connection, now, place)
            found += self._untold(connection, page)
            if len(page) < _BATCH or len(found) >= _COUNTED:
                break
            place = _end_of(page)
        if not found:
            return 0, None
        (first,) = ledger.entries_numbered(connection, [found[0].entry_id])
        return min(len(found), _COUNTED), max(first.recorded_at, began)

    def _is_due(self, now: datetime) -> bool:
        last = how_far(self.kit, _WHOLE)
        with self.kit.store.read() as connection:
            never_pushed = self.push and not marks.read_position(connection, _PUSHED)
        return last is None or now - last >= FULL_AFTER or never_pushed

    def _whole(self, now: datetime, drift: ListDrift, *, dry_run: bool) -> None:
        drift.conflicts = []
        theirs = _Theirs()
        self._read_lists(now, drift, theirs, dry_run=dry_run)
        pushes = self.push and not dry_run
        position = facts.settled_position(self.kit.store) if pushes else 0
        lacking = self._lacking(theirs, now, drift)
        if pushes:
            self._pass_on(lacking, drift)
            self._move_position(position)
        if not dry_run:
            move_mark(self.kit, _WHOLE, now)

    # What they have

    def _read_lists(self, now: datetime, drift: ListDrift, theirs: _Theirs | None, *, dry_run: bool) -> None:
        for name, consequence in LISTS.items():
            since = self._since(name) if theirs is None else None
            for page in self.lists.pages(name, since):
                self._take(name, consequence, page, drift, theirs, dry_run=dry_run)
            if not dry_run:
                move_mark(self.kit, f"{SENDGRID}:{name}", now)
        since = self._since(GROUPS) if theirs is None else None
        left = [one for one in self.lists.left_groups() if since is None or one.created >= since]
        for start in range(0, len(left), _BATCH):
            part = left[start : start + _BATCH]
            self._take(GROUPS, UNSUBSCRIBED, part, drift, theirs, dry_run=dry_run)
        if not dry_run:
            move_mark(self.kit, f"{SENDGRID}:{GROUPS}", now)

    def _since(self, name: str) -> datetime | None:
        mark = how_far(self.kit, f"{SENDGRID}:{name}")
        return mark - OVERLAP if mark else None

    def _take(
        self,
        name: str,
        consequence: Consequence | None,
        page: Sequence[ListedEmail],
        drift: ListDrift,
        theirs: _Theirs | None,
        *,
        dry_run: bool,
    ) -> None:
        """Compare some lines of one list with the ledger and add what we miss, in one transaction."""
        drift.lines_read += len(page)
        if consequence is None:
            return
        lines: dict[tuple[bytes, int], _Line] = {}
        for listed in page:
            line = self._line(name, consequence, listed)
            if line is None:
                drift.unreadable += 1
                continue
            if theirs is not None:
                theirs.add(line, listed.group)
            slot = (line.keys[0], line.scope)
            if slot not in lines or lines[slot].created < line.created:
                lines[slot] = line
        with self.kit.store.read() as connection:
            _, judged = self._judged(connection, list(lines.values()))
        missed = [one for one in judged if one.verdict is Verdict.MISSED]
        _count(judged, drift)
        if missed and not dry_run:
            self._add([one.line for one in missed])

    def _line(self, name: str, consequence: Consequence, listed: ListedEmail) -> _Line | None:
        try:
            address = parse_address(Channel.EMAIL, listed.email)
        except InvalidAddress:
            return None
        scope = ALL
        if name == GROUPS:
            topic = self.kit.catalogue.topic_of_group(listed.group)
            scope = topic.number if topic else ALL
        key = f"sendgrid-list:{name}:{listed.group or ''}:{int(listed.created.timestamp())}"
        keys = self.kit.address_keys.candidates(address)
        return _Line(address, tuple(keys), consequence, scope, listed.created, key)

    def _judged(self, connection: Connection, lines: Sequence[_Line]) -> tuple[Book, list[_Judged]]:
        found = people.find(connection, [key for line in lines for key in line.keys])
        book = ledger.open_book(connection, found.values())
        judged = []
        for line in lines:
            rows = {found[key].subject: found[key] for key in line.keys if key in found}
            own = next(iter(rows), 0)
            entries = [entry for row in rows.values() for entry in book.of(row)]
            entry = self._entry(book, own, line)
            judged.append(_Judged(line, judge(entries, entry), entry))
        return book, judged

    def _entry(self, book: Book, subject: int, line: _Line) -> Entry:
        doing = act(Source.PROVIDER_OPTOUT, self.kit.now(), key=line.key, occurred_at=line.created)
        says, at = line.consequence.reason, line.created
        if line.consequence.act is Act.UNREACHABLE:
            return bad_address(doing, book, subject, Channel.EMAIL, reason=says, at=at)
        return stop(doing, book, subject, Channel.EMAIL, reason=says, scope=line.scope, at=at)

    def _add(self, lines: Sequence[_Line]) -> None:
        """Write what we miss; under the locks it is judged again, since a webhook may have been quicker."""
        with self.kit.store.write() as connection:
            people.open_addresses(connection, [self.kit.wanted(line.address) for line in lines], self.kit.now())
            book, judged = self._judged(connection, lines)
            ledger.append(connection, book, [one.entry for one in judged if one.verdict is Verdict.MISSED])

    # What only we have

    def _lacking(self, theirs: _Theirs, now: datetime, drift: ListDrift) -> list[_Lack]:
        """Count what they lack, keep some of it for people, and return what may be passed on.

        What came from them, or was passed on before, and is not there any more was taken off the list there: it
        stays ours and is not put back behind that person's back.
        """
        with self.kit.store.snapshot() as connection:
            found = list(_lacks(self._stops(connection, now), theirs, self.kit.catalogue.groups_of_topic))
            told = self._told(connection, found)
        drift.only_ours = len(found)
        passed_on = []
        for lack in found:
            if lack.source in _THEIR_DOORS or (lack.entry_id, lack.subject) in told:
                drift.removed_there += 1
                drift.note(REMOVED_THERE, lack.subject, lack.since, lack.entry_id)
            else:
                passed_on.append(lack)
                if not self.push:
                    drift.note(MISSING_THERE, lack.subject, lack.since, lack.entry_id)
        return passed_on

    def _stops(self, connection: Connection, now: datetime) -> Iterator[listing.Stands]:
        """Yield the stops by email that last, one an address and scope, of addresses we can name."""
        last: tuple[bytes, int] | None = None
        for one in listing.standing_facts(connection, now, reasons=_LASTING, channel=Channel.EMAIL):
            if one.known.sealed is not None and (one.known.key, one.scope) != last:
                last = (one.known.key, one.scope)
                yield one

    def _told(self, connection: Connection, lacking: Sequence[_Lack]) -> set[tuple[int, int]]:
        """Return which of these stops were passed on before, as entry and subject."""
        found = set()
        for start in range(0, len(lacking), _BATCH):
            part = lacking[start : start + _BATCH]
            acts = {one.id: one.act_id for one in ledger.entries_numbered(connection, [one.entry_id for one in part])}
            kept = evidence.of_acts(connection, acts.values(), [one.subject for one in part])
            found |= {
                (one.entry_id, one.subject)
                for one in part
                if (acts.get(one.entry_id, ""), one.subject, evidence.PUSHED) in kept
            }
        return found

    def _push_new(self, now: datetime, drift: ListDrift) -> None:
        """Pass on the stops recorded since the last time, oldest first, without asking what they have (I17)."""
        position = facts.settled_position(self.kit.store)
        with self.kit.store.read() as connection:
            place = _after(marks.read_position(connection, _PUSHED))
        while True:
            with self.kit.store.snapshot() as connection:
                page = self._newer(connection, now, place)
                own = self._untold(connection, page)
            self._pass_on(own, drift)
            if len(page) < _BATCH:
                break
            place = _end_of(page)
            # The entry at the end of a page may go on with another address behind it.
            self._move_position(min(position, place[0] - 1))
        self._move_position(position)

    def _newer(self, connection: Connection, now: datetime, place: listing.Place) -> list[listing.Stands]:
        return listing.newer_facts(connection, now, place, _BATCH, reasons=_LASTING, channel=Channel.EMAIL)

    def _untold(self, connection: Connection, page: Sequence[listing.Stands]) -> list[_Lack]:
        """Return what of these stops they have to be told, one an address and scope, oldest first."""
        named = {(one.known.key, one.scope): one for one in reversed(page) if one.known.sealed is not None}
        ordered = sorted(named.values(), key=lambda one: one.entry_id)
        lacking = list(_lacks(iter(ordered), _Theirs(), self.kit.catalogue.groups_of_topic))
        told = self._told(connection, lacking)
        return [one for one in lacking if one.source not in _THEIR_DOORS and (one.entry_id, one.subject) not in told]

    def _pass_on(self, lacking: Sequence[_Lack], drift: ListDrift) -> None:
        there = self.lists.groups() if any(one.group is not None for one in lacking) else ()
        for group in dict.fromkeys(one.group for one in lacking):
            if group is not None and group not in there:
                # What is put into a group that does not exist lands on their global list (rules.md 6.3).
                log.error("sendgrid_group_missing", extra={"group": group})
                continue
            wanted = [one for one in lacking if one.group == group]
            for start in range(0, len(wanted), _BATCH):
                drift.pushed += self._pass_on_some(wanted[start : start + _BATCH], group)

    def _pass_on_some(self, lacking: Sequence[_Lack], group: int | None) -> int:
        """Pass on those that still stand at this moment, and put on record that they were (I16, G-5)."""
        with self.kit.store.read() as connection:
            addresses = people.by_subject(connection, [one.subject for one in lacking])
            book = ledger.open_book(connection, addresses.values())
            acts = {one.id: one.act_id for one in ledger.entries_numbered(connection, [o.entry_id for o in lacking])}
        ready: dict[str, _Lack] = {}
        for one in lacking:
            known = addresses.get(one.subject)
            email = self.kit.clear(known) if known and _still_stands(book.standing(known), one.entry_id) else None
            if email is not None:
                ready[email] = one
        if not ready:
            return 0
        self.lists.stop(list(ready), group)
        now = self.kit.now()
        said = {"provider": SENDGRID, "group": group, "at": now.isoformat()}
        rows = []
        for one in ready.values():
            act_id = acts[one.entry_id]
            sealed = self.kit.vault.seal_json(said, context=evidence_context(act_id, one.subject))
            rows.append(evidence.values(act_id, one.subject, sealed, now, evidence.PUSHED))
        with self.kit.store.write() as connection:
            evidence.add_many(connection, rows)
        return len(ready)

    # How far

    def _move_position(self, position: int) -> None:
        with self.kit.store.write() as connection:
            marks.write_position(connection, _PUSHED, position)


def _after(position: int) -> listing.Place:
    return position + 1, b""


def _end_of(page: Sequence[listing.Stands]) -> listing.Place:
    return page[-1].entry_id, page[-1].known.key


def _count(judged: Sequence[_Judged], drift: ListDrift) -> None:
    for one in judged:
        if one.verdict is Verdict.KNOWN:
            drift.in_both += 1
        elif one.verdict is Verdict.ENDED:
            drift.ended_here += 1
            drift.note(ENDED_HERE, one.entry.subject, one.line.created)
        elif one.entry.reason in CONTACTABILITY_REASONS:
            drift.bad_addresses_missed += 1
        else:
            drift.stops_missed += 1


def _lacks(stops: Iterator[listing.Stands], theirs: _Theirs, groups_of_topic: Any) -> Iterator[_Lack]:
    """Yield what they lack: stops of all marketing, and of topics that have a group of theirs."""
    for one in stops:
        if one.known.key in theirs.everywhere:
            continue
        groups = (None,) if one.scope == ALL else groups_of_topic(one.scope)
        lacking = [group for group in groups if group is None or one.known.key not in theirs.groups.get(group, ())]
        if one.source in _THEIR_DOORS and len(lacking) < len(groups):
            continue  # it came from one group of its topic, and is still there
        for group in lacking:
            yield _Lack(one.known.subject, one.entry_id, group, one.source, one.since)


def _still_stands(standing: Sequence[Standing], entry_id: int) -> bool:
    """True where this stop stands and the person let nothing in again since."""
    found = next((fact for fact in standing if fact.entry_id == entry_id), None)
    topics = {fact.scope for fact in standing if fact.consent} if found else set()
    return found is not None and not any(reopened(found, topic, standing) for topic in topics)
