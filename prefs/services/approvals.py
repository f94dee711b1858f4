"""A second person's yes, for what one person must not do alone (reliability.md item 24).

What is to be done is stored with the question, sealed; the yes is to exactly that. The asker
cannot be the approver, a question is good for seven days, and a yes is used once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.domain.roles import Right, may
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services import audit
from prefs.services.kit import Kit
from prefs.storage import approvals as storage
from prefs.storage.approvals import APPROVED, DONE, REFUSED, WAITING, WITHDRAWN, ApprovalRow
from prefs.storage.staff import StaffUser

GOOD_FOR = timedelta(days=7)


class NeedsSecondPerson(Conflict):
    """Nobody else has said yes to this yet."""

    code = "needs_second_person"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of act that needs two people: what it is in words, and the right both must have."""

    words: str
    right: Right


# Adding a kind means adding a row.
KINDS: dict[str, Kind] = {
    "consent_import": Kind("Import consents", Right.IMPORT_CONSENTS),
    "import_undo": Kind("Undo an import", Right.IMPORT_STOPS),
    "lift_many": Kind("Remove several opt-outs", Right.LIFT_STOPS),
    "erasure": Kind("Delete a person’s data", Right.REQUESTS),
}


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a second person; ``what`` is what the yes would be to."""

    id: int
    kind: str
    about: str
    what: dict[str, Any]
    status: str
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None

    @property
    def words(self) -> str:
        """The kind of act, in words."""
        return KINDS[self.kind].words


@dataclass(frozen=True, slots=True)
class Approvals:
    """Asking, saying yes or no, and using the yes."""

    kit: Kit

    def ask(self, by: StaffUser, kind: str, about: str, what: dict[str, Any]) -> int:
        """Store a question and return its number; an earlier open one about the same is withdrawn.

        Raises:
            InvalidInput: A kind that is not in ``KINDS``, or one this person may not ask for.
        """
        self._check_right(by, kind)
        now = self.kit.now()
        with self.kit.store.write() as connection:
            earlier = storage.latest(connection, kind, about)
            if earlier and earlier.status in {WAITING, APPROVED}:
                storage.move(connection, earlier.id, earlier.status, WITHDRAWN, decided_at=now)
            values = {"kind": kind, "about": about, "sealed": b"", "status": WAITING, "asked_by": by.actor}
            number = storage.add(connection, {**values, "asked_at": now})
            storage.seal(connection, number, self.kit.vault.seal_json(what, context=_context(number)))
            audit.note(connection, now, by.actor, "approval_asked", about, kind=kind, approval=number)
        return number

    def decide(self, by: StaffUser, number: int, *, yes: bool) -> Approval:
        """Say yes or no to a question that waits.

        Raises:
            NotFound: No such question.
            Conflict: It was asked by the same person, is too old, or was decided already.
            InvalidInput: This person may not decide about such acts.
        """
        now = self.kit.now()
        with self.kit.store.write() as connection:
            found = self._waiting(connection, number, now)
            self._check_right(by, found.kind)
            if yes and found.asked_by == by.actor:
                raise Conflict("You asked for this yourself. Somebody else has to say yes.", code="same_person")
            new = APPROVED if yes else REFUSED
            storage.move(connection, number, WAITING, new, decided_by=by.actor, decided_at=now)
            action = "approval_given" if yes else "approval_refused"
            audit.note(connection, now, by.actor, action, found.about, kind=found.kind, approval=number)
            decided = storage.read(connection, number)
        assert decided is not None
        return self._open(decided)

    def withdraw(self, by: StaffUser, number: int) -> None:
        """Take back a question of one's own. Raises ``NotFound`` or ``Conflict``."""
        now = self.kit.now()
        with self.kit.store.write() as connection:
            found = self._waiting(connection, number, now)
            if found.asked_by != by.actor:
                raise Conflict("Only the person who asked can take it back.", code="not_yours")
            storage.move(connection, number, WAITING, WITHDRAWN, decided_by=by.actor, decided_at=now)
            audit.note(connection, now, by.actor, "approval_withdrawn", found.about, approval=number)

    def use(self, connection: Connection, kind: str, about: str) -> Approval:
        """Use up the yes to an act, in the transaction that does it; returns what was approved.

        Raises:
            NeedsSecondPerson: No unused yes that is younger than seven days.
        """
        found = storage.latest(connection, kind, about)
        now = self.kit.now()
        fresh = found is not None and found.decided_at is not None and now - found.decided_at < GOOD_FOR
        if found is None or not fresh or not storage.move(connection, found.id, APPROVED, DONE, done_at=now):
            raise NeedsSecondPerson("A second person has to approve this first.")
        return self._open(found)

    def read(self, number: int) -> Approval:
        """Return a question. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            found = storage.read(connection, number)
        if found is None:
            raise NotFound("There is no such question to a second person.")
        return self._open(found)

    def latest(self, kind: str, about: str) -> Approval | None:
        """Return the newest question of a kind about a thing, whatever became of it, or None."""
        with self.kit.store.read() as connection:
            found = storage.latest(connection, kind, about)
        return self._open(found) if found else None

    def waiting(self, user: StaffUser) -> list[Approval]:
        """Return the questions this person may decide, oldest first; their own are among them."""
        with self.kit.store.read() as connection:
            rows = storage.with_status(connection, WAITING)
        fresh = self.kit.now() - GOOD_FOR
        return [self._open(row) for row in rows if row.asked_at > fresh and may(user.role, KINDS[row.kind].right)]

    def _waiting(self, connection: Connection, number: int, now: datetime) -> ApprovalRow:
        found = storage.read(connection, number, lock=True)
        if found is None:
            raise NotFound("There is no such question to a second person.")
        if found.status != WAITING or now - found.asked_at >= GOOD_FOR:
            raise Conflict("This was decided already, or is older than seven days.", code="not_waiting")
        return found

    def _check_right(self, user: StaffUser, kind: str) -> None:
        if kind not in KINDS:
            raise InvalidInput("There is no such kind of act.", field="kind")
        if not may(user.role, KINDS[kind].right):
            raise InvalidInput("Your role does not decide about this.", field="kind", code="forbidden")

    def _open(self, row: ApprovalRow) -> Approval:
        what = self.kit.vault.open_json(row.sealed, context=_context(row.id))
        fields = (row.id, row.kind, row.about, what, row.status, row.asked_by, row.asked_at)
        return Approval(*fields, row.decided_by, row.decided_at)


def _context(number: int) -> bytes:
    return f"approval:{number}".encode()
