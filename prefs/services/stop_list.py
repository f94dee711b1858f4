"""The suppression list as the console shows it: looked through, and ended one by one or several by two people.

One opt-out needs a reason, evidence and a fresh proof of who ends it; more than one also a
second person (reliability.md item 24).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from prefs.domain.ledger import Entry
from prefs.domain.reasons import REASONS, Ender
from prefs.domain.references import person_reference
from prefs.domain.terms import Act, Reason, Source
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services import audit
from prefs.services.approvals import Approval, Approvals
from prefs.services.kit import Kit
from prefs.services.suppression import Suppressions
from prefs.storage import ledger, stops
from prefs.storage.staff import StaffUser
from prefs.storage.stops import StopFilter

KIND = "lift_many"
MOST_AT_ONCE = 50

# Why staff end an opt-out; adding a reason means adding a row.
WHY: dict[str, str] = {
    "asked": "They asked us to start again",
    "mistake": "We recorded it by mistake",
    "not_theirs": "The address is not theirs",
}


@dataclass(frozen=True, slots=True)
class StopList:
    """The use cases of the suppression list."""

    kit: Kit
    suppressions: Suppressions
    approvals: Approvals

    def page(
        self, wanted: StopFilter, limit: int, *, before: int | None = None, after: int | None = None
    ) -> list[Entry]:
        """Return the opt-outs that stand, newest first."""
        with self.kit.store.read() as connection:
            return stops.page(connection, wanted, self.kit.now(), limit, before=before, after=after)

    def sources(self) -> list[str]:
        """Return every source there is, for the filter."""
        with self.kit.store.read() as connection:
            return stops.sources(connection)

    def chosen(self, numbers: Sequence[int]) -> list[Entry]:
        """Return the opt-outs to be ended, newest first.

        Raises:
            NotFound: One of them is no opt-out, or none is named.
            Conflict: One of them does not stand any more, or only the person can end it.
        """
        if not numbers or len(numbers) > MOST_AT_ONCE:
            raise NotFound(f"Choose one opt-out, or up to {MOST_AT_ONCE}.")
        with self.kit.store.read() as connection:
            return self._chosen(connection, numbers)

    def lift(self, number: int, why: str, evidence: str, *, by: StaffUser) -> Entry:
        """End one opt-out.

        Raises:
            InvalidInput: The reason or the evidence is missing.
            NotFound, Conflict: As ``chosen``.
        """
        _check(why, evidence)
        with self.kit.store.write() as connection:
            (entry,) = self._chosen(connection, [number])
            self._end(connection, entry, why, evidence, by.actor)
        return entry

    def ask(self, numbers: Sequence[int], why: str, evidence: str, *, by: StaffUser) -> str:
        """Ask a second person about ending several, and return what the question is about.

        Raises:
            InvalidInput, NotFound, Conflict: As ``lift``.
        """
        _check(why, evidence)
        entries = self.chosen(numbers)
        ordered = sorted(entry.id for entry in entries)
        about = "lift-" + hashlib.sha256(",".join(map(str, ordered)).encode()).hexdigest()[:16]
        self.approvals.ask(by, KIND, about, {"entries": ordered, "why": why, "evidence": evidence})
        return about

    def question(self, about: str) -> Approval:
        """Return the question to a second person. Raises ``NotFound``."""
        found = self.approvals.latest(KIND, about)
        if found is None:
            raise NotFound("There is no such question to a second person.")
        return found

    def lift_approved(self, about: str, *, by: StaffUser) -> int:
        """End what a second person said yes to, all or nothing, and return how many that was.

        Raises:
            NeedsSecondPerson: Nobody said yes, or it was used already.
            Conflict: One of them does not stand any more.
        """
        with self.kit.store.write() as connection:
            what = self.approvals.use(connection, KIND, about).what
            entries = self._chosen(connection, what["entries"])
            # One order for everybody, so that two such acts never wait for each other.
            for entry in sorted(entries, key=lambda one: one.subject):
                self._end(connection, entry, what["why"], what["evidence"], by.actor)
        return len(entries)

    def _chosen(self, connection: Connection, numbers: Sequence[int]) -> list[Entry]:
        found = {entry.id: entry for entry in ledger.entries_numbered(connection, list(numbers))}
        standing = stops.standing_numbers(connection, numbers)
        for number in numbers:
            if number not in found or found[number].act is not Act.OPT_OUT:
                raise NotFound("There is no such opt-out.")
            if number not in standing:
                raise Conflict("This opt-out does not stand any more.", code="not_standing")
            if not may_be_lifted(found[number]):
                raise Conflict("Only the person can take this back, or the end of their request.", code="not_liftable")
        return [found[number] for number in sorted(set(numbers), reverse=True)]

    def _end(self, connection: Connection, entry: Entry, why: str, evidence: str, actor: str) -> None:
        said = f"{WHY[why]}. {evidence}"
        self.suppressions.lift_in(connection, f"sup_{entry.id}", evidence=said, source=Source.STAFF, actor=actor)
        about = person_reference(entry.subject)
        audit.note(connection, self.kit.now(), actor, "stop_lifted", about, entry=f"EV-{entry.id}", why=why)


def may_be_lifted(entry: Entry) -> bool:
    """True where staff may end this opt-out; a restriction ends with its request (contract D9)."""
    if entry.reason is None or entry.reason is Reason.RESTRICTED:
        return False
    return Ender.LIFT in REASONS[entry.reason].ended_by


def _check(why: str, evidence: str) -> None:
    if why not in WHY:
        raise InvalidInput("Choose why it is removed.", field="why", code="missing")
    if len(evidence.strip()) < 3:
        raise InvalidInput(
            "Say what shows that the person wants this: a letter, a call, a mail.", field="evidence", code="missing"
        )
