"""What a telephone number itself forbids: the hour, a registry copy that is too old, a new owner.

The national registry is imported like any list; here is only how old our copy may be (rules.md
G-10). Numbers that changed hands end the consent given for them (rules.md A-1); a stop stays.
"""

import csv
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from prefs.domain.address import Address, parse_address
from prefs.domain.calling_hours import wait_for
from prefs.domain.decision import Hold, RecipientState
from prefs.domain.terms import Channel, Reason
from prefs.errors import InvalidAddress, InvalidInput, StoreUnavailable
from prefs.services.kit import Kit, act, bad_address
from prefs.storage import ledger, marks, numbers, people
from prefs.storage.people import KnownAddress, Wanted

log = logging.getLogger(__name__)

REGISTRY = "dnc_registry"
REGISTRY_GOOD_FOR = timedelta(days=31)
"""47 CFR 64.1200(c)(2)(i)(D); 16 CFR 310.4(b)(3)(iv)."""

FRESH_SECONDS = 5
_CHUNK = 1_000


@dataclass(slots=True)
class _Held:
    """The date of our registry copy, read at most every few seconds."""

    copied_at: datetime | None = None
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a file of answers: rows read, numbers whose consent ended, rows to ask again."""

    rows: int
    ended: int
    outdated: int
    unreadable: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The use cases about telephone numbers as such."""

    kit: Kit
    clock: Callable[[], float] = time.monotonic
    _held: _Held = field(default_factory=_Held)

    def now(self, state: RecipientState, address: Address, at: datetime) -> RecipientState:
        """Return the state with what the clock and the registry say about marketing to this number."""
        moment = wait_for(address.value, state.time_zone, at)
        hold = None if moment == at else Hold(Reason.QUIET_HOURS, moment)
        # The registry, like its Canadian twin, is about numbers of the North American plan.
        stale = address.value.startswith("+1") and self.registry_is_stale(at)
        return replace(state, hold=hold, registry_stale=stale) if hold or stale else state

    def registry_is_stale(self, at: datetime) -> bool:
        """True where our copy of the do-not-call registry is over 31 days old, or there is none (G-10)."""
        if self.clock() >= self._held.until:
            try:
                with self.kit.store.read() as connection:
                    self._held.copied_at = marks.read(connection, REGISTRY)
            except StoreUnavailable:
                return True
            self._held.until = self.clock() + FRESH_SECONDS
        copied = self._held.copied_at
        return copied is None or at.date() - copied.date() > REGISTRY_GOOD_FOR

    def note_registry_copy(self, copied_on: date) -> None:
        """Note that a registry copy of this day has been imported; an older one than ours changes nothing.

        Raises:
            InvalidInput: The day is in the future.
        """
        moment = datetime(copied_on.year, copied_on.month, copied_on.day, tzinfo=UTC)
        if moment > self.kit.now():
            raise InvalidInput("This date is in the future. Use the day the copy was downloaded.", field="copied_on")
        with self.kit.store.write() as connection:
            present = marks.read(connection, REGISTRY)
            if present is None or present < moment:
                marks.write(connection, REGISTRY, moment)
        self._held.until = 0.0

    def questions(self) -> Iterator[tuple[str, date]]:
        """Yield what to ask the Reassigned Numbers Database: each US number with a consent, and when it was last given.

        The database takes ten digits and a date; ask again every month (carriers report by the 15th).
        """
        with self.kit.store.read() as connection:
            for known, confirmed in numbers.with_consent(connection):
                number = self.kit.clear(known)
                if number is not None and number.startswith("+1") and len(number) == len("+1") + 10:
                    yield number.removeprefix("+1"), confirmed.date()

    def take_answers(self, lines: Iterable[str], *, key: str) -> Answers:
        """End the consent of every number answered ``yes`` (A-1); ``no`` and ``no data`` change nothing.

        A line is number, date asked about, answer, in this order, with or without a header. An
        answer about an older consent than the one on record says nothing about it: ask again.

        Raises:
            StoreUnavailable: What is done so far is done; again from the start changes nothing twice.
        """
        rows = ended = outdated = 0
        unreadable = []
        batch: list[tuple[Wanted, date]] = []
        for number, row in enumerate(csv.reader(lines), start=1):
            if not row or (number == 1 and not any(letter.isdigit() for letter in row[0])):
                continue
            rows += 1
            asked = _read_answer(row)
            if asked is None:
                unreadable.append(number)
            elif asked[2] == "yes":
                batch.append((self.kit.wanted(asked[0]), asked[1]))
            if len(batch) == _CHUNK:
                one, two = self._end(batch, key)
                ended, outdated, batch = ended + one, outdated + two, []
        one, two = self._end(batch, key)
        return Answers(rows, ended + one, outdated + two, tuple(unreadable))

    def note_lost(self, lost: Sequence[str], *, source: str, key: str, dry_run: bool = False) -> int:
        """End the consent of numbers that carriers gave up; return how many of them we knew.

        Numbers we do not know are not kept.
        """
        wanted = []
        for number in lost:
            try:
                wanted.append(self.kit.wanted(parse_address(Channel.SMS, number)))
            except InvalidAddress:
                log.warning("deactivated_number_unreadable")
        with self.kit.store.write() as connection:
            known = _known(people.find(connection, [found for one in wanted for found in one.keys], lock=True))
            if not known or dry_run:
                return len(known)
            book = ledger.open_book(connection, known)
            facts = []
            for one in known:
                doing = act(source, self.kit.now(), key=f"{key}:{one.subject}")
                facts.append(bad_address(doing, book, one.subject, Channel.SMS, reason=Reason.NUMBER_REASSIGNED))
            return len(ledger.append(connection, book, facts))

    def _end(self, batch: Sequence[tuple[Wanted, date]], key: str) -> tuple[int, int]:
        if not batch:
            return 0, 0
        with self.kit.store.write() as connection:
            found = people.find(connection, [one for wanted, _ in batch for one in wanted.keys], lock=True)
            asked = {found[k].subject: day for wanted, day in batch for k in wanted.keys if k in found}
            known = _known(found)
            book = ledger.open_book(connection, known)
            facts, outdated = [], 0
            for one in known:
                consents = [fact.effective_at.date() for fact in book.standing(one) if fact.consent]
                if any(given > asked[one.subject] for given in consents):
                    outdated += 1
                    continue
                doing = act("reassigned_numbers", self.kit.now(), key=f"{key}:{one.subject}")
                facts.append(bad_address(doing, book, one.subject, Channel.SMS, reason=Reason.NUMBER_REASSIGNED))
            return len(ledger.append(connection, book, facts)), outdated


def _known(found: dict[bytes, KnownAddress]) -> list[KnownAddress]:
    return list({one.subject: one for one in found.values()}.values())


def _read_answer(row: Sequence[str]) -> tuple[Address, date, str] | None:
    try:
        number, day, answer = (part.strip() for part in row[:3])
        digits = "".join(letter for letter in number if letter.isdigit())
        address = parse_address(Channel.SMS, f"+1{digits[-10:]}" if len(digits) in {10, 11} else number)
        return address, date.fromisoformat(day), answer.lower().replace("_", " ")
    except (ValueError, InvalidAddress):
        return None
